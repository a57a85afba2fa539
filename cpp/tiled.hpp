// Dense factors with many features: products of the factor and centred rows in register tiles.
#pragma once

#include "density.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

MIXTURA_INLINE void put_density(double constant, Vec square, double* density, double* row_max) {
    Vec value = log_density(constant, square);
    store(density, value);
    store(row_max, greater_of(value, load(row_max)));
}

// R rows of the factor, first of them row i0, times the centred panel y. The packed factor has
// for each column j < i0 its R entries, then the columns of the triangle, shorter and shorter.
template <int R, int V>
MIXTURA_INLINE const double* tile_product(const double* factor, const double* y, Index i0,
                                          Vec (&z)[R][V]) {
    MIXTURA_UNROLL
    for (int r = 0; r < R; ++r) {
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) z[r][v] = splat(0);
    }
    for (Index j = 0; j < i0; ++j, y += V * lanes, factor += R) {
        Vec column[V];
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) column[v] = load(y + v * lanes);
        MIXTURA_UNROLL
        for (int r = 0; r < R; ++r) {
            MIXTURA_UNROLL
            for (int v = 0; v < V; ++v) z[r][v] += column[v] * factor[r];
        }
    }
    MIXTURA_UNROLL
    for (int j = 0; j < R; ++j) {
        MIXTURA_UNROLL
        for (int r = j; r < R; ++r) {
            MIXTURA_UNROLL
            for (int v = 0; v < V; ++v) z[r][v] += load(y + v * lanes) * factor[r - j];
        }
        factor += R - j;
        y += V * lanes;
    }
    return factor;
}

template <int R, int V>
MIXTURA_INLINE const double* tile_square(const double* factor, const double* y, Index i0,
                                         Vec (&square)[V]) {
    Vec z[R][V];
    factor = tile_product<R, V>(factor, y, i0, z);
    MIXTURA_UNROLL
    for (int r = 0; r < R; ++r) {
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) square[v] += z[r][v] * z[r][v];
    }
    return factor;
}

template <int R>
const double* tile_whiten(const double* factor, const double* y, Index i0, double* out,
                          Index stride) {
    Vec z[R][tile_vectors];
    factor = tile_product<R, tile_vectors>(factor, y, i0, z);
    MIXTURA_UNROLL
    for (int r = 0; r < R; ++r) {
        MIXTURA_UNROLL
        for (int v = 0; v < tile_vectors; ++v) store(out + (i0 + r) * stride + v * lanes, z[r][v]);
    }
    return factor;
}

// The ragged tile comes first, where it is a small triangle instead of a long thin strip.
template <int R, int V>
const double* ragged_square(int rows, const double* factor, const double* y, Vec (&square)[V]) {
    if constexpr (R > 0) {
        if (rows == R) return tile_square<R, V>(factor, y, 0, square);
        return ragged_square<R - 1, V>(rows, factor, y, square);
    }
    return factor;
}

template <int R>
const double* ragged_whiten(int rows, const double* factor, const double* y, double* out,
                            Index stride) {
    if constexpr (R > 0) {
        if (rows == R) return tile_whiten<R>(factor, y, 0, out, stride);
        return ragged_whiten<R - 1>(rows, factor, y, out, stride);
    }
    return factor;
}

template <int V>
MIXTURA_INLINE void centre_panel(const double* x, Index stride, const double* mean, Index d,
                                 double* y) {
    for (Index j = 0; j < d; ++j, x += stride, y += V * lanes) {
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) store(y + v * lanes, load(x + v * lanes) - mean[j]);
    }
}

// Squares of the first n_features rows of factor (x - mean); whole tiles of them.
template <int V>
MIXTURA_INLINE void tiled_squares(const Plan& plan, const double* x, Index stride,
                                  Index n_features, Index k, double* y, Vec (&square)[V]) {
    const Index d = plan.shape.n_features;
    const int ragged = static_cast<int>(d % tile_rows);
    centre_panel<V>(x, stride, plan.means + k * d, n_features, y);
    MIXTURA_UNROLL
    for (int v = 0; v < V; ++v) square[v] = splat(0);
    const double* factor = plan.factors + k * plan.shape.triangle();
    factor = ragged_square<tile_rows - 1, V>(ragged, factor, y, square);
    for (Index i0 = ragged; i0 < n_features; i0 += tile_rows) {
        factor = tile_square<tile_rows, V>(factor, y, i0, square);
    }
}

inline void tiled_block(const Plan& plan, const Layout& layout, const double* x, Index n_panels,
                 Index n_features, double* y, double* density, double* row_max) {
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        for (Index g = 0; g < n_panels; ++g) {
            Vec square[tile_vectors];
            tiled_squares(plan, x + g * layout.panel, layout.x_stride, n_features, k, y, square);
            double* out = density + g * layout.density_stride + k * layout.panel;
            double* greatest = row_max + g * layout.panel;
            MIXTURA_UNROLL
            for (int v = 0; v < tile_vectors; ++v) {
                put_density(plan.constants[k], square[v], out + v * lanes, greatest + v * lanes);
            }
        }
    }
}

template <int V>
void tiled_strip(const Plan& plan, const double* x, Index stride, Index k, double* y,
                 double* density) {
    Vec square[V];
    tiled_squares(plan, x, stride, plan.shape.n_features, k, y, square);
    MIXTURA_UNROLL
    for (int v = 0; v < V; ++v) {
        store(density + v * lanes, log_density(plan.constants[k], square[v]));
    }
}

// The triangle of rows i0 .. i0+R-1 in the order in which tile_product reads it.
inline double* pack_tile(const double* factor, Index d, Index i0, Index rows, double* out) {
    for (Index j = 0; j < i0 + rows; ++j) {
        for (Index i = j < i0 ? i0 : j; i < i0 + rows; ++i) *out++ = factor[i * d + j];
    }
    return out;
}

inline void pack_triangle(const double* factor, Index d, bool tiled, double* out) {
    if (!tiled) {
        for (Index i = 0; i < d; ++i) {
            for (Index j = 0; j <= i; ++j) *out++ = factor[i * d + j];
        }
        return;
    }
    Index ragged = d % tile_rows;
    out = pack_tile(factor, d, 0, ragged, out);
    for (Index i0 = ragged; i0 < d; i0 += tile_rows) out = pack_tile(factor, d, i0, tile_rows, out);
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
