#include "linear.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <stdexcept>
#include <string>

#include "memory.hpp"
#include "passes.hpp"

namespace mixtura {
namespace {

constexpr double log2_e = 1.4426950408889634;

// A model as the inner loops want it.
class Storage {
  public:
    Storage(const LinearModel& model, const Variant& variant) {
        const LinearShape& shape = model.shape;
        const Index n = shape.n_components;
        const Index row_size = (n + variant.lanes - 1) / variant.lanes * variant.lanes;
        constants_ = make_buffer(n);
        eta_ = make_buffer(n * shape.n_plain);
        table_ = make_buffer(shape.n_levels * row_size);
        std::fill(table_.get(), table_.get() + shape.n_levels * row_size, 0.0);
        bool any = false;
        for (Index k = 0; k < n; ++k) {
            const bool empty = model.constants[k] == -HUGE_VAL;
            any = any || !empty;
            constants_[k] = empty ? impossible : model.constants[k] * log2_e;
            const double* eta = model.eta + k * shape.total_size();
            for (Index j = 0; j < shape.total_size(); ++j) {
                if (!empty && !std::isfinite(constants_[k] + eta[j])) {
                    throw std::invalid_argument("component " + std::to_string(k) +
                                                " has parameters that are not finite");
                }
                double& out = j < shape.n_plain
                                  ? eta_[k * shape.n_plain + j]
                                  : table_[(j - shape.n_plain) * row_size + k];
                out = empty ? 0 : eta[j] * log2_e;
            }
        }
        if (!any) throw std::invalid_argument("constants leave no component: all are -inf");
        plan = {shape, model.levels, constants_.get(), eta_.get(), table_.get(), row_size};
    }
    LinearPlan plan{};

  private:
    Buffer constants_, eta_, table_;
};

Work work_of(const LinearShape& shape, Index n_rows) {
    const double per_component = 2.0 * double(shape.n_plain) + 4.0 * double(shape.n_codes) + 20;
    const double columns = 2.0 * double(shape.n_plain + shape.n_codes);
    return {n_rows, (double(shape.n_components) * per_component + columns) / 2e10};
}

// The first row of all with a code that is none, found by any number of threads.
class FirstBadRow {
  public:
    void note(Index row) {
        Index seen = first_.load();
        while (row >= 0 && (seen < 0 || row < seen) && !first_.compare_exchange_weak(seen, row)) {
        }
    }
    void check() const {
        if (first_ < 0) return;
        throw std::out_of_range("row " + std::to_string(first_) +
                                " has a code that is none of those of its column");
    }

  private:
    std::atomic<Index> first_{-1};
};

}  // namespace

void linear_pass(const LinearModel& model, const LinearRows& rows, const Execution& how,
                 double* statistics) {
    const Index n_rows = rows.plain.n_rows;
    check_labels(rows.labels, n_rows, model.shape.n_components);
    const Variant& variant = *how.variant;
    const Storage storage(model, variant);
    const LinearPlan& plan = storage.plan;
    FirstBadRow bad;
    auto make_task = [&]() -> LeafTask {
        std::shared_ptr<double[]> scratch(make_buffer(variant.linear_scratch_size(plan.shape)));
        return [&, scratch](Span span, double* leaf) {
            bad.note(variant.linear_chunk(plan, rows, span, scratch.get(), leaf));
        };
    };
    reduce(work_of(plan.shape, n_rows), plan.shape.leaf_size(), how, make_task, statistics);
    bad.check();
}

void linear_score(const LinearModel& model, const LinearRows& rows, const Execution& how,
                  const Scores& scores) {
    const Variant& variant = *how.variant;
    const Storage storage(model, variant);
    const LinearPlan& plan = storage.plan;
    FirstBadRow bad;
    for_each_chunk(work_of(plan.shape, rows.plain.n_rows), how, [&]() -> ChunkTask {
        std::shared_ptr<double[]> scratch(make_buffer(variant.linear_scratch_size(plan.shape)));
        return [&, scratch](Span span) {
            bad.note(variant.linear_score_chunk(plan, rows, span, scratch.get(), scores));
        };
    });
    bad.check();
}

}  // namespace mixtura
