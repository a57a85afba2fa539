// A chunk of rows when each row has few candidates among many components: only pairs of a row and
// a candidate are worked on, first by row as they are found, then by component.
#pragma once

#include "block.hpp"
#include "rows.hpp"
#include "windows.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// The first so many rows of a chunk tell whether the rest is worth it.
constexpr Index n_probed = 32;

struct PairWork {
    Index most_pairs;           // of a batch
    Index row_size;             // a row in whole vectors
    double *x, *all_weights;    // all rows of the chunk, row by row
    double *row_max, *row_sum, *row_cross, *weight, *scale;  // as in Scratch, rows of a batch
    double* value;              // of a pair, component by component: log-density, then its term
    std::int32_t* row;          // of the same pair, in the batch
    std::int32_t *start, *end;  // (K) the pairs of a component; whole vectors are reserved
    std::int32_t* component;    // of a pair, row by row
    std::int32_t* pairs_of;     // how many pairs each row has
    std::int32_t *left, *left_labels;  // rows of the chunk that must be seen by all components
    std::uint64_t* found;

    PairWork(const Shape& shape, Carver& carver) {
        const Index n = shape.n_components, rows = chunk_rows + lanes;
        most_pairs = chunk_rows * (n / 32 > 16 ? n / 32 : 16);
        const Index reserved = most_pairs + n * lanes;
        row_size = round_up(shape.n_features, lanes);
        x = carver.take(rows * row_size);
        all_weights = carver.take(rows);
        row_max = carver.take(rows);
        row_sum = carver.take(rows);
        row_cross = carver.take(rows);
        weight = carver.take(rows);
        scale = carver.take(rows);
        value = carver.take(reserved);
        row = take_integers(carver, reserved);
        start = take_integers(carver, n);
        end = take_integers(carver, n);
        component = take_integers(carver, most_pairs);
        pairs_of = take_integers(carver, rows);
        left = take_integers(carver, rows);
        left_labels = take_integers(carver, rows);
        found = reinterpret_cast<std::uint64_t*>(carver.take(round_up(n, 512) / 64));
    }

  private:
    static std::int32_t* take_integers(Carver& carver, Index n) {
        return reinterpret_cast<std::int32_t*>(carver.take(n / 2 + 1));
    }
};

// Consecutive rows of the chunk.
struct Batch {
    Index first, n_rows, n_pairs;
};

// Finds the pairs of rows first .. most-1, or of as many of them as there is room for.
inline Batch find_pairs(const Plan& plan, const Windows& windows, const PairWork& p, Index first,
                        Index most) {
    const Index n = plan.shape.n_components;
    Batch batch{first, 0, 0};
    for (Index k = 0; k < n; ++k) p.end[k] = 0;
    for (; first + batch.n_rows < most; ++batch.n_rows) {
        const double* x = p.x + (first + batch.n_rows) * p.row_size;
        Index count = find_candidates(windows, plan.shape.n_features, x, p.found);
        if (count * least_gain > 2 * n || count > p.most_pairs) count = 0;  // left to all of them
        if (batch.n_pairs + count > p.most_pairs) break;
        p.pairs_of[batch.n_rows] = std::int32_t(count);
        for (Index i = 0; count > 0 && i < windows.words; ++i) {
            for (std::uint64_t word = p.found[i]; word; word &= word - 1) {
                std::int32_t k = std::int32_t(i * 64 + lowest_bit(word));
                p.component[batch.n_pairs++] = k;
                p.end[k] += 1;
            }
        }
    }
    return batch;
}

// From the order of rows to that of components. Spare places of a last vector repeat a row.
inline void sort_pairs(const Plan& plan, const PairWork& p, const Batch& batch) {
    std::int32_t next = 0;
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        p.start[k] = next;
        next += std::int32_t(round_up(p.end[k], lanes));
        p.end[k] = p.start[k];
    }
    const std::int32_t* component = p.component;
    for (Index n = 0; n < batch.n_rows; ++n) {
        for (Index i = 0; i < p.pairs_of[n]; ++i) p.row[p.end[*component++]++] = std::int32_t(n);
    }
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        for (Index i = p.end[k]; i % lanes != 0; ++i) p.row[i] = p.row[p.end[k] - 1];
    }
}

