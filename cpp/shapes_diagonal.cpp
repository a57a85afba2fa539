// M steps of the spherical and diagonal shapes. All are exact, with and without a floor.

#include <algorithm>
#include <cmath>
#include <limits>

#include "shapes.hpp"

namespace mixtura {

namespace {

// scatter / n with a lower bound; a bound that does not act changes no bit.
double bounded(double scatter, double n, const double* floor, Index j) {
    const double variance = scatter / n;
    return floor != nullptr ? std::max(variance, floor[j]) : variance;
}

// One row of variances from the pooled scatter.
void pooled_rows(MStepProblem& p, Index size, double n) {
    for (Index j = 0; j < size; ++j) {
        double sum = 0.0;
        for (Index k = 0; k < p.K; ++k)
            if (p.live(k)) sum += p.scatter[k * size + j];
        p.covariances[j] = bounded(sum, n, p.floor, j);
    }
}

Spectra spectra_of(const MStepProblem& p) {
    return {p.K, p.d, p.n, p.scatter, p.floor, p.max_inner, p.inner_tol};
}

}  // namespace

Index smallest_previous_diagonal(const MStepProblem& p) {
    Index best = -1;
    double least = std::numeric_limits<double>::infinity();
    for (Index k = 0; p.previous != nullptr && k < p.K; ++k) {
        double log_volume = 0.0;
        for (Index j = 0; j < p.d; ++j) log_volume += std::log(p.previous[k * p.d + j]);
        if (p.live(k) && log_volume < least && std::isfinite(log_volume)) {
            least = log_volume;
            best = k;
        }
    }
    return best;
}

void maximise_eii(MStepProblem& p) { pooled_rows(p, 1, p.n_total * static_cast<double>(p.d)); }

void maximise_vii(MStepProblem& p) {
    for (Index k = 0; k < p.K; ++k)
        if (p.live(k))
            p.covariances[k] = bounded(p.scatter[k], p.n[k] * static_cast<double>(p.d), p.floor, 0);
}

void maximise_eei(MStepProblem& p) { pooled_rows(p, p.d, p.n_total); }

void maximise_vvi(MStepProblem& p) {
    for (Index k = 0; k < p.K; ++k)
        for (Index j = 0; p.live(k) && j < p.d; ++j)
            p.covariances[k * p.d + j] = bounded(p.scatter[k * p.d + j], p.n[k], p.floor, j);
}

void maximise_vei(MStepProblem& p) {
    const Index k = smallest_previous_diagonal(p);
    proportional_spectra(spectra_of(p), k < 0 ? nullptr : p.previous + k * p.d, p.covariances,
                         p.workspace.take(spectra_scratch(p.K, p.d)));
}

void maximise_evi(MStepProblem& p) {
    equal_volume_spectra(spectra_of(p), p.covariances, p.workspace.take(spectra_scratch(p.K, p.d)));
}

}  // namespace mixtura
