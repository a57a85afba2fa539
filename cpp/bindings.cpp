// The module mixtura._kernel: arguments are checked here, everything else is plain C++.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <cstdlib>
#include <string>
#include <vector>

#include "bindings_linear.hpp"
#include "bindings_m_step.hpp"
#include "bindings_runs.hpp"
#include "kernel.hpp"
#include "memory.hpp"
#include "py_arrays.hpp"

namespace mixtura {
namespace {

using nb::handle;

// ---- the variant in use ----


std::vector<std::string> variant_names() {
    std::vector<std::string> names;
    for (const Variant* const* v = variants(); *v; ++v) names.push_back((*v)->name);
    return names;
}

const Variant* find_variant(const std::string& name) {
    for (const Variant* const* v = variants(); *v; ++v) {
        if (name == (*v)->name) return *v;
    }
    return nullptr;
}

std::string not_a_variant(const std::string& name) {
    std::string text = "'" + name + "' is not a kernel variant of this machine; choose one of:";
    for (const std::string& known : variant_names()) text += " " + known;
    return text;
}

void use_variant_named(const std::string& name) {
    const Variant* variant = find_variant(name);
    if (!variant) throw nb::value_error(not_a_variant(name).c_str());
    use_variant(*variant);
}

void choose_at_import() {
    const char* forced = std::getenv("MIXTURA_KERNEL");
    if (!forced || !*forced) return;
    const Variant* variant = find_variant(forced);
    if (!variant) {
        throw nb::import_error((std::string("MIXTURA_KERNEL=") + not_a_variant(forced)).c_str());
    }
    use_variant(*variant);
}

// ---- interruption ----

bool signal_arrived(void*) {
    nb::gil_scoped_acquire hold;
    return PyErr_CheckSignals() != 0;
}

template <class Work>
void run(int n_threads, Work work) {
    run_pass(n_threads, [](const Execution& how, void* context) {
        (*static_cast<Work*>(context))(how);
    }, &work);
}

// ---- arguments ----

Geometry geometry_of(int code) {
    if (code < 0 || code > 3) {
        throw nb::value_error("geometry must be 0 (dense), 1 (tied), 2 (diagonal) or 3 (spherical)");
    }
    return static_cast<Geometry>(code);
}

Shape shape_of(const ArrayView& means, const Matrix& x, int geometry) {
    if (means.n_dimensions() != 2) means.refuse("must have 2 dimensions");
    Shape shape{geometry_of(geometry), means.size(0), means.size(1)};
    if (shape.n_components < 1 || shape.n_features < 1) means.refuse("must not be empty");
    if (x.n_columns != shape.n_features) {
        means.refuse("has " + std::to_string(shape.n_features) + " columns, but X has " +
                     std::to_string(x.n_columns));
    }
    return shape;
}

// The arrays of a model, held while a pass reads them.
class ModelArguments {
  public:
    ModelArguments(const Matrix& x, handle log_weights, handle means, handle factors, int geometry)
        : log_weights_(log_weights, "log_weights"),
          means_(means, "means"),
          factors_(factors, "factors") {
        Shape shape = shape_of(means_, x, geometry);
        Index k = shape.n_components, d = shape.n_features;
        bool one = factors_.n_dimensions() > 0 && factors_.size(0) == 1;
        if (shape.geometry == Geometry::tied) one = true;
        Index n = one ? 1 : k;
        model.shape = shape;
        model.n_factors = n;
        model.log_weights = log_weights_.get<const double>(Element::float64, "float64", {k});
        model.means = means_.contiguous<const double>(Element::float64, "float64", {k, d});
        if (shape.geometry == Geometry::diagonal) {
            model.factors = factors_.contiguous<const double>(Element::float64, "float64", {n, d});
        } else if (shape.geometry == Geometry::spherical) {
            model.factors = factors_.contiguous<const double>(Element::float64, "float64", {n});
        } else {
            model.factors =
                factors_.contiguous<const double>(Element::float64, "float64", {n, d, d});
        }
    }
    Model model{};

