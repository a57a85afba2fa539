#include "moves.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "partition.hpp"

namespace mixtura {

Moves::Moves(const SoftPartition& soft) : soft_(soft) {
    const Index K = soft.n_components;
    hard_.resize(static_cast<std::size_t>(soft.n_rows));
    for (Index n = 0; n < soft.n_rows; ++n) {
        const double* row = soft.responsibilities + n * K;
        hard_[n] = static_cast<std::int32_t>(std::max_element(row, row + K) - row);
    }
}

std::vector<Index> Moves::widest() const {
    const Index K = soft_.n_components, free = soft_.n_free, d = soft_.n_space;
    std::vector<double> mass(free), squares(free), sums(free * d);
    for (Index n = 0; n < soft_.n_rows; ++n) {
        const double* z = soft_.z + n * d;
        const double square = std::inner_product(z, z + d, z, 0.0);
        for (Index k = 0; k < free; ++k) {
            const double r = soft_.responsibilities[n * K + k] * weight(n);
            mass[k] += r;
            squares[k] += r * square;
            for (Index j = 0; j < d; ++j) sums[k * d + j] += r * z[j];
        }
    }
    for (Index k = 0; k < free; ++k) {
        const double* sum = sums.data() + k * d;
        const double at_least = std::max(mass[k], std::numeric_limits<double>::min());
        squares[k] -= std::inner_product(sum, sum + d, sum, 0.0) / at_least;
    }
    std::vector<Index> order(free);
    std::iota(order.begin(), order.end(), Index{0});
    std::stable_sort(order.begin(), order.end(), [&](Index a, Index b) { return squares[a] > squares[b]; });
    return order;
}

// Scalar products of their columns of responsibilities, relative to their lengths (Ueda et al. 2000).
std::vector<std::pair<Index, Index>> Moves::overlapping() const {
    const Index K = soft_.n_components, free = soft_.n_free;
    std::vector<double> product(free * free);
    for (Index n = 0; n < soft_.n_rows; ++n) {
        const double* r = soft_.responsibilities + n * K;
        for (Index i = 0; i < free; ++i) {
            const double own = r[i] * weight(n);
            for (Index j = 0; j <= i; ++j) product[i * free + j] += own * r[j];
        }
    }
    std::vector<std::pair<Index, Index>> pairs;
    std::vector<double> shared(free * free);
    for (Index i = 0; i < free; ++i) {
        for (Index j = i + 1; j < free; ++j) {
            const double lengths = product[i * (free + 1)] * product[j * (free + 1)];
            shared[i * free + j] = product[j * free + i] /
                                   std::sqrt(std::max(lengths, std::numeric_limits<double>::min()));
            pairs.emplace_back(i, j);
        }
    }
    std::stable_sort(pairs.begin(), pairs.end(), [&](const auto& a, const auto& b) {
        return shared[a.first * free + a.second] > shared[b.first * free + b.second];
    });
    return pairs;
}

bool Moves::split(Index k, std::uint64_t seed, std::int32_t* labels) const {
    const std::int32_t name = static_cast<std::int32_t>(soft_.n_free);
    std::transform(hard_.begin(), hard_.end(), labels, [&](std::int32_t own) {
        return own >= name ? own + 1 : own;
    });
    return halve(k, name, seed, labels);
}

void Moves::merge(Index i, Index j, std::int32_t* labels) const {
    std::transform(hard_.begin(), hard_.end(), labels, [&](std::int32_t own) {
        return static_cast<std::int32_t>(own == j ? i : own > j ? own - 1 : own);
    });
}

bool Moves::merge_and_split(Index i, Index j, Index k, std::uint64_t seed, std::int32_t* labels) const {
    std::replace_copy(hard_.begin(), hard_.end(), labels, static_cast<std::int32_t>(j),
                      static_cast<std::int32_t>(i));
    return halve(k, static_cast<std::int32_t>(j), seed, labels);
}

// The part of group k that is farther from most rows gets the name.
bool Moves::halve(Index k, std::int32_t name, std::uint64_t seed, std::int32_t* labels) const {
    std::vector<Index> own;
    for (Index n = 0; n < soft_.n_rows; ++n) {
        if (hard_[n] == k) own.push_back(n);
    }
    const std::uint64_t key = (seed + static_cast<std::uint64_t>(k)) % (std::uint64_t{1} << 62);
    const std::vector<bool> second = halves(soft_.z, soft_.weights, soft_.n_space, own, key);
    const Index n_second = std::count(second.begin(), second.end(), true);
    if (n_second == 0 || n_second == static_cast<Index>(own.size())) return false;
    for (std::size_t i = 0; i < own.size(); ++i) {
        if (second[i]) labels[own[i]] = name;
    }
    return true;
}

void rename_groups(Index n_rows, Index n_groups, std::int32_t* labels) {
    std::vector<std::int32_t> name(static_cast<std::size_t>(n_groups), -1);
    std::int32_t next = 0;
    for (Index n = 0; n < n_rows; ++n) {
        std::int32_t& own = name[static_cast<std::size_t>(labels[n])];
        if (own < 0) own = next++;
        labels[n] = own;
    }
}

Index agreement(Index n_rows, Index n_groups, const std::int32_t* a, const std::int32_t* b) {
    // two counts of each pair, for every other row: adding to a number must wait for the one before
    const Index n_pairs = n_groups * n_groups;
    std::vector<std::int32_t> overlap(static_cast<std::size_t>(2 * n_pairs));
    for (Index n = 0; n < n_rows; ++n) ++overlap[n % 2 * n_pairs + a[n] * n_groups + b[n]];
    for (Index i = 0; i < n_pairs; ++i) overlap[i] += overlap[n_pairs + i];
    Index of_rows = 0, of_columns = 0;
    for (Index i = 0; i < n_groups; ++i) {
        std::int32_t in_row = 0, in_column = 0;
        for (Index j = 0; j < n_groups; ++j) {
            in_row = std::max(in_row, overlap[i * n_groups + j]);
            in_column = std::max(in_column, overlap[j * n_groups + i]);
        }
        of_rows += in_row;
        of_columns += in_column;
    }
    return std::min(of_rows, of_columns);
}

std::vector<bool> told_apart(Index n_rows, const std::int32_t* labels, const std::int32_t* n_groups,
                             const std::int32_t* chosen, Index count, double alike) {
    std::vector<bool> apart(static_cast<std::size_t>(count), true);
    for (Index i = 1; i < count; ++i) {
        for (Index j = 0; j < i && apart[i]; ++j) {
            if (!apart[j]) continue;
            const Index groups = std::max(n_groups[chosen[i]], n_groups[chosen[j]]);
            const Index alike_rows = agreement(n_rows, groups, labels + chosen[i] * n_rows,
                                               labels + chosen[j] * n_rows);
            apart[i] = double(alike_rows) < alike;
        }
    }
    return apart;
}

}  // namespace mixtura
