// Lower bounds of covariances in the Loewner order.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lapack.hpp"
#include "shapes.hpp"

namespace mixtura {

FloorFactor factor_floor(MStepProblem& problem) {
    const Index d = problem.d;
    double* l = problem.workspace.take(d * d);
    double* w = problem.workspace.take(d * d);
    if (!cholesky(d, problem.floor, l)) return {};
    invert_lower(d, l, w);
    return {true, l, w};
}

bool dominates(Index d, const double* sigma, const double* floor, double* scratch) {
    for (Index i = 0; i < d; ++i)
        for (Index j = 0; j <= i; ++j)
            scratch[i * d + j] = sigma[i * d + j] - (1.0 - kFloorSlack) * floor[i * d + j];
    return cholesky_any_pivot(d, scratch, scratch);
}

void find_below_floor(MStepProblem& p, const double* covariances, double* below) {
    const Index d = p.d, size = d * d;
    const Workspace::Mark mark = p.workspace.mark();
    if (d > 1 && d <= most_lane_features) {
        double* difference = p.workspace.take(2 * p.K * size);
        double* factors = difference + p.K * size;
        for (Index k = 0; k < p.K; ++k)
            for (Index i = 0; i < size; ++i)
                difference[k * size + i] = covariances[k * size + i] - (1.0 - kFloorSlack) * p.floor[i];
        variant_in_use().inverse_factors_of_each(d, p.K, difference, 0.0, factors);
        for (Index k = 0; k < p.K; ++k) below[k] = p.live(k) && !std::isfinite(factors[k * size]);
    } else {
        std::fill(below, below + p.K, 0.0);
        each_live(p, size, [&](Index k, double* scratch) {
            below[k] = !dominates(d, covariances + k * size, p.floor, scratch);
        });
    }
    p.workspace.release(mark);
}

bool all_dominate(MStepProblem& p, const double* covariances) {
    const Workspace::Mark mark = p.workspace.mark();
    double* below = p.workspace.take(p.K);
    find_below_floor(p, covariances, below);
    const bool none = std::all_of(below, below + p.K, [](double one) { return one == 0.0; });
    p.workspace.release(mark);
    return none;
}

Index whiten_scratch(Index d) { return 3 * d * d + eigen_scratch(d); }

Index clip_scratch(Index d) { return whiten_scratch(d) + d * d + 2 * d; }

namespace {

// rows <- rows l': row j becomes l v_j. Works from the right so that nothing is overwritten early.
void map_rows(Index d, const double* l, double* rows) {
    for (Index j = 0; j < d; ++j) {
        double* row = rows + j * d;
        for (Index i = d; i-- > 0;) {
            double sum = 0.0;
            for (Index m = 0; m <= i; ++m) sum += l[i * d + m] * row[m];
            row[i] = sum;
        }
    }
}

}  // namespace

void whitened_eigen(Index d, const FloorFactor& floor, const double* a, double* values, double* rows,
                    double* scratch) {
    double* white = scratch;
    congruence(d, floor.w, a, white, scratch + d * d);
    symmetric_eigen(d, white, values, rows, scratch + d * d);
    map_rows(d, floor.l, rows);
}

void clip_to_floor(Index d, const FloorFactor& floor, double* sigma, double* scratch) {
    if (!floor.valid) {
        std::fill(sigma, sigma + d * d, std::numeric_limits<double>::quiet_NaN());
        return;
    }
    double* values = scratch;
    double* missing = values + d;
    double* rows = missing + d;
    double* rest = rows + d * d;
    whitened_eigen(d, floor, sigma, values, rows, rest);
    // Only what is missing is added: directions above the floor keep their digits.
    for (Index j = 0; j < d; ++j) missing[j] = std::max(0.0, 1.0 - values[j]);
    double* added = rest;
    sum_of_outer_products(d, missing, rows, added, rest + d * d);
    for (Index i = 0; i < d * d; ++i) sigma[i] += added[i];
}

}  // namespace mixtura
