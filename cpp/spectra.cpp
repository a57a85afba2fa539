// Variances along fixed axes: the M steps of VEI and EVI, and the eigenvalues of VEV, EVV and EVE.
//
// In log v both problems are convex (a linear function plus exponentials), with or without bounds,
// so each has one optimum and the start matters only for speed.

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "shapes.hpp"

namespace mixtura {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

bool above_floor(const Spectra& p, const double* v) {
    for (Index k = 0; k < p.K; ++k)
        for (Index j = 0; p.n[k] > 0.0 && j < p.m; ++j)
            if (!(v[k * p.m + j] >= (1.0 - kFloorSlack) * p.floor[j])) return false;
    return true;
}

double row_sum(const double* s, Index m) {
    double sum = 0.0;
    for (Index j = 0; j < m; ++j) sum += s[j];
    return sum;
}

// Volumes and the common shape, alternating (Celeux and Govaert 1995, section 4).
//
// With a floor: v >= floor for all k is shape_j * min volume >= floor_j; the scale that is free
// between volume and shape lets us write it as volume >= 1, shape >= floor. Bounds of separate blocks
// do not stop block descent of a convex function short of the optimum.
struct Proportional {
    const Spectra& p;
    bool bounded;
    double* volume;
    double* shape;
    double n_used = 0.0;

    // Without a floor, a component without scatter has no finite optimum and says nothing of others.
    bool used(Index k) const {
        return p.n[k] > 0.0 && (bounded || row_sum(p.s + k * p.m, p.m) > 0.0);
    }

    void start_from(const double* given) {
        n_used = 0.0;
        for (Index k = 0; k < p.K; ++k)
            if (used(k)) n_used += p.n[k];
        bool usable = given != nullptr;
        for (Index j = 0; usable && j < p.m; ++j) usable = given[j] > 0.0 && std::isfinite(given[j]);
        for (Index j = 0; j < p.m; ++j) {
            double pooled = 0.0;
            for (Index k = 0; k < p.K; ++k)
                if (used(k)) pooled += p.s[k * p.m + j];
            shape[j] = usable ? given[j] : pooled / n_used;
            if (bounded) shape[j] = std::max(shape[j], p.floor[j]);
        }
    }

    void update_volumes() {
        for (Index k = 0; k < p.K; ++k) {
            if (!used(k)) continue;
            double sum = 0.0;
            for (Index j = 0; j < p.m; ++j) sum += p.s[k * p.m + j] / shape[j];
            volume[k] = sum / (p.n[k] * static_cast<double>(p.m));
            if (bounded) volume[k] = std::max(volume[k], 1.0);
        }
    }

    void update_shape() {
        for (Index j = 0; j < p.m; ++j) {
            double sum = 0.0;
            for (Index k = 0; k < p.K; ++k)
                if (used(k)) sum += p.s[k * p.m + j] / volume[k];
            shape[j] = sum / n_used;
            if (bounded) shape[j] = std::max(shape[j], p.floor[j]);
        }
    }

    double loss() const {
        double total = n_used * sum_of_logs(p.m, shape, 1);
        for (Index k = 0; k < p.K; ++k) {
            if (!used(k)) continue;
            total += p.n[k] * static_cast<double>(p.m) * std::log(volume[k]);
            // Without bounds the traces sum to n m after each shape update.
            for (Index j = 0; bounded && j < p.m; ++j)
                total += p.s[k * p.m + j] / (volume[k] * shape[j]);
        }
        return total;
    }

    void solve(const double* given, double* v) {
        start_from(given);
        double last = kInfinity;
        for (int i = 0; i < p.max_inner; ++i) {
            update_volumes();
            update_shape();
            if (i + 1 == p.max_inner) break;
            const double now = loss();
            if (!(last - now > p.inner_tol * n_used)) break;
            last = now;
        }
        for (Index k = 0; k < p.K; ++k)
            for (Index j = 0; p.n[k] > 0.0 && j < p.m; ++j)
                v[k * p.m + j] = used(k) ? volume[k] * shape[j] : 0.0;
    }
};

// The multipliers of the volume constraint, one per component, in units of the floor.
//
// Given the log volume V, component k has v_kj = max(s_kj / nu_k, 1) with nu_k such that the product
// is exp(V) ("reverse water-filling"). The optimal V has sum_k nu_k(V) = n, or is 0 if the sum is
// smaller even there. log sum nu is convex and falls with V, so Newton from the left is monotone.
struct WaterFilling {
    const Spectra& p;
    double n_total;
    double* sorted;  // (K, m) s / floor, largest first
    double* log_nu;  // (K,)
    double* slope;   // (K,) d log nu / dV

