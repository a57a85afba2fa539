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

// Writes weight, total and shared of a leaf.
void unpack_sums(const Shape& shape, const Sums& sums, double* leaf);

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
