// The tree in which statistics merge.
//
// Leaves are numbered; two neighbours (2i, 2i + 1) of one level merge into node i of the next.
// What is left at the end merges from the last node backwards. Which sums are formed depends on
// the number of leaves only, not on the order in which they arrive, and addition commutes: so the
// result is the same to the bit for any number of threads. Any full node may be added as a whole,
// and so may the last, incomplete one.
#pragma once

#include <vector>

#include "kernel.hpp"
#include "memory.hpp"

namespace mixtura {

class MergeTree {
  public:
    explicit MergeTree(Index size) : size_(size) {}

    // An array for the next leaf: a used one if there is any.
    Buffer take_buffer();

    // Adds node `index` of `level`, where level 0 has the leaves.
    void add(int level, Index index, Buffer values);

    // Adds a node whose values were merged elsewhere; returns false, and leaves `values` alone,
    // when its sibling is there: then `sibling` is handed over to be merged by the caller.
    bool try_add(int level, Index index, Buffer& values, Buffer& sibling);

    void recycle(Buffer values) { spare_.push_back(std::move(values)); }

    // Merges what is left. The tree must hold at least one node, and is empty afterwards.
    Buffer collapse();

    void merge(double* into, const double* from) const;

  private:
    struct Node {
        int level;
        Index index;
        Buffer values;
        Index first_leaf() const { return index << level; }
    };
    Index size_;
    std::vector<Node> nodes_;
    std::vector<Buffer> spare_;
};

}  // namespace mixtura
