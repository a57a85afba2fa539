#include "linear_chunk.hpp"

#include "block.hpp"
#include "rows.hpp"
#include "scores.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {
namespace {

// Blocks are laid out as for diagonal Gaussians: both walk through columns one by one.
Shape block_shape(const LinearShape& shape) {
    const Index columns = shape.n_plain > shape.n_codes ? shape.n_plain : shape.n_codes;
    return {Geometry::diagonal, shape.n_components, columns > 0 ? columns : 1};
}

constexpr Index column_slot = (plain_columns + lanes - 1) / lanes * lanes;

// The arrays of one block, and the sums of the chunk it belongs to.
struct LinearScratch {
    Scratch block;
    double *offsets, *code_values, *column_sums, *level_sums, *weights;
    std::int32_t* places;  // of each code in the table, column by column
    Index n_tiles, bad_row = -1;
    Upcoming upcoming_codes;

    LinearScratch(const LinearShape& shape, Index row_size, const Layout& layout, Carver& carver)
        : block(block_shape(shape), layout, carver),
          n_tiles((shape.n_plain + plain_columns - 1) / plain_columns) {
        offsets = carver.take(shape.has_offsets ? shape.n_components * layout.x_stride : 0);
        code_values = carver.take(shape.n_codes * layout.x_stride);
        column_sums = carver.take(shape.n_components * n_tiles * column_slot);
        level_sums = carver.take(shape.n_levels * row_size);
        weights = carver.take(shape.n_components);
        places = reinterpret_cast<std::int32_t*>(carver.take(shape.n_codes * layout.x_stride));
    }
    void clear(const LinearShape& shape, Index row_size) const {
        for (Index i = 0; i < shape.n_components * n_tiles * column_slot; ++i) column_sums[i] = 0;
        for (Index i = 0; i < shape.n_levels * row_size; ++i) level_sums[i] = 0;
        for (Index k = 0; k < shape.n_components; ++k) weights[k] = 0;
    }
};

// ---- from rows to log-densities ----

// Where the rows of the table for the codes begin. A code that is none counts as 0 and is noted.
void find_places(const LinearPlan& plan, const Layout& layout, Span span, Index n_filled,
                 LinearScratch& s) {
    Index first_level = 0;
    for (Index j = 0; j < plan.shape.n_codes; ++j) {
        const double* value = s.code_values + j * layout.x_stride;
        std::int32_t* place = s.places + j * layout.x_stride;
        const double n_levels = plan.levels[j];
        bool bad = false;
        for (Index n = 0; n < n_filled; ++n) {
            const bool good = value[n] >= 0 && value[n] < n_levels;
            const std::int32_t code = good ? static_cast<std::int32_t>(value[n]) : 0;
            bad |= !good;
            place[n] = static_cast<std::int32_t>((first_level + code) * plan.row_size);
        }
        for (Index n = 0; bad && n < span.count; ++n) {
            if (value[n] >= 0 && value[n] < n_levels) continue;
            if (s.bad_row < 0 || span.first + n < s.bad_row) s.bad_row = span.first + n;
        }
        first_level += plan.levels[j];
    }
}

void load_block(const LinearPlan& plan, const LinearRows& rows, const Layout& layout, Span span,
                LinearScratch& s) {
    const Index n_filled = panels_for(layout, span.count) * layout.panel;
    if (plan.shape.n_plain > 0) {
        load_rows(rows.plain, span, n_filled, s.block.x, layout.x_stride);
        s.block.upcoming = after(rows.plain, span);
    }
    if (plan.shape.n_codes > 0) {
        load_rows(rows.codes, span, n_filled, s.code_values, layout.x_stride);
        s.upcoming_codes = after(rows.codes, span);
        find_places(plan, layout, span, n_filled, s);
    }
    if (plan.shape.has_offsets) {
        load_rows(rows.offsets, span, n_filled, s.offsets, layout.x_stride);
    }
}

// C components of a panel: constant + eta x.
template <int C>
void panel_product(const LinearPlan& plan, const double* x, Index stride, Index k, double* out) {
    constexpr int V = plain_vectors;
    const Index n_plain = plan.shape.n_plain;
    const double* eta = plan.eta + k * n_plain;
    Vec sum[C][V];
    MIXTURA_UNROLL
    for (int c = 0; c < C; ++c) {
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) sum[c][v] = splat(plan.constants[k + c]);
    }
    for (Index j = 0; j < n_plain; ++j, x += stride) {
        Vec column[V];
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) column[v] = load(x + v * lanes);
        MIXTURA_UNROLL
        for (int c = 0; c < C; ++c) {
            MIXTURA_UNROLL
            for (int v = 0; v < V; ++v) sum[c][v] += column[v] * eta[c * n_plain + j];
        }
    }
    MIXTURA_UNROLL
    for (int c = 0; c < C; ++c) {
        MIXTURA_UNROLL
        for (int v = 0; v < V; ++v) store(out + (c * V + v) * lanes, sum[c][v]);
    }
}

