#include "runs.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

#include "aitken.hpp"
#include "group_moments.hpp"
#include "row_sums.hpp"
#include "run_room.hpp"
#include "run_units.hpp"
#include "safeguards.hpp"
#include "subset.hpp"
#include "team.hpp"
#include "workspace.hpp"

namespace mixtura {
namespace {

// A fall of the objective by more than this fraction is more than rounding.
constexpr double rounding = 1e-10;

// Steps that gain no more than so many nats may be made longer.
constexpr double crawling = 0.5;

// Values that the rule of Aitken takes after a longer step before it may end a run.
constexpr int values_after_jump = 5;

// From so many steps on, every second one, a run is asked whether it may reach its goal.
constexpr std::int32_t first_look = 4;

// Does jobs, one after the other; one per thread.
class Runner {
  public:
    Runner(const RunRules& rules, const RunRows& rows, const Variant& variant, Team& team, Watch* watch)
        : rules_(rules), rows_(rows), variant_(variant), sums_(team, watch),
          rooms_(rules.n_features, variant) {
        for (Index v = 0; v < rows.n_views; ++v) {
            subsets_.emplace_back(rows.views[v].x, rows.weights, rows.folds);
        }
        for (Index f = 0; f < rules.n_families; ++f) {
            const RunFamily& family = rules.families[f];
            floor_tests_.emplace_back(family.shape->geometry, rules.n_features, family.floor, rules.near);
        }
    }

    // The jobs of a unit, one after the other. False when the team was stopped.
    bool run_unit(const RunJob* first, const RunJob* last) {
        reached_.clear();
        moments_.labels = nullptr;
        Geometry geometry = shape_of(*first).geometry;
        for (const RunJob* job = first; job != last; ++job) {
            geometry = richer(geometry, shape_of(*job).geometry);
        }
        for (const RunJob* job = first; job != last; ++job) {
            if (!run(*job, geometry)) return false;
        }
        return true;
    }

  private:
    const ShapeInfo& shape_of(const RunJob& job) const { return *rules_.families[job.family].shape; }

    bool run(const RunJob& job, Geometry geometry) {
        view_ = rules_.families[job.family].view;
        subset_ = &subsets_[static_cast<std::size_t>(view_)];
        subset_->leave_out(job.fold);
        if (job.labels && !take_moments(job, geometry)) return false;
        family_ = job.family;
        enter(shape_of(job).geometry, shape_of(job).one_for_all, job.n_components);
        if (!job.labels) {
            std::copy_n(job.start, room_->record_numbers, now_->get());
        } else if (!start_from_partition()) {
            put_nothing(job);
            return true;
        }
        return iterate(job);
    }

    void enter(Geometry geometry, bool one_for_all, Index K) {
        room_ = &rooms_.of(geometry, one_for_all, K);
        now_ = &room_->first;
        other_ = &room_->second;
    }
    MixtureArrays<double> now() { return room_->parts(*now_); }

    bool iterate(const RunJob& job) {
        aitken_ = Aitken(rules_.tol);
        trace_.clear();
        n_steps_ = 0;
        jumped_ = cycle_ended_ = false;
        cycle_value_ = -std::numeric_limits<double>::infinity();
        room_->extrapolation.forget();
        const double goal = goal_of(job);
        for (;; ++n_steps_) {
            if (!expect()) return false;
            const bool is_back = jumped_ && !is_good_jump();
            std::optional<RunStatus> end;
            if (!is_back) end = look(goal);
            if (!end) end = step(!is_back);
            if (!end) continue;
            put(job, *end);
            return true;
        }
    }

    // Whether the run ends with the mixture whose statistics are in the leaf, or with the one before.
    std::optional<RunStatus> look(double goal) {
        const double* scalars = room_->leaf.get() + room_->shape.scalars_at();
        const double value = scalars[0], mass = scalars[2];
        const double fall = n_steps_ > 0 ? trace_.back() - value : 0.0;
        if (n_steps_ > 0 && fall > rounding * std::abs(trace_.back())) {
            std::swap(now_, other_);
            --n_steps_;
            return fall <= rules_.tol * mass ? RunStatus::converged : RunStatus::fell;
        }
        const double gain = -fall;
        trace_.push_back(value);
        bool converged = aitken_.met(value, mass);
        if (jumped_) {
            converged = jumped_ = false;
            cycle_ended_ = value - cycle_value_ <= rules_.tol * mass;
            cycle_value_ = value;
        } else if (cycle_ended_) {
            // all of a cycle brought no more, nor did the step after it, which corrects the longer one
            converged = converged || gain <= rules_.tol * mass;
            cycle_ended_ = false;
        }
        if (converged) return RunStatus::converged;
        if (n_steps_ >= rules_.max_iter) return RunStatus::max_iter;
        if (is_behind(goal)) return RunStatus::behind;
        if (has_empty_component()) return RunStatus::degenerate;
        return std::nullopt;
    }