// Listed rows become features by rows, square by square in registers: number by number it would
// be a quarter of all the time.
MIXTURA_APART inline void copy_listed(const Plan& plan, const PairWork& p, Index first,
                                      const std::int32_t* list, Index n_rows, double* out,
                                      Index stride) {
    const Index d = plan.shape.n_features;
    const double* x = p.x + first * p.row_size;
    for (Index n = 0; n < n_rows; n += lanes) {
        for (Index j = 0; j < d; j += lanes) {
            Vec square[lanes];
            MIXTURA_UNROLL
            for (int l = 0; l < lanes; ++l) square[l] = load(x + list[n + l] * p.row_size + j);
            transpose(square);
            MIXTURA_UNROLL
            for (int l = 0; l < lanes; ++l) {
                if (j + l < d) store(out + (j + l) * stride + n, square[l]);
            }
        }
    }
}

// Log-densities of all pairs, and the greatest one of each row.
inline void evaluate_pairs(const Plan& plan, const Layout& layout, const PairWork& p,
                           const Batch& batch, const Scratch& s) {
    for (Index n = 0; n < batch.n_rows; ++n) p.row_max[n] = -1e308;
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        for (Index i = p.start[k]; i < p.end[k]; i += layout.block) {
            Index count = p.end[k] - i < layout.block ? p.end[k] - i : layout.block;
            Index n_vectors = (count + lanes - 1) / lanes;
            copy_listed(plan, p, batch.first, p.row + i, count, s.listed_x, layout.x_stride);
            component_log_density(plan, s.listed_x, layout.x_stride, n_vectors, k, p.value + i);
            for (Index l = i; l < i + count; ++l) {
                double* top = p.row_max + p.row[l];
                *top = p.value[l] > *top ? p.value[l] : *top;
            }
        }
    }
}

// Lists the rows that the windows do not settle and those of known label; makes their terms
// vanish. Returns the new length of the list.
inline Index leave_rows(const PairWork& p, const Batch& batch, double reference,
                        const std::int32_t* labels, Index n_left) {
    for (Index n = 0; n < batch.n_rows; ++n) {
        p.weight[n] = p.all_weights[batch.first + n];
        std::int32_t label = labels ? labels[batch.first + n] : -1;
        if (p.row_max[n] >= reference && label < 0) continue;
        p.row_max[n] = 1e308;
        p.weight[n] = 0;
        p.left_labels[n_left] = label;
        p.left[n_left++] = std::int32_t(batch.first + n);
    }
    return n_left;
}

// Log-densities become terms 2^(log-density - row_max), with their sums.
inline void exponentiate_pairs(const Plan& plan, const PairWork& p, const Batch& batch) {
    const Vec limit = splat(negligible);
    for (Index n = 0; n < batch.n_rows; ++n) p.row_sum[n] = p.row_cross[n] = 0;
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        for (Index i = p.start[k]; i < p.end[k]; i += lanes) {
            alignas(64) double top[lanes], cross[lanes];
            for (int l = 0; l < lanes; ++l) top[l] = p.row_max[p.row[i + l]];
            Vec t = load(p.value + i) - load(top), term[1] = {t};
            exp2_above(term, limit);
            store(p.value + i, term[0]);
            store(cross, term[0] * t);
            for (Index l = i; l < i + lanes && l < p.end[k]; ++l) {
                p.row_sum[p.row[l]] += p.value[l];
                p.row_cross[p.row[l]] += cross[l - i];
            }
        }
    }
}

