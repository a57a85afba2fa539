// Python's door to the M step. Checks all sizes, so that the code behind it can trust them.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <memory>
#include <string>
#include <tuple>
#include <vector>

#include "bindings_m_step.hpp"
#include "lapack.hpp"
#include "m_step.hpp"

namespace nb = nanobind;

namespace mixtura {

namespace {

using Input = nb::ndarray<const double, nb::c_contig, nb::device::cpu>;
using Output = nb::ndarray<nb::numpy, double>;
using Sizes = std::vector<std::size_t>;

[[noreturn]] void refuse(const std::string& what) { throw nb::value_error(what.c_str()); }

std::string text(const Sizes& sizes) {
    std::string result = "(";
    for (std::size_t size : sizes) result += std::to_string(size) + ", ";
    if (sizes.size() > 1) result.resize(result.size() - 2);
    if (sizes.size() == 1) result.pop_back();
    return result + ")";
}

// An array that NumPy owns.
Output new_array(const Sizes& sizes) {
    std::size_t count = 1;
    for (std::size_t size : sizes) count *= size;
    auto data = std::make_unique<double[]>(count);
    double* pointer = data.release();
    nb::capsule owner(pointer, [](void* p) noexcept { delete[] static_cast<double*>(p); });
    return Output(pointer, sizes.size(), sizes.data(), owner);
}

const double* checked(const char* name, const Input& array, const Sizes& sizes) {
    Sizes found;
    for (std::size_t i = 0; i < array.ndim(); ++i) found.push_back(array.shape(i));
    if (found != sizes)
        refuse(std::string(name) + " has shape " + text(found) + ", needed is " + text(sizes));
    return array.data();
}

Geometry as_geometry(int code) {
    if (code < 0 || code > 3)
        refuse("geometry=" + std::to_string(code) +
               " is not usable: 0 dense, 1 tied, 2 diagonal, 3 spherical");
    return static_cast<Geometry>(code);
}

// Dimensions of `count` covariances.
Sizes covariance_shape(Geometry geometry, std::size_t count, std::size_t d) {
    if (geometry == Geometry::spherical) return {count};
    if (geometry == Geometry::diagonal) return {count, d};
    return {count, d, d};
}

// A usable floor is positive definite; one that is 0 everywhere is none.
const double* checked_floor(const Input& floor, Geometry geometry, std::size_t d) {
    bool zero = true;
    for (std::size_t i = 0; i < floor.size(); ++i) zero = zero && floor.data()[i] == 0.0;
    if (zero) return nullptr;
    Sizes sizes = covariance_shape(geometry, 1, d);
    sizes.erase(sizes.begin());
    if (sizes.empty() && floor.size() == 1) sizes.assign(floor.ndim(), 1);  // a number, in any form
    const double* data = checked("floor", floor, sizes);
    const Index n = static_cast<Index>(d);
    bool usable = true;
    if (sizes.size() == 2) {
        std::vector<double> l(floor.size());
        usable = cholesky(n, data, l.data());
    } else {
        for (std::size_t i = 0; i < floor.size(); ++i)
            usable = usable && data[i] > 0.0 && std::isfinite(data[i]);
    }
    if (!usable) refuse("floor is not positive definite");
    return data;
}

std::tuple<Output, Output, Output> gaussian_m_step(const std::string& shape_name, const Input& weight,
                                                   const Input& total, const Input& shared,
                                                   const Input& centres, nb::object previous,
                                                   nb::object floor, int max_inner, double inner_tol,
                                                   int n_threads) {
    const ShapeInfo* shape = find_shape(shape_name);
    if (shape == nullptr) refuse("shape='" + shape_name + "' is not one of the 14 names EII ... VVV");
    if (centres.ndim() != 2) refuse("centres must have two dimensions (K, d)");
    const std::size_t K = centres.shape(0), d = centres.shape(1);
    if (K == 0 || d == 0) refuse("centres has no components or no features");
    if (max_inner < 1) refuse("max_inner must be at least 1");
    const Geometry geometry = shape->geometry;
    const Index n = static_cast<Index>(d);
    const Sizes covariances = covariance_shape(geometry, shape->one_for_all ? 1 : K, d);
    MStepInput in{};
    in.n_components = static_cast<Index>(K);
    in.n_features = n;
    in.weight = checked("weight", weight, {K});
    in.total = checked("total", total, {K, static_cast<std::size_t>(total_size(geometry, n))});
    in.shared = checked("shared", shared, {static_cast<std::size_t>(shared_size(geometry, n))});
    in.centres = centres.data();
    in.max_inner = max_inner;
    in.inner_tol = inner_tol;
    in.n_threads = n_threads;
    Input previous_array, floor_array;
    if (!previous.is_none()) {
        previous_array = nb::cast<Input>(previous);
        in.previous = checked("previous_covariances", previous_array, covariances);
    }
    if (!floor.is_none()) {
        if (PyFloat_Check(floor.ptr()) || PyLong_Check(floor.ptr()))
            floor = nb::module_::import_("numpy").attr("asarray")(floor, "float64");
        floor_array = nb::cast<Input>(floor);
        in.floor = checked_floor(floor_array, geometry, d);
    }
    Output means = new_array({K, d}), sigma = new_array(covariances), factors = new_array(covariances);
    const MStepOutput out{means.data(), sigma.data(), factors.data()};
    Index missing;
    {
        nb::gil_scoped_release released;
        Workspace workspace;
        missing = m_step(*shape, in, out, workspace);
    }
    if (missing >= 0)
        refuse("component " + std::to_string(missing) +
               " has no weight and no previous covariance to keep");
    return {means, sigma, factors};
}

std::tuple<Output, Output> factors_of(const Input& covariances, int code, int n_features) {
    const Geometry geometry = as_geometry(code);
    const std::size_t ndim = covariance_shape(geometry, 1, 1).size();
    if (covariances.ndim() != ndim || (ndim == 3 && covariances.shape(1) != covariances.shape(2)))
        refuse("covariances must have " + std::to_string(ndim) + " dimensions in this geometry");
    const std::size_t count = covariances.shape(0);
    const std::size_t d = ndim > 1 ? covariances.shape(1) : static_cast<std::size_t>(n_features);
    Output factors = new_array(covariance_shape(geometry, count, d));
    Output log_determinants = new_array({count});
    double* const into = factors.data();
    double* const logs = log_determinants.data();
    {
        nb::gil_scoped_release released;
        Workspace workspace;
        const Index n = static_cast<Index>(d);
        cholesky_factors(geometry, static_cast<Index>(count), n, covariances.data(), into, logs,
                         workspace.take(ndim == 3 ? n * n : 0));
    }
    return {factors, log_determinants};
}

// LAPACK of SciPy: the address is in a capsule whose name is the C signature.
void take_lapack_from_scipy() {
    nb::object capi = nb::module_::import_("scipy.linalg.cython_lapack").attr("__pyx_capi__");
    nb::object capsule = capi["dsyevd"];
    const char* signature = PyCapsule_GetName(capsule.ptr());
    // Builds of LAPACK with 64-bit integers have another signature; then Jacobi serves all sizes.
    if (signature == nullptr || std::string(signature).rfind("void (char *, char *, int *,", 0) != 0)
        return;
    set_dsyevd(reinterpret_cast<Dsyevd>(PyCapsule_GetPointer(capsule.ptr(), signature)));
}

}  // namespace

void bind_m_step(nb::module_& m) {
    take_lapack_from_scipy();
    m.def("gaussian_m_step", &gaussian_m_step, nb::arg("shape"), nb::arg("weight"), nb::arg("total"),
          nb::arg("shared"), nb::arg("centres"), nb::arg("previous_covariances").none() = nb::none(),
          nb::arg("floor").none() = nb::none(), nb::arg("max_inner") = 200,
          nb::arg("inner_tol") = 1e-12, nb::arg("n_threads") = 1,
          R"(Means, covariances and inverse Cholesky factors that maximise the expected likelihood.

Parameters
----------
shape : str
    One of the 14 names EII ... VVV.
weight : ndarray of shape (K,)
    Sum of responsibilities times row weights.
total : ndarray of shape (K, p)
    First moments about the centres, then the scatter about them in the shape's layout.
shared : ndarray of shape (q,)
    Pooled scatter of the tied geometry, lower triangle by rows; empty otherwise.
centres : ndarray of shape (K, d)
    Points about which the statistics were taken.
previous_covariances : ndarray or None
    Start of the inner iterations, and what components without weight keep.
floor : ndarray, float or None
    F with covariance >= F in the Loewner order: (d, d), (d,) or a number. 0: no floor.
max_inner, inner_tol : int, float
    Bound of the inner iterations of VEI, VEE, VEV, EVE and VVE, and the gain, in nats
    per unit of weight, below which they stop.
n_threads : int
    Threads over components, used from 48 features on.

Returns
-------
means : ndarray of shape (K, d)
covariances, factors : ndarray
    Leading axis K, or 1 for EII, EEI and EEE. Factors W have W covariance W' = I, and
    are NaN where the covariance is singular.

Raises
------
ValueError
    Sizes do not agree, the floor is not positive definite, or a component has no
    weight and there is no previous covariance.
)");
    m.def("cholesky_factors", &factors_of, nb::arg("covariances"), nb::arg("geometry"),
          nb::arg("n_features") = 1,
          R"(Inverse Cholesky factors W (W covariance W' = I) and log determinants (nats).

Parameters
----------
covariances : ndarray
    (K, d, d), (K, d) or (K,), after the geometry: 0 dense, 1 tied, 2 diagonal, 3 spherical.
geometry : int
n_features : int
    Dimensions of a spherical covariance, for its determinant; not used otherwise.

Returns
-------
factors, log_determinants : ndarray
    NaN for covariances that are not positive definite.
)");
}

}  // namespace mixtura
