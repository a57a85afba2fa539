#include "safeguards.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "m_step.hpp"
#include "small_linalg.hpp"

namespace mixtura {
namespace {

// Smallest eigenvalues of F^-1 Sigma up to here count as one: rounding, and floors that EM nears
// but does not reach.
constexpr double touching = 1.0 + 1e-6;

double pseudo_rows(Geometry geometry, Index d) {
    if (geometry == Geometry::dense) return double(d) + 1.0;
    return geometry == Geometry::diagonal ? 2.0 : 1.0;
}

// Calls use(position in s2, i, j) for the moments x_i x_j that the scatter of a geometry holds.
template <class Use>
void each_moment(Geometry geometry, Index d, Use use) {
    for (Index i = 0; i < d; ++i) {
        if (geometry == Geometry::diagonal) use(i, i, i);
        if (geometry == Geometry::spherical) use(0, i, i);
        for (Index j = 0; geometry == Geometry::dense && j <= i; ++j) use(packed_index(i, j), i, j);
    }
}

}  // namespace

void soften(const Shape& shape, double* weight, double* total) {
    if (shape.geometry == Geometry::tied) return;
    const Index K = shape.n_components, d = shape.n_features, p = shape.total_size();
    const double extra = pseudo_rows(shape.geometry, d);
    double mass = 0;
    for (Index k = 0; k < K; ++k) mass += weight[k];
    auto divisor = [&](Index k) { return weight[k] > 0 ? weight[k] : 1.0; };
    Buffer within = make_buffer(p - d);
    std::fill(within.get(), within.get() + p - d, 0.0);
    for (Index k = 0; k < K; ++k) {
        const double *s1 = total + k * p, *s2 = s1 + d;
        for (Index m = 0; m < p - d; ++m) within[m] += s2[m];
        each_moment(shape.geometry, d, [&](Index m, Index i, Index j) {
            within[m] -= s1[i] / divisor(k) * s1[j];
        });
    }
    for (Index k = 0; k < K; ++k) {
        double *s1 = total + k * p, *s2 = s1 + d;
        const double n = divisor(k);
        for (Index m = 0; m < p - d; ++m) s2[m] += extra * (within[m] / mass);
        each_moment(shape.geometry, d, [&](Index m, Index i, Index j) {
            s2[m] += extra * (s1[i] / n) * (s1[j] / n);
        });
        for (Index j = 0; j < d; ++j) s1[j] += extra * (s1[j] / n);
        weight[k] += extra;
    }
}

FloorTest::FloorTest(Geometry geometry, Index n_features, const double* floor, double times)
    : d_(n_features), size_(covariance_size(geometry, n_features)), floor_(floor),
      least_(times * touching) {
    if (!floor || geometry == Geometry::diagonal || geometry == Geometry::spherical) return;
    factor_ = make_buffer(d_ * d_);
    work_ = make_buffer(3 * d_ * d_);
    if (!cholesky(d_, floor, work_.get())) {
        throw std::invalid_argument("floor is not positive definite");
    }
    invert_lower(d_, work_.get(), factor_.get());
}

bool FloorTest::touches(const double* covariance, const double* factor) {
    for (Index i = 0; i < size_; ++i) {
        if (!std::isfinite(factor[i])) return true;
    }
    if (!floor_) return false;
    if (!factor_) {
        for (Index i = 0; i < size_; ++i) {
            if (covariance[i] < least_ * floor_[i]) return true;
        }
        return false;
    }
    // With W F W' = I: above the floor if W Sigma W' - least I is positive definite.
    double* white = work_.get();
    congruence(d_, factor_.get(), covariance, white, white + d_ * d_);
    for (Index i = 0; i < d_; ++i) white[i * (d_ + 1)] -= least_;
    return !cholesky_any_pivot(d_, white, white);
}

}  // namespace mixtura
