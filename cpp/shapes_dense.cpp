// M steps of EEE, VVV, VEE and EVV: the shapes that any linear map of the data leaves in place.
//
// For these the floor F can be made the identity by a linear map, so the constrained step is as
// clean as the free one, and exact.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lapack.hpp"
#include "shapes.hpp"

namespace mixtura {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

void scaled_copy(Index size, double scale, const double* from, double* to) {
    for (Index i = 0; i < size; ++i) to[i] = scale * from[i];
}

void divided_copy(Index size, double divisor, const double* from, double* to) {
    for (Index i = 0; i < size; ++i) to[i] = from[i] / divisor;
}

}  // namespace

Index smallest_previous_matrix(MStepProblem& p) {
    if (p.previous == nullptr) return -1;
    const Index size = p.d * p.d;
    double* l = p.workspace.take(size);
    Index best = -1;
    double least = kInfinity;
    for (Index k = 0; k < p.K; ++k) {
        if (!p.live(k) || !cholesky(p.d, p.previous + k * size, l)) continue;
        const double log_volume = log_determinant_of_factor(p.d, l);
        if (log_volume < least) {
            least = log_volume;
            best = k;
        }
    }
    return best;
}

void maximise_eee(MStepProblem& p) {
    const Index size = p.d * p.d;
    divided_copy(size, p.n_total, p.scatter, p.covariances);
    if (p.floor == nullptr) return;
    double* scratch = p.workspace.take(clip_scratch(p.d));
    if (dominates(p.d, p.covariances, p.floor, scratch)) return;
    clip_to_floor(p.d, factor_floor(p), p.covariances, scratch);
}

void maximise_vvv(MStepProblem& p) {
    const Index size = p.d * p.d;
    for (Index k = 0; k < p.K; ++k)
        if (p.live(k)) divided_copy(size, p.n[k], p.W(k), p.sigma(k));
    if (p.floor == nullptr) return;
    double* low = p.workspace.take(p.K);
    find_below_floor(p, p.covariances, low);
    if (std::all_of(low, low + p.K, [](double one) { return one == 0.0; })) return;
    p.approximate = true;
    const FloorFactor floor = factor_floor(p);
    each_live(p, clip_scratch(p.d), [&](Index k, double* scratch) {
        if (low[k] != 0.0) clip_to_floor(p.d, floor, p.sigma(k), scratch);
    });
}

// ---- VEE: Sigma_k = volume_k C ------------------------------------------------------------------

namespace {

// Alternate volumes and C. Geodesically convex in (log volume, C), so there is one optimum, and the
// bounds volume >= 1, C >= F, which say volume_k C >= F after fixing the free scale, are separate.
struct VolumesAndMatrix {
    MStepProblem& p;
    const FloorFactor* floor;  // nullptr: not bounded
    double* volume;
    double* C;
    double* precision;
    double* scratch;
    double log_determinant = 0.0;

    Index size() const { return p.d * p.d; }

    bool invert() {
        double* l = scratch;
        double* w = scratch + size();
        if (!cholesky(p.d, C, l)) return false;
        log_determinant = log_determinant_of_factor(p.d, l);
        invert_lower(p.d, l, w);
        transpose(p.d, w, l);  // precision = w' w
        for (Index i = 0; i < p.d; ++i) {
            double* row = precision + i * p.d;
            std::fill(row, row + p.d, 0.0);
            add_rows(i + 1, p.d - i, l + i * p.d + i, 1, w + i * p.d, p.d, row);
        }
        mirror_lower(p.d, precision);
        return true;
    }

    // Volumes given C; returns the loss there.
    double update_volumes() {
        const double dims = static_cast<double>(p.d);
        double loss = p.n_total * log_determinant;
        for (Index k = 0; k < p.K; ++k) {
            if (!p.live(k)) continue;
            const double trace = trace_of_product(p.d, precision, p.W(k));
            volume[k] = trace / (p.n[k] * dims);
            if (floor != nullptr) volume[k] = std::max(volume[k], 1.0);
            loss += p.n[k] * dims * std::log(volume[k]) + trace / volume[k];
        }
        return loss;
    }

