// Log-densities of a block of rows under every component, in base 2.
#pragma once

#include "layout.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Squared distances stop here, so that rows whose square overflows keep finite log-densities.
constexpr double greatest_square = 1e305;

MIXTURA_INLINE Vec log_density(double constant, Vec square) {
    return constant - smaller_of(square, splat(greatest_square));
}

Index packed_factor_size(const Shape& shape);
void pack_factors(const ScaledModel& model, double* packed);

Index density_work_size(const Shape& shape, const Layout& layout);

// Fills `density` for panels 0 .. n_panels-1 and `row_max` with the greatest of each row.
void log_densities(const Plan& plan, const Layout& layout, const double* x, Index n_panels,
                   double* work, double* density, double* row_max);

// Log-densities of n_vectors vectors of rows under component k only. Not for tied components, nor
// for dense ones with more than most_small_features.
void component_log_density(const Plan& plan, const double* x, Index x_stride, Index n_vectors,
                           Index k, double* density);

// Dense components with more features than that. The first few features alone give an upper bound
// of a log-density, in the places of `log_densities`; then n_vectors vectors of rows under one
// component, exactly.
bool is_tiled(const Shape& shape);
Index bounding_features(const Shape& shape);
void density_bounds(const Plan& plan, const Layout& layout, const double* x, Index n_panels,
                    double* work, double* bound, double* row_max);
void tiled_log_density(const Plan& plan, const double* x, Index x_stride, Index n_vectors, Index k,
                       double* work, double* density);

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
