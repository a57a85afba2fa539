// One chunk of rows from data to statistics or scores, and the table of this variant's functions.
#include "density.hpp"
#include "elementary.hpp"
#include "rows.hpp"
#include "scatter.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {
namespace {

constexpr double ln_2 = 0.6931471805599453;

// The arrays of one block, and of the chunk it belongs to.
struct Scratch {
    double *x, *density, *density_work;
    double *row_max;    // greatest log-density of each row; its own if the row has a known label
    double *row_sum;    // sum over components of 2^(log-density - row_max)
    double *row_cross;  // sum of the same terms times their exponents
    double *weight;     // weight of each row; zero in spare lanes
    double *scale;      // weight / row_sum: what turns a term into a weighted responsibility
    double *r;          // weighted responsibilities of one component
    double *moment_work;
    Sums sums;

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
        r = carver.take(layout.block);
        moment_work = carver.take(scatter_work_size(shape, layout));
        sums = carve_sums(shape, carver);
    }
};

Index scratch_size(const Shape& shape) {
    Carver counter(nullptr);
    Scratch(shape, layout_of(shape), counter);
    return counter.used();
}

Index panels_for(const Layout& layout, Index n) { return (n + layout.panel - 1) / layout.panel; }

void load_weights(const Rows& rows, Span span, Index n_filled, double* weight) {
    for (Index n = 0; n < span.count; ++n) {
        weight[n] = rows.weights ? rows.weights[span.first + n] : 1.0;
    }
    for (Index n = span.count; n < n_filled; ++n) weight[n] = 0;
}

// ---- responsibilities ----

// Log-densities become terms 2^(log-density - row_max), with their sums.
void exponentiate(const Layout& layout, Index n_components, Index n_panels, const Scratch& s) {
    const Vec limit = splat(negligible);
    for (Index g = 0; g < n_panels; ++g) {
        for (Index v = 0; v < layout.panel; v += lanes) {
            double* p = s.density + g * layout.density_stride + v;
            Index n = g * layout.panel + v;
            Vec top = load(s.row_max + n), sum = splat(0), cross = splat(0);
            for (Index k = 0; k < n_components; ++k, p += layout.panel) {
                Vec t = greater_of(load(p) - top, limit);
                Vec term = where_above(t, limit, exp2_of(t));
                sum += term;
                cross += term * t;
                store(p, term);
            }
            store(s.row_sum + n, sum);
            store(s.row_cross + n, cross);
        }
    }
}

double& density_at(const Layout& layout, const Scratch& s, Index n, Index k) {
    return s.density[n / layout.panel * layout.density_stride + k * layout.panel +
                     n % layout.panel];
}

// Rows of known label: before exponentiate, their own log-density replaces the greatest one.
void note_labels(const Layout& layout, const std::int32_t* labels, Index count, const Scratch& s) {
    for (Index n = 0; n < count; ++n) {
        if (labels[n] >= 0) s.scale[n] = density_at(layout, s, n, labels[n]);
    }
}

// After exponentiate: all of the row belongs to its label.
void apply_labels(const Layout& layout, Index n_components, const std::int32_t* labels,
                  Index count, const Scratch& s) {
    for (Index n = 0; n < count; ++n) {
        if (labels[n] < 0) continue;
        for (Index k = 0; k < n_components; ++k) density_at(layout, s, n, k) = 0;
        density_at(layout, s, n, labels[n]) = 1;
        s.row_max[n] = s.weight[n] == 0 ? 0 : s.scale[n];  // it may be -inf
        s.row_sum[n] = 1;
        s.row_cross[n] = 0;
    }
}