    void prepare() {
        for (Index k = 0; k < p.K; ++k) {
            if (!(p.n[k] > 0.0)) continue;
            double* row = sorted + k * p.m;
            for (Index j = 0; j < p.m; ++j) row[j] = p.s[k * p.m + j] / p.floor[j];
            std::sort(row, row + p.m, std::greater<double>());
        }
    }

    // log nu_k(V): with the a largest entries above the bound it is (sum of their logs - V) / a.
    void fill(Index k, double V) {
        const double* row = sorted + k * p.m;
        double sum = 0.0;
        log_nu[k] = -kInfinity;  // no scatter at all
        slope[k] = 0.0;
        for (Index a = 1; a <= p.m && row[a - 1] > 0.0; ++a) {
            sum += std::log(row[a - 1]);
            log_nu[k] = (sum - V) / static_cast<double>(a);
            slope[k] = -1.0 / static_cast<double>(a);
            if (a == p.m || !(row[a] > 0.0) || std::log(row[a]) <= log_nu[k]) return;
        }
    }

    // log(sum nu / n) and its derivative.
    double excess(double V, double& derivative) {
        double sum = 0.0, moved = 0.0;
        for (Index k = 0; k < p.K; ++k) {
            if (!(p.n[k] > 0.0)) continue;
            fill(k, V);
            const double nu = std::exp(log_nu[k]);
            sum += nu;
            moved += nu * slope[k];
        }
        derivative = moved / sum;
        return std::log(sum / n_total);
    }

    double solve() {
        double V = 0.0;
        for (int i = 0; i < 100; ++i) {  // about 10 are needed
            double derivative = -1.0;
            const double value = excess(V, derivative);
            if (!(value > 0.0)) break;
            const double next = V - value / derivative;
            if (!(next > V * (1.0 + 1e-15))) break;
            V = next;
        }
        double unused = 0.0;
        excess(V, unused);
        return V;
    }

    void write(double V, double* v) const {
        for (Index k = 0; k < p.K; ++k) {
            if (!(p.n[k] > 0.0)) continue;
            const double nu = std::exp(log_nu[k]), even = std::exp(V / static_cast<double>(p.m));
            for (Index j = 0; j < p.m; ++j) {
                const double in_floors = p.s[k * p.m + j] / p.floor[j];
                v[k * p.m + j] = p.floor[j] * (nu > 0.0 ? std::max(in_floors / nu, 1.0) : even);
            }
        }
    }
};

// Closed form: v_kj = volume * s_kj / g_k, g_k the geometric mean, volume = sum_k g_k / n.
void equal_volume_free(const Spectra& p, double* v, double* log_mean) {
    double sum = 0.0, n_total = 0.0;
    for (Index k = 0; k < p.K; ++k) {
        if (!(p.n[k] > 0.0)) continue;
        log_mean[k] = sum_of_logs(p.m, p.s + k * p.m, 1) / static_cast<double>(p.m);
        sum += std::exp(log_mean[k]);
        n_total += p.n[k];
    }
    const double log_volume = std::log(sum / n_total);
    for (Index k = 0; k < p.K; ++k) {
        if (!(p.n[k] > 0.0)) continue;
        const double scale = std::isfinite(log_mean[k]) ? std::exp(log_volume - log_mean[k]) : kNaN;
        for (Index j = 0; j < p.m; ++j) v[k * p.m + j] = p.s[k * p.m + j] * scale;
    }
}

}  // namespace

Index spectra_scratch(Index K, Index m) { return K * m + 3 * K + m; }

void proportional_spectra(const Spectra& p, const double* start, double* v, double* scratch) {
    Proportional solver{p, false, scratch, scratch + p.K};
    solver.solve(start, v);
    if (p.floor == nullptr || above_floor(p, v)) return;
    solver.bounded = true;
    solver.solve(start, v);
}

void equal_volume_spectra(const Spectra& p, double* v, double* scratch) {
    equal_volume_free(p, v, scratch);
    if (p.floor == nullptr || above_floor(p, v)) return;
    double n_total = 0.0;
    for (Index k = 0; k < p.K; ++k) n_total += p.n[k];
    WaterFilling filling{p, n_total, scratch, scratch + p.K * p.m, scratch + p.K * (p.m + 1)};
    filling.prepare();
    filling.write(filling.solve(), v);
}

}  // namespace mixtura
