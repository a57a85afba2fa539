// Which components can matter to a row, found without a look at each of them.
//
// In every feature a component has a window around its mean: outside of it, that feature alone
// puts the density too far down to count. A feature is cut into cells, and each cell has one bit
// per component whose window meets it. The bits of a row's cells, combined over the features, are
// the row's candidates: for K components d K / 512 vector operations.
//
// "Too far down" needs to know how high the best component of the row is. The windows are made for
// rows whose best log-density is at least `reference`; the other rows must be seen by everybody.
#pragma once

#include <cmath>

#include "density.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

constexpr Index fewest_windows = 64, most_window_features = 32, window_cells = 64;

// With more than one candidate in so many components, working through lists loses.
constexpr Index least_gain = 8;

inline bool may_use_windows(const Shape& shape) {
    if (shape.geometry == Geometry::tied || shape.n_components < fewest_windows) return false;
    bool dense = shape.geometry == Geometry::dense;
    return shape.n_features <= (dense ? most_small_features : most_window_features);
}

// What lies behind the factors of a plan.
struct Windows {
    double *usable, *reference;  // one number each
    double *low, *cells_per_unit;  // (d) where the first cell begins, and how narrow cells are
    double* reach;                 // (K, d) half widths
    std::uint64_t* bits;           // (d, cells, words)
    Index words;

    Windows(const Shape& shape, Carver& carver) {
        const Index d = shape.n_features;
        words = round_up(shape.n_components, 512) / 64;
        usable = carver.take(1);
        reference = carver.take(1);
        low = carver.take(d);
        cells_per_unit = carver.take(d);
        reach = carver.take(shape.n_components * d);
        bits = reinterpret_cast<std::uint64_t*>(carver.take(d * window_cells * words));
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

// Standard deviation of each feature, in the units of the scaled factor: the lengths of the rows
// of its inverse.
inline void feature_deviations(const ScaledModel& model, Index k, double* deviation) {
    const Index d = model.shape.n_features;
    const double* w = model.factors + k * model.shape.factor_size();
    if (model.shape.geometry != Geometry::dense) {
        bool one = model.shape.geometry == Geometry::spherical;
        for (Index j = 0; j < d; ++j) deviation[j] = 1 / w[one ? 0 : j];
        return;
    }
    double column[most_small_features];
    for (Index i = 0; i < d; ++i) deviation[i] = 0;
    for (Index j = 0; j < d; ++j) {
        for (Index i = j; i < d; ++i) {
            double sum = i == j ? 1 : 0;
            for (Index l = j; l < i; ++l) sum -= w[i * d + l] * column[l];
            column[i] = sum / w[i * d + i];
            deviation[i] += column[i] * column[i];
        }
    }
    for (Index i = 0; i < d; ++i) deviation[i] = std::sqrt(deviation[i]);
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
    const Index d = model.shape.n_features, n = model.shape.n_components, n_probes = 16;
    Index met = 0;
    for (Index probe = 0; probe < n_probes; ++probe) {
        const double* x = model.means + probe * n / n_probes * d;
        for (Index k = 0; k < n; ++k) {
            bool all = true;
            for (Index j = 0; j < d && all; ++j) {
                all = std::fabs(x[j] - model.means[k * d + j]) <= t.reach[k * d + j];
            }
            met += all;
        }
    }
    return met * least_gain < n_probes * n;
}

inline void cut_cells(const ScaledModel& model, const Windows& t, Index j) {
    const Index d = model.shape.n_features, n = model.shape.n_components;
    double low = 1e308, high = -1e308;
    for (Index k = 0; k < n; ++k) {
        if (model.constants[k] <= impossible) continue;
        double m = model.means[k * d + j], r = t.reach[k * d + j];
        if (m - r < low) low = m - r;
        if (m + r > high) high = m + r;
    }
    t.low[j] = low;
    t.cells_per_unit[j] = double(window_cells) / (high - low);
    for (Index i = 0; i < window_cells * t.words; ++i) t.of_cell(j, 0)[i] = 0;
    for (Index k = 0; k < n; ++k) {
        if (model.constants[k] <= impossible) continue;
        double m = model.means[k * d + j], r = t.reach[k * d + j];
        for (Index c = t.cell(j, m - r); c <= t.cell(j, m + r); ++c) {
            t.of_cell(j, c)[k / 64] |= std::uint64_t(1) << (k % 64);
        }
    }
}

inline void pack_windows(const ScaledModel& model, const Windows& t) {
    const Index d = model.shape.n_features, n = model.shape.n_components;
    *t.usable = 0;
    if (!model.skipping) return;
    *t.reference = reference_level(model);
    for (Index k = 0; k < n; ++k) {
        double* reach = t.reach + k * d;
        if (model.constants[k] <= impossible) {
            for (Index j = 0; j < d; ++j) reach[j] = -1;
            continue;
        }
        feature_deviations(model, k, reach);
        double square = lost_bits + model.constants[k] - *t.reference;
        double factor = square > 0 ? std::sqrt(square) : 0;
        for (Index j = 0; j < d; ++j) reach[j] *= factor;
    }
    if (!windows_tell(model, t)) return;
    for (Index j = 0; j < d; ++j) {
        cut_cells(model, t, j);
        if (!(t.cells_per_unit[j] > 0) || !(t.cells_per_unit[j] < 1e300)) return;
    }
    *t.usable = 1;
}

// Combines the bits of a row; returns how many are set.
inline Index find_candidates(const Windows& t, Index d, const double* x, std::uint64_t* found) {
    const std::uint64_t* from = t.of_cell(0, t.cell(0, x[0]));
    for (Index i = 0; i < t.words; ++i) found[i] = from[i];
    for (Index j = 1; j < d; ++j) {
        from = t.of_cell(j, t.cell(j, x[j]));
        for (Index i = 0; i < t.words; ++i) found[i] &= from[i];
    }
    Index count = 0;
    for (Index i = 0; i < t.words; ++i) count += bit_count(found[i]);
    return count;
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
