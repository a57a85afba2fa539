#include "runs.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "memory.hpp"
#include "merge_tree.hpp"
#include "plan.hpp"
#include "safeguards.hpp"
#include "subset.hpp"
#include "team.hpp"
#include "workspace.hpp"

namespace mixtura {
namespace {

// A fall of the objective by more than this fraction is more than rounding.
constexpr double rounding = 1e-10;

// Rows after which a thread asks whether to go on.
constexpr Index rows_between_questions = 8192;

// Stop when the gain that successive gains project is below tol nats per unit of weight (Aitken
// 1926; Boehning et al. 1994). The same rule as that of runs from Python.
class Aitken {
  public:
    explicit Aitken(double tol) : tol_(tol) {}
    bool met(double value, double mass) {
        const double gain = value - last_, before = gain_;
        gain_ = gain;
        last_ = value;
        if (++n_ < 3) return false;
        if (std::abs(gain) <= 4 * std::numeric_limits<double>::epsilon() * std::abs(value)) return true;
        if (std::max(std::abs(gain), std::abs(before)) <= negligible_gain * tol_ * mass) return true;
        if (!(gain > 0 && gain < before)) return false;
        const double ratio = gain / before;
        return gain * std::max(ratio / (1 - ratio), 1e-2) <= tol_ * mass;
    }

  private:
    double tol_, last_ = 0, gain_ = 0;
    int n_ = 0;
};

// Room for a mixture of a given shape.
struct MixtureRoom {
    Buffer numbers;
    MixtureArrays<double> at;
    MixtureRoom(Index K, Index d, Index covariances) {
        numbers = make_buffer(K * (1 + d) + 2 * covariances);
        double* p = numbers.get();
        at = {p, p + K, p + K * (1 + d), p + K * (1 + d) + covariances};
    }
};

// What depends on the number of components, kept from job to job.
struct Room {
    Shape shape;
    Index n_covariances, covariance_numbers;
    PlanStorage plan;
    MergeTree tree;
    Buffer scratch, leaf, log_weights, centres;
    MixtureRoom first, second;

    Room(const ShapeInfo& info, Index K, Index d, const Variant& variant)
        : shape{info.geometry, K, d},
          n_covariances(info.one_for_all ? 1 : K),
          covariance_numbers(n_covariances * covariance_size(info.geometry, d)),
          plan(shape, variant),
          tree(shape.leaf_size()),
          scratch(make_buffer(variant.scratch_size(shape))),
          leaf(make_buffer(shape.leaf_size())),
          log_weights(make_buffer(K)),
          centres(make_buffer(K * d)),
          first(K, d, covariance_numbers),
          second(K, d, covariance_numbers) {}
};

// Does jobs, one after the other; one per thread.
class Runner {
  public:
    Runner(const RunRules& rules, const Rows& rows, const std::int32_t* folds, const Variant& variant,
           Team& team, Watch* watch)
        : rules_(rules), variant_(variant), team_(team), watch_(watch), subset_(rows, folds),
          floor_test_(rules.shape->geometry, rules.n_features, rules.floor) {}

    // False when the team was stopped; then the job is not done.
    bool run(const RunJob& job) {
        prepare(job);
        if (!job.labels) {
            start_from_mixture(job);
        } else if (!start_from_partition(job)) {
            if (!stopped_) put_nothing(job);
            return !stopped_;
        }
        return iterate(job);
    }

  private:
    void prepare(const RunJob& job) {
        if (!room_ || room_->shape.n_components != job.n_components) {
            room_.emplace(*rules_.shape, job.n_components, rules_.n_features, variant_);
        }
        subset_.leave_out(job.fold);
        now_ = room_->first.at;
        other_ = room_->second.at;
    }

    bool iterate(const RunJob& job) {
        Aitken aitken(rules_.tol);
        double last = 0;
        for (std::int32_t iteration = 0;; ++iteration) {
            if (!expect()) return false;
            const double* scalars = room_->leaf.get() + room_->shape.scalars_at();
            const double value = scalars[0], mass = scalars[2];
            const double fall = last - value;
            if (iteration > 0 && fall > rounding * std::abs(last)) {
                std::swap(now_, other_);
                const bool at_end = fall <= rules_.tol * mass;
                put(job, last, iteration - 1, at_end ? RunStatus::converged : RunStatus::fell);
                return true;
            }
            const bool converged = aitken.met(value, mass);
            if (converged || iteration >= rules_.max_iter) {
                put(job, value, iteration, converged ? RunStatus::converged : RunStatus::max_iter);
                return true;
            }
            if (has_empty_component() || !maximise(now_.means, now_.covariances)) {
                put(job, value, iteration, RunStatus::degenerate);
                return true;
            }
            if (!is_regular()) {
                std::swap(now_, other_);
                put(job, value, iteration, RunStatus::degenerate);
                return true;
            }
            last = value;
        }
    }

