// Longer steps for runs that crawl: squared extrapolation of the statistics between M steps.
//
// EM is a map z -> G(z) of mean statistics, each the E step of the M step of the one before. With
// r = z1 - z0, v = (z2 - z1) - r and the step a = |r| / |v| the proposal is z0 + 2 a r + a^2 v
// (Varadhan and Roland 2008, Scandinavian Journal of Statistics 35, 335-353, scheme S3). An M step of it
// has every covariance shape. A proposal that lowers the likelihood is not taken, and the next one is
// shorter.
#pragma once

#include <vector>

#include "kernel.hpp"

namespace mixtura {

class Extrapolation {
  public:
    explicit Extrapolation(const Shape& shape);

    // A new run.
    void forget();

    // Statistics of one E step, a leaf about these means.
    void note(const double* leaf, const double* means, const double* origin);

    // A leaf about the origin that may be further on the way, where the last three E steps are there
    // and there is something to gain: false if not.
    bool propose(double* leaf);

    // Whether the proposal raised the likelihood. What was noted before is forgotten.
    void judge(bool good);

  private:
    double length() const;
    bool is_usable(const double* leaf) const;

    Shape shape_;
    std::vector<double> noted_[3];  // statistics about the origin, the oldest first
    int n_noted_ = 0;
    double longest_ = 1;
};

}  // namespace mixtura
