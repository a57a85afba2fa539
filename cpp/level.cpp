// Floors of EEV, VEV, EVE and VVE.
//
// These shapes fix axes or eigenvalues across components, so the floor F cannot be made the identity
// without leaving the shape. Where the free step violates Sigma_k >= F, the step is taken under
// "all eigenvalues >= t" instead, with the smallest t that meets F. The condition Sigma_k >= t I is
// natural to these shapes: for given t the step is exact (EEV, VEV) or ends in a local optimum of
// the axes (EVE, VVE). If F is a multiple of I, t is that multiple, and the step is the exact one.
//
// Guaranteed: Sigma_k >= F; where the floor does not act, the free step to the bit; and Q is not
// below that of the previous covariances if these have the shape and meet F (else they are kept).

#include <algorithm>
#include <cmath>
#include <limits>

#include "lapack.hpp"
#include "shapes.hpp"

namespace mixtura {

namespace {

constexpr int kBisections = 12;
constexpr double kSameShape = 1e-6;  // relative; far above what a converged inner loop leaves

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

// -2 Q = sum_k n_k log det Sigma_k + tr(W_k Sigma_k^-1); infinite if one is singular.
double loss_of(MStepProblem& p, const double* covariances) {
    const Index d = p.d, size = d * d;
    double* l = p.workspace.take(3 * size);
    double* w = l + size;
    double* product = w + size;
    double loss = 0.0;
    for (Index k = 0; k < p.K; ++k) {
        if (!p.live(k)) continue;
        if (!cholesky(d, covariances + k * size, l)) return std::numeric_limits<double>::infinity();
        loss += p.n[k] * log_determinant_of_factor(d, l);
        invert_lower(d, l, w);
        multiply(d, w, p.W(k), product);
        loss += trace_of_product(d, product, w);
    }
    return loss;
}

// The shape's own step, run on n_k Sigma_k, gives Sigma_k back if and only if that has the shape.
bool has_shape(MStepProblem& p, void (*maximise)(MStepProblem&)) {
    const Index size = p.d * p.d;
    double* scatter = p.workspace.take(p.K * size);
    double* projected = p.workspace.take(p.K * size);
    for (Index k = 0; k < p.K; ++k)
        for (Index i = 0; i < size; ++i) scatter[k * size + i] = p.n[k] * p.previous[k * size + i];
    MStepProblem on_previous = p;
    on_previous.scatter = scatter;
    on_previous.floor = nullptr;
    on_previous.covariances = projected;
    maximise(on_previous);
    for (Index k = 0; k < p.K; ++k) {
        const double* old = p.previous + k * size;
        for (Index i = 0; p.live(k) && i < size; ++i) {
            const double scale = std::sqrt(old[(i / p.d) * (p.d + 1)] * old[(i % p.d) * (p.d + 1)]);
            if (!(std::abs(projected[k * size + i] - old[i]) <= kSameShape * scale)) return false;
        }
    }
    return true;
}

void keep_better_previous(MStepProblem& p, void (*maximise)(MStepProblem&)) {
    if (p.previous == nullptr || !(loss_of(p, p.previous) < loss_of(p, p.covariances))) return;
    if (!all_dominate(p, p.previous) || !has_shape(p, maximise)) return;
    const Index size = p.d * p.d;
    for (Index k = 0; k < p.K; ++k)
        if (p.live(k)) std::copy(p.previous + k * size, p.previous + (k + 1) * size, p.sigma(k));
}

}  // namespace

void solve_above_floor(MStepProblem& p, LevelSolver solve, void* state,
                       void (*maximise)(MStepProblem&)) {
    solve(p, 0.0, state);
    if (p.floor == nullptr || all_dominate(p, p.covariances)) return;
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
    keep_better_previous(p, maximise);
}

}  // namespace mixtura
