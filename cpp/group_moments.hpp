// Moments of the groups of a partition: with them all runs that begin with it take their first steps.
#pragma once

#include <cstdint>
#include <vector>

#include "kernel.hpp"
#include "memory.hpp"

namespace mixtura {

// The layout whose moments tell those of both.
inline Geometry richer(Geometry a, Geometry b) {
    if (a == b) return a;
    const auto is_matrix = [](Geometry g) { return g == Geometry::dense || g == Geometry::tied; };
    return is_matrix(a) || is_matrix(b) ? Geometry::dense : Geometry::diagonal;
}

// A leaf of the poorer layout from one of the richer: weights and first moments as they are, scatter
// as far as the layout has it. Scalars are left out.
void project(const Shape& from, const double* leaf, const Shape& to, double* out);

// Moments of one partition, twice: about an origin, and about the means that follow from these.
struct GroupMoments {
    const std::int32_t* labels = nullptr;  // of which partition; null: of none yet
    Index view = 0;                        // in which view of the rows
    std::int32_t fold = -1;                // rows of this fold are not in them
    Shape shape{};
    bool every_group_has_rows = false;
    Buffer about_origin, about_means;  // leaves
    std::vector<double> means;         // (K, d)

    bool are_of(const std::int32_t* other, Index other_view, std::int32_t other_fold) const {
        return labels == other && view == other_view && fold == other_fold;
    }
};

}  // namespace mixtura