    // The next mixture; a status where there is none.
    std::optional<RunStatus> step(bool may_jump) {
        if (n_steps_ >= rules_.max_iter) return RunStatus::max_iter;
        if (may_jump && rules_.accelerate && crawls() && jump()) {
            jumped_ = true;
            return std::nullopt;
        }
        if (!maximise(now().means, now().covariances)) return RunStatus::degenerate;
        if (is_regular()) return std::nullopt;
        std::swap(now_, other_);
        return RunStatus::degenerate;
    }

    // ---- longer steps ----

    // Before, a run is still on its way to one optimum or another, and longer steps would choose.
    bool crawls() {
        const std::size_t n = trace_.size();
        if (n > 1 && trace_[n - 1] - trace_[n - 2] <= crawling) return true;
        room_->extrapolation.forget();
        return false;
    }

    // A mixture further on the way, if the run crawls and there is a usable one.
    bool jump() {
        Room& room = *room_;
        const double* origin = rows_.views[view_].origin;
        room.extrapolation.note(room.leaf.get(), now().means, origin);
        std::copy_n(room.leaf.get(), room.shape.leaf_size(), room.kept_leaf.get());
        if (!room.extrapolation.propose(room.leaf.get())) {
            std::copy_n(room.kept_leaf.get(), room.shape.leaf_size(), room.leaf.get());
            return false;
        }
        std::copy_n(now_->get(), room.record_numbers, room.kept_record.get());
        const Index K = room.shape.n_components, d = room.shape.n_features;
        for (Index k = 0; k < K; ++k) std::copy_n(origin, d, room.centres.get() + k * d);
        if (maximise(room.centres.get(), now().covariances) && is_regular()) return true;
        room.extrapolation.judge(false);
        go_back();
        return false;
    }

    // False where it lowered the likelihood; then all is as it was before.
    bool is_good_jump() {
        const double value = room_->leaf[room_->shape.scalars_at()];
        const bool good = value >= trace_.back();
        room_->extrapolation.judge(good);
        if (good) {
            // gains that follow are those of other directions: Aitken must see more of them
            aitken_ = Aitken(rules_.tol, values_after_jump);
        } else {
            jumped_ = false;
            go_back();
        }
        return good;
    }

    void go_back() {
        std::copy_n(room_->kept_leaf.get(), room_->shape.leaf_size(), room_->leaf.get());
        std::copy_n(room_->kept_record.get(), room_->record_numbers, now_->get());
    }

    // ---- goals ----

    double gain_of_second_half() const { return trace_.back() - trace_[(trace_.size() - 1) / 2]; }

    bool is_behind(double goal) const {
        const Index steps = static_cast<Index>(trace_.size()) - 1;
        if (steps < first_look || steps % 2 != 0) return false;
        return trace_.back() + rules_.trust * gain_of_second_half() < goal;
    }

    double goal_of(const RunJob& job) const {
        double goal = job.goal;
        for (const RunJob* other : reached_) {
            const bool alike = other->family == job.family && other->n_components == job.n_components;
            if (alike && other->fold == job.fold) goal = std::max(goal, *other->objective);
        }
        return goal;
    }

    // ---- the two steps ----

    // Statistics of the rows under the mixture `now`, into the leaf.
    bool expect() {
        Room& room = *room_;
        const Index K = room.shape.n_components;
        const MixtureArrays<double> at = now();
        for (Index k = 0; k < K; ++k) room.log_weights[k] = std::log(at.weights[k]);
        room.plan.set({room.shape, room.log_weights.get(), at.means, at.factors, room.n_covariances});
        return sums_.reduce(room, subset_->rows().x.n_rows, [&](Span span, double* leaf) {
            variant_.em_chunk(room.plan.plan(), subset_->rows(), span, rooms_.scratch(), leaf);
        });
    }

