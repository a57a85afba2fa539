// Floors of EEV, VEV, EVE and VVE.
//
// These shapes fix axes or eigenvalues across components, so the floor F cannot be made the identity
// without leaving the shape. Where the free step violates Sigma_k >= F, the step is taken under
// "all eigenvalues >= t" instead, with the smallest t that meets F. The condition Sigma_k >= t I is
// natural to these shapes: for given t the step is exact (EEV, VEV) or ends in a local optimum of
// the axes (EVE, VVE). If F is a multiple of I, t is that multiple, and the step is the exact one.
//
// Guaranteed: Sigma_k >= F; and where the floor does not act, the free step to the bit.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lapack.hpp"
#include "shapes.hpp"

namespace mixtura {

namespace {

constexpr int kBisections = 12;

// Smallest and largest eigenvalue.
void extreme_eigenvalues(MStepProblem& p, const double* matrix, double& least, double& largest) {
    const Index d = p.d;
    double* copy = p.workspace.take(2 * d * d + d);
    std::copy(matrix, matrix + d * d, copy);
    double* values = copy + d * d;
    symmetric_eigen(d, copy, values, values + d, p.workspace.take(eigen_scratch(d)));
    largest = values[0];
    least = values[d - 1];
}

}  // namespace

void solve_above_floor(MStepProblem& p, LevelSolver solve, void* state) {
    solve(p, 0.0, state);
    if (p.floor == nullptr || all_dominate(p, p.covariances)) return;
    p.approximate = true;
    double low = 0.0, high = 0.0, solved = 0.0;
    extreme_eigenvalues(p, p.floor, low, high);
    low = std::max(low, high * std::numeric_limits<double>::epsilon());
    // A level of `high` meets F whatever the axes; one below `low` does nothing for F.
    for (int i = 0; i < kBisections && low < (1.0 - 1e-9) * high; ++i) {
        const double middle = std::sqrt(low) * std::sqrt(high);
        solve(p, solved = middle, state);
        (all_dominate(p, p.covariances) ? high : low) = middle;
    }
    if (solved != high) solve(p, high, state);
}

}  // namespace mixtura
