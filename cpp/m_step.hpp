// M step of Gaussian mixtures in the 14 covariance shapes of Celeux and Govaert (1995).
//
// Sigma_k = volume_k * orientation_k shape_k orientation_k', each part equal (E) or variable (V)
// over the components, or the identity (I). Statistics go in, means, covariances and their inverse
// Cholesky factors come out. No data, no global state: safe to call from many threads.

#pragma once

#include <string_view>

#include "kernel.hpp"
#include "small_linalg.hpp"
#include "workspace.hpp"

namespace mixtura {

// Doubles of one covariance (or factor): d * d, d or 1.
Index covariance_size(Geometry geometry, Index d);

// Doubles of one row of `total`, and of `shared`.
Index total_size(Geometry geometry, Index d);
Index shared_size(Geometry geometry, Index d);

struct MStepProblem;

// One of the 14 shapes: a row of the table of shapes.
struct ShapeInfo {
    std::string_view name;
    Geometry geometry;
    bool one_for_all;                  // covariances have leading axis 1
    bool goes_on;                      // no closed form: the step goes on from the last covariances
    void (*maximise)(MStepProblem&);   // scatter -> covariances
};

// The shape of that name, or nullptr.
const ShapeInfo* find_shape(std::string_view name);

struct MStepInput {
    Index n_components;
    Index n_features;
    const double* weight;               // (K,) sum of w r
    const double* total;                // (K, p) first and second moments about the centres
    const double* shared;               // (q,) pooled scatter of the tied geometry
    const double* centres;              // (K, d)
    const double* previous = nullptr;   // covariances of the last iteration, or nullptr
    const double* floor = nullptr;      // F with Sigma_k >= F, in the geometry's layout, or nullptr
    int max_inner = 200;                // inner iterations of VEI VEE VEV EVE VVE
    double inner_tol = 1e-12;           // their least gain, nats per unit of weight
    int n_threads = 1;                  // used when d is large
};

struct MStepOutput {
    double* means;        // (K, d)
    double* covariances;  // (K or 1, size)
    double* factors;      // (K or 1, size): W with W Sigma W' = I; NaN where Sigma is singular
};

// Maximise Q = -1/2 sum_k [n_k log det Sigma_k + tr(W_k Sigma_k^-1)] over the shape and Sigma_k >= F.
//
// W_k is the scatter about the new mean. A component without weight keeps centre and previous
// covariance. Returns -1, or the first such component when there is no previous covariance to keep;
// then the output is not complete.
Index m_step(const ShapeInfo& shape, const MStepInput& input, const MStepOutput& output,
             Workspace& workspace);

// Inverse Cholesky factors of `count` covariances; NaN where not positive definite.
// log_determinants may be nullptr. `scratch` holds d * d numbers for dense matrices.
void cholesky_factors(Geometry geometry, Index count, Index d, const double* covariances,
                      double* factors, double* log_determinants, double* scratch);

}  // namespace mixtura
