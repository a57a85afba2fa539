#include "group_moments.hpp"

#include <algorithm>

#include "small_linalg.hpp"

namespace mixtura {
namespace {

// out += the scatter of a component, or of all components where the layout pools it.
void add_scatter(Geometry from, Index d, const double* scatter, Geometry to, double* out) {
    if (from == to || to == Geometry::tied) {
        const Index n = from == Geometry::diagonal ? d : from == Geometry::spherical ? 1 : packed_size(d);
        for (Index i = 0; i < n; ++i) out[i] += scatter[i];
        return;
    }
    for (Index j = 0; j < d; ++j) {
        const double own = scatter[from == Geometry::diagonal ? j : packed_index(j, j)];
        out[to == Geometry::diagonal ? j : 0] += own;
    }
}

}  // namespace

void project(const Shape& from, const double* leaf, const Shape& to, double* out) {
    const Index K = from.n_components, d = from.n_features;
    if (from.geometry == to.geometry) {
        std::copy(leaf, leaf + from.scalars_at(), out);
        return;
    }
    std::copy(leaf, leaf + K, out);
    std::fill(out + K, out + to.scalars_at(), 0.0);
    for (Index k = 0; k < K; ++k) {
        const double* own = leaf + from.total_at() + k * from.total_size();
        double* total = out + to.total_at() + k * to.total_size();
        std::copy(own, own + d, total);
        double* scatter = to.geometry == Geometry::tied ? out + to.shared_at() : total + d;
        add_scatter(from.geometry, d, own + d, to.geometry, scatter);
    }
}

}  // namespace mixtura
