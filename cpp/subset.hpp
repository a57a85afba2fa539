// The rows that a job of many uses.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "kernel.hpp"

namespace mixtura {

inline double number_at(const Matrix& m, Index row, Index column) {
    const char* p = m.data + row * m.row_stride + column * m.column_stride;
    if (m.single_precision) {
        float value;
        std::memcpy(&value, p, sizeof value);
        return value;
    }
    double value;
    std::memcpy(&value, p, sizeof value);
    return value;
}

// The rows of a job: all of them, or a copy of those outside of one fold. Few rows are copied in any
// case, column by column, which is how passes want them: many passes follow.
class Subset {
  public:
    Subset(const Matrix& x, const double* weights, const std::int32_t* folds)
        : all_{x, weights, nullptr}, folds_(folds) {
        take(-1);
    }

    void leave_out(std::int32_t fold) {
        if (fold != fold_) take(fold);
    }
    const Rows& rows() const { return rows_; }
    Index original(Index n) const { return place_.empty() ? n : place_[n]; }  // where row n came from

    // How many rows the data stand for: rows with weight, or the sum of weights if that is more.
    double n_rows() const { return n_rows_; }

  private:
    void take(std::int32_t fold) {
        fold_ = fold;
        rows_ = {all_.x, all_.weights, nullptr};
        place_.clear();
        if (fold >= 0 || all_.x.n_rows * all_.x.n_columns <= most_copied_numbers) copy_others();
        double positive = 0, mass = 0;
        for (Index n = 0; n < rows_.x.n_rows; ++n) {
            const double w = rows_.weights ? rows_.weights[n] : 1.0;
            positive += w > 0;
            mass += w;
        }
        n_rows_ = std::max(positive, mass);
    }
    void copy_others() {
        const Index d = all_.x.n_columns;
        weights_.clear();
        for (Index n = 0; n < all_.x.n_rows; ++n) {
            if (fold_ >= 0 && folds_[n] == fold_) continue;
            place_.push_back(n);
            if (all_.weights) weights_.push_back(all_.weights[n]);
        }
        const Index step = sizeof(double), count = static_cast<Index>(place_.size());
        x_.resize(static_cast<std::size_t>(count * d));
        for (Index j = 0; j < d; ++j) {
            for (Index n = 0; n < count; ++n) x_[j * count + n] = number_at(all_.x, place_[n], j);
        }
        rows_.x = {reinterpret_cast<const char*>(x_.data()), count, d, step, count * step, false};
        rows_.weights = all_.weights ? weights_.data() : nullptr;
    }

    static constexpr Index most_copied_numbers = 1 << 16;
    Rows all_;
    const std::int32_t* folds_;
    std::int32_t fold_;
    Rows rows_;
    double n_rows_;
    std::vector<double> x_, weights_;
    std::vector<Index> place_;
};

}  // namespace mixtura
