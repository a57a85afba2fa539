// Moments of a block of rows about the means: weights, first moments, scatter.
//
// Sums are kept tile by tile, as the inner loops produce them, and unpacked once per chunk.
#pragma once

#include "layout.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Where the sums of a chunk lie: weights (K), then first moments and scatter in tiles.
struct Sums {
    double *weights, *first, *second;
    Index first_size, second_size;  // of one component
};

Sums carve_sums(const Shape& shape, Carver& carver);

void clear_sums(const Shape& shape, const Sums& sums);

// Adds first moments and scatter of rows 0 .. lanes * n_vectors - 1, of which row n belongs to
// component k by r[n].
void add_moments(const Plan& plan, const Layout& layout, const double* x, Index n_vectors, Index k,
                 const double* r, const Sums& sums);

// Weight and moments of components that are not tied, with no more than scatter_tile features: row n
// belongs to component k by r[n] * scale[n].
void add_scaled_moments(const Plan& plan, const Layout& layout, const double* x, Index n_rows,
                        Index k, const double* r, const double* scale, const Sums& sums);

// First moments only, in the place where add_moments of dense and tied shapes has them.
void add_first_moments(const Plan& plan, const Layout& layout, const double* x, Index n_vectors,
                       Index k, const double* r, const Sums& sums);

// Scatter of any columns about `mean`, weighted with r, and their first moments.
Index scatter_first_size(Index n_features);
Index scatter_second_size(Index n_features);
void add_scatter(const double* x, Index n_features, Index stride, Index n_rows, const double* mean,
                 const double* r, double* first, double* second);
// To a lower triangle packed by rows.
void unpack_scatter(Index n_features, const double* second, double* out);

// Writes weight, total and shared of a leaf.
void unpack_sums(const Shape& shape, const Sums& sums, double* leaf);

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
