#include "density.hpp"

#include "few_features.hpp"
#include "tiled.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {
namespace {

// ---- dense factor, few features: everything unrolled ----

template <int D>
void small_panel(const double* x, Index x_stride, const double* mean, const double* factor,
                 double constant, double* density, double* row_max) {
    Vec square[small_vectors];
    small_squares<D>(x, x_stride, mean, factor, square);
    MIXTURA_UNROLL
    for (int v = 0; v < small_vectors; ++v) {
        put_density(constant, square[v], density + v * lanes, row_max + v * lanes);
    }
}

template <int D, int V>
void small_strip(const Plan& plan, const double* x, Index x_stride, Index k, double* density) {
    Vec square[V];
    small_squares<D>(x, x_stride, plan.means + k * D, plan.factors + k * (D * (D + 1) / 2), square);
    MIXTURA_UNROLL
    for (int v = 0; v < V; ++v) {
        store(density + v * lanes, log_density(plan.constants[k], square[v]));
    }
}

// One component, any number of vectors of rows.
template <int D>
void small_rows(const Plan& plan, const double* x, Index x_stride, Index n_vectors, Index k,
                double* density) {
    constexpr int V = small_vectors;
    for (; n_vectors >= V; n_vectors -= V, x += V * lanes, density += V * lanes) {
        small_strip<D, V>(plan, x, x_stride, k, density);
    }
    for (; n_vectors > 0; --n_vectors, x += lanes, density += lanes) {
        small_strip<D, 1>(plan, x, x_stride, k, density);
    }
}

template <int D>
void small_block(const Plan& plan, const Layout& layout, const double* x, Index n_panels,
                 double* density, double* row_max) {
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        const double* factor = plan.factors + k * (D * (D + 1) / 2);
        for (Index g = 0; g < n_panels; ++g) {
            small_panel<D>(x + g * layout.panel, layout.x_stride, plan.means + k * D, factor,
                           plan.constants[k],
                           density + g * layout.density_stride + k * layout.panel,
                           row_max + g * layout.panel);
        }
    }
}

using SmallBlock = void (*)(const Plan&, const Layout&, const double*, Index, double*, double*);
constexpr SmallBlock small_blocks[most_small_features] = {
    small_block<1>,  small_block<2>,  small_block<3>,  small_block<4>,
    small_block<5>,  small_block<6>,  small_block<7>,  small_block<8>,
    small_block<9>,  small_block<10>, small_block<11>, small_block<12>,
    small_block<13>, small_block<14>, small_block<15>, small_block<16>};

using SmallRows = void (*)(const Plan&, const double*, Index, Index, Index, double*);
constexpr SmallRows small_row_sizes[most_small_features] = {
    small_rows<1>,  small_rows<2>,  small_rows<3>,  small_rows<4>,
    small_rows<5>,  small_rows<6>,  small_rows<7>,  small_rows<8>,
    small_rows<9>,  small_rows<10>, small_rows<11>, small_rows<12>,
    small_rows<13>, small_rows<14>, small_rows<15>, small_rows<16>};

// ---- diagonal and spherical factors ----

// Scaled: every feature has its own factor. Otherwise one factor serves all of them.
template <bool Scaled, int V>
void plain_block(const Plan& plan, const Layout& layout, const double* x, Index x_stride,
                 const double* means, const double* factors, Index factor_stride, Index n_panels,
                 double* density, double* row_max) {
    const Index d = plan.shape.n_features;
    for (Index k = 0; k < plan.shape.n_components; ++k) {
        const double* mean = means + k * d;
        const double* factor = factors + k * factor_stride;
        for (Index g = 0; g < n_panels; ++g) {
            const double* p = x + g * layout.panel;
            Vec square[V];
            MIXTURA_UNROLL
            for (int v = 0; v < V; ++v) square[v] = splat(0);
            for (Index j = 0; j < d; ++j, p += x_stride) {
                Vec m = splat(mean[j]), f = splat(Scaled ? factor[j] : 1.0);
                MIXTURA_UNROLL
                for (int v = 0; v < V; ++v) {
                    Vec z = load(p + v * lanes) - m;
                    if (Scaled) z = z * f;
                    square[v] += z * z;
                }
            }
            double* out = density + g * layout.density_stride + k * layout.panel;
            double* greatest = row_max + g * layout.panel;
            MIXTURA_UNROLL
            for (int v = 0; v < V; ++v) {
                if (!Scaled) square[v] = square[v] * factor[0] * factor[0];
                put_density(plan.constants[k], square[v], out + v * lanes, greatest + v * lanes);
            }
        }
    }
}

