// M steps of EVE and VVE: one set of axes D for all components, own variances along them.
//
// With T_k = D W_k D', D the rows of axes, the free variances are closed forms of diag T_k, and what
// is left to minimise over rotations is
//
//     VVE  sum_k n_k sum_j log t_kjj         (Flury 1984: common principal components)
//     EVE  sum_k (prod_j t_kjj)^(1/d)
//
// D is improved by turning two axes at a time (as Flury and Gautschi 1986 do). With t_p, t_q and the
// entry o between them, a turn by theta gives, for chi = 4 theta,
//
//     t_p t_q -> u0 + Q (1 - cos chi) - R sin chi,   Q = (delta^2 - o^2)/2, R = delta o,
//
// u0 = t_p t_q and delta = (t_p - t_q)/2 before the turn. Both objectives are concave in these
// products, so the tangent is an upper bound whose minimum is an atan2: a step that cannot go up.
// Newton's step is taken where it is lower still. The objective falls with every turn.

#include <algorithm>
#include <cmath>
#include <limits>

#include "lapack.hpp"
#include "shapes.hpp"

namespace mixtura {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kPi = 3.14159265358979323846;
constexpr double kRounding = 4.0 * std::numeric_limits<double>::epsilon();
constexpr double kNoTurn = 1e-11;    // changes the objective by its square, below rounding
constexpr double kLongestTurn = 0.5;  // of an extrapolation, radians
constexpr int kWideLook = 8;         // angles tried in the first sweep from a fresh start
constexpr int kSweepsPerStart = 6;   // then the best start is polished
constexpr Index kAllStartsUpTo = 10; // above, starts end when two of them agree
constexpr double kAgree = 1e-8;      // nats per unit of weight
constexpr double kAccepted = 1e-12;  // rise that is rounding, in nats per unit of weight
constexpr double kShare = 0.05;      // between steps of EM: the next one goes on from there

// Skew part of the turn that leads from axes `from` to axes `to`: its logarithm, if it is small.
void skew_of_turn(Index d, const double* to, const double* from, double* skew, double* space) {
    double* product = space + d * d;
    transpose(d, from, space);
    multiply(d, to, space, product);
    for (Index i = 0; i < d; ++i)
        for (Index j = 0; j < d; ++j)
            skew[i * d + j] = 0.5 * (product[i * d + j] - product[j * d + i]);
}

// rows = exp(skew) axes, to second order, made orthonormal (Gram and Schmidt).
void turn_all(Index d, const double* skew, const double* axes, double* rows, double* space) {
    double* once = space;
    double* twice = space + d * d;
    multiply(d, skew, axes, once);
    multiply(d, skew, once, twice);
    for (Index i = 0; i < d * d; ++i) rows[i] = axes[i] + once[i] + 0.5 * twice[i];
    for (Index i = 0; i < d; ++i) {
        double* row = rows + i * d;
        for (Index j = 0; j <= i; ++j) {  // last with itself: to length one
            const double* other = rows + j * d;
            double dot = 0.0;
            for (Index m = 0; m < d; ++m) dot += row[m] * other[m];
            for (Index m = 0; m < d; ++m)
                row[m] = i == j ? row[m] / std::sqrt(dot) : row[m] - dot * other[m];
        }
    }
}

struct CommonAxes {
    MStepProblem& p;
    bool equal_volume;
    double level = 0.0;  // > 0: all variances >= level
    double* axes;        // (d, d) rows
    double* best_axes;   // (d, d)
    double* before;      // (d, d) axes two sweeps ago
    double* between;     // (d, d) axes one sweep ago
    double* step;        // (4, d, d)
    double* turned;      // (K, d, d) T_k
    double* deviations;  // (K, d) roots of diag W_k
    double* diagonal;    // (K, d) of T_k
    double* variances;   // (K, d)
    double* bound;       // (d,)
    double* gain;        // (K,) weights of the tangent
    double* q;           // (K,) Q / u0
    double* r;           // (K,) R / u0
    double* scratch;     // of the spectra

    double* T(Index k) const { return turned + k * p.d * p.d; }
    bool few() const { return p.max_inner < kSweepsPerStart; }

    void set_axes(const double* rows) {
        if (rows != axes) std::copy(rows, rows + p.d * p.d, axes);
        const Workspace::Mark mark = p.workspace.mark();
        each_live(p, 2 * p.d * p.d, [&](Index k, double* space) {
            congruence(p.d, axes, p.W(k), T(k), space);
        });
        p.workspace.release(mark);
    }

