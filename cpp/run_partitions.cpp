#include "run_partitions.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "moves.hpp"
#include "run_room.hpp"
#include "team.hpp"

namespace mixtura {
namespace {

// Tells the partitions of runs, one after the other; one per thread.
class Teller {
  public:
    Teller(const RunRules& rules, const RunRows& rows, const double* z, Index n_space,
           std::uint64_t seed, const Variant& variant)
        : rules_(rules), rows_(rows), z_(z), n_space_(n_space), seed_(seed), variant_(variant),
          rooms_(rules.n_features, variant) {}

    void tell(const TellingRun& run) {
        const Index n = rows_.views->x.n_rows, K = run.n_components;
        const Moves moves({n, K, K, n_space_, responsibilities(run), rows_.weights, z_});
        std::copy(moves.hard().begin(), moves.hard().end(), run.same);
        rename_groups(n, K, run.same);
        *run.n_more = *run.n_fewer = 0;
        if (run.n_splits > 0) split(moves, run);
        if (run.n_merges > 0) merge(moves, run);
    }

  private:
    void split(const Moves& moves, const TellingRun& run) const {
        const Index n = rows_.views->x.n_rows;
        const std::vector<Index> widest = moves.widest();
        const Index count = std::min<Index>(run.n_splits, static_cast<Index>(widest.size()));
        for (Index i = 0; i < count; ++i) {
            std::int32_t* labels = run.more + *run.n_more * n;
            if (!moves.split(widest[i], seed_, labels)) continue;
            rename_groups(n, run.n_components + 1, labels);
            ++*run.n_more;
        }
    }

    void merge(const Moves& moves, const TellingRun& run) const {
        const Index n = rows_.views->x.n_rows;
        const auto pairs = moves.overlapping();
        const Index count = std::min<Index>(run.n_merges, static_cast<Index>(pairs.size()));
        for (Index i = 0; i < count; ++i) {
            std::int32_t* labels = run.fewer + i * n;
            moves.merge(pairs[i].first, pairs[i].second, labels);
            rename_groups(n, run.n_components - 1, labels);
        }
        *run.n_fewer = static_cast<std::int32_t>(count);
    }

    // (n, K)
    const double* responsibilities(const TellingRun& run) {
        const RunFamily& family = rules_.families[run.family];
        const RunView& view = rows_.views[family.view];
        const Index K = run.n_components;
        Room& room = rooms_.of(family.shape->geometry, family.shape->one_for_all, K);
        const MixtureArrays<const double> at =
            parts_of(run.record, K, rules_.n_features, room.covariance_numbers);
        for (Index k = 0; k < K; ++k) room.log_weights[k] = std::log(at.weights[k]);
        room.plan.set({room.shape, room.log_weights.get(), at.means, at.factors, room.n_covariances});
        found_.resize(static_cast<std::size_t>(view.x.n_rows * K));
        const Rows rows{view.x, nullptr, nullptr};
        for (Index first = 0; first < view.x.n_rows; first += chunk_rows) {
            const Span span{first, std::min(chunk_rows, view.x.n_rows - first)};
            variant_.score_chunk(room.plan.plan(), rows, span, room.scratch.get(),
                                 {nullptr, found_.data(), nullptr, nullptr});
        }
        return found_.data();
    }

    const RunRules& rules_;
    const RunRows& rows_;
    const double* z_;
    Index n_space_;
    std::uint64_t seed_;
    const Variant& variant_;
    Rooms rooms_;
    std::vector<double> found_;
};

}  // namespace

void partitions_of_runs(const RunRules& rules, const RunRows& rows, const double* z, Index n_space,
                        std::uint64_t seed, const TellingRun* runs, Index n_runs,
                        const Execution& how) {
    double seconds = 0;
    for (Index j = 0; j < n_runs; ++j) {
        const Shape shape{Geometry::dense, runs[j].n_components, rules.n_features};
        seconds += 3 * estimated_seconds(shape, rows.views->x.n_rows + 100);
    }
    Team team(how, useful_threads(how.n_threads, n_runs, seconds));
    std::atomic<Index> next{0};
    team.run([&](Watch* watch) {
        Teller teller(rules, rows, z, n_space, seed, *how.variant);
        for (Index j; (j = next.fetch_add(1)) < n_runs && !team.stopped(watch);) teller.tell(runs[j]);
    });
}

}  // namespace mixtura
