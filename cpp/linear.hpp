// Mixtures whose log-densities are linear in features of the rows: the data pass of exponential
// families, log p_k(x) = constant_k + eta_k . T(x) + log h(x).
#pragma once

#include "kernel.hpp"

namespace mixtura {

// Plain features are numbers; a column of codes 0, 1, 2, ... stands for as many features, of which
// the one at the place of the code is 1 and the others are 0. Totals have the plain features first,
// then those of each column of codes.
struct LinearShape {
    Index n_components, n_plain, n_codes, n_levels;  // levels of all columns of codes together
    bool has_offsets = false;

    Index total_size() const { return n_plain + n_levels; }
    Index total_at() const { return n_components; }
    Index scalars_at() const { return n_components * (1 + total_size()); }
    Index leaf_size() const { return scalars_at() + 3; }
};

struct LinearModel {
    LinearShape shape;
    const std::int32_t* levels;  // (n_codes)
    const double* constants;     // (K) nats, log of weight less log-normaliser; -inf if empty
    const double* eta;           // (K, total_size)
};

struct LinearRows {
    Matrix plain, codes;
    const double* base;          // (n) log h(x) in nats, or null: all zero
    const double* weights;       // (n), or null: all one
    const std::int32_t* labels;  // (n), -1 unknown, or null
    Matrix offsets;              // (n, K) nats, what other columns add to log p_k, if there are any
    double* responsibilities;    // (n, K) where they go for other columns' sums, times weights; or null
};

// In base 2, and with components side by side for each level; rows of `table` are padded.
struct LinearPlan {
    LinearShape shape;
    const std::int32_t* levels;
    const double* constants;  // (K), `impossible` where a component is empty
    const double* eta;        // (K, n_plain)
    const double* table;      // (n_levels, row_size)
    Index row_size;
};


// Throws as em_pass does; std::out_of_range when a code is none of those of its column.
void linear_pass(const LinearModel&, const LinearRows&, const Execution&, double* statistics);
void linear_score(const LinearModel&, const LinearRows&, const Execution&, const Scores&);

}  // namespace mixtura