    // ---- the two steps ----

    // Statistics of the rows under the mixture `now`, into the leaf.
    bool expect() {
        Room& room = *room_;
        const Index K = room.shape.n_components;
        for (Index k = 0; k < K; ++k) room.log_weights[k] = std::log(now_.weights[k]);
        room.plan.set({room.shape, room.log_weights.get(), now_.means, now_.factors,
                       room.n_covariances});
        return reduce([&](Span span, double* leaf) {
            variant_.em_chunk(room.plan.plan(), subset_.rows(), span, room.scratch.get(), leaf);
        });
    }

    // The next mixture from the leaf, whose statistics are about `centres`; it becomes `now`.
    bool maximise(const double* centres, const double* previous) {
        Room& room = *room_;
        const Index K = room.shape.n_components;
        const double* leaf = room.leaf.get();
        const double total = std::accumulate(leaf, leaf + K, 0.0);
        if (!(total > 0)) return false;
        for (Index k = 0; k < K; ++k) other_.weights[k] = leaf[k] / total;
        MStepInput in{};
        in.n_components = K;
        in.n_features = room.shape.n_features;
        in.weight = leaf;
        in.total = leaf + room.shape.total_at();
        in.shared = leaf + room.shape.shared_at();
        in.centres = centres;
        in.previous = previous;
        in.floor = rules_.floor;
        in.max_inner = rules_.max_inner;
        const MStepOutput out{other_.means, other_.covariances, other_.factors};
        if (m_step(*rules_.shape, in, out, workspace_) >= 0) return false;
        std::swap(now_, other_);
        return true;
    }

    bool is_regular() const {
        for (Index i = 0; i < room_->covariance_numbers; ++i) {
            if (!std::isfinite(now_.factors[i])) return false;
        }
        return true;
    }

    // Sums leaves of all chunks into the leaf, in the tree of a single pass.
    template <class Fill>
    bool reduce(Fill fill) {
        Room& room = *room_;
        const Index n_rows = subset_.rows().x.n_rows;
        const Index n_chunks = (n_rows + chunk_rows - 1) / chunk_rows;
        for (Index chunk = 0; chunk < n_chunks; ++chunk) {
            const Span span{chunk * chunk_rows, std::min(chunk_rows, n_rows - chunk * chunk_rows)};
            if (must_stop(span.count)) return false;
            if (n_chunks == 1) {
                fill(span, room.leaf.get());
                return true;
            }
            Buffer leaf = room.tree.take_buffer();
            fill(span, leaf.get());
            room.tree.add(0, chunk, std::move(leaf));
        }
        Buffer all = room.tree.collapse();
        std::copy(all.get(), all.get() + room.shape.leaf_size(), room.leaf.get());
        room.tree.recycle(std::move(all));
        return true;
    }

    bool must_stop(Index n_rows) {
        rows_since_question_ += n_rows;
        if (rows_since_question_ < rows_between_questions) return false;
        rows_since_question_ = 0;
        return stopped_ = team_.stopped(watch_);
    }

    // ---- how a run begins ----

    void start_from_mixture(const RunJob& job) {
        const Room& room = *room_;
        const Index K = room.shape.n_components;
        std::copy_n(job.start.weights, K, now_.weights);
        std::copy_n(job.start.means, K * room.shape.n_features, now_.means);
        std::copy_n(job.start.covariances, room.covariance_numbers, now_.covariances);
        std::copy_n(job.start.factors, room.covariance_numbers, now_.factors);
    }

    // Means of the groups, then their scatter about these means, softened. False when a group has
    // no rows or no regular covariance.
    bool start_from_partition(const RunJob& job) {
        Room& room = *room_;
        const Index K = room.shape.n_components, d = room.shape.n_features;
        double* leaf = room.leaf.get();
        for (Index k = 0; k < K; ++k) std::copy_n(rules_.origin, d, room.centres.get() + k * d);
        if (!group_moments(job.labels, room.centres.get())) return false;
        if (!std::all_of(leaf, leaf + K, [](double weight) { return weight > 0; })) return false;
        if (!maximise(room.centres.get(), nullptr)) return false;
        if (!group_moments(job.labels, now_.means)) return false;
        soften(room.shape, leaf, leaf + room.shape.total_at());
        return maximise(now_.means, now_.covariances) && is_regular();
    }

