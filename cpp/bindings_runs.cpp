// Python's door to partitions and whole runs. Checks all sizes, so that the code behind it can
// trust them.
#include "bindings_runs.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "hierarchy.hpp"
#include "partition.hpp"
#include "py_arrays.hpp"
#include "runs.hpp"
#include "safeguards.hpp"

namespace mixtura {
namespace {

using nb::handle;

[[noreturn]] void refuse(const std::string& what) { throw nb::value_error(what.c_str()); }

// A new array of NumPy's own, not initialised.
template <class T>
nb::ndarray<nb::numpy, T> empty_array(std::vector<std::size_t> shape) {
    std::size_t n = 1;
    for (std::size_t size : shape) n *= size;
    std::unique_ptr<T[]> data(new T[n > 0 ? n : 1]);
    nb::capsule owner(data.get(), [](void* p) noexcept { delete[] static_cast<T*>(p); });
    return nb::ndarray<nb::numpy, T>(data.release(), shape.size(), shape.data(), owner);
}

// A pass from any callable.
template <class Work>
void pass(int n_threads, Work work) {
    run_pass(n_threads, [](const Execution& how, void* context) {
        (*static_cast<Work*>(context))(how);
    }, &work);
}

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

std::vector<std::size_t> layout_of(Geometry geometry, Index count, Index d) {
    std::vector<std::size_t> shape{std::size_t(count)};
    if (geometry == Geometry::dense || geometry == Geometry::tied) {
        shape.insert(shape.end(), 2, std::size_t(d));
    } else if (geometry == Geometry::diagonal) {
        shape.push_back(std::size_t(d));
    }
    return shape;
}

// Numbers of a covariance layout with `count` entries, or ValueError.
const double* covariance_data(const ArrayView& view, Geometry geometry, Index count, Index d) {
    if (geometry == Geometry::spherical) {
        return view.contiguous<const double>(Element::float64, "float64", {count});
    }
    if (geometry == Geometry::diagonal) {
        return view.contiguous<const double>(Element::float64, "float64", {count, d});
    }
    return view.contiguous<const double>(Element::float64, "float64", {count, d, d});
}

// A floor in the layout of one covariance.
const double* floor_data(const ArrayView& view, Geometry geometry, Index d) {
    if (geometry == Geometry::spherical) {
        return view.contiguous<const double>(Element::float64, "float64", {});
    }
    if (geometry == Geometry::diagonal) {
        return view.contiguous<const double>(Element::float64, "float64", {d});
    }
    return view.contiguous<const double>(Element::float64, "float64", {d, d});
}

const ShapeInfo& shape_named(const std::string& name) {
    const ShapeInfo* shape = find_shape(name);
    if (shape == nullptr) refuse("shape='" + name + "' is not one of the 14 names EII ... VVV");
    return *shape;
}

// Mixtures of all jobs, one after the other: components end to end.
struct Ragged {
    Index n_components = 0, n_covariances = 0;
    std::vector<Index> component, covariance;  // where each job begins
    Ragged(const std::int32_t* k, Index n_jobs, bool one_for_all) {
        for (Index j = 0; j < n_jobs; ++j) {
            component.push_back(n_components);
            covariance.push_back(n_covariances);
            n_components += k[j];
            n_covariances += one_for_all ? 1 : k[j];
        }
    }
    template <class T>
    MixtureArrays<T> at(const MixtureArrays<T>& all, Index job, Index d, Index size) const {
        return {all.weights + component[job], all.means + component[job] * d,
                all.covariances + covariance[job] * size, all.factors + covariance[job] * size};
    }
};

// The mixtures that runs go on from, held while they are read.
struct StartArguments {
    ArrayView weights, means, covariances, factors;
    explicit StartArguments(nb::tuple arrays)
        : weights(arrays[0], "start weights"), means(arrays[1], "start means"),
          covariances(arrays[2], "start covariances"), factors(arrays[3], "start factors") {}
    MixtureArrays<const double> data(const Ragged& ragged, Geometry geometry, Index d) const {
        return {weights.contiguous<const double>(Element::float64, "float64", {ragged.n_components}),
                means.contiguous<const double>(Element::float64, "float64", {ragged.n_components, d}),
                covariance_data(covariances, geometry, ragged.n_covariances, d),
                covariance_data(factors, geometry, ragged.n_covariances, d)};
    }
};

void check_labels(const std::int32_t* labels, Index n, Index n_components) {
    for (Index i = 0; i < n; ++i) {
        if (labels[i] < -1 || labels[i] >= n_components) {
            refuse("labels must lie in -1 .. K - 1 of their job");
        }
    }
}

nb::tuple em_runs_py(handle x, handle weights, handle folds, const std::string& shape_name,
                     handle jobs_k, handle jobs_fold, handle labels, nb::object start,
                     handle origin, handle floor, int max_iter, double tol, int max_inner,
                     int n_threads) {
    const ShapeInfo& shape = shape_named(shape_name);
    ArrayView x_view(x, "X"), k_view(jobs_k, "jobs_k"), origin_view(origin, "origin");
    OptionalView weights_view(weights, "weights"), folds_view(folds, "folds");
    OptionalView fold_view(jobs_fold, "jobs_fold"), labels_view(labels, "labels");
    const Matrix matrix = matrix_of(x_view);
    if (k_view.n_dimensions() != 1) k_view.refuse("must have 1 dimension");
    const Index n = matrix.n_rows, d = matrix.n_columns, n_jobs = k_view.size(0);
    if (d < 1) x_view.refuse("must have columns");
    auto* k = k_view.contiguous<const std::int32_t>(Element::int32, "int32", {n_jobs});
    for (Index j = 0; j < n_jobs; ++j) {
        if (k[j] < 1) k_view.refuse("must hold numbers >= 1");
    }
    const Rows rows{matrix, weights_view.get<const double>(Element::float64, "float64", {n}), nullptr};
    auto* fold_of_row = folds_view.get<const std::int32_t>(Element::int32, "int32", {n});
    auto* fold_of_job = fold_view.get<const std::int32_t>(Element::int32, "int32", {n_jobs});
    if (!fold_of_row != !fold_of_job) refuse("folds and jobs_fold belong together");
    auto* partition = labels_view.get<const std::int32_t>(Element::int32, "int32", {n_jobs, n});
    if (!partition == start.is_none()) refuse("give labels or start, and not both");

    std::unique_ptr<ArrayView> floor_view;
    if (!floor.is_none()) floor_view = std::make_unique<ArrayView>(floor, "floor");
    if (max_inner < 1) refuse("max_inner must be at least 1");
    const RunRules rules{
        &shape, d, origin_view.contiguous<const double>(Element::float64, "float64", {d}),
        floor_view ? floor_data(*floor_view, shape.geometry, d) : nullptr, max_iter, tol, max_inner};

    const Ragged ragged(k, n_jobs, shape.one_for_all);
    const Index size = covariance_size(shape.geometry, d);
    std::unique_ptr<StartArguments> from;
    MixtureArrays<const double> started{};
    if (!partition) {
        from = std::make_unique<StartArguments>(nb::cast<nb::tuple>(start));
        started = from->data(ragged, shape.geometry, d);
    }
    const auto layout = layout_of(shape.geometry, ragged.n_covariances, d);
    const std::size_t total = std::size_t(ragged.n_components), count = std::size_t(n_jobs);
    auto out_weights = empty_array<double>({total});
    auto means = empty_array<double>({total, std::size_t(d)});
    auto covariances = empty_array<double>(layout), factors = empty_array<double>(layout);
    auto objective = empty_array<double>({count});
    auto n_iter = empty_array<std::int32_t>({count}), status = empty_array<std::int32_t>({count});
    auto n_boundary = empty_array<std::int32_t>({count});
    const MixtureArrays<double> results{out_weights.data(), means.data(), covariances.data(),
                                        factors.data()};
    std::vector<RunJob> jobs;
    for (Index j = 0; j < n_jobs; ++j) {
        if (partition) check_labels(partition + j * n, n, k[j]);
        jobs.push_back({k[j], fold_of_job ? fold_of_job[j] : -1,
                        partition ? partition + j * n : nullptr,
                        partition ? started : ragged.at(started, j, d, size),
                        ragged.at(results, j, d, size), objective.data() + j, n_iter.data() + j,
                        reinterpret_cast<RunStatus*>(status.data() + j), n_boundary.data() + j});
    }
    pass(n_threads, [&](const Execution& how) {
        em_runs(rules, rows, fold_of_row, jobs.data(), n_jobs, how);
    });
    return nb::make_tuple(out_weights, means, covariances, factors, objective, n_iter, status,
                          n_boundary);
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
    m.def("em_runs", em_runs_py, arg("X"), arg("weights").none(), arg("folds").none(), arg("shape"),
          arg("jobs_k"), arg("jobs_fold").none(), arg("labels").none(), arg("start").none(),
          arg("origin"), arg("floor").none(), arg("max_iter"), arg("tol"), arg("max_inner"),
          arg("n_threads"));
    m.def("soften", soften_py, arg("weight"), arg("total"), arg("geometry"), arg("n_features"));
    m.def("at_floor", at_floor_py, arg("covariances"), arg("factors"), arg("floor").none(),
          arg("geometry"), arg("n_features"));
}

}  // namespace mixtura
