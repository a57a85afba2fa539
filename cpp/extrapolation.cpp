#include "extrapolation.hpp"

#include <algorithm>
#include <cmath>

#include "small_linalg.hpp"

namespace mixtura {
namespace {

// The longest step allowed grows by this from proposal to proposal, and shrinks after a bad one.
constexpr double factor = 4.0;

// Of its present weight a component keeps at least this share.
constexpr double least_share = 0.5;

// Calls use(place in the leaf, i, j, k) for the second moments x_i x_j of each component k; tied ones
// have the same place for all.
template <class Use>
void each_second(const Shape& shape, Use use) {
    const Index K = shape.n_components, d = shape.n_features;
    for (Index k = 0; k < K; ++k) {
        const bool tied = shape.geometry == Geometry::tied;
        const Index at = tied ? shape.shared_at() : shape.total_at() + k * shape.total_size() + d;
        for (Index i = 0; i < d; ++i) {
            if (shape.geometry == Geometry::spherical) use(at, i, i, k);
            if (shape.geometry == Geometry::diagonal) use(at + i, i, i, k);
            const bool matrix = tied || shape.geometry == Geometry::dense;
            for (Index j = 0; matrix && j <= i; ++j) use(at + packed_index(i, j), i, j, k);
        }
    }
}

}  // namespace

Extrapolation::Extrapolation(const Shape& shape)
    : shape_(shape) {
    for (std::vector<double>& one : noted_) one.resize(static_cast<std::size_t>(shape.scalars_at()));
}

void Extrapolation::forget() {
    n_noted_ = 0;
    longest_ = 1;
}

void Extrapolation::note(const double* leaf, const double* means, const double* origin) {
    if (n_noted_ == 3) std::rotate(noted_, noted_ + 1, noted_ + 3);
    n_noted_ = std::min(n_noted_ + 1, 3);
    std::vector<double>& z = noted_[n_noted_ - 1];
    std::copy_n(leaf, z.size(), z.begin());
    const Index K = shape_.n_components, d = shape_.n_features;
    auto first = [&](Index k, Index j) { return leaf[shape_.total_at() + k * shape_.total_size() + j]; };
    auto shift = [&](Index k, Index j) { return means[k * d + j] - origin[j]; };
    each_second(shape_, [&](Index at, Index i, Index j, Index k) {
        z[at] += first(k, i) * shift(k, j) + shift(k, i) * first(k, j) + leaf[k] * shift(k, i) * shift(k, j);
    });
    for (Index k = 0; k < K; ++k) {
        for (Index j = 0; j < d; ++j) z[shape_.total_at() + k * shape_.total_size() + j] += leaf[k] * shift(k, j);
    }
}

bool Extrapolation::propose(double* leaf) {
    if (n_noted_ < 3) return false;
    const double step = length();
    if (!(step > 1)) return false;
    longest_ *= factor;
    const double a = std::min(step, longest_);
    for (std::size_t i = 0; i < noted_[0].size(); ++i) {
        const double r = noted_[1][i] - noted_[0][i], v = noted_[2][i] - noted_[1][i] - r;
        leaf[i] = noted_[0][i] + 2 * a * r + a * a * v;
    }
    return is_usable(leaf);
}

void Extrapolation::judge(bool good) {
    n_noted_ = 0;
    if (!good) longest_ = std::max(longest_ / (factor * factor), 1.0);
}

// |r| / |v| in units of the weights and of the standard deviations of the columns.
double Extrapolation::length() const {
    const Index K = shape_.n_components, d = shape_.n_features;
    const std::vector<double>& z = noted_[2];
    double total = 0;
    for (Index k = 0; k < K; ++k) total += z[k];
    std::vector<double> variance(static_cast<std::size_t>(d));
    each_second(shape_, [&](Index at, Index i, Index j, Index k) {
        if (i != j || (shape_.geometry == Geometry::tied && k > 0)) return;
        variance[i] += z[at] / (total * (shape_.geometry == Geometry::spherical ? double(d) : 1.0));
    });
    double moved = 0, bent = 0;
    auto add = [&](Index at, double unit) {
        const double r = noted_[1][at] - noted_[0][at], v = noted_[2][at] - noted_[1][at] - r;
        moved += r * r / unit;
        bent += v * v / unit;
    };
    for (Index k = 0; k < K; ++k) {
        add(k, 1.0);
        for (Index j = 0; j < d; ++j) add(shape_.total_at() + k * shape_.total_size() + j, variance[j]);
    }
    each_second(shape_, [&](Index at, Index i, Index j, Index k) {
        const bool again = k > 0 && shape_.geometry == Geometry::tied;
        if (!again && !(shape_.geometry == Geometry::spherical && i > 0)) add(at, variance[i] * variance[j]);
    });
    return std::sqrt(moved / bent);
}

bool Extrapolation::is_usable(const double* leaf) const {
    for (std::size_t i = 0; i < noted_[0].size(); ++i) {
        if (!std::isfinite(leaf[i])) return false;
    }
    for (Index k = 0; k < shape_.n_components; ++k) {
        if (!(leaf[k] > least_share * noted_[2][k])) return false;
    }
    return true;
}

}  // namespace mixtura