    // Statistics of the groups about these centres, into the leaf.
    bool group_moments(const std::int32_t* labels, const double* centres) {
        const Plan plan{room_->shape, centres, nullptr, nullptr};
        const Index K = room_->shape.n_components, step = sizeof(double);
        one_hot_.resize(static_cast<std::size_t>(chunk_rows * K));
        const Matrix groups{reinterpret_cast<const char*>(one_hot_.data()), chunk_rows, K, K * step,
                            step, false};
        return reduce([&](Span span, double* leaf) {
            std::fill_n(one_hot_.begin(), span.count * K, 0.0);
            for (Index n = 0; n < span.count; ++n) {
                const std::int32_t label = labels[subset_.original(span.first + n)];
                if (label >= 0) one_hot_[n * K + label] = 1.0;
            }
            Rows rows = subset_.rows();
            rows.x.data += span.first * rows.x.row_stride;
            rows.x.n_rows = span.count;
            if (rows.weights) rows.weights += span.first;
            variant_.accumulate_chunk(plan, rows, groups, {0, span.count}, room_->scratch.get(), leaf);
        });
    }

    // ---- results ----

    bool has_empty_component() const {
        const Index K = room_->shape.n_components;
        const double* weight = room_->leaf.get();
        const double total = std::accumulate(weight, weight + K, 0.0);
        const double least = total / subset_.n_rows() * (1 - 1e-9);
        return K > 1 && *std::min_element(weight, weight + K) < least;
    }

    void put(const RunJob& job, double objective, std::int32_t n_iter, RunStatus status) {
        const Room& room = *room_;
        const Index K = room.shape.n_components;
        std::copy_n(now_.weights, K, job.result.weights);
        std::copy_n(now_.means, K * room.shape.n_features, job.result.means);
        std::copy_n(now_.covariances, room.covariance_numbers, job.result.covariances);
        std::copy_n(now_.factors, room.covariance_numbers, job.result.factors);
        *job.objective = objective;
        *job.n_iter = n_iter;
        *job.status = status;
        *job.n_boundary = 0;
        const Index size = room.covariance_numbers / room.n_covariances;
        for (Index k = 0; k < room.n_covariances; ++k) {
            *job.n_boundary += floor_test_.touches(now_.covariances + k * size, now_.factors + k * size);
        }
        if (room.n_covariances == 1) *job.n_boundary *= static_cast<std::int32_t>(K);
    }

    void put_nothing(const RunJob& job) {
        const Index K = room_->shape.n_components, d = room_->shape.n_features;
        const double nan = std::numeric_limits<double>::quiet_NaN();
        std::fill_n(job.result.weights, K, nan);
        std::fill_n(job.result.means, K * d, nan);
        std::fill_n(job.result.covariances, room_->covariance_numbers, nan);
        std::fill_n(job.result.factors, room_->covariance_numbers, nan);
        *job.objective = -std::numeric_limits<double>::infinity();
        *job.n_iter = 0;
        *job.status = RunStatus::degenerate;
        *job.n_boundary = static_cast<std::int32_t>(K);
    }

    const RunRules& rules_;
    const Variant& variant_;
    Team& team_;
    Watch* watch_;
    Subset subset_;
    FloorTest floor_test_;
    Workspace workspace_;
    std::optional<Room> room_;
    MixtureArrays<double> now_{}, other_{};
    std::vector<double> one_hot_;
    Index rows_since_question_ = 0;
    bool stopped_ = false;
};

// Longest first, so that no thread is left with a long job at the end; then by fold, so that a
// thread keeps its copy of the rows.
std::vector<Index> order_of(const RunJob* jobs, Index n_jobs) {
    std::vector<Index> order(static_cast<std::size_t>(n_jobs));
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) {
        if (jobs[a].n_components != jobs[b].n_components) {
            return jobs[a].n_components > jobs[b].n_components;
        }
        return jobs[a].fold < jobs[b].fold;
    });
    return order;
}

}  // namespace

void em_runs(const RunRules& rules, const Rows& rows, const std::int32_t* folds,
             const RunJob* jobs, Index n_jobs, const Execution& how) {
    const std::vector<Index> order = order_of(jobs, n_jobs);
    double seconds = 0;
    for (Index j = 0; j < n_jobs; ++j) {
        const Shape shape{rules.shape->geometry, jobs[j].n_components, rules.n_features};
        seconds += (1 + std::min(rules.max_iter, 50)) * estimated_seconds(shape, rows.x.n_rows + 100);
    }
    Team team(how, useful_threads(how.n_threads, n_jobs, seconds));
    std::atomic<Index> next{0};
    team.run([&](Watch* watch) {
        Runner runner(rules, rows, folds, *how.variant, team, watch);
        for (Index i; (i = next.fetch_add(1)) < n_jobs;) {
            if (team.stopped(watch) || !runner.run(jobs[order[i]])) return;
        }
    });
}

}  // namespace mixtura
