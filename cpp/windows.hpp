// Which components can matter to a row, found without a look at each of them.
//
// In every direction a component has a window around its mean: outside of it, that direction alone
// puts the density too far down to count. A direction is cut into cells, and each cell has one bit
// per component whose window meets it. The bits of a row's cells, combined over the directions, are
// the row's candidates: for K components K / 512 vector operations per direction.
//
// The directions are the features, which make a box, and as many diagonals of that box, sums of
// features with signs as in a Hadamard matrix: with 8 features they halve the candidates.
//
// "Too far down" needs to know how high the best component of the row is. The windows are made for
// rows whose best log-density is at least `reference`; the other rows must be seen by everybody.
#pragma once

#include <cmath>

#include "density.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

constexpr Index fewest_windows = 128, most_window_features = 32, window_cells = 64;

// With more than one candidate in so many components, working through lists loses.
constexpr Index least_gain = 8;

inline bool may_use_windows(const Shape& shape) {
    if (shape.geometry == Geometry::tied || shape.n_components < fewest_windows) return false;
    bool dense = shape.geometry == Geometry::dense;
    return shape.n_features <= (dense ? most_small_features : most_window_features);
}

// What lies behind the factors of a plan.
struct Windows {
    Index n_directions, words;
    double *usable, *reference;    // one number each
    double *origin, *unit;         // (d) the diagonals add (x - origin) * unit, with signs
    double *low, *cells_per_unit;  // (directions) where the first cell begins, how narrow they are
    double *middle, *reach;        // (K, directions) windows are middle +- reach
    std::uint64_t* bits;           // (directions, cells, words)

    Windows(const Shape& shape, Carver& carver) {
        const Index d = shape.n_features, n = shape.n_components;
        n_directions = d > 1 ? 2 * d : 1;
        words = round_up(n, 512) / 64;
        usable = carver.take(1);
        reference = carver.take(1);
        origin = carver.take(d);
        unit = carver.take(d);
        low = carver.take(n_directions);
        cells_per_unit = carver.take(n_directions);
        middle = carver.take(n * n_directions);
        reach = carver.take(n * n_directions);
        bits = reinterpret_cast<std::uint64_t*>(carver.take(n_directions * window_cells * words));
    }

    // Rising with x, so that every x of a window is in a cell between those of its ends.
    Index cell(Index j, double x) const {
        double at = (x - low[j]) * cells_per_unit[j];
        return at > 0 ? (at < window_cells - 1 ? Index(at) : window_cells - 1) : 0;
    }
    std::uint64_t* of_cell(Index j, Index cell) const {
        return bits + (j * window_cells + cell) * words;
    }
};

MIXTURA_INLINE double signed_by(Index diagonal, Index feature, double x) {
    return bit_count(std::uint64_t(diagonal & feature)) % 2 ? -x : x;
}

// Where a row lies in all directions. The diagonals come from a butterfly, as in a fast Fourier
// transform, over as many features as the next power of two; the last of them are left out.
inline void project(const Windows& t, Index d, const double* x, double* out) {
    double sums[most_window_features];
    for (Index j = 0; j < d; ++j) out[j] = x[j];
    if (d == 1) return;
    Index size = 1;
    while (size < d) size *= 2;
    for (Index j = 0; j < size; ++j) sums[j] = j < d ? (x[j] - t.origin[j]) * t.unit[j] : 0;
    for (Index half = 1; half < size; half *= 2) {
        for (Index i = 0; i < size; i += 2 * half) {
            for (Index j = i; j < i + half; ++j) {
                double a = sums[j], b = sums[j + half];
                sums[j] = a + b;
                sums[j + half] = a - b;
            }
        }
    }
    for (Index j = 0; j < d; ++j) out[d + j] = sums[j];
}

inline Windows windows_of(const Plan& plan) {
    Carver carver(const_cast<double*>(plan.factors) +
                  round_up(packed_factor_size(plan.shape), 16));
    return Windows(plan.shape, carver);
}

inline Index windows_size(const Shape& shape) {
    Carver counter(nullptr);
    if (may_use_windows(shape)) Windows(shape, counter);
    return counter.used();
}

// Standard deviation in each direction u, in the units of the scaled factor: the length of L' u,
// L the inverse of the factor.
inline void deviations(const ScaledModel& model, const Windows& t, Index k, double* deviation) {
    const Index d = model.shape.n_features;
    const bool dense = model.shape.geometry == Geometry::dense;
    const bool spherical = model.shape.geometry == Geometry::spherical;
    const double* w = model.factors + k * model.shape.factor_size();
    double column[most_window_features];
    for (Index i = 0; i < t.n_directions; ++i) deviation[i] = 0;
    for (Index j = 0; j < d; ++j) {  // column j of L
        Index end = dense ? d : j + 1;
        if (!dense) column[j] = 1 / w[spherical ? 0 : j];
        for (Index i = j; dense && i < end; ++i) {
            double sum = i == j ? 1 : 0;
            for (Index l = j; l < i; ++l) sum -= w[i * d + l] * column[l];
            column[i] = sum / w[i * d + i];
        }
        for (Index i = j; i < end; ++i) deviation[i] += column[i] * column[i];
        for (Index g = 0; d + g < t.n_directions; ++g) {
            double sum = 0;
            for (Index i = j; i < end; ++i) sum += signed_by(g, i, column[i] * t.unit[i]);
            deviation[d + g] += sum * sum;
        }
    }
    for (Index i = 0; i < t.n_directions; ++i) deviation[i] = std::sqrt(deviation[i]);
}

