// Dense components with many features: the quadratic form is a sum of squares, so its first terms
// bound it. Where the bound proves that a component cannot matter to a row, the rest is left out.
#pragma once

#include "block.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// The bounds take this part of the work at most, and fewer components make no difference.
inline bool may_use_bounds(const Shape& shape) {
    return is_tiled(shape) && shape.n_components >= 4 &&
           3 * bounding_features(shape) < 2 * shape.n_features;
}

inline double* panel_of(const Layout& layout, const Scratch& s, Index g, Index k) {
    return s.density + g * layout.density_stride + k * layout.panel;
}

// Work of the bounded way as a part of the dense one, when so many of the bounds of n_rows rows
// survive: the bounds, then an exact value for each survivor and first for the best one of a row.
// Rows that are gathered cost up to 1.6 times as much as those that lie together.
inline double bounded_work(const Shape& shape, Index n_survivors, Index n_rows) {
    double part = double(bounding_features(shape)) / double(shape.n_features);
    double pairs = double(n_rows) * double(shape.n_components);
    return part * part + 1.6 * double(n_survivors + n_rows) / pairs;
}

// How many bounds of the first panel are at least the limits of their rows.
inline Index count_possible(const Plan& plan, const Layout& layout, const Scratch& s,
                            const double* limit) {
    Index count = 0;
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        const double* bound = panel_of(layout, s, 0, k);
        for (Index i = 0; i < layout.panel; ++i) count += bound[i] >= limit[i];
    }
    return count;
}

// Whether bounds pay, judged by the first panel of the chunk in s.x. First as if all features were
// like the first ones, which costs one panel of bounds; if that looks well, by exact values.
inline bool worth_bounds(const Plan& plan, const Layout& layout, const Scratch& s) {
    constexpr double most_work = 0.8;
    density_bounds(plan, layout, s.x, 1, s.density_work, s.density, s.row_max);
    double rest = double(plan.shape.n_features) / double(bounding_features(plan.shape));
    double highest = impossible, *limit = s.row_cross;
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        if (plan.constants[k] > highest) highest = plan.constants[k];
    }
    for (Index i = 0; i < layout.panel; ++i) {
        limit[i] = highest - (highest - s.row_max[i]) * rest - lost_bits;
    }
    Index guess = count_possible(plan, layout, s, limit);
    if (bounded_work(plan.shape, guess, layout.panel) > most_work) return false;
    log_densities(plan, layout, s.x, 1, s.density_work, s.density, s.row_max);
    for (Index i = 0; i < layout.panel; ++i) limit[i] = s.row_max[i] - lost_bits;
    density_bounds(plan, layout, s.x, 1, s.density_work, s.density, s.row_max);
    Index survivors = count_possible(plan, layout, s, limit);
    return bounded_work(plan.shape, survivors, layout.panel) < most_work;
}

// Lists the rows whose bound is at least `limit`. Without branches: guessing wrong costs more.
inline Index list_possible(const Layout& layout, const Scratch& s, Index n_panels, Index k,
                           const double* limit) {
    Index count = 0;
    for (Index g = 0; g < n_panels; ++g) {
        const double* bound = panel_of(layout, s, g, k);
        for (Index i = 0; i < layout.panel; ++i) {
            Index n = g * layout.panel + i;
            s.list[count] = std::int32_t(n);
            count += bound[i] >= limit[n];
        }
    }
    return count;
}

// The listed rows under component k, exactly, in s.listed_r.
inline void evaluate_listed(const Plan& plan, const Layout& layout, Index count, Index k,
                            const Scratch& s) {
    Index padded = round_up(count, lanes);
    for (Index i = count; i < padded; ++i) s.list[i] = s.list[count - 1];
    for (Index j = 0; j < plan.shape.n_features; ++j) {
        const double* x = s.x + j * layout.x_stride;
        double* out = s.listed_x + j * layout.x_stride;
        for (Index i = 0; i < padded; ++i) out[i] = x[s.list[i]];
    }
    tiled_log_density(plan, s.listed_x, layout.x_stride, padded / lanes, k, s.density_work,
                      s.listed_r);
}

// As log_densities, but components that cannot matter to a row are impossible for it. First the
// component with the best bound, then all whose bound comes near that one's exact value.
inline void bounded_log_densities(const Plan& plan, const Layout& layout, Index n_panels,
                                  const Scratch& s) {
    const Index n_rows = n_panels * layout.panel, n_components = plan.shape.n_components;
    density_bounds(plan, layout, s.x, n_panels, s.density_work, s.density, s.row_max);
    double* limit = s.row_cross;
    for (Index n = 0; n < n_rows; ++n) limit[n] = -1e308;
    for (Index k = 0; k < n_components; ++k) {
        Index count = list_possible(layout, s, n_panels, k, s.row_max);
        if (count == 0) continue;
        evaluate_listed(plan, layout, count, k, s);
        for (Index i = 0; i < count; ++i) {
            double* best = limit + s.list[i];
            double exact = s.listed_r[i] - lost_bits;
            *best = exact > *best ? exact : *best;
        }
    }
    for (Index n = 0; n < n_rows; ++n) s.row_max[n] = -1e308;
    for (Index k = 0; k < n_components; ++k) {
        Index count = list_possible(layout, s, n_panels, k, limit);
        for (Index g = 0; g < n_panels; ++g) {
            for (Index i = 0; i < layout.panel; i += lanes) {
                store(panel_of(layout, s, g, k) + i, splat(impossible));
            }
        }
        if (count == 0) continue;
        evaluate_listed(plan, layout, count, k, s);
        for (Index i = 0; i < count; ++i) {
            Index n = s.list[i];
            double value = s.listed_r[i];
            panel_of(layout, s, n / layout.panel, k)[n % layout.panel] = value;
            s.row_max[n] = value > s.row_max[n] ? value : s.row_max[n];
        }
    }
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
