// Few features: squared distances with everything unrolled.
#pragma once

#include "layout.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Dense. factor: the rows of the lower triangle, one after the other. V vectors of rows.
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

// Diagonal (Scaled: every feature has its own factor) and spherical.
template <int D, bool Scaled, int V>
MIXTURA_INLINE void plain_squares(const double* x, Index x_stride, const double* mean,
                                  const double* factor, Vec (&square)[V]) {
    MIXTURA_UNROLL
    for (int v = 0; v < V; ++v) square[v] = splat(0);
    MIXTURA_UNROLL
    for (int j = 0; j < D; ++j) {
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) {
            Vec z = load(x + j * x_stride + v * lanes) - mean[j];
            if (Scaled) z = z * factor[j];
            square[v] += z * z;
        }
    }
    MIXTURA_UNROLL
    for (int v = 0; v < V && !Scaled; ++v) square[v] = square[v] * factor[0] * factor[0];
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
