#include "merge_tree.hpp"

#include <algorithm>
#include <utility>

namespace mixtura {

Buffer MergeTree::take_buffer() {
    if (spare_.empty()) return make_buffer(size_);
    Buffer buffer = std::move(spare_.back());
    spare_.pop_back();
    return buffer;
}

void MergeTree::add(int level, Index index, Buffer values) {
    Buffer sibling;
    while (!try_add(level, index, values, sibling)) {
        merge(values.get(), sibling.get());
        recycle(std::move(sibling));
        ++level;
        index /= 2;
    }
}

bool MergeTree::try_add(int level, Index index, Buffer& values, Buffer& sibling) {
    for (std::size_t i = nodes_.size(); i-- > 0;) {
        if (nodes_[i].level == level && nodes_[i].index == (index ^ 1)) {
            sibling = std::move(nodes_[i].values);
            std::swap(nodes_[i], nodes_.back());
            nodes_.pop_back();
            return false;
        }
    }
    nodes_.push_back({level, index, std::move(values)});
    return true;
}

Buffer MergeTree::collapse() {
    std::sort(nodes_.begin(), nodes_.end(), [](const Node& a, const Node& b) {
        return a.first_leaf() < b.first_leaf();
    });
    while (nodes_.size() > 1) {
        merge(nodes_[nodes_.size() - 2].values.get(), nodes_.back().values.get());
        recycle(std::move(nodes_.back().values));
        nodes_.pop_back();
    }
    Buffer result = std::move(nodes_.back().values);
    nodes_.clear();
    return result;
}

void MergeTree::merge(double* into, const double* from) const {
    for (Index i = 0; i < size_; ++i) into[i] += from[i];
}

}  // namespace mixtura