template <int C>
void ragged_product(const LinearPlan& plan, const double* x, Index stride, Index k, double* out) {
    if constexpr (C > 0) {
        if (plan.shape.n_components - k == C) return panel_product<C>(plan, x, stride, k, out);
        ragged_product<C - 1>(plan, x, stride, k, out);
    }
}

// Adds the entries of the table. They lie with components side by side; squares of them are turned.
void add_codes(const LinearPlan& plan, const Layout& layout, const std::int32_t* places,
               double* out) {
    const Index n_components = plan.shape.n_components;
    for (Index v = 0; v < layout.panel; v += lanes) {
        for (Index k = 0; k < n_components; k += lanes) {
            const double* table = plan.table + k;
            const std::int32_t* place = places + v;
            Vec square[lanes];
            MIXTURA_UNROLL
            for (int l = 0; l < lanes; ++l) square[l] = load(table + place[l]);
            for (Index j = 1; j < plan.shape.n_codes; ++j) {
                place += layout.x_stride;
                MIXTURA_UNROLL
                for (int l = 0; l < lanes; ++l) square[l] += load(table + place[l]);
            }
            transpose(square);
            double* p = out + k * layout.panel + v;
            MIXTURA_UNROLL
            for (int l = 0; l < lanes; ++l, p += layout.panel) {
                if (k + l < n_components) store(p, load(p) + square[l]);
            }
        }
    }
}

// Adds what other columns say; a density of zero stays finite.
void add_offsets(const LinearPlan& plan, const Layout& layout, const double* offsets,
                 double* out) {
    constexpr double log2_e = 1.4426950408889634;
    const Vec least = splat(impossible);
    for (Index k = 0; k < plan.shape.n_components; ++k, offsets += layout.x_stride) {
        for (Index v = 0; v < layout.panel; v += lanes, out += lanes) {
            store(out, load(out) + greater_of(load(offsets + v) * log2_e, least));
        }
    }
}

void block_log_densities(const LinearPlan& plan, const Layout& layout, Index n_panels,
                         const LinearScratch& s) {
    const Index n_components = plan.shape.n_components, panel = layout.panel;
    for (Index g = 0; g < n_panels; ++g) {
        s.block.upcoming.prefetch(g, n_panels);
        s.upcoming_codes.prefetch(g, n_panels);
        double* p = s.block.density + g * layout.density_stride;
        const double* x = s.block.x + g * panel;
        Index k = 0;
        for (; k + linear_rows <= n_components; k += linear_rows) {
            panel_product<linear_rows>(plan, x, layout.x_stride, k, p + k * panel);
        }
        ragged_product<linear_rows - 1>(plan, x, layout.x_stride, k, p + k * panel);
        if (plan.shape.n_codes > 0) add_codes(plan, layout, s.places + g * panel, p);
        if (plan.shape.has_offsets) add_offsets(plan, layout, s.offsets + g * panel, p);
        for (Index v = 0; v < panel; v += lanes) {
            Vec top = splat(-1e308);
            for (k = 0; k < n_components; ++k) top = greater_of(load(p + k * panel + v), top);
            store(s.block.row_max + g * panel + v, top);
        }
    }
}

