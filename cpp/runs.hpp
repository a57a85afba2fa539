// Whole runs of EM, many at a time, for data in memory: starts, folds, covariance shapes and numbers
// of components are jobs that share the rows. Every step is made by the functions of a single pass
// and a single M step; here is only what goes around them.
#pragma once

#include <cstdint>

#include "kernel.hpp"
#include "m_step.hpp"

namespace mixtura {

// The rows in units that some of the families share.
struct RunView {
    Matrix x;
    const double* origin;  // (d) about which the first moments of a partition are taken
};

// What runs of one family share.
struct RunFamily {
    const ShapeInfo* shape;
    Index view;           // in which it sees the rows
    const double* floor;  // in the geometry's layout, or null
};

// A mixture as one run of numbers: weights (K), which sum to one, means (K, d), then covariances and
// factors in the layout and with the leading axis (K or 1) of the shape.
Index record_size(const ShapeInfo& shape, Index n_components, Index n_features);

enum class RunStatus : std::int32_t {
    max_iter = 0,    // the iterations ran out
    converged = 1,   // the gain still to come is below the tolerance
    fell = 2,        // the objective fell by more than rounding: the mixture before is kept
    degenerate = 3,  // a component was left without rows, or its covariance was singular
    behind = 4,      // given up: it would not have reached its goal
};

// Jobs of one unit are done by one thread, one after the other: those that begin with the same
// partition share its moments, and what a run reached is a goal for later ones of the same family,
// number of components and fold.
struct RunJob {
    Index family;
    Index n_components;
    std::int32_t fold;           // rows of this fold take no part; -1: all do
    std::int32_t unit;           // jobs of a unit stand together
    const std::int32_t* labels;  // (n), -1: not counted: a partition to start from; or null, then
    const double* start;         // the record of a mixture to start from
    double goal;                 // log-likelihood that is known to be reached, or -infinity
    double* result;              // a record
    double* objective;           // log-likelihood of the result in nats
    double* gain;                // how much of it the second half of the M steps brought
    std::int32_t* n_iter;        // M steps
    RunStatus* status;
    std::int32_t* n_boundary;    // components near the floor
};

struct RunRules {
    const RunFamily* families;
    Index n_families, n_features;
    int max_iter;
    double tol;            // nats per unit of weight
    int max_inner;         // inner iterations of an M step; few of them still raise the likelihood
    double trust;          // times its gain that a run is trusted to gain yet; infinity: none is given up
    double near;           // components below so many times the floor count as near it
    bool accelerate;       // runs that crawl take longer steps
};

// The rows of all jobs, at least one view of them; `weights` (n) or null, `folds` (n), or null when no
// job leaves rows out.
struct RunRows {
    const RunView* views;
    Index n_views;
    const double* weights;
    const std::int32_t* folds;
};

// The same results for any number of threads.
void em_runs(const RunRules& rules, const RunRows& rows, const RunJob* jobs, Index n_jobs,
             const Execution& how);

}  // namespace mixtura
