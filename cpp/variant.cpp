// One chunk of rows from data to statistics or scores, and the table of this variant's functions.
#include "bounds.hpp"
#include "fused.hpp"
#include "linear_chunk.hpp"
#include "pairs.hpp"
#include "scores.hpp"
#include "small_matrices.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {
namespace {

Index scratch_size(const Shape& shape) {
    Carver counter(nullptr);
    const Layout layout = layout_of(shape);
    Scratch(shape, layout, counter);
    if (may_use_shares(shape)) TiedWork(shape, layout, counter);
    if (may_use_windows(shape)) PairWork(shape, counter);
    return counter.used();
}

// ---- statistics ----

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

// The statistics of a block of tied components; returns whether `t` holds a part of them.
bool add_tied(const Plan& plan, const Layout& layout, Index n_panels, Index n_vectors,
              const Scratch& s, const TiedWork& t) {
    const Index n_rows = n_vectors * lanes, n_components = plan.shape.n_components;
    Index n_nonzero = 0;
    Scratch unweighted = s;
    for (Index n = 0; n < n_panels * layout.panel; n += lanes) {
        store(s.scale + n, splat(1) / load(s.row_sum + n));
    }
    for (Index k = 0; k < n_components; ++k) {
        unweighted.r = t.shares + k * layout.x_stride;
        gather_responsibilities(layout, n_panels, k, unweighted);
        n_nonzero += find_rows(unweighted.r, n_rows / 4 * 4, s.found);  // for an estimate
    }
    const bool by_shares = worth_shares(plan.shape, n_nonzero, n_rows);
    for (Index k = 0; k < n_components; ++k) {
        Vec sum = splat(0);
        for (Index n = 0; n < n_rows; n += lanes) {
            Vec r = load(t.shares + k * layout.x_stride + n) * load(s.weight + n);
            store(s.r + n, r);
            sum += r;
        }
        if (!by_shares) {
            add_component(plan, layout, n_vectors, k, sum_of_lanes(sum), s);
            continue;
        }
        s.sums.weights[k] += sum_of_lanes(sum);
        add_first_moments(plan, layout, s.x, n_vectors, k, s.r, s.sums);
    }
    if (by_shares) add_shares(plan, layout, t, s.x, n_vectors, s.weight, s.sums);
    return by_shares;
}

bool any_known(const std::int32_t* labels, Index count) {
    bool any = false;
    for (Index n = 0; labels && n < count; ++n) any |= labels[n] >= 0;
    return any;
}

// The rows in s.x, of weights s.weight, to sums; returns whether a part of them is in s.tied.
bool em_loaded(const Plan& plan, const Layout& layout, bool weighted, const std::int32_t* labels,
               Span span, const Scratch& s, RowTotals& totals) {
    const Index n_panels = panels_for(layout, span.count);
    const Index n_components = plan.shape.n_components;
    if (may_fuse(plan.shape) && !any_known(labels, span.count)) {
        em_fused(plan, layout, weighted, span.count, s, totals);
        return false;
    }
    if (s.bounds && !any_known(labels, span.count)) {
        bounded_log_densities(plan, layout, n_panels, s);
    } else {
        log_densities(plan, layout, s.x, n_panels, s.density_work, s.density, s.row_max);
    }
    if (labels) note_labels(layout, labels, span.count, s);
    if (layout.panel % (3 * lanes) == 0) {
        exponentiate<3>(layout, n_components, n_panels, s);
    } else {
        exponentiate<2>(layout, n_components, n_panels, s);
    }
    if (labels) apply_labels(layout, n_components, labels, span.count, s);
    finish_rows(layout, n_components, weighted, span, n_panels, s, totals);
    const Index n_vectors = (span.count + lanes - 1) / lanes;
    if (s.tied) return add_tied(plan, layout, n_panels, n_vectors, s, *s.tied);
    for (Index k = 0; k < n_components; ++k) {
        s.upcoming.prefetch(k, n_components);
        double weight = gather_responsibilities(layout, n_panels, k, s);
        add_component(plan, layout, n_vectors, k, weight, s);
    }
    return false;
}

bool em_block(const Plan& plan, const Layout& layout, const Rows& rows, Span span,
              Scratch& s, RowTotals& totals) {
    s.upcoming = after(rows.x, span);
    const Index n_filled = panels_for(layout, span.count) * layout.panel;
    const std::int32_t* labels = rows.labels ? rows.labels + span.first : nullptr;
    load_rows(rows.x, span, n_filled, s.x, layout.x_stride);
    load_weights(rows, span, n_filled, s.weight);
    return em_loaded(plan, layout, rows.weights != nullptr, labels, span, s, totals);
}

// Rows that the pairs could not settle, gathered into blocks for all components to see.
void em_left(const Plan& plan, const Layout& layout, bool weighted, Index n_left,
             const PairWork& p, const Scratch& s, RowTotals& totals) {
    for (Index done = 0; done < n_left; done += layout.block) {
        const Index count = n_left - done < layout.block ? n_left - done : layout.block;
        const Index n_filled = panels_for(layout, count) * layout.panel;
        for (Index n = 0; n < n_filled; ++n) {
            s.list[n] = p.left[done + (n < count ? n : count - 1)];
            s.weight[n] = n < count ? p.all_weights[s.list[n]] : 0;
        }
        copy_listed(plan, p, 0, s.list, n_filled, s.x, layout.x_stride);
        em_loaded(plan, layout, weighted, p.left_labels + done, {0, count}, s, totals);
    }
}

// Rows of a chunk that need not be compared with all components; how many rows are then done.
Index em_sparse(const Plan& plan, const Layout& layout, const Rows& rows, Span chunk,
                const Scratch& s, Carver& carver, RowTotals& totals) {
    if (!may_use_windows(plan.shape)) return 0;
    const Windows windows = windows_of(plan);
    if (*windows.usable == 0) return 0;
    const PairWork p(plan.shape, carver);
    const Progress progress = em_pairs(plan, layout, windows, rows, chunk, s, p, totals);
    em_left(plan, layout, rows.weights != nullptr, progress.n_left, p, s, totals);
    return progress.n_seen;
}

void em_chunk(const Plan& plan, const Rows& rows, Span chunk, double* memory, double* leaf) {
    const Layout layout = layout_of(plan.shape);
    Carver carver(memory);
    Scratch s(plan.shape, layout, carver);
    const bool may_share = may_use_shares(plan.shape);
    Carver nothing(nullptr);
    TiedWork tied(plan.shape, layout, may_share ? carver : nothing);
    if (may_share) {
        begin_tied(plan, tied);
        s.tied = &tied;
    }
    RowTotals totals;
    bool shares_used = false;
    clear_sums(plan.shape, s.sums);
    if (plan.skipping && may_use_bounds(plan.shape)) {
        load_rows(rows.x, {chunk.first, chunk.count < layout.panel ? chunk.count : layout.panel},
                  layout.panel, s.x, layout.x_stride);
        s.bounds = worth_bounds(plan, layout, s);
    }
    Index done = em_sparse(plan, layout, rows, chunk, s, carver, totals);
    for (; done < chunk.count; done += layout.block) {
        Index count = chunk.count - done < layout.block ? chunk.count - done : layout.block;
        shares_used |= em_block(plan, layout, rows, {chunk.first + done, count}, s, totals);
    }
    unpack_sums(plan.shape, s.sums, leaf);
    if (shares_used) finish_tied(plan, tied, leaf + plan.shape.shared_at());
    totals.put(leaf + plan.shape.scalars_at());
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

Index packed_size(const Shape& shape) {
    return round_up(packed_factor_size(shape), 16) + windows_size(shape);
}

void pack(const ScaledModel& model, double* packed) {
    pack_factors(model, packed);
    if (!may_use_windows(model.shape)) return;
    Carver carver(packed + round_up(packed_factor_size(model.shape), 16));
    pack_windows(model, Windows(model.shape, carver));
}

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
const Variant table = {MIXTURA_NAME(MIXTURA_VARIANT), packed_size,      pack, scratch_size,
                       em_chunk,                      score_chunk,      accumulate_chunk,
                       multiply_add,                  lanes,            linear_scratch_size,
                       linear_chunk,                  linear_score_chunk, eigen_of_each,
                       inverse_factors_of_each};

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
