// Python's door to partitions and whole runs. Checks all sizes, so that the code behind it can
// trust them.
#include "bindings_runs.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "aitken.hpp"
#include "hierarchy.hpp"
#include "partition.hpp"
#include "run_arguments.hpp"
#include "safeguards.hpp"

namespace mixtura {
namespace {

// ---- partitions ----

nb::object partitions_py(handle z, handle weights, handle jobs_k, handle jobs_method,
                         handle jobs_key, int n_threads) {
    ArrayView z_view(z, "Z"), k_view(jobs_k, "jobs_k"), method_view(jobs_method, "jobs_method");
    ArrayView key_view(jobs_key, "jobs_key");
    OptionalView weights_view(weights, "weights");
    if (z_view.n_dimensions() != 2) z_view.refuse("must have 2 dimensions");
    if (k_view.n_dimensions() != 1) k_view.refuse("must have 1 dimension");
    const Index n = z_view.size(0), d = z_view.size(1), n_jobs = k_view.size(0);
    const double* rows = z_view.contiguous<const double>(Element::float64, "float64", {n, d});
    const double* w = weights_view.get<const double>(Element::float64, "float64", {n});
    auto* k = k_view.contiguous<const std::int32_t>(Element::int32, "int32", {n_jobs});
    auto* method = method_view.contiguous<const std::int32_t>(Element::int32, "int32", {n_jobs});
    auto* key = key_view.contiguous<const std::int64_t>(Element::int64, "int64", {n_jobs});
    std::vector<PartitionJob> jobs;
    for (Index j = 0; j < n_jobs; ++j) {
        if (k[j] < 1) k_view.refuse("must hold numbers >= 1");
        if (method[j] < 0 || method[j] > 2) method_view.refuse("must hold 0, 1 or 2");
        jobs.push_back({k[j], static_cast<PartitionMethod>(method[j]),
                        static_cast<std::uint64_t>(key[j])});
    }
    auto labels = empty_array<std::int32_t>({std::size_t(n_jobs), std::size_t(n)});
    std::int32_t* out = labels.data();
    pass(n_threads, [&](const Execution& how) {
        partitions(rows, w, n, d, jobs.data(), n_jobs, how, out);
    });
    return nb::cast(labels);
}

nb::object hierarchy_py(handle z, handle weights, double softness, int n_threads) {
    ArrayView z_view(z, "Z");
    OptionalView weights_view(weights, "weights");
    if (z_view.n_dimensions() != 2) z_view.refuse("must have 2 dimensions");
    const Index n = z_view.size(0), d = z_view.size(1);
    const double* rows = z_view.contiguous<const double>(Element::float64, "float64", {n, d});
    const double* w = weights_view.get<const double>(Element::float64, "float64", {n});
    if (!(softness > 0)) refuse("softness must be positive");
    for (Index i = 0; w && i < n; ++i) {
        if (!(w[i] > 0)) refuse("weights must be positive");
    }
    auto merges = empty_array<std::int32_t>({std::size_t(std::max<Index>(n - 1, 0)), 2});
    std::int32_t* out = merges.data();
    pass(n_threads, [&](const Execution& how) { hierarchy(rows, w, n, d, softness, how, out); });
    return nb::cast(merges);
}

// ---- runs ----

void check_labels(const std::int32_t* labels, Index n, Index n_components) {
    for (Index i = 0; i < n; ++i) {
        if (labels[i] < -1 || labels[i] >= n_components) {
            refuse("labels must lie in -1 .. K - 1 of their job");
        }
    }
}

// Numbers that all jobs have, one of each.
struct JobNumbers {
    ArrayView family_view, k_view, unit_view;
    OptionalView fold_view, goal_view;
    Index count;
    const std::int32_t *family, *k, *unit, *fold;
    const double* goal;

