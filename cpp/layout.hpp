// How a block of rows lies in memory, and the tile shapes of the inner loops.
//
// Rows are worked on in blocks, rows across lanes. Within a block the data are feature by feature,
// x[j * x_stride + n], and the densities panel by panel: a panel is what one call of an inner
// loop takes, a few vectors of rows, and component k of panel g starts at
// density[g * density_stride + k * panel]. So the loops over components walk contiguous memory.
#pragma once

#include "kernel.hpp"
#include "simd.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Tile shapes. They fill the register file with accumulators: 32 registers with AVX-512 and on
// 64-bit ARM, 16 otherwise.
//   small_vectors   vectors per panel, dense factor, few features: all x - mean stay at hand
//   tile_rows       rows of the factor times
//   tile_vectors      vectors per panel, dense factor, many features
//   plain_vectors   vectors per panel, diagonal and spherical factors
//   linear_rows     components times plain_vectors, log-densities linear in features
//   scatter_tile    features by features of the scatter matrix
//   plain_columns   features at a time, diagonal and spherical moments
#if defined(__AVX512F__)
constexpr int small_vectors = 3, tile_rows = 6, tile_vectors = 4, plain_vectors = 6;
constexpr int linear_rows = 4;
constexpr int scatter_tile = 5, plain_columns = 10;
#elif defined(__AVX2__)
constexpr int small_vectors = 3, tile_rows = 4, tile_vectors = 3, plain_vectors = 4;
constexpr int linear_rows = 2;
constexpr int scatter_tile = 3, plain_columns = 5;
#else
constexpr int small_vectors = 3, tile_rows = 3, tile_vectors = 3, plain_vectors = 4;
constexpr int linear_rows = 2;
constexpr int scatter_tile = 3, plain_columns = 5;
#endif

// Up to this many features the loops over the dense factor are unrolled completely.
constexpr Index most_small_features = 16;

// A component this many bits below the best one of a row does not count: its share is less than
// half of the rounding error of a one.
constexpr double lost_bits = 57;

struct Layout {
    Index panel;           // rows per panel
    Index block;           // rows per block, whole panels
    Index x_stride;        // distance between features
    Index density_stride;  // distance between panels of densities
};

MIXTURA_INLINE Index round_up(Index n, Index unit) { return (n + unit - 1) / unit * unit; }

inline Index panel_vectors(const Shape& shape) {
    switch (shape.geometry) {
        case Geometry::dense:
            return shape.n_features <= most_small_features ? small_vectors : tile_vectors;
        case Geometry::tied:
            return tile_vectors;
        default:
            return plain_vectors;
    }
}

// Blocks of about 256 rows stay in the caches; a chunk is cut into nearly equal ones.
inline Layout layout_of(const Shape& shape) {
    constexpr Index cache_numbers = 96 * 1024;
    Layout layout;
    layout.panel = panel_vectors(shape) * lanes;
    Index target = shape.n_features <= 2 ? 512 : 256;
    while (target > 64 && target * (shape.n_features + shape.n_components) > cache_numbers) {
        target /= 2;
    }
    Index panels = (chunk_rows + layout.panel - 1) / layout.panel;
    Index target_panels = target / layout.panel > 0 ? target / layout.panel : 1;
    Index blocks = (panels + target_panels - 1) / target_panels;
    layout.block = (panels + blocks - 1) / blocks * layout.panel;
    // One vector more where the stride would be a multiple of 1 KiB: powers of two collide in
    // the first-level cache.
    layout.x_stride = layout.block + (layout.block % 128 == 0 ? lanes : 0);
    layout.density_stride = shape.n_components * layout.panel;
    if (layout.density_stride % 128 == 0) layout.density_stride += lanes;
    return layout;
}

// Cuts a thread's scratch memory into arrays; with a null base it only counts.
class Carver {
  public:
    explicit Carver(double* base) : base_(base) {}
    double* take(Index n) {
        double* p = base_ ? base_ + used_ : nullptr;
        used_ += round_up(n, 16);
        return p;
    }
    Index used() const { return used_; }

  private:
    double* base_;
    Index used_ = 0;
};

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
