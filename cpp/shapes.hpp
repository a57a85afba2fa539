// What the files of the M step share: the problem of one call, its loops and bounds.

#pragma once

#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#include "m_step.hpp"

namespace mixtura {

// A floor given as exact bound is met up to this relative rounding.
inline constexpr double kFloorSlack = 1e-12;

// From here on components are spread over threads: below, a thread costs more than it brings.
inline constexpr Index kThreadsFrom = 48;

// One M step after the means are known.
struct MStepProblem {
    Index K, d;
    const double* n;          // (K,) weight; 0 for a component that keeps what it has
    double n_total;           // sum of n
    const double* scatter;    // W_k: (K, size), or (1, d * d) when tied
    const double* previous;   // or nullptr
    const double* floor;      // or nullptr
    int max_inner;
    double inner_tol;
    int n_threads;
    double* covariances;      // out; only components with n > 0 are written
    Workspace& workspace;
    bool approximate = false;  // out: the step may end below Q of `previous`

    bool live(Index k) const { return n[k] > 0.0; }
    const double* W(Index k) const { return scatter + k * d * d; }
    double* sigma(Index k) const { return covariances + k * d * d; }
    bool threaded() const { return n_threads > 1 && d >= kThreadsFrom && K > 1; }
};

// Call work(k, scratch) for every live component, on several threads if d is large. `scratch` holds
// `size` numbers of the thread's own. Each component is computed by one thread: same bits always.
template <class Work>
void each_live(const MStepProblem& problem, Index size, Work work) {
    if (!problem.threaded()) {
        double* scratch = problem.workspace.take(size);
        for (Index k = 0; k < problem.K; ++k)
            if (problem.live(k)) work(k, scratch);
        return;
    }
    const Index n_threads = problem.n_threads < problem.K ? problem.n_threads : problem.K;
    double* scratch = problem.workspace.take(size * n_threads);
    std::atomic<Index> next{0};
    auto loop = [&](Index thread) {
        for (Index k = next++; k < problem.K; k = next++)
            if (problem.live(k)) work(k, scratch + thread * size);
    };
    std::vector<std::thread> threads;
    try {
        for (Index t = 1; t < n_threads; ++t) threads.emplace_back(loop, t);
    } catch (const std::system_error&) {
        // No more threads to be had: those that run, and this one, do the work.
    }
    loop(0);
    for (std::thread& thread : threads) thread.join();
}

// Inverse Cholesky factors (K, d, d) of dense covariances; NaN where one is not positive definite.
void factor_each(MStepProblem& problem, const double* covariances, double* factors);

// Eigenvalues (K, d), largest first, and eigenvectors (K, d, d), as rows, of the scatters of live
// components; those of others are zero.
void eigen_of_scatters(MStepProblem& problem, double* values, double* axes);

// ---- floor.cpp: Sigma >= F in the Loewner order -------------------------------------------------

// F = l l', and its inverse factor.
struct FloorFactor {
    bool valid = false;
    const double* l = nullptr;
    const double* w = nullptr;
};

FloorFactor factor_floor(MStepProblem& problem);

// sigma >= F up to rounding. `scratch`: d * d numbers.
bool dominates(Index d, const double* sigma, const double* floor, double* scratch);

// Numbers of scratch for `whitened_eigen` and `clip_to_floor`.
Index whiten_scratch(Index d);
Index clip_scratch(Index d);

// Raise the eigenvalues of sigma that are below 1 in the metric of F: the exact maximiser of
// -log det Sigma - tr(S Sigma^-1) over Sigma >= F. NaN where the floor is not positive definite.
void clip_to_floor(Index d, const FloorFactor& floor, double* sigma, double* scratch);

// 1 for live components that do not meet the floor, else 0, (K).
void find_below_floor(MStepProblem& problem, const double* covariances, double* below);

// No live component is below the floor.
bool all_dominate(MStepProblem& problem, const double* covariances);

// Eigenvalues of w a w', largest first, and rows l v_j, so that a = sum values_j rows_j rows_j'.
void whitened_eigen(Index d, const FloorFactor& floor, const double* a, double* values, double* rows,
                    double* scratch);

// ---- spectra.cpp: the same small problems solve diagonal shapes and eigenvalues ------------------

// Rows of non-negative numbers s (K, m), the diagonals of scatters in fixed axes.
struct Spectra {
    Index K, m;
    const double* n;      // (K,) 0: left out
    const double* s;      // (K, m)
    const double* floor;  // (m,) lower bounds of the result, or nullptr
    int max_inner;
    double inner_tol;
};

// v_kj = volume_k * shape_j minimising sum_k sum_j [n_k log v_kj + s_kj / v_kj], v_kj >= floor_j.
// `start` (m,) is the first shape, or nullptr. v must not be s.
// `scratch` holds spectra_scratch(K, m) numbers.
void proportional_spectra(const Spectra& problem, const double* start, double* v, double* scratch);

// The same under: prod_j v_kj is equal for all k.
void equal_volume_spectra(const Spectra& problem, double* v, double* scratch);

Index spectra_scratch(Index K, Index m);

// ---- previous covariances (the last one: previous.cpp) -------------------------------------------

// The live component with the smallest determinant in `previous`, or -1 (none, or not definite).
// In a shape with a common part, that part can be read from it, at its smallest volume.
Index smallest_previous_matrix(MStepProblem& problem);
Index smallest_previous_diagonal(const MStepProblem& problem);

// Take `previous` back where Q is higher there than at p.covariances, if it has the shape and meets
// the floor. Dense shapes; `maximise` is the M step of the shape.
void keep_better_previous(MStepProblem& problem, void (*maximise)(MStepProblem&));

// ---- level.cpp: floors of shapes that only rotations leave in place -------------------------------

// Fill p.covariances with the shape's step under "all eigenvalues >= level".
using LevelSolver = void (*)(MStepProblem& problem, double level, void* state);

// Run `solve` at level 0 or, where that violates Sigma_k >= F, at the smallest level that does not.
// What is guaranteed is said at the definition.
void solve_above_floor(MStepProblem& problem, LevelSolver solve, void* state);

// ---- the shapes --------------------------------------------------------------------------------

void maximise_eii(MStepProblem&);
void maximise_vii(MStepProblem&);
void maximise_eei(MStepProblem&);
void maximise_vei(MStepProblem&);
void maximise_evi(MStepProblem&);
void maximise_vvi(MStepProblem&);
void maximise_eee(MStepProblem&);
void maximise_eve(MStepProblem&);
void maximise_vee(MStepProblem&);
void maximise_vve(MStepProblem&);
void maximise_eev(MStepProblem&);
void maximise_vev(MStepProblem&);
void maximise_evv(MStepProblem&);
void maximise_vvv(MStepProblem&);

}  // namespace mixtura
