// Memory of runs, used again from job to job.
#pragma once

#include <map>
#include <tuple>

#include "extrapolation.hpp"
#include "m_step.hpp"
#include "memory.hpp"
#include "merge_tree.hpp"
#include "plan.hpp"
#include "runs.hpp"

namespace mixtura {

// Where the parts of a mixture are.
template <class T>
struct MixtureArrays {
    T *weights, *means, *covariances, *factors;
};

template <class T>
MixtureArrays<T> parts_of(T* record, Index K, Index d, Index covariance_numbers) {
    T* covariances = record + K * (1 + d);
    return {record, record + K, covariances, covariances + covariance_numbers};
}

// What depends on the layout of covariances and the number of components.
struct Room {
    Shape shape;
    Index n_covariances, covariance_numbers, record_numbers;
    PlanStorage plan;
    MergeTree tree;
    Buffer leaf, log_weights, centres, first, second;
    Extrapolation extrapolation;
    Buffer kept_leaf, kept_record;  // where a run was before it took a longer step

    Room(Geometry geometry, bool one_for_all, Index K, Index d, const Variant& variant)
        : shape{geometry, K, d},
          n_covariances(one_for_all ? 1 : K),
          covariance_numbers(n_covariances * covariance_size(geometry, d)),
          record_numbers(K * (1 + d) + 2 * covariance_numbers),
          plan(shape, variant),
          tree(shape.leaf_size()),
          leaf(make_buffer(shape.leaf_size())),
          log_weights(make_buffer(K)),
          centres(make_buffer(K * d)),
          first(make_buffer(record_numbers)),
          second(make_buffer(record_numbers)),
          extrapolation(shape),
          kept_leaf(make_buffer(shape.leaf_size())),
          kept_record(make_buffer(record_numbers)) {}

    MixtureArrays<double> parts(Buffer& record) {
        return parts_of(record.get(), shape.n_components, shape.n_features, covariance_numbers);
    }
    Index numbers() const { return 3 * record_numbers + 7 * shape.leaf_size(); }
};

// Rooms that are kept, as long as they are small, and the memory of passes, which they share: it stays
// in the caches.
class Rooms {
  public:
    Rooms(Index d, const Variant& variant) : d_(d), variant_(variant) {}

    // Earlier rooms may be gone afterwards.
    Room& of(Geometry geometry, bool one_for_all, Index K) {
        const auto key = std::make_tuple(geometry, one_for_all, K);
        const auto found = rooms_.find(key);
        if (found != rooms_.end()) return found->second;
        if (numbers_ > most_numbers) {
            rooms_.clear();
            numbers_ = 0;
        }
        Room& made = rooms_.try_emplace(key, geometry, one_for_all, K, d_, variant_).first->second;
        numbers_ += made.numbers();
        const Index needed = variant_.scratch_size(made.shape);
        if (needed > scratch_numbers_) {
            scratch_ = make_buffer(needed);
            scratch_numbers_ = needed;
        }
        return made;
    }
    double* scratch() { return scratch_.get(); }

  private:
    static constexpr Index most_numbers = 1 << 20;  // 8 MB
    Index d_;
    const Variant& variant_;
    std::map<std::tuple<Geometry, bool, Index>, Room> rooms_;
    Index numbers_ = 0, scratch_numbers_ = 0;
    Buffer scratch_;
};

}  // namespace mixtura