    // What is lost in the rounding of d_j' W_k d_j counts as 0: then W_k is singular, and without a
    // floor the likelihood is unbounded. Relative to the terms of the sum, so units do not matter.
    void read_diagonals() {
        for (Index k = 0; k < p.K; ++k)
            for (Index j = 0; p.live(k) && j < p.d; ++j) {
                double largest = 0.0;
                for (Index m = 0; m < p.d; ++m)
                    largest += std::abs(axes[j * p.d + m]) * deviations[k * p.d + m];
                const double value = T(k)[j * (p.d + 1)];
                diagonal[k * p.d + j] = value > kRounding * largest * largest ? value : 0.0;
            }
    }

    // Best variances along the present axes.
    void update_variances() {
        read_diagonals();
        if (equal_volume) {
            std::fill(bound, bound + p.d, level);
            equal_volume_spectra({p.K, p.d, p.n, diagonal, level > 0.0 ? bound : nullptr,
                                  p.max_inner, p.inner_tol}, variances, scratch);
            return;
        }
        for (Index k = 0; k < p.K; ++k)
            for (Index j = 0; p.live(k) && j < p.d; ++j)
                variances[k * p.d + j] = std::max(diagonal[k * p.d + j] / p.n[k], level);
    }

    // -2 Q up to a constant, with the best variances; refreshes what the next sweep needs.
    double loss() {
        if (level > 0.0) return bounded_loss();
        read_diagonals();
        double sum = 0.0;
        for (Index k = 0; k < p.K; ++k) {
            if (!p.live(k)) continue;
            const double logs = sum_of_logs(p.d, diagonal + k * p.d, 1);
            const double volume = equal_volume ? std::exp(logs / static_cast<double>(p.d)) : 0.0;
            gain[k] = equal_volume ? volume / static_cast<double>(p.d) : p.n[k];
            sum += equal_volume ? volume : p.n[k] * logs;
        }
        return equal_volume ? p.n_total * static_cast<double>(p.d) * std::log(sum) : sum;
    }

    double bounded_loss() {
        update_variances();
        double sum = 0.0;
        for (Index k = 0; k < p.K; ++k) {
            if (!p.live(k)) continue;
            sum += p.n[k] * sum_of_logs(p.d, variances + k * p.d, 1);
            for (Index j = k * p.d; j < (k + 1) * p.d; ++j) sum += diagonal[j] / variances[j];
        }
        return sum;
    }

    // Change of the objective (for EVE: of sum_k g_k) by chi.
    double change(double chi) const {
        const double half = std::sin(0.5 * chi), rise = 2.0 * half * half, sine = std::sin(chi);
        double sum = 0.0;
        for (Index k = 0; k < p.K; ++k) {
            if (!p.live(k)) continue;
            const double log_ratio = std::log1p(q[k] * rise - r[k] * sine);
            sum += equal_volume ? gain[k] * static_cast<double>(p.d) *
                                      std::expm1(log_ratio / static_cast<double>(p.d))
                                : gain[k] * log_ratio;
        }
        return sum;
    }

    // The angle chi for axes a and b, 0 if nothing is to be gained.
    double profile_angle(Index a, Index b, bool wide) {
        double slope = 0.0, tangent = 0.0, squares = 0.0;
        for (Index k = 0; k < p.K; ++k) {
            if (!p.live(k)) continue;
            const double* t = T(k);
            const double ta = t[a * (p.d + 1)], tb = t[b * (p.d + 1)], o = t[a * p.d + b];
            const double delta = 0.5 * (ta - tb), u0 = ta * tb;
            q[k] = 0.5 * (delta - o) * (delta + o) / u0;
            r[k] = delta * o / u0;
            slope += gain[k] * r[k];
            tangent += gain[k] * q[k];
            squares += gain[k] * r[k] * r[k];
        }
        if (!std::isfinite(slope) || !std::isfinite(tangent)) return 0.0;  // a singular scatter
        double chi = std::atan2(slope, tangent);
        // the tangent's minimum never goes up; where few sweeps are asked for, it must do
        if (few() && !wide) return std::abs(chi) < kNoTurn ? 0.0 : chi;
        const double bend = tangent - (equal_volume ? 1.0 - 1.0 / static_cast<double>(p.d) : 1.0) * squares;
        const double newton = slope / bend;
        if (std::abs(chi) < kNoTurn && !(bend <= 0.0 && wide)) return 0.0;
        double least = change(chi);
        auto consider = [&](double candidate) {
            const double value = change(candidate);
            if (value < least) least = value, chi = candidate;
        };
        if (bend > 0.0 && std::abs(newton) < kPi) consider(newton);
        for (int i = 1; wide && i <= kWideLook; ++i) consider(-kPi + 2.0 * kPi * i / kWideLook);
        return chi;
    }

