// Rough partitions of rows into groups, many of them at a time: starting points of EM.
#pragma once

#include <cstdint>
#include <vector>

#include "kernel.hpp"

namespace mixtura {

// How centres are found: k-means from k-means++ seeds, those seeds as they are, or random rows.
// Each row then goes to the nearest centre.
enum class PartitionMethod { kmeans = 0, seeds = 1, random_rows = 2 };

struct PartitionJob {
    Index n_groups;
    PartitionMethod method;
    std::uint64_t key;  // of the job's random numbers
};

// Rows (n, d), contiguous, in a space in which squared distances mean something; weights (n), or
// null: all one. A row without weight takes no part: its label is -1. Result: labels (n_jobs, n),
// each job by one thread, so the same for any number of threads.
void partitions(const double* rows, const double* weights, Index n_rows, Index n_features,
                const PartitionJob* jobs, Index n_jobs, const Execution& how, std::int32_t* labels);

// Which of some rows belong to the second of two groups by k-means; rows without weight do not.
std::vector<bool> halves(const double* rows, const double* weights, Index n_features,
                         const std::vector<Index>& chosen, std::uint64_t key);

}  // namespace mixtura
