// The arrays of a block of rows, and the way from its log-densities to responsibilities.
#pragma once

#include <cmath>

#include "density.hpp"
#include "elementary.hpp"
#include "tied.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Terms so far below the largest one of their row count as zero: their rows are left out of the
// moments, and no product with them comes near denormal numbers, which slow the arithmetic down.
constexpr double negligible = -lost_bits;

// The memory of the rows that come after a block: asked for part by part while the block is worked
// on, it is at hand when its turn comes.
struct Upcoming {
    const char* first = nullptr;
    Index n_bytes = 0;  // of each stretch
    Index n_stretches = 1, stride = 0;
    // Part i of n; lines of 64 bytes.
    MIXTURA_INLINE void prefetch(Index i, Index n) const {
        const Index begin = n_bytes * i / n, end = n_bytes * (i + 1) / n;
        const char* stretch = first;
        for (Index j = 0; j < n_stretches; ++j, stretch += stride) {
            for (Index at = begin; at < end; at += 64) prefetch_line(stretch + at);
        }
    }
};

// The rows behind `span`, as many again, where they or their columns lie close together.
inline Upcoming after(const Matrix& x, Span span) {
    const Index first = span.first + span.count, left = x.n_rows - first;
    const Index element = x.single_precision ? sizeof(float) : sizeof(double);
    const Index row_size = x.n_columns * element, count = span.count < left ? span.count : left;
    const char* begin = x.data + first * x.row_stride;
    if (x.row_stride == element) return {begin, count * element, x.n_columns, x.column_stride};
    if (x.column_stride != element || x.row_stride < row_size || x.row_stride > 2 * row_size) {
        return {};
    }
    return {begin, count * x.row_stride};
}

// The arrays of one block, and of the chunk it belongs to.
struct Scratch {
    double *x, *density, *density_work;
    double* row_max;    // greatest log-density of each row; its own if the row has a known label
    double* row_sum;    // sum over components of 2^(log-density - row_max)
    double* row_cross;  // sum of the same terms times their exponents
    double* weight;     // weight of each row; zero in spare lanes
    double* scale;      // weight / row_sum: what turns a term into a weighted responsibility
    double* r;          // weighted responsibilities of one component
    double *listed_x, *listed_r;  // the rows for which they are not zero
    std::int32_t* list;
    std::uint8_t* found;
    Sums sums;
    const TiedWork* tied = nullptr;  // when components share one dense covariance
    Upcoming upcoming;    // what comes after the block
    bool bounds = false;  // whether first features tell which components need not be looked at

    Scratch(const Shape& shape, const Layout& layout, Carver& carver) {
        Index block_density = layout.block / layout.panel * layout.density_stride;
        x = carver.take(shape.n_features * layout.x_stride);
        density = carver.take(block_density);
        density_work = carver.take(density_work_size(shape, layout));
        row_max = carver.take(layout.block);
        row_sum = carver.take(layout.block);
        row_cross = carver.take(layout.block);
        weight = carver.take(layout.block);
        scale = carver.take(layout.block);
        r = carver.take(layout.block + 4);
        listed_x = carver.take(shape.n_features * layout.x_stride);
        listed_r = carver.take(layout.block);
        list = reinterpret_cast<std::int32_t*>(carver.take(layout.block + 4));
        found = reinterpret_cast<std::uint8_t*>(carver.take(layout.block));
        sums = carve_sums(shape, carver);
    }
};

inline void load_weights(const Rows& rows, Span span, Index n_filled, double* weight) {
    for (Index n = 0; n < span.count; ++n) {
        weight[n] = rows.weights ? rows.weights[span.first + n] : 1.0;
    }
    for (Index n = span.count; n < n_filled; ++n) weight[n] = 0;
}

inline Index panels_for(const Layout& layout, Index n) {
    return (n + layout.panel - 1) / layout.panel;
}

// Log-densities become terms 2^(log-density - row_max), with their sums; N vectors at a time.
template <int N>
MIXTURA_APART void exponentiate(const Layout& layout, Index n_components, Index n_panels,
                                const Scratch& s) {
    const Vec limit = splat(negligible);
    const Index panel = layout.panel, stride = layout.density_stride;
    double *density = s.density, *row_max = s.row_max;
    double *row_sum = s.row_sum, *row_cross = s.row_cross;
    for (Index g = 0; g < n_panels; ++g) {
        for (Index v = 0; v < panel; v += N * lanes) {
            double* p = density + g * stride + v;
            const Index n = g * panel + v;
            Vec top[N], sum[N], cross[N];
            MIXTURA_UNROLL
            for (int i = 0; i < N; ++i) {
                top[i] = load(row_max + n + i * lanes);
                sum[i] = cross[i] = splat(0);
            }
            for (Index k = 0; k < n_components; ++k, p += panel) {
                Vec t[N], term[N];
                MIXTURA_UNROLL
                for (int i = 0; i < N; ++i) t[i] = term[i] = load(p + i * lanes) - top[i];
                exp2_above(term, limit);
                MIXTURA_UNROLL
                for (int i = 0; i < N; ++i) {
                    sum[i] += term[i];
                    cross[i] += term[i] * t[i];
                    store(p + i * lanes, term[i]);
                }
            }
            MIXTURA_UNROLL
            for (int i = 0; i < N; ++i) {
                store(row_sum + n + i * lanes, sum[i]);
                store(row_cross + n + i * lanes, cross[i]);
            }
        }
    }
}

