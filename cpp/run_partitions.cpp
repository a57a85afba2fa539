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

// Densities of rows under mixtures, one after the other; one per thread.
class Densities {
  public:
    Densities(const RunRules& rules, const RunRows& rows, const Variant& variant)
        : rules_(rules), rows_(rows), variant_(variant), rooms_(rules.n_features, variant) {}

    // The mixture whose densities follow.
    void set(Index family_number, Index K, const double* record) {
        const RunFamily& family = rules_.families[family_number];
        x_ = &rows_.views[family.view].x;
        Room& room = rooms_.of(family.shape->geometry, family.shape->one_for_all, K);
        const MixtureArrays<const double> at =
            parts_of(record, K, rules_.n_features, room.covariance_numbers);
        for (Index k = 0; k < K; ++k) room.log_weights[k] = std::log(at.weights[k]);
        room.plan.set({room.shape, room.log_weights.get(), at.means, at.factors, room.n_covariances});
        plan_ = &room.plan.plan();
    }

    // Of a chunk of rows: responsibilities (count, K), and log-densities (count) unless null.
    void fill(Span span, double* responsibilities, double* log_density) {
        Rows rows{*x_, nullptr, nullptr};
        rows.x.data += span.first * rows.x.row_stride;
        rows.x.n_rows -= span.first;
        variant_.score_chunk(*plan_, rows, {0, span.count}, rooms_.scratch(),
                             {log_density, responsibilities, nullptr, nullptr});
    }

  private:
    const RunRules& rules_;
    const RunRows& rows_;
    const Variant& variant_;
    Rooms rooms_;
    const Matrix* x_ = nullptr;
    const Plan* plan_ = nullptr;
};

// Calls use(span) for all rows, a chunk at a time.
template <class Use>
void each_chunk(Index n_rows, Use use) {
    for (Index first = 0; first < n_rows; first += chunk_rows) {
        use(Span{first, std::min(chunk_rows, n_rows - first)});
    }
}

// Tells the partitions of runs, one after the other; one per thread.
class Teller {
  public:
    Teller(const RunRules& rules, const RunRows& rows, const double* z, Index n_space,
           std::uint64_t seed, const Variant& variant)
        : rows_(rows), z_(z), n_space_(n_space), seed_(seed), densities_(rules, rows, variant) {}

    void tell(const TellingRun& run) {
        const Index n = rows_.views->x.n_rows, K = run.n_components;
        densities_.set(run.family, K, run.record);
        responsibilities_.resize(static_cast<std::size_t>(n * K));
        double* R = responsibilities_.data();
        each_chunk(n, [&](Span span) { densities_.fill(span, R + span.first * K, nullptr); });
        const Moves moves({n, K, K, n_space_, R, rows_.weights, z_});
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

    const RunRows& rows_;
    const double* z_;
    Index n_space_;
    std::uint64_t seed_;
    Densities densities_;
    std::vector<double> responsibilities_;
};

// A chunk at a time: the responsibilities of all rows are never there at once.
void sum_certainty(Densities& densities, const RunRows& rows, const CertainRun& run) {
    const Index K = run.n_components;
    std::vector<double> responsibilities(static_cast<std::size_t>(chunk_rows * K)), log_density(chunk_rows);
    densities.set(run.family, K, run.record);
    std::fill_n(run.sums, 3, 0.0);
    each_chunk(rows.views->x.n_rows, [&](Span span) {
        densities.fill(span, responsibilities.data(), log_density.data());
        for (Index n = 0; n < span.count; ++n) {
            const double* r = responsibilities.data() + n * K;
            const double w = rows.weights ? rows.weights[span.first + n] : 1.0;
            double entropy = 0.0;
            for (Index k = 0; k < K; ++k) {
                if (r[k] > 1e-18 && r[k] < 1.0) entropy -= r[k] * std::log(r[k]);  // else lost in rounding
            }
            run.sums[0] += w * log_density[n];
            run.sums[1] += w * std::log(*std::max_element(r, r + K));
            run.sums[2] += w * entropy;
        }
    });
}

// Calls work(worker, run) for every run, on several threads, each with a worker of its own.
template <class Run, class Make, class Work>
void each_run(const RunRules& rules, const RunRows& rows, const Run* runs, Index n_runs,
              const Execution& how, Make make, Work work) {
    double seconds = 0;
    for (Index j = 0; j < n_runs; ++j) {
        const Shape shape{Geometry::dense, runs[j].n_components, rules.n_features};
        seconds += 3 * estimated_seconds(shape, rows.views->x.n_rows + 100);
    }
    Team team(how, useful_threads(how.n_threads, n_runs, seconds));
    std::atomic<Index> next{0};
    team.run([&](Watch* watch) {
        auto worker = make();
        for (Index j; (j = next.fetch_add(1)) < n_runs && !team.stopped(watch);) work(worker, runs[j]);
    });
}

}  // namespace

void partitions_of_runs(const RunRules& rules, const RunRows& rows, const double* z, Index n_space,
                        std::uint64_t seed, const TellingRun* runs, Index n_runs,
                        const Execution& how) {
    each_run(rules, rows, runs, n_runs, how,
             [&] { return Teller(rules, rows, z, n_space, seed, *how.variant); },
             [](Teller& teller, const TellingRun& run) { teller.tell(run); });
}

void certainty_of_runs(const RunRules& rules, const RunRows& rows, const CertainRun* runs,
                       Index n_runs, const Execution& how) {
    each_run(rules, rows, runs, n_runs, how,
             [&] { return Densities(rules, rows, *how.variant); },
             [&](Densities& densities, const CertainRun& run) { sum_certainty(densities, rows, run); });
}

}  // namespace mixtura
