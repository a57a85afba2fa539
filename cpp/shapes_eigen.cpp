// M steps of EEV and VEV: own axes per component, equal or proportional eigenvalues.
//
// Given the eigenvalues, the best axes of component k are the eigenvectors of W_k, both sorted alike.

#include <algorithm>
#include <vector>

#include "lapack.hpp"
#include "shapes.hpp"

namespace mixtura {

void eigen_of_scatters(MStepProblem& p, double* values, double* axes) {
    const Index d = p.d, size = d * d;
    std::fill(values, values + p.K * d, 0.0);
    if (p.threaded()) {
        each_live(p, size + eigen_scratch(d), [&](Index k, double* scratch) {
            symmetric_eigen_of_each(d, 1, &k, p.scatter, values, axes, scratch);
        });
        return;
    }
    std::vector<Index> live;
    for (Index k = 0; k < p.K; ++k)
        if (p.live(k)) live.push_back(k);
    symmetric_eigen_of_each(d, static_cast<Index>(live.size()), live.data(), p.scatter, values, axes,
                            p.workspace.take(size + eigen_scratch(d)));
}

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
    const Index d = p.d;
    Eigen eigen{p.workspace.take(p.K * d), p.workspace.take(p.K * d * d), p.workspace.take(d),
                p.workspace.take(p.K * d), p.workspace.take(spectra_scratch(p.K, d)), nullptr};
    eigen_of_scatters(p, eigen.values, eigen.axes);
    for (Index i = 0; i < p.K * d; ++i) eigen.values[i] = std::max(eigen.values[i], 0.0);
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
