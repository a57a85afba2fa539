// Model-based agglomeration of rows into groups with covariances of their own: starting points of
// EM for every number of components at once.
#pragma once

#include <cstdint>

#include "kernel.hpp"

namespace mixtura {

// Rows (n, d), contiguous, in a space in which they have unit variance or so; weights (n), all
// positive, or null: all one. Result: merges (n - 1, 2), each of two groups, named by their first
// rows; the second then goes by the name of the first. The first n - K of them leave K groups.
//
// Every merge is the one that raises least
//     sum_k n_k log det((W_k + softness I) / n_k),
// n_k the weight and W_k the scatter of group k: the classification likelihood of Gaussian groups
// with unlike covariances (Fraley 1998, SIAM Journal on Scientific Computing 20, 270-281), kept
// finite by a pseudo-scatter where groups have fewer rows than dimensions. Of equal merges the one
// with the earliest rows is made. Takes n * n / 2 numbers of memory.
void hierarchy(const double* rows, const double* weights, Index n_rows, Index n_features,
               double softness, const Execution& how, std::int32_t* merges);

}  // namespace mixtura