// One component, any number of vectors of rows.
template <bool Scaled>
void plain_rows(const Plan& plan, const double* x, Index x_stride, Index n_vectors, Index k,
                double* density) {
    const Index d = plan.shape.n_features;
    const double* mean = plan.means + k * d;
    const double* factor = plan.factors + k * (Scaled ? d : 1);
    for (; n_vectors > 0; --n_vectors, x += lanes, density += lanes) {
        Vec square = splat(0);
        for (Index j = 0; j < d; ++j) {
            Vec z = load(x + j * x_stride) - mean[j];
            if (Scaled) z = z * factor[j];
            square += z * z;
        }
        if (!Scaled) square = square * factor[0] * factor[0];
        store(density, log_density(plan.constants[k], square));
    }
}

// ---- one dense factor for all components ----

// Packed: the tiled factor, the centre, the whitened centred means (K, d), and a single 1.
struct TiedParts {
    const double *factor, *centre, *means, *one;
    TiedParts(const Shape& s, const double* packed)
        : factor(packed),
          centre(factor + s.triangle()),
          means(centre + s.n_features),
          one(means + s.n_components * s.n_features) {}
};

void pack_tied(const ScaledModel& model, double* packed) {
    const Shape& shape = model.shape;
    const Index d = shape.n_features, n = shape.n_components;
    TiedParts parts(shape, packed);
    pack_triangle(model.factors, d, true, packed);
    double* centre = packed + (parts.centre - packed);
    double* means = packed + (parts.means - packed);
    packed[parts.one - packed] = 1;
    for (Index j = 0; j < d; ++j) {
        double sum = 0;
        for (Index k = 0; k < n; ++k) sum += (model.means[k * d + j] - model.means[j]) / double(n);
        centre[j] = model.means[j] + sum;
    }
    for (Index k = 0; k < n; ++k) {
        for (Index i = 0; i < d; ++i) {
            double z = 0;
            for (Index j = 0; j <= i; ++j) {
                z += model.factors[i * d + j] * (model.means[k * d + j] - centre[j]);
            }
            means[k * d + i] = z;
        }
    }
}

// Rows are whitened once, z = factor (x - centre); then the components are spheres around the
// whitened means.
void tied_block(const Plan& plan, const Layout& layout, const double* x, Index n_panels,
                double* work, double* density, double* row_max) {
    const Index d = plan.shape.n_features;
    const TiedParts parts(plan.shape, plan.factors);
    const int ragged = static_cast<int>(d % tile_rows);
    double* white = work;
    double* y = work + d * layout.x_stride;
    for (Index g = 0; g < n_panels; ++g) {
        centre_panel<tile_vectors>(x + g * layout.panel, layout.x_stride, parts.centre, d, y);
        double* out = white + g * layout.panel;
        const double* factor = parts.factor;
        factor = ragged_whiten<tile_rows - 1>(ragged, factor, y, out, layout.x_stride);
        for (Index i0 = ragged; i0 < d; i0 += tile_rows) {
            factor = tile_whiten<tile_rows>(factor, y, i0, out, layout.x_stride);
        }
    }
    plain_block<false, tile_vectors>(plan, layout, white, layout.x_stride, parts.means, parts.one,
                                     0, n_panels, density, row_max);
}

bool is_small(const Shape& shape) {
    return shape.geometry == Geometry::dense && shape.n_features <= most_small_features;
}

}  // namespace

