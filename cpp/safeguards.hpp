// What keeps small components usable.
#pragma once

#include "kernel.hpp"
#include "memory.hpp"

namespace mixtura {

// Adds a few pseudo-rows of the pooled within-component scatter about each mean: a rough start may
// give a component fewer rows than dimensions. weight (K,) and total (K, p) as in a leaf. The tied
// geometry pools its scatter anyway and is left as it is.
void soften(const Shape& shape, double* weight, double* total);

// Tells which covariances sit on the bound that keeps the likelihood finite: they touch the floor F
// with Sigma >= F, or are not positive definite. Everything in the geometry's layout.
class FloorTest {
  public:
    // Covariances below `times` the floor count. Without a floor (null) only singular ones do.
    FloorTest(Geometry geometry, Index n_features, const double* floor, double times = 1.0);

    bool touches(const double* covariance, const double* factor);

  private:
    Index d_, size_;  // features; numbers of a covariance
    const double* floor_;
    double least_;  // eigenvalues of F^-1 Sigma up to here count
    Buffer factor_, work_;
};

}  // namespace mixtura
