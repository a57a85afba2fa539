// Memory for repeated small computations: after the first call nothing is allocated.

#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <vector>

#include "small_linalg.hpp"

namespace mixtura {

// Hands out arrays of doubles that live until `reset`. One per thread; not shared.
class Workspace {
public:
    // n doubles, not initialised.
    double* take(Index n) {
        if (blocks_.empty() || used_ + n > capacity_) grow(n);
        double* result = blocks_.back().get() + used_;
        used_ += n;
        return result;
    }

    // Where we are; `release` gives back what was taken since.
    struct Mark {
        std::size_t blocks;
        Index used;
    };
    Mark mark() const { return {blocks_.size(), used_}; }

    // Nothing to do if another block was begun meanwhile: it is merged at the next reset.
    void release(const Mark& mark) {
        if (mark.blocks == blocks_.size()) used_ = mark.used;
    }

    // Give everything back; keeps one block that holds what was needed so far.
    void reset() {
        if (blocks_.size() > 1) {
            const Index total = total_;
            blocks_.clear();
            total_ = 0;
            grow(total);
        }
        used_ = 0;
    }

private:
    void grow(Index n) {
        capacity_ = std::max({n, Index{256}, total_});
        blocks_.emplace_back(new double[static_cast<std::size_t>(capacity_)]);
        total_ += capacity_;
        used_ = 0;
    }

    std::vector<std::unique_ptr<double[]>> blocks_;
    Index capacity_ = 0;
    Index used_ = 0;
    Index total_ = 0;
};

}  // namespace mixtura
