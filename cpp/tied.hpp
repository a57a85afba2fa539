// The pooled scatter of components that share one covariance, without a scatter per component.
//
// With shares r_k of a row that sum to one and its fitted value m = sum_k r_k mu_k,
//   sum_k r_k (x - mu_k)(x - mu_k)'
//     = (x - m)(x - m)' + 1/2 sum_kl r_k r_l (mu_k - mu_l)(mu_k - mu_l)'.
// So a row costs K d for m, d^2 / 2 for the first term and K^2 / 2 for the products of shares,
// instead of K d^2 / 2. All terms are positive semidefinite: nothing cancels.
#pragma once

#include "scatter.hpp"
#include "selection.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

struct TiedWork {
    double* shares;       // responsibilities before row weights, component by component
    double* rest;         // x - m, feature by feature
    double* means;        // (K, d) about the centre
    double* centre;       // (d)
    double* zeros;        // as many as there are features or components
    double* unused;       // first moments that nobody asked for
    double* products;     // tiles of sum w r_k r_l
    double* triangle;     // the same, unpacked

    TiedWork(const Shape& shape, const Layout& layout, Carver& carver) {
        const Index k = shape.n_components, d = shape.n_features, most = k > d ? k : d;
        shares = carver.take(k * layout.x_stride);
        rest = carver.take(d * layout.x_stride);
        means = carver.take(k * d);
        centre = carver.take(d);
        zeros = carver.take(most);
        unused = carver.take(scatter_first_size(most));
        products = carver.take(scatter_second_size(k));
        triangle = carver.take(k * (k + 1) / 2);
    }
};

inline double shares_cycles(const Shape& shape) {
    double k = double(shape.n_components), d = double(shape.n_features);
    return (3 * k * d + 0.6 * d * d + 0.6 * k * k) / lanes;
}

// Whether this can ever pay, for all rows belonging to all components.
inline bool may_use_shares(const Shape& shape) {
    return shape.geometry == Geometry::tied && shape.n_components > 1 &&
           shares_cycles(shape) < moment_cycles(shape) * double(shape.n_components);
}

// Whether it pays when `n_nonzero` of the responsibilities of these rows are not zero.
inline bool worth_shares(const Shape& shape, Index n_nonzero, Index n_rows) {
    double each = moment_cycles(shape) + copy_cycles(shape);
    double all = moment_cycles(shape) * double(shape.n_components) * double(n_rows);
    double direct = each * double(n_nonzero);
    return shares_cycles(shape) * double(n_rows) < (direct < all ? direct : all);
}

inline void begin_tied(const Plan& plan, const TiedWork& t) {
    const Index d = plan.shape.n_features, n = plan.shape.n_components;
    for (Index j = 0; j < d; ++j) {
        double sum = 0;
        for (Index k = 0; k < n; ++k) sum += (plan.means[k * d + j] - plan.means[j]) / double(n);
        t.centre[j] = plan.means[j] + sum;
        for (Index k = 0; k < n; ++k) t.means[k * d + j] = plan.means[k * d + j] - t.centre[j];
    }
    for (Index i = 0; i < (n > d ? n : d); ++i) t.zeros[i] = 0;
    for (Index i = 0; i < scatter_second_size(n); ++i) t.products[i] = 0;
}

// Features j .. j+J-1 of x minus its fitted value.
template <int J>
MIXTURA_APART void subtract_fit(const Plan& plan, const TiedWork& t, const double* x, Index stride,
                                Index n_rows, Index j) {
    const Index d = plan.shape.n_features, n_components = plan.shape.n_components;
    for (Index n = 0; n < n_rows; n += lanes) {
        Vec rest[J];
        MIXTURA_UNROLL
        for (int i = 0; i < J; ++i) rest[i] = load(x + (j + i) * stride + n) - t.centre[j + i];
        const double *share = t.shares + n, *mean = t.means + j;
        for (Index k = 0; k < n_components; ++k, share += stride, mean += d) {
            Vec r = load(share);
            MIXTURA_UNROLL
            for (int i = 0; i < J; ++i) rest[i] = rest[i] - r * mean[i];
        }
        MIXTURA_UNROLL
        for (int i = 0; i < J; ++i) store(t.rest + (j + i) * stride + n, rest[i]);
    }
}

// Adds the rows of a block whose shares are in place, with these row weights.
inline void add_shares(const Plan& plan, const Layout& layout, const TiedWork& t, const double* x,
                       Index n_vectors, const double* weight, const Sums& sums) {
    const Index d = plan.shape.n_features, n_rows = n_vectors * lanes, stride = layout.x_stride;
    Index j = 0;
    for (; j + 4 <= d; j += 4) subtract_fit<4>(plan, t, x, stride, n_rows, j);
    for (; j < d; ++j) subtract_fit<1>(plan, t, x, stride, n_rows, j);
    add_scatter(t.rest, d, stride, n_rows, t.zeros, weight, t.unused, sums.second);
    add_scatter(t.shares, plan.shape.n_components, stride, n_rows, t.zeros, weight, t.unused,
                t.products);
}

// Adds the term between the means to the packed scatter of a leaf. The inner sum is over
// differences of means, so means far from the centre cost no digits.
inline void finish_tied(const Plan& plan, const TiedWork& t, double* scatter) {
    const Index d = plan.shape.n_features, n = plan.shape.n_components;
    unpack_scatter(n, t.products, t.triangle);
    double* pull = t.rest;  // sum_l c_kl (mu_k - mu_l) of one component
    for (Index k = 0; k < n; ++k) {
        const double* mean = t.means + k * d;
        for (Index j = 0; j < d; ++j) pull[j] = 0;
        for (Index l = 0; l < n; ++l) {
            double c = t.triangle[k > l ? k * (k + 1) / 2 + l : l * (l + 1) / 2 + k];
            for (Index j = 0; j < d; ++j) pull[j] += c * (mean[j] - t.means[l * d + j]);
        }
        double* out = scatter;
        for (Index i = 0; i < d; ++i) {
            for (Index j = 0; j <= i; ++j) *out++ += pull[i] * mean[j];
        }
    }
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
