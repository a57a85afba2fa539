// Dense factors with few features: squared distances with everything unrolled.
#pragma once

#include "layout.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// factor: the rows of the lower triangle, one after the other. V vectors of rows.
template <int D, int V>
MIXTURA_INLINE void small_squares(const double* x, Index x_stride, const double* mean,
                                  const double* factor, Vec (&square)[V]) {
    Vec y[D][V];
    MIXTURA_UNROLL
    for (int j = 0; j < D; ++j) {
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) y[j][v] = load(x + j * x_stride + v * lanes) - mean[j];
    }
    MIXTURA_UNROLL
    for (int v = 0; v < V; ++v) square[v] = splat(0);
    MIXTURA_UNROLL
    for (int i = 0; i < D; ++i) {
        Vec z[V];
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) z[v] = y[0][v] * factor[i * (i + 1) / 2];
        MIXTURA_UNROLL
        for (int j = 1; j <= i; ++j) {
            MIXTURA_UNROLL
            for (int v = 0; v < V; ++v) z[v] += y[j][v] * factor[i * (i + 1) / 2 + j];
        }
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) square[v] += z[v] * z[v];
    }
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