// Log-likelihood, entropy and mass of the rows that are settled, and the scale of all terms.
inline void finish_pairs(const Plan& plan, const Layout& layout, const PairWork& p,
                         const Batch& batch, bool weighted, const Scratch& s, RowTotals& totals) {
    const Index n_vectors = (batch.n_rows + lanes - 1) / lanes;
    for (Index n = batch.n_rows; n < n_vectors * lanes; ++n) {
        p.row_max[n] = p.row_cross[n] = p.weight[n] = 0;
    }
    for (Index n = 0; n < batch.n_rows; ++n) {
        if (p.row_sum[n] > 0) continue;  // left to all components
        p.row_sum[n] = 1;
        p.row_max[n] = 0;
    }
    Layout by_vectors = layout;
    by_vectors.panel = lanes;
    Scratch view = s;
    view.row_max = p.row_max;
    view.row_sum = p.row_sum;
    view.row_cross = p.row_cross;
    view.weight = p.weight;
    view.scale = p.scale;
    finish_rows(by_vectors, plan.shape.n_components, weighted, {batch.first, batch.n_rows},
                n_vectors, view, totals);
}

inline void add_pairs_of(const Plan& plan, const Layout& layout, const PairWork& p,
                         const Batch& batch, Index k, const Scratch& s) {
    for (Index i = p.start[k]; i < p.end[k];) {
        Index stop = p.end[k] - i < layout.block ? p.end[k] : i + layout.block, count = 0;
        double sum = 0;
        for (; i < stop; ++i) {  // without branches: guessing wrong would cost more
            double r = p.value[i] * p.scale[p.row[i]];
            s.listed_r[count] = r;
            s.list[count] = p.row[i];
            sum += r;
            count += r != 0;
        }
        if (count == 0) continue;
        s.sums.weights[k] += sum;
        Index n_vectors = (count + lanes - 1) / lanes;
        for (Index n = count; n < n_vectors * lanes; ++n) {
            s.listed_r[n] = 0;
            s.list[n] = s.list[count - 1];
        }
        copy_listed(plan, p, batch.first, s.list, count, s.listed_x, layout.x_stride);
        add_moments(plan, layout, s.listed_x, n_vectors, k, s.listed_r, s.sums);
    }
}

inline void load_by_rows(const Layout& layout, const Rows& rows, Span span, const Scratch& s,
                         double* out, Index row_size) {
    for (Index done = 0; done < span.count; done += layout.block) {
        Index count = span.count - done < layout.block ? span.count - done : layout.block;
        load_rows(rows.x, {span.first + done, count}, count, s.x, layout.x_stride);
        for (Index n = 0; n < count; ++n, out += row_size) {
            for (Index j = 0; j < rows.x.n_columns; ++j) out[j] = s.x[j * layout.x_stride + n];
        }
    }
}

// What became of a chunk: rows before n_seen are done, apart from those that are left.
struct Progress {
    Index n_seen, n_left;
};

inline Progress em_pairs(const Plan& plan, const Layout& layout, const Windows& windows,
                         const Rows& rows, Span chunk, const Scratch& s, const PairWork& p,
                         RowTotals& totals) {
    const std::int32_t* labels = rows.labels ? rows.labels + chunk.first : nullptr;
    Index loaded = chunk.count < n_probed ? chunk.count : n_probed;
    Progress so_far{0, 0};
    load_by_rows(layout, rows, {chunk.first, loaded}, s, p.x, p.row_size);
    load_weights(rows, chunk, chunk.count, p.all_weights);
    while (so_far.n_seen < chunk.count) {
        Batch batch = find_pairs(plan, windows, p, so_far.n_seen, loaded);
        sort_pairs(plan, p, batch);
        evaluate_pairs(plan, layout, p, batch, s);
        so_far.n_left = leave_rows(p, batch, *windows.reference, labels, so_far.n_left);
        exponentiate_pairs(plan, p, batch);
        finish_pairs(plan, layout, p, batch, rows.weights != nullptr, s, totals);
        for (Index k = 0; k < plan.shape.n_components; ++k) {
            add_pairs_of(plan, layout, p, batch, k, s);
        }
        so_far.n_seen += batch.n_rows;
        if (so_far.n_seen < loaded || loaded == chunk.count) continue;
        if (4 * so_far.n_left > so_far.n_seen) break;
        load_by_rows(layout, rows, {chunk.first + loaded, chunk.count - loaded}, s,
                     p.x + loaded * p.row_size, p.row_size);
        loaded = chunk.count;
    }
    return so_far;
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