    // The next mixture from the leaf, whose statistics are about `centres`; it becomes `now`.
    bool maximise(const double* centres, const double* previous) {
        Room& room = *room_;
        const Index K = room.shape.n_components;
        const RunFamily& family = rules_.families[family_];
        const double* leaf = room.leaf.get();
        const double total = std::accumulate(leaf, leaf + K, 0.0);
        if (!(total > 0)) return false;
        const MixtureArrays<double> next = room.parts(*other_);
        for (Index k = 0; k < K; ++k) next.weights[k] = leaf[k] / total;
        MStepInput in{};
        in.n_components = K;
        in.n_features = room.shape.n_features;
        in.weight = leaf;
        in.total = leaf + room.shape.total_at();
        in.shared = leaf + room.shape.shared_at();
        in.centres = centres;
        in.previous = previous;
        in.floor = family.floor;
        in.max_inner = rules_.max_inner;
        const MStepOutput out{next.means, next.covariances, next.factors};
        if (m_step(*family.shape, in, out, workspace_) >= 0) return false;
        std::swap(now_, other_);
        return true;
    }

    bool is_regular() {
        const double* factors = now().factors;
        for (Index i = 0; i < room_->covariance_numbers; ++i) {
            if (!std::isfinite(factors[i])) return false;
        }
        return true;
    }

    // ---- how a run begins ----

    // Moments of the job's partition, unless they are here; false when stopped.
    bool take_moments(const RunJob& job, Geometry geometry) {
        if (moments_.are_of(job.labels, view_, job.fold)) return true;
        const double* origin = rows_.views[view_].origin;
        enter(geometry, false, job.n_components);
        const Shape& shape = room_->shape;
        const Index K = shape.n_components, d = shape.n_features;
        moments_.shape = shape;
        moments_.labels = job.labels;
        moments_.view = view_;
        moments_.fold = job.fold;
        moments_.means.resize(static_cast<std::size_t>(K * d));
        for (Index k = 0; k < K; ++k) std::copy_n(origin, d, moments_.means.data() + k * d);
        if (!sum_groups(job.labels, moments_.about_origin)) return false;
        const double* leaf = moments_.about_origin.get();
        moments_.every_group_has_rows =
            std::all_of(leaf, leaf + K, [](double weight) { return weight > 0; });
        if (!moments_.every_group_has_rows) return true;
        for (Index k = 0; k < K; ++k) {
            const double* total = leaf + shape.total_at() + k * shape.total_size();
            for (Index j = 0; j < d; ++j) moments_.means[k * d + j] = origin[j] + total[j] / leaf[k];
        }
        return sum_groups(job.labels, moments_.about_means);
    }

    // The leaf of the groups about `moments_.means`.
    bool sum_groups(const std::int32_t* labels, Buffer& leaf) {
        const Plan plan{room_->shape, moments_.means.data(), nullptr, nullptr};
        const Index K = room_->shape.n_components, step = sizeof(double);
        one_hot_.resize(static_cast<std::size_t>(chunk_rows * K));
        const Matrix groups{reinterpret_cast<const char*>(one_hot_.data()), chunk_rows, K, K * step,
                            step, false};
        const bool done = sums_.reduce(*room_, subset_->rows().x.n_rows, [&](Span span, double* out) {
            std::fill_n(one_hot_.begin(), span.count * K, 0.0);
            for (Index n = 0; n < span.count; ++n) {
                const std::int32_t label = labels[subset_->original(span.first + n)];
                if (label >= 0) one_hot_[n * K + label] = 1.0;
            }
            Rows rows = subset_->rows();
            rows.x.data += span.first * rows.x.row_stride;
            rows.x.n_rows = span.count;
            if (rows.weights) rows.weights += span.first;
            variant_.accumulate_chunk(plan, rows, groups, {0, span.count}, rooms_.scratch(), out);
        });
        leaf = make_buffer(room_->shape.leaf_size());
        std::copy_n(room_->leaf.get(), room_->shape.leaf_size(), leaf.get());
        return done;
    }

