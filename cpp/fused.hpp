// Components with few features: exponentials and row sums follow the log-densities of a
// panel while these are at hand, so that no array of them is read and written again.
#pragma once

#include "block.hpp"
#include "few_features.hpp"
#include "selection.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Only where all moments of a component are summed in one sweep, and leaving rows out never pays.
inline bool may_fuse(const Shape& shape) {
    return shape.geometry != Geometry::tied && shape.n_features <= scatter_tile &&
           !worth_listing(shape);
}

// Vectors of rows at a time: panels are whole numbers of these.
constexpr int fused_vectors(Geometry geometry) {
    if (geometry == Geometry::dense || plain_vectors % small_vectors == 0) return small_vectors;
    return plain_vectors / 2;
}

// Squared distances of a panel from component k, in units of its factor.
template <Geometry G, int D, int V>
MIXTURA_INLINE void squares_of(const Plan& plan, const double* x, Index x_stride, Index k,
                               Vec (&square)[V]) {
    const double* mean = plan.means + k * D;
    if constexpr (G == Geometry::dense) {
        small_squares<D>(x, x_stride, mean, plan.factors + k * (D * (D + 1) / 2), square);
    } else {
        constexpr bool scaled = G == Geometry::diagonal;
        plain_squares<D, scaled>(x, x_stride, mean, plan.factors + k * (scaled ? D : 1), square);
    }
}

// Log-densities of a panel under all components; terms has a row of `stride` for each of them.
template <Geometry G, int D, int V>
MIXTURA_INLINE void panel_densities(const Plan& plan, const double* x, Index x_stride,
                                    double* terms, Index stride, Vec (&top)[V]) {
    MIXTURA_UNROLL
    for (int v = 0; v < V; ++v) top[v] = splat(-1e308);
    for (Index k = 0; k < plan.shape.n_components; ++k, terms += stride) {
        Vec square[V];
        squares_of<G, D>(plan, x, x_stride, k, square);
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) {
            Vec value = log_density(plan.constants[k], square[v]);
            store(terms + v * lanes, value);
            top[v] = greater_of(value, top[v]);
        }
    }
}

// They become terms 2^(log-density - top), with their sums, and times their exponents.
template <int V>
MIXTURA_INLINE void panel_terms(Index n_components, double* terms, Index stride,
                                const Vec (&top)[V], Vec (&sum)[V], Vec (&cross)[V]) {
    const Vec limit = splat(negligible);
    MIXTURA_UNROLL
    for (int v = 0; v < V; ++v) sum[v] = cross[v] = splat(0);
    for (Index k = 0; k < n_components; ++k, terms += stride) {
        Vec t[V], term[V];
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) t[v] = term[v] = load(terms + v * lanes) - top[v];
        exp2_above(term, limit);
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) {
            sum[v] += term[v];
            cross[v] += term[v] * t[v];
            store(terms + v * lanes, term[v]);
        }
    }
}

// Spare lanes behind row `count` get a one.
MIXTURA_APART inline void fill_with_ones(double* sums, Index first, Index end, Index count) {
    for (Index n = first; n < end; ++n) {
        if (n >= count) sums[n - first] = 1;
    }
}

// From rows to terms, their scale, and the totals of the rows.
template <Geometry G, int D>
MIXTURA_APART void fused_terms(const Plan& plan, const Layout& layout, bool weighted, Index count,
                               const Scratch& scratch, RowTotals& totals) {
    constexpr int V = fused_vectors(G);
    const Index n_components = plan.shape.n_components;
    const Index n_filled = round_up(count, V * lanes);
    LogProduct unit_rows(n_components);
    RowTotals t = totals;  // copies, so that they stay in registers
    const Scratch s = scratch;
    for (Index n = 0; n < n_filled; n += V * lanes) {
        Vec top[V], sum[V], cross[V];
        s.upcoming.prefetch(n / (V * lanes), n_filled / (V * lanes));
        panel_densities<G, D>(plan, s.x + n, layout.x_stride, s.density + n, layout.block, top);
        panel_terms(n_components, s.density + n, layout.block, top, sum, cross);
        if (n + V * lanes > count) {
            MIXTURA_UNROLL
            for (int v = 0; v < V; ++v) store(s.row_sum + v * lanes, sum[v]);
            fill_with_ones(s.row_sum, n, n + V * lanes, count);
            MIXTURA_UNROLL
            for (int v = 0; v < V; ++v) sum[v] = load(s.row_sum + v * lanes);
        }
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) {
            Vec weight = load(s.weight + n + v * lanes), scale = weight / sum[v];
            store(s.scale + n + v * lanes, scale);
            t.max += weight * top[v];
            t.cross += scale * cross[v];
            t.mass += weight;
            if (weighted) {
                t.log += weight * log2_of(sum[v]);
            } else {
                unit_rows.multiply(sum[v], t.log);
            }
        }
    }
    unit_rows.flush(t.log);
    totals = t;
}

using FusedTerms = void (*)(const Plan&, const Layout&, bool, Index, const Scratch&, RowTotals&);
template <Geometry G>
inline FusedTerms fused_terms_of(Index n_features) {
    constexpr FusedTerms sizes[5] = {fused_terms<G, 1>, fused_terms<G, 2>, fused_terms<G, 3>,
                                     fused_terms<G, 4>, fused_terms<G, 5>};
    return sizes[n_features - 1];
}

inline FusedTerms fused_terms_for(const Shape& shape) {
    switch (shape.geometry) {
        case Geometry::diagonal: return fused_terms_of<Geometry::diagonal>(shape.n_features);
        case Geometry::spherical: return fused_terms_of<Geometry::spherical>(shape.n_features);
        default: return fused_terms_of<Geometry::dense>(shape.n_features);
    }
}

// The first `count` rows in s.x, of weights s.weight, to sums.
inline void em_fused(const Plan& plan, const Layout& layout, bool weighted, Index count,
                     const Scratch& s, RowTotals& totals) {
    fused_terms_for(plan.shape)(plan, layout, weighted, count, s, totals);
    const Index n_rows = round_up(count, lanes);
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        add_scaled_moments(plan, layout, s.x, n_rows, k, s.density + k * layout.block, s.scale,
                           s.sums);
    }
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
