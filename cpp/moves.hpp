// Partitions made of a soft one: components split in two, or merged, or one of each.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "kernel.hpp"

namespace mixtura {

// Responsibilities of n rows for K components, of which the last ones may be fixed: they are neither
// split nor merged. Z: the same rows in a space in which squared distances mean something.
struct SoftPartition {
    Index n_rows, n_components, n_free, n_space;
    const double* responsibilities;  // (n, K)
    const double* weights;           // (n), or null: all one
    const double* z;                 // (n, n_space), not needed where nothing is split
};

// Makes partitions, one after the other; keeps what several of them need.
class Moves {
  public:
    explicit Moves(const SoftPartition& soft);

    // Each row with the component that has most of it. (n) as all labels here.
    const std::vector<std::int32_t>& hard() const { return hard_; }

    // Free components by their scatter in the space, the largest first.
    std::vector<Index> widest() const;

    // Pairs of free components, those that share most rows first.
    std::vector<std::pair<Index, Index>> overlapping() const;

    // One component more: k in two by 2-means, the last of the free ones new; fixed ones move up. False
    // where k has no two rows to be told apart.
    bool split(Index k, std::uint64_t seed, std::int32_t* labels) const;

    // One component fewer: j is part of i < j, and those above j move down.
    void merge(Index i, Index j, std::int32_t* labels) const;

    // As many as before: j is part of i, and half of k gets the name j. False as for `split`.
    bool merge_and_split(Index i, Index j, Index k, std::uint64_t seed, std::int32_t* labels) const;

  private:
    bool halve(Index k, std::int32_t name, std::uint64_t seed, std::int32_t* labels) const;
    double weight(Index row) const { return soft_.weights ? soft_.weights[row] : 1.0; }

    SoftPartition soft_;
    std::vector<std::int32_t> hard_;
};

// Groups named by their first rows: equal partitions get equal labels. Labels lie in 0 .. n_groups - 1.
void rename_groups(Index n_rows, Index n_groups, std::int32_t* labels);

// Rows that two partitions into at most n_groups groups place alike, as far as groups of one can be
// matched with groups of the other: the smaller of both sums over groups of the largest overlap.
Index agreement(Index n_rows, Index n_groups, const std::int32_t* a, const std::int32_t* b);

// Which partitions of a list are told apart from all those before them in it that were told apart
// too: fewer than `alike` rows agree. `chosen` (count) are places in labels (.., n).
std::vector<bool> told_apart(Index n_rows, const std::int32_t* labels, const std::int32_t* n_groups,
                             const std::int32_t* chosen, Index count, double alike);

}  // namespace mixtura
