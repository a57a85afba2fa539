// M steps of EEV and VEV: own axes per component, equal or proportional eigenvalues.
//
// Given the eigenvalues, the best axes of component k are the eigenvectors of W_k, both sorted alike.

#include <algorithm>

#include "lapack.hpp"
#include "shapes.hpp"

namespace mixtura {

namespace {

struct Eigen {
    double* values;   // (K, d) of W_k, largest first, >= 0
    double* axes;     // (K, d, d) rows
    double* bound;    // (d,)
    double* result;   // (K, d)
    double* scratch;  // of the spectra
    const double* start;
};

Eigen decompose(MStepProblem& p) {
    const Index d = p.d, size = d * d;
    Eigen eigen{p.workspace.take(p.K * d), p.workspace.take(p.K * size), p.workspace.take(d),
                p.workspace.take(p.K * d), p.workspace.take(spectra_scratch(p.K, d)), nullptr};
    each_live(p, size + eigen_scratch(d), [&](Index k, double* scratch) {
        double* values = eigen.values + k * d;
        std::copy(p.W(k), p.W(k) + size, scratch);
        symmetric_eigen(d, scratch, values, eigen.axes + k * size, scratch + size);
        for (Index j = 0; j < d; ++j) values[j] = std::max(values[j], 0.0);
    });
    return eigen;
}

// Sigma_k from rows of eigenvalues, `stride` apart.
void assemble(MStepProblem& p, const Eigen& eigen, const double* values, Index stride) {
    each_live(p, p.d, [&](Index k, double* scratch) {
        sum_of_outer_products(p.d, values + k * stride, eigen.axes + k * p.d * p.d, p.sigma(k),
                              scratch);
    });
}

void solve_eev(MStepProblem& p, double level, void* state) {
    const Eigen& eigen = *static_cast<Eigen*>(state);
    for (Index j = 0; j < p.d; ++j) {
        double sum = 0.0;
        for (Index k = 0; k < p.K; ++k)
            if (p.live(k)) sum += eigen.values[k * p.d + j];
        eigen.result[j] = std::max(sum / p.n_total, level);
    }
    assemble(p, eigen, eigen.result, 0);
}

void solve_vev(MStepProblem& p, double level, void* state) {
    const Eigen& eigen = *static_cast<Eigen*>(state);
    std::fill(eigen.bound, eigen.bound + p.d, level);
    const double* bound = level > 0.0 ? eigen.bound : nullptr;
    proportional_spectra({p.K, p.d, p.n, eigen.values, bound, p.max_inner, p.inner_tol}, eigen.start,
                         eigen.result, eigen.scratch);
    assemble(p, eigen, eigen.result, p.d);
}

}  // namespace

void maximise_eev(MStepProblem& p) {
    Eigen eigen = decompose(p);
    solve_above_floor(p, solve_eev, &eigen);
}

void maximise_vev(MStepProblem& p) {
    Eigen eigen = decompose(p);
    const Index k = smallest_previous_matrix(p), d = p.d;
    if (k >= 0) {  // the common eigenvalues, for a start from which Q cannot fall
        double* values = p.workspace.take(d + 2 * d * d);
        double* copy = values + d;
        std::copy(p.previous + k * d * d, p.previous + (k + 1) * d * d, copy);
        symmetric_eigen(d, copy, values, copy + d * d, p.workspace.take(eigen_scratch(d)));
        eigen.start = values;
    }
    solve_above_floor(p, solve_vev, &eigen);
}

}  // namespace mixtura