    JobNumbers(handle families, handle sizes, handle units, handle folds, handle goals)
        : family_view(families, "jobs_family"), k_view(sizes, "jobs_k"),
          unit_view(units, "jobs_unit"), fold_view(folds, "jobs_fold"), goal_view(goals, "goals") {
        if (k_view.n_dimensions() != 1) k_view.refuse("must have 1 dimension");
        count = k_view.size(0);
        family = family_view.contiguous<const std::int32_t>(Element::int32, "int32", {count});
        k = k_view.contiguous<const std::int32_t>(Element::int32, "int32", {count});
        unit = unit_view.contiguous<const std::int32_t>(Element::int32, "int32", {count});
        fold = fold_view.get<const std::int32_t>(Element::int32, "int32", {count});
        goal = goal_view.get<const double>(Element::float64, "float64", {count});
    }
    void check(Index n_families) const {
        for (Index j = 0; j < count; ++j) {
            if (k[j] < 1) k_view.refuse("must hold numbers >= 1");
            if (family[j] < 0 || family[j] >= n_families) family_view.refuse("must name families");
        }
    }
};

// Where jobs begin: partitions `labels` (P, n), of which each job names one, or records end to end.
struct BeginArguments {
    OptionalView labels_view, partition_view, start_view;
    const std::int32_t *labels = nullptr, *partition = nullptr;
    const double* start = nullptr;