// ---- from responsibilities to sums ----

template <int C>
void column_tile(const double* x, Index stride, const double* r, Index n_rows, double* out) {
    Vec sum[column_slot];
    MIXTURA_UNROLL
    for (int c = 0; c < column_slot; ++c) sum[c] = splat(0);
    for (Index n = 0; n < n_rows; n += lanes) {
        Vec rn = load(r + n);
        MIXTURA_UNROLL
        for (int c = 0; c < C; ++c) sum[c] += load(x + c * stride + n) * rn;
    }
    MIXTURA_UNROLL
    for (int c = 0; c < column_slot; c += lanes) {
        store(out + c, load(out + c) + transposed_sum(sum + c));
    }
}

template <int C>
void add_columns(int width, const double* x, Index stride, const double* r, Index n_rows,
                 double* out) {
    if constexpr (C > 0) {
        if (width == C) return column_tile<C>(x, stride, r, n_rows, out);
        add_columns<C - 1>(width, x, stride, r, n_rows, out);
    }
}

// Adds each row's weighted responsibilities, components side by side, to the sums of its codes.
void add_levels(const LinearPlan& plan, const Layout& layout, Index n_rows,
                const LinearScratch& s) {
    const Index n_components = plan.shape.n_components, panel = layout.panel;
    for (Index n = 0; n < n_rows; n += lanes) {
        const double* p = s.block.density + n / panel * layout.density_stride + n % panel;
        const Vec scale = load(s.block.scale + n);
        for (Index k = 0; k < n_components; k += lanes) {
            Vec square[lanes];
            MIXTURA_UNROLL
            for (int l = 0; l < lanes; ++l) {
                square[l] = k + l < n_components ? load(p + (k + l) * panel) * scale : splat(0);
            }
            transpose(square);
            MIXTURA_UNROLL
            for (int l = 0; l < lanes; ++l) {
                const std::int32_t* place = s.places + n + l;
                for (Index j = 0; j < plan.shape.n_codes; ++j, place += layout.x_stride) {
                    double* sum = s.level_sums + *place + k;
                    store(sum, load(sum) + square[l]);
                }
            }
        }
    }
}

void add_block(const LinearPlan& plan, const Layout& layout, Index n_panels, Index count,
               double* responsibilities, const LinearScratch& s) {
    const Index n_plain = plan.shape.n_plain, n_rows = round_up(count, lanes);
    const Index n_components = plan.shape.n_components;
    for (Index k = 0; k < n_components; ++k) {
        s.weights[k] += gather_responsibilities(layout, n_panels, k, s.block);
        for (Index n = 0; responsibilities && n < count; ++n) {
            responsibilities[n * n_components + k] = s.block.r[n];
        }
        double* sums = s.column_sums + k * s.n_tiles * column_slot;
        for (Index j = 0; j < n_plain; j += plain_columns, sums += column_slot) {
            const int width = n_plain - j < plain_columns ? int(n_plain - j) : plain_columns;
            add_columns<plain_columns>(width, s.block.x + j * layout.x_stride, layout.x_stride,
                                       s.block.r, n_rows, sums);
        }
    }
    if (plan.shape.n_codes > 0) add_levels(plan, layout, n_rows, s);
}

