// Leaving out rows that do not belong to a component.
//
// When components lie apart, most responsibilities are exactly zero. The other rows are copied
// together, and the moments of these few are taken as if they were all there is.
#pragma once

#include "layout.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Rough cycles per row for taking the moments of one component, and for copying the row.
inline double moment_cycles(const Shape& shape) {
    double d = double(shape.n_features);
    bool matrix = shape.geometry == Geometry::dense || shape.geometry == Geometry::tied;
    return (matrix ? 1.2 * double(shape.triangle()) + 2 * d : 3 * d) / lanes;
}
inline double copy_cycles(const Shape& shape) { return 1.3 * double(shape.n_features) + 1; }

inline bool worth_listing(const Shape& shape) { return moment_cycles(shape) > 5; }

inline bool worth_copying(const Shape& shape, Index n_listed, Index n_rows) {
    double work = moment_cycles(shape);
    return double(n_listed) * (work + copy_cycles(shape)) < 0.9 * double(n_rows) * work;
}

constexpr int vectors_per_step = lanes < 4 ? 4 / lanes : 1;
constexpr int fours_per_step = vectors_per_step * lanes / 4;

// For each of the 16 patterns of four rows: how many are set, and which.
struct Pattern {
    std::int32_t count, which[4];
};
constexpr Pattern patterns[16] = {
    {0, {0, 0, 0, 0}}, {1, {0, 0, 0, 0}}, {1, {1, 0, 0, 0}}, {2, {0, 1, 0, 0}},
    {1, {2, 0, 0, 0}}, {2, {0, 2, 0, 0}}, {2, {1, 2, 0, 0}}, {3, {0, 1, 2, 0}},
    {1, {3, 0, 0, 0}}, {2, {0, 3, 0, 0}}, {2, {1, 3, 0, 0}}, {3, {0, 1, 3, 0}},
    {2, {2, 3, 0, 0}}, {3, {0, 2, 3, 0}}, {3, {1, 2, 3, 0}}, {4, {0, 1, 2, 3}}};

// Notes for every four rows which r are not zero, and returns how many there are. `r` is read in
// whole vectors, and in fours: what lies behind n_rows must be zero.
MIXTURA_APART inline Index find_rows(const double* r, Index n_rows, std::uint8_t* found) {
    Index count = 0;
    for (Index n = 0; n < n_rows; n += 4 * fours_per_step) {
        unsigned bits = 0;
        for (int v = 0; v < vectors_per_step; ++v) {
            bits |= nonzero_lanes(load(r + n + v * lanes)) << (v * lanes);
        }
        for (int i = 0; i < fours_per_step; ++i, bits >>= 4) {
            *found = static_cast<std::uint8_t>(bits & 15);
            count += patterns[*found++].count;
        }
    }
    return count;
}

// Lists the rows that were found. No branch depends on the data: guessing wrong would cost more
// than the work. `list` has room for four more.
MIXTURA_APART inline void list_rows(const std::uint8_t* found, Index n_rows, std::int32_t* list) {
    for (std::int32_t n = 0; n < n_rows; n += 4) {
        const Pattern& pattern = patterns[*found++];
        for (int i = 0; i < 4; ++i) list[i] = n + pattern.which[i];
        list += pattern.count;
    }
}

// Copies the listed rows of x and r to the front of new arrays, filled up to whole vectors with
// rows of weight zero; returns the number of vectors.
MIXTURA_APART inline Index copy_rows(const double* x, const double* r, Index n_features,
                                     Index stride, std::int32_t* list, Index count, double* x_out,
                                     double* r_out) {
    Index padded = round_up(count, lanes);
    for (Index i = 0; i < count; ++i) r_out[i] = r[list[i]];
    for (Index i = count; i < padded; ++i) {
        r_out[i] = 0;
        list[i] = list[count - 1];
    }
    for (Index j = 0; j < n_features; ++j, x += stride, x_out += stride) {
        for (Index i = 0; i < padded; ++i) x_out[i] = x[list[i]];
    }
    return padded / lanes;
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
