// Means and scatter from the statistics, the table of shapes, and the inverse factors.

#include "m_step.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "shapes.hpp"

namespace mixtura {

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

constexpr ShapeInfo kShapes[] = {
    {"EII", Geometry::spherical, true, false, maximise_eii},
    {"VII", Geometry::spherical, false, false, maximise_vii},
    {"EEI", Geometry::diagonal, true, false, maximise_eei},
    {"VEI", Geometry::diagonal, false, true, maximise_vei},
    {"EVI", Geometry::diagonal, false, false, maximise_evi},
    {"VVI", Geometry::diagonal, false, false, maximise_vvi},
    {"EEE", Geometry::tied, true, false, maximise_eee},
    {"EVE", Geometry::dense, false, true, maximise_eve},
    {"VEE", Geometry::dense, false, true, maximise_vee},
    {"VVE", Geometry::dense, false, true, maximise_vve},
    {"EEV", Geometry::dense, false, false, maximise_eev},
    {"VEV", Geometry::dense, false, true, maximise_vev},
    {"EVV", Geometry::dense, false, false, maximise_evv},
    {"VVV", Geometry::dense, false, false, maximise_vvv},
};

bool is_matrix(Geometry geometry) {
    return geometry == Geometry::dense || geometry == Geometry::tied;
}

// Means, and weights with 0 for components whose mean or variances would not be finite.
double set_means(Geometry geometry, const MStepInput& in, double* means, double* n) {
    const Index d = in.n_features, p = total_size(geometry, d);
    double n_total = 0.0;
    for (Index k = 0; k < in.n_components; ++k) {
        const double* total = in.total + k * p;
        const double* centre = in.centres + k * d;
        double* mean = means + k * d;
        bool usable = in.weight[k] > 0.0;
        for (Index j = 0; usable && j < d; ++j) {
            mean[j] = centre[j] + total[j] / in.weight[k];
            usable = std::isfinite(mean[j]);
        }
        for (Index j = d; usable && j < p; ++j) usable = std::isfinite(total[j] / in.weight[k]);
        if (!usable) std::copy(centre, centre + d, mean);
        n[k] = usable ? in.weight[k] : 0.0;
        n_total += n[k];
    }
    return n_total;
}

// Full matrix from the packed triangle s2, less n shift shift' (none if shift is null).
template <class Dimension>
void unpack(Dimension d, const double* s2, double* matrix) {
    for (Index i = 0; i < d; ++i)
        for (Index j = 0; j <= i; ++j)
            matrix[i * d + j] = matrix[j * d + i] = s2[packed_index(i, j)];
}

// matrix -= s1 s1' / n: scatter about the mean from scatter about the centre, s1 = n shift.
template <class Dimension>
void move_to_mean(Dimension d, const double* s1, double n, double* matrix) {
    for (Index i = 0; i < d; ++i) {
        const double shift = s1[i] / n;
        for (Index j = 0; j <= i; ++j) matrix[i * d + j] -= shift * s1[j];
    }
    for (Index i = 0; i < d; ++i)
        for (Index j = 0; j < i; ++j) matrix[j * d + i] = matrix[i * d + j];
    for (Index i = 0; i < d; ++i) matrix[i * (d + 1)] = std::max(matrix[i * (d + 1)], 0.0);
}

void set_scatter(Geometry geometry, const MStepInput& in, const double* n, double* scatter) {
    const Index d = in.n_features, p = total_size(geometry, d), size = covariance_size(geometry, d);
    if (geometry == Geometry::tied) unpack(d, in.shared, scatter);
    for (Index k = 0; k < in.n_components; ++k) {
        if (!(n[k] > 0.0)) continue;
        const double* s1 = in.total + k * p;
        const double* s2 = s1 + d;
        double* own = scatter + k * size;
        if (geometry == Geometry::tied) {
            with_dimension(d, [&](auto dimension) { move_to_mean(dimension, s1, n[k], scatter); });
        } else if (geometry == Geometry::dense) {
            with_dimension(d, [&](auto dimension) {
                unpack(dimension, s2, own);
                move_to_mean(dimension, s1, n[k], own);
            });
        } else if (geometry == Geometry::diagonal) {
            for (Index j = 0; j < d; ++j) own[j] = std::max(s2[j] - s1[j] / n[k] * s1[j], 0.0);
        } else {
            double moved = 0.0;
            for (Index j = 0; j < d; ++j) moved += s1[j] / n[k] * s1[j];
            own[0] = std::max(s2[0] - moved, 0.0);
        }
    }
}

// Covariances of components without weight; the first that cannot be kept, or -1.
Index keep_previous(const ShapeInfo& shape, const MStepProblem& p) {
    const Index size = covariance_size(shape.geometry, p.d);
    for (Index k = 0; k < p.K; ++k) {
        if (p.live(k)) continue;
        if (shape.one_for_all && p.n_total > 0.0) continue;
        if (p.previous == nullptr) return k;
        const Index row = shape.one_for_all ? 0 : k;
        std::copy(p.previous + row * size, p.previous + (row + 1) * size, p.covariances + row * size);
    }
    return -1;
}

void inverse_factor(Index d, const double* sigma, double* w, double* log_determinant, double* l) {
    const bool regular = cholesky(d, sigma, l);
    if (regular)
        invert_lower(d, l, w);
    else
        std::fill(w, w + d * d, kNaN);
    if (log_determinant != nullptr)
        *log_determinant = regular ? log_determinant_of_factor(d, l) : kNaN;
}

void inverse_roots(Index size, const double* variances, double* w, double* log_determinant,
                   Index repeats) {
    double logs = 0.0;
    bool regular = true;
    for (Index j = 0; j < size; ++j) {
        regular &= variances[j] > 0.0 && std::isfinite(variances[j]);
        w[j] = 1.0 / std::sqrt(variances[j]);
        if (log_determinant != nullptr) logs += std::log(variances[j]);
    }
    if (!regular) std::fill(w, w + size, kNaN);
    if (log_determinant != nullptr)
        *log_determinant = regular ? logs * static_cast<double>(repeats) : kNaN;
}

void set_factors(const ShapeInfo& shape, MStepProblem& p, double* factors) {
    if (shape.geometry == Geometry::dense) {
        factor_each(p, p.covariances, factors);
        return;
    }
    const Index scratch = is_matrix(shape.geometry) ? p.d * p.d : 0;
    cholesky_factors(shape.geometry, shape.one_for_all ? 1 : p.K, p.d, p.covariances, factors, nullptr,
                     p.workspace.take(scratch));
}

}  // namespace