Index packed_factor_size(const Shape& shape) {
    switch (shape.geometry) {
        case Geometry::dense:
            return shape.n_components * shape.triangle();
        case Geometry::tied:
            return shape.triangle() + (1 + shape.n_components) * shape.n_features + 1;
        default:
            return shape.n_components * shape.factor_size();
    }
}

void pack_factors(const ScaledModel& model, double* packed) {
    const Shape& shape = model.shape;
    if (shape.geometry == Geometry::tied) return pack_tied(model, packed);
    for (Index k = 0; k < shape.n_components; ++k) {
        const double* factor = model.factors + k * shape.factor_size();
        if (shape.geometry == Geometry::dense) {
            double* out = packed + k * shape.triangle();
            pack_triangle(factor, shape.n_features, !is_small(shape), out);
        } else {
            for (Index i = 0; i < shape.factor_size(); ++i) {
                packed[k * shape.factor_size() + i] = factor[i];
            }
        }
    }
}

Index density_work_size(const Shape& shape, const Layout& layout) {
    Index panel = shape.n_features * layout.panel;
    if (shape.geometry == Geometry::tied) return panel + shape.n_features * layout.x_stride;
    return shape.geometry == Geometry::dense && !is_small(shape) ? panel : 0;
}

void component_log_density(const Plan& plan, const double* x, Index x_stride, Index n_vectors,
                           Index k, double* density) {
    switch (plan.shape.geometry) {
        case Geometry::diagonal:
            return plain_rows<true>(plan, x, x_stride, n_vectors, k, density);
        case Geometry::spherical:
            return plain_rows<false>(plan, x, x_stride, n_vectors, k, density);
        default:
            return small_row_sizes[plan.shape.n_features - 1](plan, x, x_stride, n_vectors, k,
                                                              density);
    }
}

bool is_tiled(const Shape& shape) {
    return shape.geometry == Geometry::dense && !is_small(shape);
}

Index bounding_features(const Shape& shape) {
    const Index target = shape.n_features > 96 ? shape.n_features / 6 : 16;
    Index ragged = shape.n_features % tile_rows;
    return ragged + round_up(target - ragged, tile_rows);
}

void density_bounds(const Plan& plan, const Layout& layout, const double* x, Index n_panels,
                    double* work, double* bound, double* row_max) {
    for (Index n = 0; n < n_panels * layout.panel; n += lanes) store(row_max + n, splat(-1e308));
    tiled_block(plan, layout, x, n_panels, bounding_features(plan.shape), work, bound, row_max);
}

void tiled_log_density(const Plan& plan, const double* x, Index x_stride, Index n_vectors, Index k,
                       double* work, double* density) {
    for (; n_vectors > 1; n_vectors -= 2, x += 2 * lanes, density += 2 * lanes) {
        tiled_strip<2>(plan, x, x_stride, k, work, density);
    }
    if (n_vectors == 1) tiled_strip<1>(plan, x, x_stride, k, work, density);
}

void log_densities(const Plan& plan, const Layout& layout, const double* x, Index n_panels,
                   double* work, double* density, double* row_max) {
    const Shape& shape = plan.shape;
    for (Index n = 0; n < n_panels * layout.panel; n += lanes) store(row_max + n, splat(-1e308));
    switch (shape.geometry) {
        case Geometry::dense:
            if (is_small(shape)) {
                small_blocks[shape.n_features - 1](plan, layout, x, n_panels, density, row_max);
            } else {
                tiled_block(plan, layout, x, n_panels, shape.n_features, work, density, row_max);
            }
            break;
        case Geometry::tied:
            tied_block(plan, layout, x, n_panels, work, density, row_max);
            break;
        case Geometry::diagonal:
            plain_block<true, plain_vectors>(plan, layout, x, layout.x_stride, plan.means,
                                             plan.factors, shape.n_features, n_panels, density,
                                             row_max);
            break;
        case Geometry::spherical:
            plain_block<false, plain_vectors>(plan, layout, x, layout.x_stride, plan.means,
                                              plan.factors, 1, n_panels, density, row_max);
            break;
    }
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
