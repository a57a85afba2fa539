// What runs tell: partitions of the rows from which others may start, and how certain they are.
#pragma once

#include <cstdint>

#include "runs.hpp"

namespace mixtura {

// Partitions of one run: into as many groups, one more (a wide component split) and one fewer (two
// that overlap merged). Groups are named by their first rows.
struct TellingRun {
    Index family, n_components;
    const double* record;
    Index n_splits, n_merges;     // at most so many of each
    std::int32_t* same;           // (n)
    std::int32_t* more;           // (n_splits, n)
    std::int32_t* fewer;          // (n_merges, n)
    std::int32_t *n_more, *n_fewer;  // how many there are
};

// z (n, n_space): the rows in a space in which squared distances mean something. The same results
// for any number of threads.
void partitions_of_runs(const RunRules& rules, const RunRows& rows, const double* z, Index n_space,
                        std::uint64_t seed, const TellingRun* runs, Index n_runs,
                        const Execution& how);

// Of a mixture, over all rows by weight: log-likelihood, sum of the logarithms of the largest
// responsibilities, and entropy of the responsibilities, in nats.
struct CertainRun {
    Index family, n_components;
    const double* record;
    double* sums;  // (3)
};

void certainty_of_runs(const RunRules& rules, const RunRows& rows, const CertainRun* runs,
                       Index n_runs, const Execution& how);

}  // namespace mixtura