    // Best turn for fixed variances: the objective is linear in cos 2 theta and sin 2 theta.
    double fixed_angle(Index a, Index b) const {
        double cosine = 0.0, sine = 0.0;
        for (Index k = 0; k < p.K; ++k) {
            if (!p.live(k)) continue;
            const double* t = T(k);
            const double lean = 1.0 / variances[k * p.d + a] - 1.0 / variances[k * p.d + b];
            cosine += lean * 0.5 * (t[a * (p.d + 1)] - t[b * (p.d + 1)]);
            sine += lean * t[a * p.d + b];
        }
        if (cosine == 0.0 && sine == 0.0) return 0.0;
        return std::atan2(-sine, -cosine);
    }

    void turn(Index a, Index b, double theta) {
        const double c = std::cos(theta), s = std::sin(theta);
        for (Index k = 0; k < p.K; ++k)
            if (p.live(k)) rotate_symmetric(p.d, T(k), a, b, c, s);
        rotate_rows(p.d, axes, a, b, c, s);
    }

    void sweep(bool wide) {
        for (Index a = 0; a + 1 < p.d; ++a)
            for (Index b = a + 1; b < p.d; ++b) {
                const bool fixed = level > 0.0;
                const double angle = fixed ? fixed_angle(a, b) : profile_angle(a, b, wide);
                if (!(std::abs(angle) > kNoTurn)) continue;
                if (!fixed && equal_volume) update_gains(angle);
                turn(a, b, angle / (fixed ? 2.0 : 4.0));
            }
    }

    // EVE: the weights g_k / d move with every turn.
    void update_gains(double chi) {
        const double half = std::sin(0.5 * chi), rise = 2.0 * half * half, sine = std::sin(chi);
        for (Index k = 0; k < p.K; ++k)
            if (p.live(k)) gain[k] *= root_of_product(1.0 + (q[k] * rise - r[k] * sine));
    }

    // value^(1/d); square roots cost less than an exponential and a logarithm.
    double root_of_product(double value) const {
        if (p.d == 2) return std::sqrt(value);
        if (p.d == 4) return std::sqrt(std::sqrt(value));
        return std::exp(std::log(value) / static_cast<double>(p.d));
    }

    // Sweep until the gain of one sweep is below tolerance, or below a share of what all sweeps
    // gained together; returns the loss.
    double descend(int max_sweeps, bool fresh, double share = 0.0) {
        const Index size = p.d * p.d;
        double last = loss();
        const double first = last;
        for (int i = 0; i < max_sweeps && std::isfinite(last); ++i) {
            std::copy(axes, axes + size, i % 2 == 0 ? before : between);
            sweep(fresh && i == 0);
            const double now = loss();
            // a rise by more than rounding: all digits of a diagonal were lost on the way
            if (!(now <= last + kAccepted * p.n_total)) {
                set_axes(i % 2 == 0 ? before : between);
                return loss();
            }
            if (!(last - now > std::max(p.inner_tol * p.n_total, share * (first - now)))) return now;
            last = i % 2 == 1 && p.d > 2 ? extrapolate(now) : now;
        }
        return last;
    }