inline double& density_at(const Layout& layout, const Scratch& s, Index n, Index k) {
    return s.density[n / layout.panel * layout.density_stride + k * layout.panel +
                     n % layout.panel];
}

// Rows of known label: before exponentiate, their own log-density replaces the greatest one.
inline void note_labels(const Layout& layout, const std::int32_t* labels, Index count,
                        const Scratch& s) {
    for (Index n = 0; n < count; ++n) {
        if (labels[n] >= 0) s.scale[n] = density_at(layout, s, n, labels[n]);
    }
}

// After exponentiate: all of the row belongs to its label.
inline void apply_labels(const Layout& layout, Index n_components, const std::int32_t* labels,
                         Index count, const Scratch& s) {
    for (Index n = 0; n < count; ++n) {
        if (labels[n] < 0) continue;
        for (Index k = 0; k < n_components; ++k) density_at(layout, s, n, k) = 0;
        density_at(layout, s, n, labels[n]) = 1;
        s.row_max[n] = s.scale[n];
        if (s.scale[n] <= impossible) s.row_max[n] = s.weight[n] == 0 ? 0 : -HUGE_VAL;
        s.row_sum[n] = 1;
        s.row_cross[n] = 0;
    }
}

// Weighted sums over the rows of a chunk, one partial sum per lane, in base 2.
struct RowTotals {
    Vec max = splat(0), log = splat(0), cross = splat(0), mass = splat(0);

    // Log-likelihood and entropy in nats, and mass.
    void put(double* scalars) const {
        const double log_sum = sum_of_lanes(log);
        scalars[0] = ln_2 * (sum_of_lanes(max) + log_sum);
        scalars[1] = ln_2 * (log_sum - sum_of_lanes(cross));
        scalars[2] = sum_of_lanes(mass);
    }
};

// The logarithm of a product of row sums is taken now and then, instead of one per row. Factors
// lie between 1 and the number of components.
struct LogProduct {
    Vec product = splat(1);
    int factors = 0, most;
    explicit LogProduct(Index n_components) : most(1) {
        int bits = 1;
        while ((Index(1) << bits) < n_components) ++bits;
        most = 1000 / bits;
    }
    MIXTURA_INLINE void multiply(Vec factor, Vec& log) {
        product *= factor;
        if (++factors == most) flush(log);
    }
    void flush(Vec& log) {
        log += log2_of(product);
        product = splat(1);
        factors = 0;
    }
};

MIXTURA_APART inline void finish_rows(const Layout& layout, Index n_components, bool weighted,
                                      Span span, Index n_panels, const Scratch& s,
                                      RowTotals& totals) {
    LogProduct unit_rows(n_components);
    RowTotals t = totals;  // a copy, so that it stays in registers
    const Scratch a = s;
    const Index n_filled = n_panels * layout.panel;
    for (Index n = span.count; n < n_filled; ++n) a.row_sum[n] = 1;
    for (Index n = 0; n < n_filled; n += lanes) {
        Vec sum = load(a.row_sum + n), weight = load(a.weight + n), scale = weight / sum;
        store(a.scale + n, scale);
        t.max += weight * load(a.row_max + n);
        t.cross += scale * load(a.row_cross + n);
        t.mass += weight;
        if (weighted) {
            t.log += weight * log2_of(sum);
        } else {
            unit_rows.multiply(sum, t.log);
        }
    }
    unit_rows.flush(t.log);
    totals = t;
}

// Weighted responsibilities of component k in row order; returns their sum.
MIXTURA_APART inline double gather_responsibilities(const Layout& layout, Index n_panels, Index k,
                                                    const Scratch& s) {
    Vec sum = splat(0);
    const Index panel = layout.panel, stride = layout.density_stride;
    const double *p = s.density + k * panel, *scale = s.scale;
    double* out = s.r;
    for (Index g = 0; g < n_panels; ++g, p += stride, scale += panel, out += panel) {
        for (Index v = 0; v < panel; v += lanes) {
            Vec r = load(p + v) * load(scale + v);
            store(out + v, r);
            sum += r;
        }
    }
    return sum_of_lanes(sum);
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