    void update_matrix() {
        std::fill(C, C + size(), 0.0);
        for (Index k = 0; k < p.K; ++k) {
            const double weight = p.live(k) ? 1.0 / (volume[k] * p.n_total) : 0.0;
            if (weight > 0.0 && std::isfinite(weight)) add_rows(size(), 1, &weight, 0, p.W(k), 0, C);
        }
        if (floor != nullptr && !dominates(p.d, C, p.floor, scratch))
            clip_to_floor(p.d, *floor, C, scratch);
    }

    // False where C became singular.
    bool solve(Index previous) {
        if (previous >= 0) {
            scaled_copy(size(), 1.0, p.previous + previous * size(), C);
        } else {
            std::fill(volume, volume + p.K, 1.0);
            update_matrix();
        }
        double last = kInfinity;
        bool regular = invert();
        for (int i = 0; regular; ++i) {
            const double now = update_volumes();
            // Ends after volumes: then they are the best ones for C.
            if (i >= p.max_inner || !(last - now > p.inner_tol * p.n_total)) break;
            last = now;
            update_matrix();
            regular = invert();
        }
        for (Index k = 0; k < p.K; ++k)
            if (p.live(k)) scaled_copy(size(), volume[k], C, p.sigma(k));
        return regular;
    }
};

}  // namespace

void maximise_vee(MStepProblem& p) {
    const Index size = p.d * p.d;
    double* scratch = p.workspace.take(clip_scratch(p.d));
    VolumesAndMatrix solver{p, nullptr, p.workspace.take(p.K), p.workspace.take(size),
                            p.workspace.take(size), scratch};
    const Index previous = smallest_previous_matrix(p);
    const bool regular = solver.solve(previous);
    if (p.floor == nullptr || (regular && all_dominate(p, p.covariances))) return;
    p.approximate = true;
    const FloorFactor floor = factor_floor(p);
    solver.floor = &floor;
    solver.solve(previous);
}

// ---- EVV: equal determinants --------------------------------------------------------------------

namespace {

// With a floor: in the metric of F, orientations are those of W_k and the spectra solve the problem
// of EVI with bound one.
void equal_volume_above_floor(MStepProblem& p) {
    const Index d = p.d, size = d * d;
    const FloorFactor floor = factor_floor(p);
    double* values = p.workspace.take(p.K * d);
    double* result = p.workspace.take(p.K * d);
    double* ones = p.workspace.take(d);
    std::fill(ones, ones + d, floor.valid ? 1.0 : kNaN);
    std::fill(values, values + p.K * d, 0.0);
    if (floor.valid)
        each_live(p, whiten_scratch(d), [&](Index k, double* scratch) {
            double* own = values + k * d;
            whitened_eigen(d, floor, p.W(k), own, p.sigma(k), scratch);
            for (Index j = 0; j < d; ++j) own[j] = std::max(own[j], 0.0);
        });
    equal_volume_spectra({p.K, d, p.n, values, ones, p.max_inner, p.inner_tol}, result,
                         p.workspace.take(spectra_scratch(p.K, d)));
    each_live(p, size + d, [&](Index k, double* scratch) {
        sum_of_outer_products(d, result + k * d, p.sigma(k), scratch, scratch + size);
        std::copy(scratch, scratch + size, p.sigma(k));
    });
}

}  // namespace

void maximise_evv(MStepProblem& p) {
    const Index size = p.d * p.d;
    double* log_mean = p.workspace.take(p.K);  // log |W_k|^(1/d)
    each_live(p, size, [&](Index k, double* l) {
        log_mean[k] = cholesky(p.d, p.W(k), l)
                          ? log_determinant_of_factor(p.d, l) / static_cast<double>(p.d)
                          : -kInfinity;
    });
    double sum = 0.0;
    for (Index k = 0; k < p.K; ++k)
        if (p.live(k)) sum += std::exp(log_mean[k]);
    const double log_volume = std::log(sum / p.n_total);
    each_live(p, 0, [&](Index k, double*) {
        const bool regular = std::isfinite(log_mean[k]);
        scaled_copy(size, regular ? std::exp(log_volume - log_mean[k]) : kNaN, p.W(k), p.sigma(k));
    });
    p.approximate = p.floor != nullptr;  // one small determinant makes others large: many digits lost
    if (p.floor == nullptr || all_dominate(p, p.covariances)) return;
    equal_volume_above_floor(p);
}

}  // namespace mixtura