// Units that make the features alike, and an origin among the means.
inline void set_units(const ScaledModel& model, const Windows& t) {
    const Index d = model.shape.n_features;
    const bool dense = model.shape.geometry == Geometry::dense;
    const bool spherical = model.shape.geometry == Geometry::spherical;
    for (Index j = 0; j < d; ++j) {
        Index at = dense ? j * (d + 1) : spherical ? 0 : j, n_used = 0;
        t.origin[j] = t.unit[j] = 0;
        for (Index k = 0; k < model.shape.n_components; ++k) {
            if (model.constants[k] <= impossible) continue;
            if (n_used++ == 0) t.origin[j] = model.means[k * d + j];
            t.unit[j] += model.factors[k * model.shape.factor_size() + at];
        }
        t.unit[j] /= double(n_used);
    }
}

// Rows of a component have squared distances about d; three deviations more are allowed, and up
// to 60 bits between the heights of the components. Four deviations make windows of 8 features
// hold two thirds more, three leave one row in a hundred to all components.
inline double reference_level(const ScaledModel& model) {
    double lowest = 1e308, highest = impossible;
    for (Index k = 0; k < model.shape.n_components; ++k) {
        double c = model.constants[k];
        if (c <= impossible) continue;
        if (c < lowest) lowest = c;
        if (c > highest) highest = c;
    }
    if (lowest < highest - 60) lowest = highest - 60;
    double d = double(model.shape.n_features);
    return lowest - 0.73 * (d + 3 * std::sqrt(2 * d));
}

// Whether the windows tell the components apart: few of them reach the means of some others.
inline bool windows_tell(const ScaledModel& model, const Windows& t) {
    const Index m = t.n_directions, n = model.shape.n_components, n_probes = 16;
    Index met = 0;
    for (Index probe = 0; probe < n_probes; ++probe) {
        const double* x = t.middle + probe * n / n_probes * m;
        for (Index k = 0; k < n; ++k) {
            bool all = true;
            for (Index j = 0; j < m && all; ++j) {
                all = std::fabs(x[j] - t.middle[k * m + j]) <= t.reach[k * m + j];
            }
            met += all;
        }
    }
    return met * least_gain < n_probes * n;
}

inline void cut_cells(const ScaledModel& model, const Windows& t, Index j) {
    const Index m = t.n_directions, n = model.shape.n_components;
    double low = 1e308, high = -1e308;
    for (Index k = 0; k < n; ++k) {
        if (model.constants[k] <= impossible) continue;
        double middle = t.middle[k * m + j], reach = t.reach[k * m + j];
        if (middle - reach < low) low = middle - reach;
        if (middle + reach > high) high = middle + reach;
    }
    t.low[j] = low;
    t.cells_per_unit[j] = double(window_cells) / (high - low);
    for (Index i = 0; i < window_cells * t.words; ++i) t.of_cell(j, 0)[i] = 0;
    for (Index k = 0; k < n; ++k) {
        if (model.constants[k] <= impossible) continue;
        double middle = t.middle[k * m + j], reach = t.reach[k * m + j];
        const Index last = t.cell(j, middle + reach);
        for (Index c = t.cell(j, middle - reach); c <= last; ++c) {
            t.of_cell(j, c)[k / 64] |= std::uint64_t(1) << (k % 64);
        }
    }
}

inline void pack_windows(const ScaledModel& model, const Windows& t) {
    const Index d = model.shape.n_features, n = model.shape.n_components, m = t.n_directions;
    *t.usable = 0;
    if (!model.skipping) return;
    *t.reference = reference_level(model);
    set_units(model, t);
    for (Index k = 0; k < n; ++k) {
        double *reach = t.reach + k * m, factor = -1;
        project(t, d, model.means + k * d, t.middle + k * m);
        if (model.constants[k] > impossible) {
            double square = lost_bits + model.constants[k] - *t.reference;
            factor = square > 0 ? std::sqrt(square) : 0;
            deviations(model, t, k, reach);
            for (Index j = 0; j < m; ++j) {
                if (!(reach[j] > 1e-140)) return;  // its square may have lost digits
            }
        }
        for (Index j = 0; j < m; ++j) reach[j] = factor < 0 ? -1 : reach[j] * factor;
    }
    if (!windows_tell(model, t)) return;
    for (Index j = 0; j < m; ++j) {
        cut_cells(model, t, j);
        if (!(t.cells_per_unit[j] > 0) || !(t.cells_per_unit[j] < 1e300)) return;
    }
    *t.usable = 1;
}

// Combines the bits of a row; returns how many are set.
inline Index find_candidates(const Windows& t, Index d, const double* x, std::uint64_t* found) {
    double at[2 * most_window_features];
    project(t, d, x, at);
    const std::uint64_t* from = t.of_cell(0, t.cell(0, at[0]));
    for (Index i = 0; i < t.words; ++i) found[i] = from[i];
    for (Index j = 1; j < t.n_directions; ++j) {
        from = t.of_cell(j, t.cell(j, at[j]));
        for (Index i = 0; i < t.words; ++i) found[i] &= from[i];
    }
    Index count = 0;
    for (Index i = 0; i < t.words; ++i) count += bit_count(found[i]);
    return count;
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