    // Means of the groups, then their scatter about these means, softened. False when a group has
    // no rows or no regular covariance.
    bool start_from_partition() {
        if (!moments_.every_group_has_rows) return false;
        Room& room = *room_;
        const Index K = room.shape.n_components, d = room.shape.n_features;
        double* leaf = room.leaf.get();
        const double* origin = rows_.views[view_].origin;
        const bool goes_on = rules_.families[family_].shape->goes_on;
        if (goes_on) {  // covariances for the softened step to go on from
            for (Index k = 0; k < K; ++k) std::copy_n(origin, d, room.centres.get() + k * d);
            project(moments_.shape, moments_.about_origin.get(), room.shape, leaf);
            if (!maximise(room.centres.get(), nullptr)) return false;
        }
        project(moments_.shape, moments_.about_means.get(), room.shape, leaf);
        soften(room.shape, leaf, leaf + room.shape.total_at());
        return maximise(moments_.means.data(), goes_on ? now().covariances : nullptr) && is_regular();
    }

    // ---- results ----

    bool has_empty_component() const {
        const Index K = room_->shape.n_components;
        const double* weight = room_->leaf.get();
        const double total = std::accumulate(weight, weight + K, 0.0);
        const double least = total / subset_->n_rows() * (1 - 1e-9);
        return K > 1 && *std::min_element(weight, weight + K) < least;
    }

    void put(const RunJob& job, RunStatus status) {
        std::copy_n(now_->get(), room_->record_numbers, job.result);
        *job.objective = trace_.back();
        *job.gain = gain_of_second_half();
        *job.n_iter = n_steps_;
        *job.status = status;
        *job.n_boundary = near_floor(job);
        const bool ended = status != RunStatus::degenerate && status != RunStatus::behind;
        if (ended && *job.n_boundary == 0) reached_.push_back(&job);
    }

    std::int32_t near_floor(const RunJob& job) {
        const MixtureArrays<double> at = now();
        const Index size = room_->covariance_numbers / room_->n_covariances;
        FloorTest& test = floor_tests_[static_cast<std::size_t>(job.family)];
        std::int32_t n = 0;
        for (Index k = 0; k < room_->n_covariances; ++k) {
            n += test.touches(at.covariances + k * size, at.factors + k * size);
        }
        return room_->n_covariances == 1 ? n * static_cast<std::int32_t>(job.n_components) : n;
    }

    void put_nothing(const RunJob& job) {
        const double infinity = std::numeric_limits<double>::infinity();
        std::fill_n(job.result, room_->record_numbers, std::numeric_limits<double>::quiet_NaN());
        *job.objective = -infinity;
        *job.gain = 0;
        *job.n_iter = 0;
        *job.status = RunStatus::degenerate;
        *job.n_boundary = static_cast<std::int32_t>(job.n_components);
    }

    const RunRules& rules_;
    const RunRows& rows_;
    const Variant& variant_;
    RowSums sums_;
    Rooms rooms_;
    std::vector<Subset> subsets_;         // of each view
    std::vector<FloorTest> floor_tests_;  // of each family
    Workspace workspace_;
    GroupMoments moments_;
    std::vector<double> one_hot_, trace_;    // trace: the objective before and after each M step
    std::vector<const RunJob*> reached_;     // runs of this unit that ended
    // of the present job
    Aitken aitken_{0};
    std::int32_t n_steps_ = 0;  // M steps
    bool jumped_ = false;       // the last step was a longer one
    bool cycle_ended_ = false;  // with it a cycle brought no more than the tolerance
    double cycle_value_ = 0;    // the objective after the last longer step
    Index family_ = 0, view_ = 0;
    Subset* subset_ = nullptr;
    Room* room_ = nullptr;
    Buffer *now_ = nullptr, *other_ = nullptr;  // records
};

}  // namespace

Index record_size(const ShapeInfo& shape, Index n_components, Index n_features) {
    const Index count = shape.one_for_all ? 1 : n_components;
    return n_components * (1 + n_features) + 2 * count * covariance_size(shape.geometry, n_features);
}

void em_runs(const RunRules& rules, const RunRows& rows, const RunJob* jobs, Index n_jobs,
             const Execution& how) {
    std::vector<Unit> units = units_of(rules, jobs, n_jobs, rows.views->x.n_rows);
    put_in_order(units);
    double seconds = 0;
    for (const Unit& unit : units) seconds += unit.work;
    const Index n_units = static_cast<Index>(units.size());
    Team team(how, useful_threads(how.n_threads, n_units, seconds));
    std::atomic<Index> next{0};
    team.run([&](Watch* watch) {
        Runner runner(rules, rows, *how.variant, team, watch);
        for (Index i; (i = next.fetch_add(1)) < n_units;) {
            if (team.stopped(watch) || !runner.run_unit(units[i].first, units[i].last)) return;
        }
    });
}

}  // namespace mixtura