// Weighted sums over the rows of a chunk, one partial sum per lane, in base 2.
struct RowTotals {
    Vec max = splat(0), log = splat(0), cross = splat(0), mass = splat(0);
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

void finish_rows(const Layout& layout, Index n_components, bool weighted, Span span,
                 Index n_panels, const Scratch& s, RowTotals& totals) {
    LogProduct unit_rows(n_components);
    for (Index n = span.count; n < n_panels * layout.panel; ++n) s.row_sum[n] = 1;
    for (Index n = 0; n < n_panels * layout.panel; n += lanes) {
        Vec sum = load(s.row_sum + n), weight = load(s.weight + n), scale = weight / sum;
        store(s.scale + n, scale);
        totals.max += weight * load(s.row_max + n);
        totals.cross += scale * load(s.row_cross + n);
        totals.mass += weight;
        if (weighted) {
            totals.log += weight * log2_of(sum);
        } else {
            unit_rows.multiply(sum, totals.log);
        }
    }
    unit_rows.flush(totals.log);
}

// ---- statistics ----

// Weighted responsibilities of component k in row order.
void gather_responsibilities(const Layout& layout, Index n_panels, Index k, const Scratch& s) {
    for (Index g = 0; g < n_panels; ++g) {
        const double* p = s.density + g * layout.density_stride + k * layout.panel;
        for (Index v = 0; v < layout.panel; v += lanes) {
            Index n = g * layout.panel + v;
            store(s.r + n, load(p + v) * load(s.scale + n));
        }
    }
}

void em_block(const Plan& plan, const Layout& layout, const Rows& rows, Span span,
              const Scratch& s, RowTotals& totals) {
    const Index n_panels = panels_for(layout, span.count), n_filled = n_panels * layout.panel;
    const Index n_components = plan.shape.n_components;
    const std::int32_t* labels = rows.labels ? rows.labels + span.first : nullptr;
    load_rows(rows.x, span, n_filled, s.x, layout.x_stride);
    load_weights(rows, span, n_filled, s.weight);
    log_densities(plan, layout, s.x, n_panels, s.density_work, s.density, s.row_max);
    if (labels) note_labels(layout, labels, span.count, s);
    exponentiate(layout, n_components, n_panels, s);
    if (labels) apply_labels(layout, n_components, labels, span.count, s);
    finish_rows(layout, n_components, rows.weights != nullptr, span, n_panels, s, totals);
    const Index n_vectors = (span.count + lanes - 1) / lanes;
    for (Index k = 0; k < n_components; ++k) {
        gather_responsibilities(layout, n_panels, k, s);
        add_moments(plan, layout, s.x, n_vectors, k, s.r, s.moment_work, s.sums);
    }
}

void em_chunk(const Plan& plan, const Rows& rows, Span chunk, double* memory, double* leaf) {
    const Layout layout = layout_of(plan.shape);
    Carver carver(memory);
    Scratch s(plan.shape, layout, carver);
    RowTotals totals;
    clear_sums(plan.shape, s.sums);
    for (Index done = 0; done < chunk.count; done += layout.block) {
        Index count = chunk.count - done < layout.block ? chunk.count - done : layout.block;
        em_block(plan, layout, rows, {chunk.first + done, count}, s, totals);
    }
    unpack_sums(plan.shape, s.sums, leaf);
    double* scalars = leaf + plan.shape.scalars_at();
    double log = sum_of_lanes(totals.log);
    scalars[0] = ln_2 * (sum_of_lanes(totals.max) + log);
    scalars[1] = ln_2 * (log - sum_of_lanes(totals.cross));
    scalars[2] = sum_of_lanes(totals.mass);
}

void accumulate_chunk(const Plan& plan, const Rows& rows, const Matrix& responsibilities,
                      Span chunk, double* memory, double* leaf) {
    const Layout layout = layout_of(plan.shape);
    Carver carver(memory);
    Scratch s(plan.shape, layout, carver);
    clear_sums(plan.shape, s.sums);
    for (Index done = 0; done < chunk.count; done += layout.block) {
        Index count = chunk.count - done < layout.block ? chunk.count - done : layout.block;
        Span span{chunk.first + done, count};
        Index n_filled = round_up(count, lanes);
        load_rows(rows.x, span, n_filled, s.x, layout.x_stride);
        load_weights(rows, span, n_filled, s.weight);
        load_rows(responsibilities, span, n_filled, s.density, layout.block);
        for (Index k = 0; k < plan.shape.n_components; ++k) {
            for (Index n = 0; n < n_filled; n += lanes) {
                store(s.r + n, load(s.density + k * layout.block + n) * load(s.weight + n));
            }
            add_moments(plan, layout, s.x, n_filled / lanes, k, s.r, s.moment_work, s.sums);
        }
    }
    unpack_sums(plan.shape, s.sums, leaf);
    for (int i = 0; i < 3; ++i) leaf[plan.shape.scalars_at() + i] = 0;
}

// ---- scores ----

// Posterior probabilities of one vector of rows, in place of its log-densities. The sum is
// compensated, so that they sum to one within rounding for any number of components.
MIXTURA_INLINE Vec posterior(double* p, Index panel, Index n_components, Vec top) {
    const Vec limit = splat(-1000);
    Vec sum = splat(0), lost = splat(0);
    for (Index k = 0; k < n_components; ++k) {
        Vec t = greater_of(load(p + k * panel) - top, limit);
        Vec term = where_above(t, limit, exp2_of(t));
        store(p + k * panel, term);
        Vec grown = sum + term, part = grown - sum;
        lost += (sum - (grown - part)) + (term - part);
        sum = grown;
    }
    sum += lost;
    for (Index k = 0; k < n_components; ++k) store(p + k * panel, load(p + k * panel) / sum);
    return sum;
}

void put_components(const double* p, Index panel, Index n_components, int count, double* out) {
    for (int l = 0; l < count; ++l, out += n_components) {
        for (Index k = 0; k < n_components; ++k) out[k] = p[k * panel + l];
    }
}

void put_labels(const double* p, Index panel, Index n_components, int count, std::int64_t* out) {
    for (int l = 0; l < count; ++l) {
        Index best = 0;
        for (Index k = 1; k < n_components; ++k) {
            if (p[k * panel + l] > p[best * panel + l]) best = k;
        }
        out[l] = best;
    }
}

void score_vector(const Layout& layout, Index n_components, Index first, int count, double* p,
                  Vec top, const Scores& scores) {
    if (scores.labels) {
        put_labels(p, layout.panel, n_components, count, scores.labels + first);
    }
    if (scores.components) {
        for (Index k = 0; k < n_components; ++k) {
            store(p + k * layout.panel, load(p + k * layout.panel) * ln_2);
        }
        put_components(p, layout.panel, n_components, count,
                       scores.components + first * n_components);
        return;
    }
    if (!scores.log_density && !scores.responsibilities) return;
    Vec log = (top + log2_of(posterior(p, layout.panel, n_components, top))) * ln_2;
    if (scores.responsibilities) {
        put_components(p, layout.panel, n_components, count,
                       scores.responsibilities + first * n_components);
    }
    for (int l = 0; scores.log_density && l < count; ++l) scores.log_density[first + l] = log[l];
}

void score_chunk(const Plan& plan, const Rows& rows, Span chunk, double* memory,
                 const Scores& scores) {
    const Layout layout = layout_of(plan.shape);
    Carver carver(memory);
    Scratch s(plan.shape, layout, carver);
    for (Index done = 0; done < chunk.count; done += layout.block) {
        Index count = chunk.count - done < layout.block ? chunk.count - done : layout.block;
        Span span{chunk.first + done, count};
        Index n_panels = panels_for(layout, count);
        load_rows(rows.x, span, n_panels * layout.panel, s.x, layout.x_stride);
        log_densities(plan, layout, s.x, n_panels, s.density_work, s.density, s.row_max);
        for (Index n = 0; n < count; n += lanes) {
            double* p = s.density + n / layout.panel * layout.density_stride + n % layout.panel;
            int live = static_cast<int>(count - n < lanes ? count - n : lanes);
            score_vector(layout, plan.shape.n_components, span.first + n, live, p,
                         load(s.row_max + n), scores);
        }
    }
}

Index packed_size(const Shape& shape) { return packed_factor_size(shape); }

// As many independent multiply-adds in registers as it takes to hide their latency.
double multiply_add(Index repeats) {
    constexpr int chains = 12;
    Vec sum[chains], a = splat(0.5), b = splat(1.0);
    for (int i = 0; i < chains; ++i) sum[i] = splat(i);
#if defined(MIXTURA_VECTOR_EXTENSIONS)
    __asm__("" : "+x"(a), "+x"(b));  // values the compiler cannot know
#endif
    for (Index n = 0; n < repeats; ++n) {
        MIXTURA_UNROLL
        for (int i = 0; i < chains; ++i) sum[i] = sum[i] * a + b;
    }
    for (int i = 1; i < chains; ++i) sum[0] += sum[i];
    volatile double used = sum_of_lanes(sum[0]);
    (void)used;
    return double(repeats) * chains * lanes * 2;
}

}  // namespace

#define MIXTURA_NAME_OF(variant) #variant
#define MIXTURA_NAME(variant) MIXTURA_NAME_OF(variant)

extern const Variant table;
const Variant table = {MIXTURA_NAME(MIXTURA_VARIANT), packed_size,      pack_factors, scratch_size,
                       em_chunk,                      score_chunk,      accumulate_chunk,
                       multiply_add};

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
