#include "plan.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>

#include "small_linalg.hpp"

namespace mixtura {
namespace {

constexpr double log2_e = 1.4426950408889634;
constexpr double half_log2_2pi = 1.3257480647361593;
std::atomic<bool> skipping_allowed{true};
const double root_half_log2_e = std::sqrt(log2_e / 2);

bool finite(const double* values, Index n) {
    double zero = 0;
    for (Index i = 0; i < n; ++i) zero += values[i] * 0;
    return zero == 0;
}

// Stride between diagonal entries, and their number; a spherical factor has one, used d times.
double log2_determinant(const Shape& shape, const double* factor) {
    Index d = shape.n_features;
    if (shape.geometry == Geometry::spherical) return double(d) * std::log2(factor[0]);
    return sum_of_logs(d, factor, shape.geometry == Geometry::diagonal ? 1 : d + 1) * log2_e;
}

bool positive_diagonal(const Shape& shape, const double* factor) {
    Index n = shape.geometry == Geometry::spherical ? 1 : shape.n_features;
    Index step = shape.geometry == Geometry::diagonal ? 1 : shape.n_features + 1;
    for (Index i = 0; i < n; ++i) {
        if (!(factor[i * step] > 0)) return false;
    }
    return true;
}

void check_component(const Model& model, Index k, const double* factor) {
    const Shape& shape = model.shape;
    if (!finite(model.means + k * shape.n_features, shape.n_features)) {
        throw std::invalid_argument("means[" + std::to_string(k) + "] must be finite");
    }
    if (!finite(factor, shape.factor_size()) || !positive_diagonal(shape, factor)) {
        throw std::invalid_argument("factors of component " + std::to_string(k) +
                                    " must be finite with a positive diagonal");
    }
}

}  // namespace

void allow_skipping(bool allowed) { skipping_allowed = allowed; }

PlanStorage::PlanStorage(const Shape& shape, const Variant& variant) : variant_(variant) {
    bool tied = shape.geometry == Geometry::tied;
    means_ = make_buffer(shape.n_components * shape.n_features);
    constants_ = make_buffer(shape.n_components);
    scaled_ = make_buffer((tied ? 1 : shape.n_components) * shape.factor_size());
    packed_ = make_buffer(variant.packed_size(shape));
    plan_ = {shape, means_.get(), constants_.get(), packed_.get()};
}

void PlanStorage::set(const Model& model) {
    scale(model);
    plan_.skipping = skipping_allowed;
    variant_.pack({model.shape, means_.get(), scaled_.get(), constants_.get(), plan_.skipping},
                  packed_.get());
}

void PlanStorage::scale(const Model& model) {
    const Shape& shape = model.shape;
    Index d = shape.n_features, size = shape.factor_size();
    bool tied = shape.geometry == Geometry::tied, any = false;
    double shared_determinant = 0;
    for (Index k = 0; k < shape.n_components; ++k) {
        const double* factor = model.factors + (model.n_factors == 1 ? 0 : k) * size;
        double log_weight = model.log_weights ? model.log_weights[k] : 0.0;
        if (std::isnan(log_weight) || log_weight == std::numeric_limits<double>::infinity()) {
            throw std::invalid_argument("log_weights must be numbers below infinity");
        }
        bool empty = std::isinf(log_weight);
        if (!empty) check_component(model, k, factor);
        for (Index j = 0; j < d; ++j) means_[k * d + j] = empty ? 0 : model.means[k * d + j];
        if (!tied || (!empty && !any)) {
            double* out = scaled_.get() + (tied ? 0 : k * size);
            if (empty) std::fill(out, out + size, 0.0);
            for (Index i = 0; !empty && i < size; ++i) out[i] = factor[i] * root_half_log2_e;
        }
        if (!empty && (!any || model.n_factors > 1)) {
            shared_determinant = log2_determinant(shape, factor);
        }
        constants_[k] =
            empty ? impossible
                  : log_weight * log2_e + shared_determinant - double(d) * half_log2_2pi;
        any = any || !empty;
    }
    if (!any) throw std::invalid_argument("log_weights leave no component: all are -inf");
}

}  // namespace mixtura
