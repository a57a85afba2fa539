// An M step that is only near the optimum must not go below the covariances EM comes from.
//
// Above a floor EEV, VEV, EVE and VVE are not at the constrained optimum (level.cpp), EVE and VVE stop
// before theirs, and covariances on the floor are so ill-conditioned that rounding matters for all.

#include <algorithm>
#include <cmath>
#include <limits>

#include "shapes.hpp"

namespace mixtura {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr double kSameLoss = 1e-12;   // relative
constexpr double kSameShape = 1e-6;   // relative; far above what a converged inner loop leaves
constexpr double kWorstShape = 1e-2;  // the same where rounding is larger
constexpr double kRoundings = 16.0;   // in an entry of a covariance, per dimension
constexpr double kDigitsLost = 64.0;  // rounding of a determinant in units of eps times condition

// -2 Q: sum of n log det Sigma + tr(W Sigma^-1); infinite if a Sigma is singular. The factors are those
// by which the next E step sees the covariances.
double total_loss(MStepProblem& p, const double* covariances) {
    const Index d = p.d, size = d * d;
    const Workspace::Mark mark = p.workspace.mark();
    double* factors = p.workspace.take(p.K * size);
    double* losses = p.workspace.take(p.K);
    factor_each(p, covariances, factors);
    each_live(p, size, [&](Index k, double* product) {
        const double* w = factors + k * size;
        multiply(d, w, p.W(k), product);
        const double trace = trace_of_product(d, product, w);
        const bool regular = std::isfinite(w[0]);
        losses[k] = regular ? trace - p.n[k] * log_determinant_of_factor(d, w) : kInfinity;
    });
    double sum = 0.0;
    for (Index k = 0; k < p.K; ++k)
        if (p.live(k)) sum += losses[k];
    p.workspace.release(mark);
    return sum;
}

// previous >= F up to the rounding of its entries, which is below eps sqrt(sigma_ii sigma_jj): much in
// terms of F where variances along other axes are large.
bool meets_floor(MStepProblem& p) {
    const Index d = p.d, size = d * d;
    double* raised = p.workspace.take(2 * size);
    const double slack = kRoundings * kEps * static_cast<double>(d);
    for (Index k = 0; k < p.K; ++k) {
        if (!p.live(k)) continue;
        std::copy(p.previous + k * size, p.previous + (k + 1) * size, raised);
        for (Index j = 0; j < d; ++j) raised[j * (d + 1)] *= 1.0 + slack;
        if (!dominates(d, raised, p.floor, raised + size)) return false;
    }
    return true;
}

// How far matrices of the shape may be from their projection: more where the condition of one makes
// its determinant uncertain, since parts that are equal over components pass that on to all.
double tolerance_of_shape(MStepProblem& p) {
    const Index d = p.d;
    double* l = p.workspace.take(d * d);
    double least = 1.0;  // pivot, relative to its diagonal entry
    for (Index k = 0; k < p.K; ++k) {
        const double* sigma = p.previous + k * d * d;
        if (!p.live(k) || !cholesky(d, sigma, l)) continue;
        for (Index j = 0; j < d; ++j) {
            const double root = l[j * (d + 1)];
            least = std::min(least, root * root / sigma[j * (d + 1)]);
        }
    }
    return std::clamp(kDigitsLost * kEps / least, kSameShape, kWorstShape);
}

// The shape's own step, run on n_k Sigma_k, gives Sigma_k back if and only if that has the shape.
bool has_shape(MStepProblem& p, void (*maximise)(MStepProblem&)) {
    const Index size = p.d * p.d;
    double* scatter = p.workspace.take(p.K * size);
    double* projected = p.workspace.take(p.K * size);
    for (Index k = 0; k < p.K; ++k)
        for (Index i = 0; i < size; ++i) scatter[k * size + i] = p.n[k] * p.previous[k * size + i];
    MStepProblem on_previous = p;
    on_previous.scatter = scatter;
    on_previous.floor = nullptr;
    on_previous.covariances = projected;
    maximise(on_previous);
    const double tolerance = tolerance_of_shape(p);
    for (Index k = 0; k < p.K; ++k) {
        const double* old = p.previous + k * size;
        for (Index i = 0; p.live(k) && i < size; ++i) {
            const double scale = std::sqrt(old[(i / p.d) * (p.d + 1)] * old[(i % p.d) * (p.d + 1)]);
            if (!(std::abs(projected[k * size + i] - old[i]) <= tolerance * scale)) return false;
        }
    }
    return true;
}

}  // namespace

void keep_better_previous(MStepProblem& p, void (*maximise)(MStepProblem&)) {
    if (p.previous == nullptr) return;
    const double before = total_loss(p, p.previous);
    const double after = total_loss(p, p.covariances);
    if (!(before < after - kSameLoss * std::abs(before))) return;
    if (p.floor == nullptr && !std::isfinite(after)) return;  // a singular scatter is to be seen
    if (p.floor != nullptr && !meets_floor(p)) return;
    if (!has_shape(p, maximise)) return;
    const Index size = p.d * p.d;
    for (Index k = 0; k < p.K; ++k)
        if (p.live(k)) std::copy(p.previous + k * size, p.previous + (k + 1) * size, p.sigma(k));
}

}  // namespace mixtura