void unpack(const LinearPlan& plan, const LinearScratch& s, double* leaf) {
    const LinearShape& shape = plan.shape;
    for (Index k = 0; k < shape.n_components; ++k) {
        leaf[k] = s.weights[k];
        double* total = leaf + shape.total_at() + k * shape.total_size();
        const double* sums = s.column_sums + k * s.n_tiles * column_slot;
        for (Index j = 0; j < shape.n_plain; ++j) {
            total[j] = sums[j / plain_columns * column_slot + j % plain_columns];
        }
        for (Index i = 0; i < shape.n_levels; ++i) {
            total[shape.n_plain + i] = s.level_sums[i * plan.row_size + k];
        }
    }
}

// Weighted sum of the base measure's logarithms.
double base_sum(const LinearRows& rows, Span chunk) {
    double sum = 0;
    for (Index n = chunk.first; rows.base && n < chunk.first + chunk.count; ++n) {
        const double weight = rows.weights ? rows.weights[n] : 1.0;
        if (weight != 0) sum += weight * rows.base[n];
    }
    return sum;
}

}  // namespace

Index linear_scratch_size(const LinearShape& shape) {
    Carver counter(nullptr);
    LinearScratch(shape, round_up(shape.n_components, lanes), layout_of(block_shape(shape)),
                  counter);
    return counter.used();
}

Index linear_chunk(const LinearPlan& plan, const LinearRows& rows, Span chunk, double* memory,
                   double* leaf) {
    const Index n_components = plan.shape.n_components;
    const Layout layout = layout_of(block_shape(plan.shape));
    const Rows weighted{{}, rows.weights, nullptr};
    Carver carver(memory);
    LinearScratch s(plan.shape, plan.row_size, layout, carver);
    s.clear(plan.shape, plan.row_size);
    RowTotals totals;
    for (Index done = 0; done < chunk.count; done += layout.block) {
        const Index count = chunk.count - done < layout.block ? chunk.count - done : layout.block;
        const Span span{chunk.first + done, count};
        const Index n_panels = panels_for(layout, count);
        const std::int32_t* labels = rows.labels ? rows.labels + span.first : nullptr;
        load_block(plan, rows, layout, span, s);
        load_weights(weighted, span, n_panels * layout.panel, s.block.weight);
        block_log_densities(plan, layout, n_panels, s);
        if (labels) note_labels(layout, labels, count, s.block);
        exponentiate<plain_vectors / 2>(layout, n_components, n_panels, s.block);
        if (labels) apply_labels(layout, n_components, labels, count, s.block);
        finish_rows(layout, n_components, rows.weights != nullptr, span, n_panels, s.block, totals);
        double* out = rows.responsibilities;
        add_block(plan, layout, n_panels, count, out ? out + span.first * n_components : out, s);
    }
    unpack(plan, s, leaf);
    double* scalars = leaf + plan.shape.scalars_at();
    totals.put(scalars);
    scalars[0] += base_sum(rows, chunk);
    return s.bad_row;
}

Index linear_score_chunk(const LinearPlan& plan, const LinearRows& rows, Span chunk,
                         double* memory, const Scores& scores) {
    const Layout layout = layout_of(block_shape(plan.shape));
    Carver carver(memory);
    LinearScratch s(plan.shape, plan.row_size, layout, carver);
    for (Index done = 0; done < chunk.count; done += layout.block) {
        const Index count = chunk.count - done < layout.block ? chunk.count - done : layout.block;
        const Span span{chunk.first + done, count};
        load_block(plan, rows, layout, span, s);
        block_log_densities(plan, layout, panels_for(layout, count), s);
        for (Index n = 0; n < count; n += lanes) {
            double* p = s.block.density + n / layout.panel * layout.density_stride +
                        n % layout.panel;
            const int live = static_cast<int>(count - n < lanes ? count - n : lanes);
            score_vector(layout, plan.shape.n_components, span.first + n, live, p,
                         load(s.block.row_max + n), scores);
        }
    }
    for (Index n = chunk.first; rows.base && n < chunk.first + chunk.count; ++n) {
        scores.log_density[n] += rows.base[n];
    }
    return s.bad_row;
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
