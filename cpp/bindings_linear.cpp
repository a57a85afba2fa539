#include "bindings_linear.hpp"

#include "bindings_runs.hpp"
#include "linear.hpp"
#include "memory.hpp"
#include "py_arrays.hpp"

namespace mixtura {
namespace {

using nb::handle;

template <class Work>
void run(int n_threads, Work work) {
    run_pass(n_threads, [](const Execution& how, void* context) {
        (*static_cast<Work*>(context))(how);
    }, &work);
}

// Model and rows, held while a pass reads them.
class Arguments {
  public:
    Arguments(handle plain, handle codes, handle levels, handle base, handle offsets,
              handle constants, handle eta)
        : plain_(plain, "plain"),
          codes_(codes, "codes"),
          levels_(levels, "levels"),
          constants_(constants, "constants"),
          eta_(eta, "eta"),
          base_(base, "base"),
          offsets_(offsets, "offsets") {
        rows.plain = matrix_of(plain_);
        rows.codes = matrix_of(codes_);
        n_rows = rows.plain.n_rows;
        if (rows.codes.n_rows != n_rows) {
            codes_.refuse("must have as many rows as plain: " + std::to_string(n_rows));
        }
        if (constants_.n_dimensions() != 1 || constants_.size(0) < 1) {
            constants_.refuse("must have 1 dimension and not be empty");
        }
        LinearShape& shape = model.shape;
        shape = {constants_.size(0), rows.plain.n_columns, rows.codes.n_columns, 0};
        model.levels =
            levels_.contiguous<const std::int32_t>(Element::int32, "int32", {shape.n_codes});
        for (Index j = 0; j < shape.n_codes; ++j) {
            if (model.levels[j] < 1) levels_.refuse("must be at least 1");
            shape.n_levels += model.levels[j];
        }
        if (shape.n_levels * (shape.n_components + 8) >= (Index(1) << 31)) {
            levels_.refuse("must be fewer: the table of log-probabilities is too large");
        }
        model.constants =
            constants_.contiguous<const double>(Element::float64, "float64", {shape.n_components});
        model.eta = eta_.contiguous<const double>(Element::float64, "float64",
                                                  {shape.n_components, shape.total_size()});
        const double* beside = offsets_.get<const double>(Element::float64, "float64",
                                                          {n_rows, shape.n_components});
        shape.has_offsets = beside != nullptr;
        rows.offsets = {reinterpret_cast<const char*>(beside), n_rows, shape.n_components,
                        shape.n_components * Index(sizeof(double)), sizeof(double), false};
        rows.base = base_.get<const double>(Element::float64, "float64", {n_rows});
    }
    LinearModel model{};
    LinearRows rows{};
    Index n_rows;

  private:
    ArrayView plain_, codes_, levels_, constants_, eta_;
    OptionalView base_, offsets_;
};

nb::tuple linear_pass_py(handle plain, handle codes, handle levels, handle base, handle weights,
                         handle labels, handle constants, handle eta, int n_threads,
                         handle offsets, handle responsibilities) {
    Arguments a(plain, codes, levels, base, offsets, constants, eta);
    OptionalView r_view(responsibilities, "responsibilities", true);
    OptionalView weights_view(weights, "weights"), labels_view(labels, "labels");
    a.rows.weights = weights_view.get<const double>(Element::float64, "float64", {a.n_rows});
    a.rows.labels = labels_view.get<const std::int32_t>(Element::int32, "int32", {a.n_rows});
    const LinearShape& shape = a.model.shape;
    a.rows.responsibilities =
        r_view.get<double>(Element::float64, "float64", {a.n_rows, shape.n_components});
    Buffer leaf = make_buffer(shape.leaf_size());
    run(n_threads, [&](const Execution& how) { linear_pass(a.model, a.rows, how, leaf.get()); });
    const double* scalars = leaf.get() + shape.scalars_at();
    const std::size_t k = std::size_t(shape.n_components), p = std::size_t(shape.total_size());
    return nb::make_tuple(new_array(leaf.get(), {k}), new_array(leaf.get() + shape.total_at(), {k, p}),
                          scalars[0], scalars[1], scalars[2]);
}

void linear_score_py(handle plain, handle codes, handle levels, handle base, handle constants,
                     handle eta, int n_threads, handle log_density, handle responsibilities,
                     handle offsets) {
    Arguments a(plain, codes, levels, base, offsets, constants, eta);
    ArrayView density_view(log_density, "log_density", true);
    OptionalView r_view(responsibilities, "responsibilities", true);
    const Index k = a.model.shape.n_components;
    Scores scores{density_view.contiguous<double>(Element::float64, "float64", {a.n_rows}),
                  r_view.get<double>(Element::float64, "float64", {a.n_rows, k}), nullptr, nullptr};
    run(n_threads, [&](const Execution& how) { linear_score(a.model, a.rows, how, scores); });
}

}  // namespace

void bind_linear(nb::module_& m) {
    using nb::arg;
    m.def("linear_pass", linear_pass_py, arg("plain"), arg("codes"), arg("levels"),
          arg("base").none(), arg("weights").none(), arg("labels").none(), arg("constants"),
          arg("eta"), arg("n_threads"), arg("offsets").none() = nb::none(),
          arg("responsibilities").none() = nb::none());
    m.def("linear_score", linear_score_py, arg("plain"), arg("codes"), arg("levels"),
          arg("base").none(), arg("constants"), arg("eta"), arg("n_threads"), arg("log_density"),
          arg("responsibilities").none() = nb::none(), arg("offsets").none() = nb::none());
}

}  // namespace mixtura
