// Sums over rows for one of many jobs, as a single pass has them.
#pragma once

#include <algorithm>

#include "run_room.hpp"
#include "team.hpp"

namespace mixtura {

class RowSums {
  public:
    RowSums(Team& team, Watch* watch) : team_(team), watch_(watch) {}

    // Sums leaves of all chunks of so many rows into the leaf of the room, in the tree of a single
    // pass. False when the team was stopped.
    template <class Fill>
    bool reduce(Room& room, Index n_rows, Fill fill) {
        const Index n_chunks = (n_rows + chunk_rows - 1) / chunk_rows;
        for (Index chunk = 0; chunk < n_chunks; ++chunk) {
            const Span span{chunk * chunk_rows, std::min(chunk_rows, n_rows - chunk * chunk_rows)};
            if (must_stop(span.count)) return false;
            if (n_chunks == 1) {
                fill(span, room.leaf.get());
                return true;
            }
            Buffer leaf = room.tree.take_buffer();
            fill(span, leaf.get());
            room.tree.add(0, chunk, std::move(leaf));
        }
        Buffer all = room.tree.collapse();
        std::copy(all.get(), all.get() + room.shape.leaf_size(), room.leaf.get());
        room.tree.recycle(std::move(all));
        return true;
    }

  private:
    bool must_stop(Index n_rows) {
        rows_since_question_ += n_rows;
        if (rows_since_question_ < rows_between_questions) return false;
        rows_since_question_ = 0;
        return team_.stopped(watch_);
    }

    // Rows after which a thread asks whether to go on.
    static constexpr Index rows_between_questions = 8192;

    Team& team_;
    Watch* watch_;
    Index rows_since_question_ = 0;
};

}  // namespace mixtura
