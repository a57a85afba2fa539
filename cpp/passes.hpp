// Passes over all rows, whatever is done with a chunk of them.
#pragma once

#include <functional>

#include "kernel.hpp"

namespace mixtura {

// Rows, and what they take, roughly: for the choice of threads only.
struct Work {
    Index n_rows;
    double seconds_per_row;
    double seconds(Index rows) const { return double(rows) * seconds_per_row; }
};

// Does a chunk; made once per thread, by that thread.
using ChunkTask = std::function<void(Span)>;
using LeafTask = std::function<void(Span, double* leaf)>;

// Calls a task for every chunk, in any order.
void for_each_chunk(const Work&, const Execution&, const std::function<ChunkTask()>& make_task);

// Sums the leaves of all chunks in the fixed tree.
void reduce(const Work&, Index leaf_size, const Execution&,
            const std::function<LeafTask()>& make_task, double* statistics);

// Throws std::invalid_argument if a label is not in -1 .. n_components-1.
void check_labels(const std::int32_t* labels, Index n_rows, Index n_components);

}  // namespace mixtura
