// Whole runs of EM, many at a time, for data in memory: starts, folds and numbers of components
// are jobs that share the rows. Every step is made by the functions of a single pass and a single
// M step; here is only what goes around them.
#pragma once

#include <cstdint>

#include "kernel.hpp"
#include "m_step.hpp"

namespace mixtura {

// Two gains in a row below this fraction of the tolerance end a run, whatever their sign.
constexpr double negligible_gain = 1e-4;

// Arrays of a mixture. `weights` sum to one; covariances and factors have the layout and leading
// axis (K or 1) of their shape.
template <class T>
struct MixtureArrays {
    T *weights, *means, *covariances, *factors;
};

enum class RunStatus : std::int32_t {
    max_iter = 0,    // the iterations ran out
    converged = 1,   // the gain still to come is below the tolerance
    fell = 2,        // the objective fell by more than rounding: the mixture before is kept
    degenerate = 3,  // a component was left without rows, or its covariance was singular
};

struct RunJob {
    Index n_components;
    std::int32_t fold;           // rows of this fold take no part; -1: all do
    const std::int32_t* labels;  // (n), -1: not counted: a partition to start from; or null, then
    MixtureArrays<const double> start;  // a mixture to start from
    MixtureArrays<double> result;
    double* objective;           // log-likelihood of the result in nats
    std::int32_t* n_iter;        // M steps
    RunStatus* status;
    std::int32_t* n_boundary;    // components on the floor
};

struct RunRules {
    const ShapeInfo* shape;
    Index n_features;
    const double* origin;  // (d) about which the first moments of a partition are taken
    const double* floor;   // in the geometry's layout, or null
    int max_iter;
    double tol;            // nats per unit of weight
    int max_inner;         // inner iterations of an M step; few of them still raise the likelihood
};

// Each job is done by one thread: the same results for any number of threads. `folds` (n), or
// null when no job leaves rows out.
void em_runs(const RunRules& rules, const Rows& rows, const std::int32_t* folds,
             const RunJob* jobs, Index n_jobs, const Execution& how);

}  // namespace mixtura
