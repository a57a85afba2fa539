// How the jobs of many runs are handed out.
#pragma once

#include <algorithm>
#include <vector>

#include "runs.hpp"
#include "team.hpp"

namespace mixtura {

// Jobs of one unit, and how long they may take.
struct Unit {
    const RunJob *first, *last;
    double work = 0;
};

inline std::vector<Unit> units_of(const RunRules& rules, const RunJob* jobs, Index n_jobs, Index n_rows) {
    std::vector<Unit> units;
    for (const RunJob* job = jobs; job != jobs + n_jobs; ++job) {
        if (units.empty() || units.back().first->unit != job->unit) units.push_back({job, job});
        Unit& unit = units.back();
        unit.last = job + 1;
        const Shape shape{rules.families[job->family].shape->geometry, job->n_components,
                          rules.n_features};
        unit.work += (1 + std::min(rules.max_iter, 50)) * estimated_seconds(shape, n_rows + 100);
    }
    return units;
}

// Longest first, so that no thread is left with a long one at the end; then by fold, so that a
// thread keeps its copy of the rows.
inline void put_in_order(std::vector<Unit>& units) {
    std::stable_sort(units.begin(), units.end(), [](const Unit& a, const Unit& b) {
        return a.work != b.work ? a.work > b.work : a.first->fold < b.first->fold;
    });
}

}  // namespace mixtura
