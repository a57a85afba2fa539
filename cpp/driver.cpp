// Passes over all rows: threads, the order of merging, interruption.
//
// Threads are started for one call and joined before it returns; nothing outlives a call. Rows
// are handed out in groups of chunks by a counter, so a slowed core only takes fewer of them.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>

#include "kernel.hpp"
#include "memory.hpp"
#include "merge_tree.hpp"
#include "passes.hpp"
#include "plan.hpp"
#include "team.hpp"

namespace mixtura {
namespace {

using Clock = Watch::Clock;

struct Grid {
    Index n_rows, n_chunks, group_chunks, n_groups;
    int group_level, n_threads;

    Span span(Index chunk) const {
        Index first = chunk * chunk_rows;
        return {first, std::min(chunk_rows, n_rows - first)};
    }
};

// Groups hold 2^level chunks: enough work to hide the hand-out, few enough to level the load.
Grid make_grid(const Work& work, int n_threads) {
    constexpr double least_group_seconds = 25e-6;
    Grid grid{};
    grid.n_rows = work.n_rows;
    grid.n_chunks = (work.n_rows + chunk_rows - 1) / chunk_rows;
    double chunk_seconds = work.seconds(chunk_rows);
    grid.group_chunks = 1;
    while (grid.group_chunks < grid.n_chunks &&
           (double(grid.group_chunks) * chunk_seconds < least_group_seconds ||
            grid.n_chunks / grid.group_chunks > 32 * Index(n_threads))) {
        grid.group_chunks *= 2;
        grid.group_level += 1;
    }
    grid.n_groups = (grid.n_chunks + grid.group_chunks - 1) / grid.group_chunks;
    bool tiny = work.seconds(work.n_rows) < 50e-6;
    grid.n_threads = tiny ? 1 : int(std::min<Index>(n_threads, grid.n_groups));
    return grid;
}

// The merge tree of groups, filled by all threads; merging itself happens outside of the lock.
class SharedTree {
  public:
    explicit SharedTree(Index size) : tree_(size) {}
    void add(int level, Index index, Buffer values) {
        Buffer sibling;
        for (;; ++level, index /= 2) {
            {
                std::lock_guard<std::mutex> hold(mutex_);
                if (tree_.try_add(level, index, values, sibling)) return;
            }
            tree_.merge(values.get(), sibling.get());
            sibling.reset();
        }
    }
    Buffer collapse() { return tree_.collapse(); }

  private:
    std::mutex mutex_;
    MergeTree tree_;
};

Work work_of(const Shape& shape, Index n_rows) { return {n_rows, estimated_seconds(shape, 1)}; }

}  // namespace

void for_each_chunk(const Work& work, const Execution& how,
                    const std::function<ChunkTask()>& make_task) {
    const Grid grid = make_grid(work, how.n_threads);
    Team team(how, grid.n_threads);
    std::atomic<Index> next_group{0};
    team.run([&](Watch* watch) {
        ChunkTask task = make_task();
        for (Index g; (g = next_group.fetch_add(1)) < grid.n_groups;) {
            Index end = std::min(grid.n_chunks, (g + 1) * grid.group_chunks);
            for (Index chunk = g * grid.group_chunks; chunk < end; ++chunk) {
                if (team.stopped(watch)) return;
                task(grid.span(chunk));
            }
        }
    });
}

void reduce(const Work& work, Index leaf_size, const Execution& how,
            const std::function<LeafTask()>& make_task, double* statistics) {
    const Grid grid = make_grid(work, how.n_threads);
    if (grid.n_chunks == 0) {
        std::fill(statistics, statistics + leaf_size, 0.0);
        return;
    }
    Team team(how, grid.n_threads);
    SharedTree groups(leaf_size);
    std::atomic<Index> next_group{0};
    team.run([&](Watch* watch) {
        LeafTask task = make_task();
        MergeTree tree(leaf_size);
        for (Index g; (g = next_group.fetch_add(1)) < grid.n_groups;) {
            Index start = g * grid.group_chunks;
            Index end = std::min(grid.n_chunks, start + grid.group_chunks);
            for (Index chunk = start; chunk < end; ++chunk) {
                if (team.stopped(watch)) return;
                Buffer leaf = tree.take_buffer();
                task(grid.span(chunk), leaf.get());
                tree.add(0, chunk - start, std::move(leaf));
            }
            groups.add(grid.group_level, g, tree.collapse());
        }
    });
    Buffer result = groups.collapse();
    std::copy(result.get(), result.get() + leaf_size, statistics);
}

void check_labels(const std::int32_t* labels, Index n_rows, Index n_components) {
    for (Index n = 0; labels && n < n_rows; ++n) {
        std::int32_t label = labels[n];
        if (label < -1 || label >= n_components) {
            throw std::invalid_argument("label " + std::to_string(label) + " at row " +
                                        std::to_string(n) + " is not in -1 .. " +
                                        std::to_string(n_components - 1));
        }
    }
}

void em_pass(const Model& model, const Rows& rows, const Execution& how, double* statistics) {
    check_labels(rows.labels, rows.x.n_rows, model.shape.n_components);
    const Variant& variant = *how.variant;
    PlanStorage storage(model, variant);
    const Plan& plan = storage.plan();
    auto make_task = [&]() -> LeafTask {
        std::shared_ptr<double[]> scratch(make_buffer(variant.scratch_size(plan.shape)));
        return [&, scratch](Span span, double* leaf) {
            variant.em_chunk(plan, rows, span, scratch.get(), leaf);
        };
    };
    reduce(work_of(plan.shape, rows.x.n_rows), plan.shape.leaf_size(), how, make_task, statistics);
}

void score(const Model& model, const Rows& rows, const Execution& how, const Scores& scores) {
    const Variant& variant = *how.variant;
    PlanStorage storage(model, variant);
    const Plan& plan = storage.plan();
    for_each_chunk(work_of(plan.shape, rows.x.n_rows), how, [&]() -> ChunkTask {
        std::shared_ptr<double[]> scratch(make_buffer(variant.scratch_size(plan.shape)));
        return [&, scratch](Span span) {
            variant.score_chunk(plan, rows, span, scratch.get(), scores);
        };
    });
}

void accumulate(const Shape& shape, const double* means, const Rows& rows,
                const Matrix& responsibilities, const Execution& how, double* statistics) {
    const Variant& variant = *how.variant;
    Plan plan{shape, means, nullptr, nullptr};
    auto make_task = [&]() -> LeafTask {
        std::shared_ptr<double[]> scratch(make_buffer(variant.scratch_size(shape)));
        return [&, scratch](Span span, double* leaf) {
            variant.accumulate_chunk(plan, rows, responsibilities, span, scratch.get(), leaf);
        };
    };
    reduce(work_of(shape, rows.x.n_rows), shape.leaf_size(), how, make_task, statistics);
}

double peak_gflops(const Variant& variant, int n_threads) {
    constexpr Index repeats = 4000000;
    Execution how{&variant, n_threads, nullptr, nullptr};
    std::atomic<double> operations{0};
    double best = 0;
    for (int trial = 0; trial < 5; ++trial) {
        operations = 0;
        Clock::time_point start = Clock::now();
        Team(how, n_threads).run([&](Watch*) {
            double done = variant.multiply_add(repeats), seen = operations.load();
            while (!operations.compare_exchange_weak(seen, seen + done)) {
            }
        });
        std::chrono::duration<double> seconds = Clock::now() - start;
        best = std::max(best, operations.load() / seconds.count() / 1e9);
    }
    return best;
}

}  // namespace mixtura
