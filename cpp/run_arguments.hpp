// Arguments that runs and what they tell have in common, checked, and new arrays.
#pragma once

#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <memory>
#include <string>
#include <vector>

#include "bindings_runs.hpp"
#include "py_arrays.hpp"
#include "runs.hpp"

namespace mixtura {

using nb::handle;

[[noreturn]] inline void refuse(const std::string& what) { throw nb::value_error(what.c_str()); }

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

// Numbers of a covariance layout with `count` entries, or ValueError.
inline const double* covariance_data(const ArrayView& view, Geometry geometry, Index count, Index d) {
    if (geometry == Geometry::spherical) {
        return view.contiguous<const double>(Element::float64, "float64", {count});
    }
    if (geometry == Geometry::diagonal) {
        return view.contiguous<const double>(Element::float64, "float64", {count, d});
    }
    return view.contiguous<const double>(Element::float64, "float64", {count, d, d});
}

// A floor in the layout of one covariance.
inline const double* floor_data(const ArrayView& view, Geometry geometry, Index d) {
    if (geometry == Geometry::spherical) {
        return view.contiguous<const double>(Element::float64, "float64", {});
    }
    if (geometry == Geometry::diagonal) {
        return view.contiguous<const double>(Element::float64, "float64", {d});
    }
    return view.contiguous<const double>(Element::float64, "float64", {d, d});
}

inline const ShapeInfo& shape_named(const std::string& name) {
    const ShapeInfo* shape = find_shape(name);
    if (shape == nullptr) refuse("shape='" + name + "' is not one of the 14 names EII ... VVV");
    return *shape;
}

// Views of the rows, each (n, d), and the origin of each.
struct ViewArguments {
    std::vector<std::unique_ptr<ArrayView>> arrays;
    ArrayView origins;
    std::vector<RunView> views;
    Index n = 0, d = 0;

    ViewArguments(nb::list rows, handle origins_) : origins(origins_, "origins") {
        if (rows.size() == 0) refuse("X must hold at least one view of the rows");
        for (handle one : rows) {
            arrays.push_back(std::make_unique<ArrayView>(one, "X"));
            views.push_back({matrix_of(*arrays.back()), nullptr});
        }
        n = views.front().x.n_rows;
        d = views.front().x.n_columns;
        if (d < 1) arrays.front()->refuse("must have columns");
        const Index count = static_cast<Index>(views.size());
        auto* origin = origins.contiguous<const double>(Element::float64, "float64", {count, d});
        for (Index v = 0; v < count; ++v) {
            if (views[v].x.n_rows != n || views[v].x.n_columns != d) refuse("views of X must be alike");
            views[v].origin = origin + v * d;
        }
    }
};

// Families of runs: a tuple (shape, view, floor or None) of each.
struct FamilyArguments {
    std::vector<std::unique_ptr<ArrayView>> floors;
    std::vector<RunFamily> families;

    FamilyArguments(nb::list given, Index n_views, Index d) {
        for (handle one : given) {
            nb::tuple parts = nb::cast<nb::tuple>(one);
            const ShapeInfo& shape = shape_named(nb::cast<std::string>(parts[0]));
            const Index view = nb::cast<Index>(parts[1]);
            if (view < 0 || view >= n_views) refuse("a family must name one of the views");
            const double* floor = nullptr;
            if (!parts[2].is_none()) {
                floors.push_back(std::make_unique<ArrayView>(parts[2], "floor"));
                floor = floor_data(*floors.back(), shape.geometry, d);
            }
            families.push_back({&shape, view, floor});
        }
    }
};

}  // namespace mixtura