Index covariance_size(Geometry geometry, Index d) {
    return is_matrix(geometry) ? d * d : geometry == Geometry::diagonal ? d : 1;
}

Index total_size(Geometry geometry, Index d) {
    if (geometry == Geometry::tied) return d;
    return d + (geometry == Geometry::dense ? packed_size(d) : covariance_size(geometry, d));
}

Index shared_size(Geometry geometry, Index d) {
    return geometry == Geometry::tied ? packed_size(d) : 0;
}

const ShapeInfo* find_shape(std::string_view name) {
    for (const ShapeInfo& shape : kShapes)
        if (shape.name == name) return &shape;
    return nullptr;
}

Index m_step(const ShapeInfo& shape, const MStepInput& in, const MStepOutput& out,
             Workspace& workspace) {
    workspace.reset();
    const Index K = in.n_components, d = in.n_features, size = covariance_size(shape.geometry, d);
    double* n = workspace.take(K);
    double* scatter = workspace.take(shape.geometry == Geometry::tied ? size : K * size);
    const double n_total = set_means(shape.geometry, in, out.means, n);
    set_scatter(shape.geometry, in, n, scatter);
    MStepProblem problem{K, d, n, n_total, scatter, in.previous, in.floor, in.max_inner,
                         in.inner_tol, in.n_threads, out.covariances, workspace};
    const Index missing = keep_previous(shape, problem);
    if (missing >= 0) return missing;
    if (n_total > 0.0) shape.maximise(problem);
    if (problem.approximate) keep_better_previous(problem, shape.maximise);
    set_factors(shape, problem, out.factors);
    return -1;
}

void factor_each(MStepProblem& p, const double* covariances, double* factors) {
    const Index d = p.d, size = d * d;
    if (!p.threaded()) {
        cholesky_factors(Geometry::dense, p.K, d, covariances, factors, nullptr, p.workspace.take(size));
        return;
    }
    each_live(p, size, [&](Index k, double* l) {
        inverse_factor(d, covariances + k * size, factors + k * size, nullptr, l);
    });
    double* l = p.workspace.take(size);
    for (Index k = 0; k < p.K; ++k)
        if (!p.live(k)) inverse_factor(d, covariances + k * size, factors + k * size, nullptr, l);
}

void cholesky_factors(Geometry geometry, Index count, Index d, const double* covariances,
                      double* factors, double* log_determinants, double* scratch) {
    const Index size = covariance_size(geometry, d);
    if (is_matrix(geometry) && d > 1 && d <= most_lane_features) {
        variant_in_use().inverse_factors_of_each(d, count, covariances, pivot_tolerance(d), factors);
        for (Index k = 0; log_determinants != nullptr && k < count; ++k)
            log_determinants[k] = -log_determinant_of_factor(d, factors + k * size);
        return;
    }
    for (Index k = 0; k < count; ++k) {
        double* log_determinant = log_determinants != nullptr ? log_determinants + k : nullptr;
        if (is_matrix(geometry))
            inverse_factor(d, covariances + k * size, factors + k * size, log_determinant, scratch);
        else
            inverse_roots(size, covariances + k * size, factors + k * size, log_determinant,
                          geometry == Geometry::spherical ? d : 1);
    }
}

}  // namespace mixtura
