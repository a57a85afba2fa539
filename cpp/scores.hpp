// From log-densities of a vector of rows to what was asked for.
#pragma once

#include "elementary.hpp"
#include "layout.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Posterior probabilities of one vector of rows, in place of its log-densities. The sum is
// compensated, so that they sum to one within rounding for any number of components.
MIXTURA_INLINE Vec posterior(double* p, Index panel, Index n_components, Vec top) {
    const Vec limit = splat(-1000);
    Vec sum = splat(0), lost = splat(0);
    for (Index k = 0; k < n_components; ++k) {
        Vec one[1] = {load(p + k * panel) - top};
        exp2_above(one, limit);
        Vec term = one[0];
        store(p + k * panel, term);
        Vec grown = sum + term, part = grown - sum;
        lost += (sum - (grown - part)) + (term - part);
        sum = grown;
    }
    sum += lost;
    for (Index k = 0; k < n_components; ++k) store(p + k * panel, load(p + k * panel) / sum);
    return sum;
}

inline void put_components(const double* p, Index panel, Index n_components, int count, double* out) {
    for (int l = 0; l < count; ++l, out += n_components) {
        for (Index k = 0; k < n_components; ++k) out[k] = p[k * panel + l];
    }
}

inline void put_labels(const double* p, Index panel, Index n_components, int count, std::int64_t* out) {
    for (int l = 0; l < count; ++l) {
        Index best = 0;
        for (Index k = 1; k < n_components; ++k) {
            if (p[k * panel + l] > p[best * panel + l]) best = k;
        }
        out[l] = best;
    }
}

inline void score_vector(const Layout& layout, Index n_components, Index first, int count, double* p,
                  Vec top, const Scores& scores) {
    if (scores.labels) {
        put_labels(p, layout.panel, n_components, count, scores.labels + first);
    }
    if (scores.components) {
        for (Index k = 0; k < n_components; ++k) {
            store(p + k * layout.panel, load(p + k * layout.panel) * ln_2);
        }
        put_components(p, layout.panel, n_components, count,
                       scores.components + first * n_components);
        return;
    }
    if (!scores.log_density && !scores.responsibilities) return;
    Vec log = (top + log2_of(posterior(p, layout.panel, n_components, top))) * ln_2;
    if (scores.responsibilities) {
        put_components(p, layout.panel, n_components, count,
                       scores.responsibilities + first * n_components);
    }
    for (int l = 0; scores.log_density && l < count; ++l) scores.log_density[first + l] = log[l];
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