    // If the turns of two sweeps point alike, go on along them, as far as squared
    // extrapolation says (Varadhan and Roland 2008, scheme S3). Kept only if the loss falls.
    double extrapolate(double now) {
        const Index size = p.d * p.d;
        double* first = step;
        double* change = step + size;
        double* space = step + 2 * size;
        skew_of_turn(p.d, between, before, first, space);
        skew_of_turn(p.d, axes, between, change, space);
        double turn_size = 0.0, change_size = 0.0, largest = 0.0;
        for (Index i = 0; i < size; ++i) {
            change[i] -= first[i];
            turn_size += first[i] * first[i];
            change_size += change[i] * change[i];
        }
        const double length = std::sqrt(turn_size / change_size);
        if (!(length > 1.0)) return now;
        for (Index i = 0; i < size; ++i) {
            change[i] = length * (2.0 * first[i] + length * change[i]);
            largest = std::max(largest, std::abs(change[i]));
        }
        if (!(largest < kLongestTurn)) return now;
        std::copy(axes, axes + size, between);
        turn_all(p.d, change, before, first, space);
        set_axes(first);
        const double there = loss();
        if (there < now) return there;
        set_axes(between);
        return loss();
    }
};

bool has_regular_previous(MStepProblem& p) {
    double* l = p.workspace.take(p.d * p.d);
    for (Index k = 0; p.previous != nullptr && k < p.K; ++k)
        if (p.live(k) && cholesky(p.d, p.previous + k * p.d * p.d, l)) return true;
    return false;
}

// Axes of `count` symmetric matrices in common: eigenvectors of a sum with unequal coefficients, so
// that eigenvalues of different axes do not coincide in it by symmetry.
void axes_of(MStepProblem& p, const double* matrices, double* rows) {
    const Index d = p.d, size = d * d;
    double* sum = p.workspace.take(size + d + eigen_scratch(d));
    std::fill(sum, sum + size, 0.0);
    for (Index k = 0; k < p.K; ++k) {
        double trace = 0.0;
        for (Index j = 0; j < d; ++j) trace += matrices[k * size + j * (d + 1)];
        if (!p.live(k) || !(trace > 0.0)) continue;
        const double golden = 0.6180339887498949 * static_cast<double>(k);
        const double coefficient = (0.5 + golden - std::floor(golden)) / trace;
        add_rows(size, 1, &coefficient, 0, matrices + k * size, 0, sum);
    }
    symmetric_eigen(d, sum, sum + size, rows, sum + size + d);
}

// Without previous axes: the identity, those of the scatters together, and those of each one.
void choose_start(CommonAxes& state) {
    MStepProblem& p = state.p;
    const Index d = p.d, size = d * d;
    double* rows = p.workspace.take(size);
    double* values = p.workspace.take(p.K * d);
    double* own = p.workspace.take(p.K * size);
    eigen_of_scatters(p, values, own);
    double best = kInfinity;
    std::fill(state.best_axes, state.best_axes + size, 0.0);
    for (Index j = 0; j < d; ++j) state.best_axes[j * (d + 1)] = 1.0;
    std::copy(state.best_axes, state.best_axes + size, rows);
    for (Index start = -2; start < p.K; ++start) {
        if (start == -1) axes_of(p, p.scatter, rows);
        if (start >= 0) {
            if (!p.live(start)) continue;
            std::copy(own + start * size, own + (start + 1) * size, rows);
        }
        state.set_axes(rows);
        // where few sweeps are asked for, starts are compared as they are
        const double loss = state.few() ? state.loss() : state.descend(kSweepsPerStart, true);
        const bool agree = std::abs(loss - best) <= kAgree * p.n_total;
        if (agree && d > kAllStartsUpTo) break;
        if (!(loss < best)) continue;
        best = loss;
        std::copy(state.axes, state.axes + size, state.best_axes);
    }
    state.set_axes(state.best_axes);
}

void solve(MStepProblem& p, double level, void* pointer) {
    CommonAxes& state = *static_cast<CommonAxes*>(pointer);
    state.level = level;
    const bool goes_on = has_regular_previous(p);
    if (goes_on) {
        axes_of(p, p.previous, state.best_axes);
        state.set_axes(state.best_axes);
    } else {
        choose_start(state);
    }
    const double loss = state.descend(p.max_inner, false, goes_on ? kShare : 0.0);
    // the loss cannot tell angles apart whose squares are rounding; one sweep more does
    if (!goes_on && !state.few() && std::isfinite(loss)) state.sweep(false);
    state.set_axes(state.axes);  // afresh: rounding of the turns does not reach the result
    state.update_variances();
    each_live(p, p.d, [&](Index k, double* scratch) {
        sum_of_outer_products(p.d, state.variances + k * p.d, state.axes, p.sigma(k), scratch);
    });
}

void maximise_on_common_axes(MStepProblem& p, bool equal_volume) {
    const Index d = p.d, size = d * d;
    auto take = [&](Index n) { return p.workspace.take(n); };
    CommonAxes state{p, equal_volume, 0.0, take(size), take(size), take(size), take(size),
                     take(4 * size), take(p.K * size), take(p.K * d), take(p.K * d), take(p.K * d),
                     take(d), take(p.K), take(p.K), take(p.K), take(spectra_scratch(p.K, d))};
    for (Index k = 0; k < p.K; ++k)
        for (Index j = 0; p.live(k) && j < d; ++j)
            state.deviations[k * d + j] = std::sqrt(p.W(k)[j * (d + 1)]);
    solve_above_floor(p, solve, &state);
    p.approximate = true;  // axes are read from `previous` and turned, both to rounding
}

}  // namespace

void maximise_eve(MStepProblem& p) { maximise_on_common_axes(p, true); }

void maximise_vve(MStepProblem& p) { maximise_on_common_axes(p, false); }

}  // namespace mixtura