    BeginArguments(handle labels_, handle jobs_partition, handle start_, const JobNumbers& jobs,
                   Index n, Index n_records)
        : labels_view(labels_, "labels"), partition_view(jobs_partition, "jobs_partition"),
          start_view(start_, "start") {
        if (labels_.is_none() != jobs_partition.is_none()) refuse("labels and jobs_partition belong together");
        if (labels_.is_none() == start_.is_none()) refuse("give labels or start, and not both");
        start = start_view.get<const double>(Element::float64, "float64", {n_records});
        partition = partition_view.get<const std::int32_t>(Element::int32, "int32", {jobs.count});
        if (!partition) return;
        const Index n_partitions = ArrayView(labels_, "labels").size(0);
        labels = labels_view.get<const std::int32_t>(Element::int32, "int32", {n_partitions, n});
        for (Index j = 0; j < jobs.count; ++j) {
            if (partition[j] < 0 || partition[j] >= n_partitions) refuse("jobs_partition must name rows of labels");
            check_labels(labels + partition[j] * n, n, jobs.k[j]);
        }
    }
    const std::int32_t* labels_of(Index job, Index n) const {
        return labels ? labels + partition[job] * n : nullptr;
    }
};

nb::tuple em_runs_py(nb::list x, handle origins, handle weights, handle folds, nb::list families_,
                     handle jobs_family, handle jobs_k, handle jobs_unit, handle jobs_fold,
                     handle goals, handle labels, handle jobs_partition, handle start_, int max_iter,
                     double tol, int max_inner, double trust, double near, bool accelerate,
                     int n_threads) {
    const ViewArguments view(x, origins);
    const Index n = view.n, d = view.d;
    const OptionalView weights_view(weights, "weights"), folds_view(folds, "folds");
    const FamilyArguments families(families_, static_cast<Index>(view.views.size()), d);
    const JobNumbers job(jobs_family, jobs_k, jobs_unit, jobs_fold, goals);
    job.check(static_cast<Index>(families.families.size()));
    const RunRows rows{view.views.data(), static_cast<Index>(view.views.size()),
                       weights_view.get<const double>(Element::float64, "float64", {n}),
                       folds_view.get<const std::int32_t>(Element::int32, "int32", {n})};
    if (!rows.folds != !job.fold) refuse("folds and jobs_fold belong together");
    if (max_inner < 1) refuse("max_inner must be at least 1");
    if (!(trust >= 0) || !(near > 0)) refuse("trust must be at least 0, near above 0");

    std::vector<Index> at{0};  // where records begin
    for (Index j = 0; j < job.count; ++j) {
        at.push_back(at.back() + record_size(*families.families[job.family[j]].shape, job.k[j], d));
    }
    const BeginArguments begin(labels, jobs_partition, start_, job, n, at.back());
    const std::size_t count = std::size_t(job.count);
    auto records = empty_array<double>({std::size_t(at.back())});
    auto objective = empty_array<double>({count}), gain = empty_array<double>({count});
    auto n_iter = empty_array<std::int32_t>({count}), status = empty_array<std::int32_t>({count});
    auto n_boundary = empty_array<std::int32_t>({count});
    std::vector<RunJob> jobs;
    for (Index j = 0; j < job.count; ++j) {
        jobs.push_back({job.family[j], job.k[j], job.fold ? job.fold[j] : -1, job.unit[j],
                        begin.labels_of(j, n), begin.start ? begin.start + at[j] : nullptr,
                        job.goal ? job.goal[j] : -std::numeric_limits<double>::infinity(),
                        records.data() + at[j], objective.data() + j, gain.data() + j,
                        n_iter.data() + j, reinterpret_cast<RunStatus*>(status.data() + j),
                        n_boundary.data() + j});
    }
    const RunRules rules{families.families.data(), static_cast<Index>(families.families.size()), d,
                         max_iter, tol, max_inner, trust, near, accelerate};
    pass(n_threads, [&](const Execution& how) {
        em_runs(rules, rows, jobs.data(), job.count, how);
    });
    return nb::make_tuple(records, objective, gain, n_iter, status, n_boundary);
}

// ---- safeguards ----

nb::tuple soften_py(handle weight, handle total, int geometry, Index n_features) {
    ArrayView weight_view(weight, "weight"), total_view(total, "total");
    if (geometry < 0 || geometry > 3) refuse("geometry must be 0, 1, 2 or 3");
    if (weight_view.n_dimensions() != 1) weight_view.refuse("must have 1 dimension");
    const Shape shape{static_cast<Geometry>(geometry), weight_view.size(0), n_features};
    const Index K = shape.n_components, p = shape.total_size();
    auto* from = weight_view.contiguous<const double>(Element::float64, "float64", {K});
    auto* sums = total_view.contiguous<const double>(Element::float64, "float64", {K, p});
    NewArray new_weight = new_array(from, {std::size_t(K)});
    NewArray new_total = new_array(sums, {std::size_t(K), std::size_t(p)});
    soften(shape, new_weight.data(), new_total.data());
    return nb::make_tuple(new_weight, new_total);
}

nb::object at_floor_py(handle covariances, handle factors, handle floor, int geometry,
                       Index n_features) {
    ArrayView covariance_view(covariances, "covariances"), factor_view(factors, "factors");
    if (geometry < 0 || geometry > 3) refuse("geometry must be 0, 1, 2 or 3");
    if (covariance_view.n_dimensions() < 1) covariance_view.refuse("must have a leading axis");
    const Geometry layout = static_cast<Geometry>(geometry);
    const Index count = covariance_view.size(0), size = covariance_size(layout, n_features);
    const double* sigma = covariance_data(covariance_view, layout, count, n_features);
    const double* w = covariance_data(factor_view, layout, count, n_features);
    std::unique_ptr<ArrayView> floor_view;
    if (!floor.is_none()) floor_view = std::make_unique<ArrayView>(floor, "floor");
    FloorTest test(layout, n_features, floor_view ? floor_data(*floor_view, layout, n_features) : nullptr);
    auto result = empty_array<bool>({std::size_t(count)});
    for (Index k = 0; k < count; ++k) {
        result.data()[k] = test.touches(sigma + k * size, w + k * size);
    }
    return nb::cast(result);
}

}  // namespace

void bind_runs(nb::module_& m) {
    using nb::arg;
    m.attr("NEGLIGIBLE_GAIN") = negligible_gain;
    m.def("partitions", partitions_py, arg("Z"), arg("weights").none(), arg("jobs_k"),
          arg("jobs_method"), arg("jobs_key"), arg("n_threads"));
    m.def("hierarchy", hierarchy_py, arg("Z"), arg("weights").none(), arg("softness"),
          arg("n_threads"));
    m.def("em_runs", em_runs_py, arg("X"), arg("origins"), arg("weights").none(),
          arg("folds").none(), arg("families"), arg("jobs_family"), arg("jobs_k"), arg("jobs_unit"),
          arg("jobs_fold").none(), arg("goals").none(), arg("labels").none(),
          arg("jobs_partition").none(), arg("start").none(), arg("max_iter"), arg("tol"),
          arg("max_inner"), arg("trust"), arg("near"), arg("accelerate"), arg("n_threads"));
    m.def("soften", soften_py, arg("weight"), arg("total"), arg("geometry"), arg("n_features"));
    m.def("at_floor", at_floor_py, arg("covariances"), arg("factors"), arg("floor").none(),
          arg("geometry"), arg("n_features"));
}

}  // namespace mixtura
