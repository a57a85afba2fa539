// The data pass of Gaussian mixtures: what goes in, what comes out, and the table of functions
// that each instruction set fills in. Nothing here knows Python.
#pragma once

#include <cstddef>
#include <cstdint>

namespace mixtura {

using Index = std::ptrdiff_t;

// Rows per leaf of the tree in which statistics merge. The same number as in Python's tree_sum.
constexpr Index chunk_rows = 1024;

enum class Geometry { dense = 0, tied = 1, diagonal = 2, spherical = 3 };

struct Shape {
    Geometry geometry;
    Index n_components;
    Index n_features;

    Index triangle() const { return n_features * (n_features + 1) / 2; }

    // Numbers that describe one covariance factor, and how many factors there are.
    Index factor_size() const {
        if (geometry == Geometry::diagonal) return n_features;
        return geometry == Geometry::spherical ? 1 : n_features * n_features;
    }

    // One row of `total`: first moments, then the scatter of the component.
    Index total_size() const {
        switch (geometry) {
            case Geometry::dense: return n_features + triangle();
            case Geometry::tied: return n_features;
            case Geometry::diagonal: return 2 * n_features;
            default: return n_features + 1;
        }
    }
    Index shared_size() const { return geometry == Geometry::tied ? triangle() : 0; }

    // A leaf: weight (K), total (K, p), shared (q), log-likelihood, entropy, mass.
    Index total_at() const { return n_components; }
    Index shared_at() const { return n_components * (1 + total_size()); }
    Index scalars_at() const { return shared_at() + shared_size(); }
    Index leaf_size() const { return scalars_at() + 3; }
};

// Rows of float64 or float32 numbers anywhere in memory; strides in bytes, of any sign.
struct Matrix {
    const char* data;
    Index n_rows, n_columns;
    Index row_stride, column_stride;
    bool single_precision;
};

struct Rows {
    Matrix x;
    const double* weights;       // (n), or null: all one
    const std::int32_t* labels;  // (n), -1 unknown, or null
};

struct Model {
    Shape shape;
    const double* log_weights;  // (K) nats, -inf for an empty component, or null: all zero
    const double* means;        // (K, d)
    const double* factors;      // lower triangles (K or 1, d, d), or 1/sd as (K or 1, d), (K or 1)
    Index n_factors;            // K, or 1 when all components share one
};

// Whether passes may leave out components for rows to which they cannot matter; on unless switched
// off, which is for tests and measurements.
void allow_skipping(bool allowed);

// Stands for log2 of zero, so that differences of log-densities stay finite. Log-densities of
// components that are not empty lie far above.
constexpr double impossible = -1e307;

// A model in the units and order of the inner loops. In base 2: with the factor multiplied by
// sqrt(log2(e)/2), log2 of a weighted density is constant - |factor (x - mean)|^2.
struct Plan {
    Shape shape;
    const double* means;      // (K, d); zeros for empty components
    const double* constants;  // (K) log2 of weight * det(factor) * (2 pi)^(-d/2), or `impossible`
    const double* factors;    // packed by the variant
    bool skipping = false;    // whether components may be left out where they cannot matter
};

// Plain scaled numbers from which a variant packs.
struct ScaledModel {
    Shape shape;
    const double* means;
    const double* factors;  // as in Model, scaled to base 2, one per component unless tied
    const double* constants;  // as in Plan
    bool skipping;            // whether components may be left out for rows they cannot matter to
};

// Where scores go; null pointers are left out.
struct Scores {
    double* log_density;      // (n) nats
    double* responsibilities; // (n, K)
    std::int64_t* labels;     // (n)
    double* components;       // (n, K) nats, log-density of each component
};

struct Span {
    Index first, count;
};

struct LinearShape;  // linear.hpp
struct LinearPlan;
struct LinearRows;

// The functions of one instruction set. A chunk is at most `chunk_rows` rows; `scratch` holds
// scratch_size numbers, aligned to 128 bytes, and is owned by the calling thread.
struct Variant {
    const char* name;
    Index (*packed_size)(const Shape&);
    void (*pack)(const ScaledModel&, double* packed);
    Index (*scratch_size)(const Shape&);
    void (*em_chunk)(const Plan&, const Rows&, Span, double* scratch, double* leaf);
    void (*score_chunk)(const Plan&, const Rows&, Span, double* scratch, const Scores&);
    void (*accumulate_chunk)(const Plan&, const Rows&, const Matrix& responsibilities, Span,
                             double* scratch, double* leaf);
    double (*multiply_add)(Index repeats);  // returns the number of operations done
    Index lanes;                            // numbers in a vector
    Index (*linear_scratch_size)(const LinearShape&);
    // These return the first row of the chunk with a code out of range, or -1.
    Index (*linear_chunk)(const LinearPlan&, const LinearRows&, Span, double* scratch,
                          double* leaf);
    Index (*linear_score_chunk)(const LinearPlan&, const LinearRows&, Span, double* scratch,
                                const Scores&);
    // Eigenvalues, largest first, and eigenvectors as rows of symmetric (d, d) matrices at the places
    // `at` (or 0, 1, ..), put at the same places of `values` (.., d) and `vectors` (.., d, d); and
    // inverse Cholesky factors, NaN where a pivot is below `tolerance` times its diagonal entry. Each
    // matrix has the bits that it has alone. For d from 2 to most_lane_features.
    void (*eigen_of_each)(Index d, Index count, const Index* at, const double* matrices,
                          double* values, double* vectors);
    void (*inverse_factors_of_each)(Index d, Index count, const double* matrices, double tolerance,
                                    double* factors);
};

constexpr Index most_lane_features = 6;

// The variants compiled in that this machine can run, the best one first, null at the end.
const Variant* const* variants();

// The one in use; the best one unless another was chosen.
const Variant& variant_in_use();
void use_variant(const Variant& variant);

// How a pass is carried out.
struct Execution {
    const Variant* variant;
    int n_threads;
    bool (*interrupted)(void*);  // asked about every 50 ms by the calling thread, or null
    void* context;
};

// The functions below throw Interrupted when `interrupted` said so, std::invalid_argument when
// the model is not usable, std::bad_alloc. `statistics` is a leaf of shape.leaf_size() numbers.
struct Interrupted {};
void em_pass(const Model&, const Rows&, const Execution&, double* statistics);
void score(const Model&, const Rows&, const Execution&, const Scores&);
void accumulate(const Shape&, const double* means, const Rows&, const Matrix& responsibilities,
                const Execution&, double* statistics);
double peak_gflops(const Variant&, int n_threads);

}  // namespace mixtura
