// One chunk of rows from data to statistics or scores, and the table of this variant's functions.
#include <cmath>

#include "density.hpp"
#include "elementary.hpp"
#include "rows.hpp"
#include "scatter.hpp"
#include "selection.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {
namespace {

constexpr double ln_2 = 0.6931471805599453;

// Terms below 2^-100 times the largest one of their row count as zero. Their products with squared
// distances would otherwise come near denormal numbers, which slow the arithmetic down at random.
constexpr double negligible = -100.0;

// The arrays of one block, and of the chunk it belongs to.
struct Scratch {
    double *x, *density, *density_work;
    double *row_max;    // greatest log-density of each row; its own if the row has a known label
    double *row_sum;    // sum over components of 2^(log-density - row_max)
    double *row_cross;  // sum of the same terms times their exponents
    double *weight;     // weight of each row; zero in spare lanes
    double *scale;      // weight / row_sum: what turns a term into a weighted responsibility
    double* r;               // weighted responsibilities of one component
    double *listed_x, *listed_r;  // the rows for which they are not zero
    std::int32_t* list;
    std::uint8_t* found;
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
        r = carver.take(layout.block + 4);
        listed_x = carver.take(shape.n_features * layout.x_stride);
        listed_r = carver.take(layout.block);
        list = reinterpret_cast<std::int32_t*>(carver.take(layout.block + 4));
        found = reinterpret_cast<std::uint8_t*>(carver.take(layout.block));
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

// Log-densities become terms 2^(log-density - row_max), with their sums; N vectors at a time.
template <int N>
MIXTURA_APART void exponentiate(const Layout& layout, Index n_components, Index n_panels, const Scratch& s) {
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
        s.row_max[n] = s.scale[n];
        if (s.scale[n] <= impossible) s.row_max[n] = s.weight[n] == 0 ? 0 : -HUGE_VAL;
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

MIXTURA_APART void finish_rows(const Layout& layout, Index n_components, bool weighted, Span span,
                 Index n_panels, const Scratch& s, RowTotals& totals) {
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

// ---- statistics ----

// Weighted responsibilities of component k in row order; returns their sum.
MIXTURA_APART double gather_responsibilities(const Layout& layout, Index n_panels, Index k, const Scratch& s) {
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

// Adds the moments of the rows with weighted responsibilities s.r, which sum to `weight`.
void add_component(const Plan& plan, const Layout& layout, Index n_vectors, Index k, double weight,
                   const Scratch& s) {
    if (weight == 0) return;
    const Shape& shape = plan.shape;
    s.sums.weights[k] += weight;
    if (worth_listing(shape)) {
        Index n_rows = n_vectors * lanes;
        for (Index n = n_rows; n % 4 != 0; ++n) s.r[n] = 0;
        Index count = find_rows(s.r, n_rows, s.found);
        if (worth_copying(shape, count, n_rows)) {
            list_rows(s.found, n_rows, s.list);
            Index n_listed = copy_rows(s.x, s.r, shape.n_features, layout.x_stride, s.list, count,
                                       s.listed_x, s.listed_r);
            add_moments(plan, layout, s.listed_x, n_listed, k, s.listed_r, s.sums);
            return;
        }
    }
    add_moments(plan, layout, s.x, n_vectors, k, s.r, s.sums);
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
    if (layout.panel % (3 * lanes) == 0) {
        exponentiate<3>(layout, n_components, n_panels, s);
    } else {
        exponentiate<2>(layout, n_components, n_panels, s);
    }
    if (labels) apply_labels(layout, n_components, labels, span.count, s);
    finish_rows(layout, n_components, rows.weights != nullptr, span, n_panels, s, totals);
    const Index n_vectors = (span.count + lanes - 1) / lanes;
    for (Index k = 0; k < n_components; ++k) {
        double weight = gather_responsibilities(layout, n_panels, k, s);
        add_component(plan, layout, n_vectors, k, weight, s);
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
            Vec sum = splat(0);
            for (Index n = 0; n < n_filled; n += lanes) {
                Vec r = load(s.density + k * layout.block + n) * load(s.weight + n);
                store(s.r + n, r);
                sum += r;
            }
            add_component(plan, layout, n_filled / lanes, k, sum_of_lanes(sum), s);
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
        Vec one[1] = {load(p + k * panel) - top};
        exp2_above(one, limit);
        Vec term = one[0];
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