  private:
    OptionalView log_weights_;
    ArrayView means_, factors_;
};

// Statistics in their place in a leaf, as arrays: weight, total, shared.
struct Arrays {
    NewArray weight, total, shared;
    Arrays(const Shape& shape, const double* leaf)
        : weight(new_array(leaf, {std::size_t(shape.n_components)})),
          total(new_array(leaf + shape.total_at(), {std::size_t(shape.n_components),
                                                    std::size_t(shape.total_size())})),
          shared(new_array(leaf + shape.shared_at(), {std::size_t(shape.shared_size())})) {}
};

// ---- the functions ----

nb::tuple em_pass_py(handle x, handle weights, handle labels, handle log_weights, handle means,
                     handle factors, int geometry, int n_threads) {
    ArrayView x_view(x, "X");
    OptionalView weights_view(weights, "weights"), labels_view(labels, "labels");
    Matrix matrix = matrix_of(x_view);
    ModelArguments arguments(matrix, log_weights, means, factors, geometry);
    if (!arguments.model.log_weights) throw nb::value_error("log_weights must be an array");
    Rows rows{matrix,
              weights_view.get<const double>(Element::float64, "float64", {matrix.n_rows}),
              labels_view.get<const std::int32_t>(Element::int32, "int32", {matrix.n_rows})};
    const Shape& shape = arguments.model.shape;
    Buffer leaf = make_buffer(shape.leaf_size());
    run(n_threads, [&](const Execution& how) { em_pass(arguments.model, rows, how, leaf.get()); });
    Arrays out(shape, leaf.get());
    const double* scalars = leaf.get() + shape.scalars_at();
    return nb::make_tuple(out.weight, out.total, out.shared, scalars[0], scalars[1], scalars[2]);
}

void score_py(handle x, handle log_weights, handle means, handle factors, int geometry,
              int n_threads, handle log_density, handle responsibilities, handle labels) {
    ArrayView x_view(x, "X");
    Matrix matrix = matrix_of(x_view);
    ModelArguments arguments(matrix, log_weights, means, factors, geometry);
    if (!arguments.model.log_weights) throw nb::value_error("log_weights must be an array");
    OptionalView log_density_view(log_density, "log_density", true);
    OptionalView responsibilities_view(responsibilities, "responsibilities", true);
    OptionalView labels_view(labels, "labels", true);
    Index n = matrix.n_rows, k = arguments.model.shape.n_components;
    Scores scores{log_density_view.get<double>(Element::float64, "float64", {n}),
                  responsibilities_view.get<double>(Element::float64, "float64", {n, k}),
                  labels_view.get<std::int64_t>(Element::int64, "int64", {n}), nullptr};
    Rows rows{matrix, nullptr, nullptr};
    run(n_threads, [&](const Execution& how) { score(arguments.model, rows, how, scores); });
}

void component_log_density_py(handle x, handle means, handle factors, int geometry, int n_threads,
                              handle out) {
    ArrayView x_view(x, "X"), out_view(out, "out", true);
    Matrix matrix = matrix_of(x_view);
    ModelArguments arguments(matrix, nb::none(), means, factors, geometry);
    Scores scores{};
    scores.components = out_view.contiguous<double>(
        Element::float64, "float64", {matrix.n_rows, arguments.model.shape.n_components});
    Rows rows{matrix, nullptr, nullptr};
    run(n_threads, [&](const Execution& how) { score(arguments.model, rows, how, scores); });
}

nb::tuple accumulate_py(handle x, handle weights, handle responsibilities, handle means,
                        int geometry, int n_threads) {
    ArrayView x_view(x, "X"), r_view(responsibilities, "responsibilities");
    ArrayView means_view(means, "means");
    OptionalView weights_view(weights, "weights");
    Matrix matrix = matrix_of(x_view), r = matrix_of(r_view);
    Shape shape = shape_of(means_view, matrix, geometry);
    if (r.n_rows != matrix.n_rows || r.n_columns != shape.n_components) {
        r_view.refuse("must have shape (" + std::to_string(matrix.n_rows) + ", " +
                      std::to_string(shape.n_components) + ")");
    }
    const double* centres = means_view.contiguous<const double>(
        Element::float64, "float64", {shape.n_components, shape.n_features});
    Rows rows{matrix, weights_view.get<const double>(Element::float64, "float64", {matrix.n_rows}),
              nullptr};
    Buffer leaf = make_buffer(shape.leaf_size());
    run(n_threads,
        [&](const Execution& how) { accumulate(shape, centres, rows, r, how, leaf.get()); });
    Arrays out(shape, leaf.get());
    return nb::make_tuple(out.weight, out.total, out.shared);
}

double fma_peak_py(int n_threads) {
    if (n_threads < 1) throw nb::value_error("n_threads must be at least 1");
    nb::gil_scoped_release release;
    return peak_gflops(variant_in_use(), n_threads);
}

}  // namespace

void run_pass(int n_threads, Pass pass, void* context) {
    if (n_threads < 1) throw nb::value_error("n_threads must be at least 1");
    Execution how{&variant_in_use(), n_threads, signal_arrived, nullptr};
    try {
        nb::gil_scoped_release release;
        pass(how, context);
    } catch (const Interrupted&) {
        throw nb::python_error();
    }
}

}  // namespace mixtura

NB_MODULE(_kernel, m) {
    using namespace mixtura;
    using nb::arg;
    choose_at_import();
    m.attr("CHUNK_ROWS") = chunk_rows;
    m.def("variant", [] { return std::string(variant_in_use().name); });
    m.def("variants", variant_names);
    m.def("use_variant", use_variant_named, arg("name"));
    m.def("allow_skipping", allow_skipping, arg("allowed"));
    m.def("fma_peak", fma_peak_py, arg("n_threads"));
    m.def("em_pass", em_pass_py, arg("X"), arg("weights").none(), arg("labels").none(),
          arg("log_weights"), arg("means"), arg("factors"), arg("geometry"), arg("n_threads"));
    m.def("score", score_py, arg("X"), arg("log_weights"), arg("means"), arg("factors"),
          arg("geometry"), arg("n_threads"), arg("log_density").none() = nb::none(),
          arg("responsibilities").none() = nb::none(), arg("labels").none() = nb::none());
    m.def("component_log_density", component_log_density_py, arg("X"), arg("means"),
          arg("factors"), arg("geometry"), arg("n_threads"), arg("out"));
    m.def("accumulate", accumulate_py, arg("X"), arg("weights").none(), arg("responsibilities"),
          arg("means"), arg("geometry"), arg("n_threads"));
    bind_linear(m);
    bind_m_step(m);
    bind_runs(m);
    bind_moves(m);
}
