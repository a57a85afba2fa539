#include "scatter.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {
namespace {

// Features cut into nearly equal tiles of at most `widest`.
struct Cut {
    Index n_tiles, base, longer;
    Cut(Index d, Index widest)
        : n_tiles((d + widest - 1) / widest), base(d / n_tiles), longer(d % n_tiles) {}
    Index start(Index t) const { return t * base + (t < longer ? t : longer); }
    int size(Index t) const { return static_cast<int>(base + (t < longer)); }
};

constexpr int vectors_for(int n) { return (n + lanes - 1) / lanes; }

// Adds the sum over lanes of each accumulator to out[0 .. N-1], padded to whole vectors.
template <int N>
MIXTURA_INLINE void add_lane_sums(const Vec* sums, double* out) {
    MIXTURA_UNROLL
    for (int i = 0; i < N; i += lanes) {
        Vec group[lanes];
        MIXTURA_UNROLL
        for (int l = 0; l < lanes; ++l) group[l] = i + l < N ? sums[i + l] : splat(0);
        store(out + i, load(out + i) + transposed_sum(group));
    }
}

// ---- scatter matrices ----

// Tiles on the diagonal take J numbers of `first` and the lower triangle of a tile; the ones
// below it J x C numbers.
constexpr Index first_slot = vectors_for(scatter_tile) * lanes;
constexpr Index tile_slot = vectors_for(scatter_tile * scatter_tile) * lanes;

// Scaled: r[n] * scale[n] stands in the place of r[n], and its sum is returned.
template <int J, bool Scaled>
MIXTURA_INLINE double diagonal_moments(const double* x, Index stride, const double* mean,
                                       const double* r, const double* scale, Index n_rows,
                                       double* first, double* second) {
    Vec weight = splat(0), s1[J], s2[J * (J + 1) / 2];
    MIXTURA_UNROLL
    for (int i = 0; i < J; ++i) s1[i] = splat(0);
    MIXTURA_UNROLL
    for (int i = 0; i < J * (J + 1) / 2; ++i) s2[i] = splat(0);
    for (Index n = 0; n < n_rows; n += lanes) {
        Vec rn = load(r + n), y[J];
        if (Scaled) {
            rn *= load(scale + n);
            weight += rn;
        }
        MIXTURA_UNROLL
        for (int i = 0; i < J; ++i) {
            y[i] = load(x + i * stride + n) - mean[i];
            Vec p = y[i] * rn;
            s1[i] += p;
            MIXTURA_UNROLL
            for (int j = 0; j <= i; ++j) s2[i * (i + 1) / 2 + j] += p * y[j];
        }
    }
    add_lane_sums<J>(s1, first);
    add_lane_sums<J*(J + 1) / 2>(s2, second);
    return sum_of_lanes(weight);
}

template <int J>
void diagonal_tile(const double* x, Index stride, const double* mean, const double* r,
                   Index n_rows, double* first, double* second) {
    diagonal_moments<J, false>(x, stride, mean, r, nullptr, n_rows, first, second);
}

template <int J>
double scaled_tile(const double* x, Index stride, const double* mean, const double* r,
                   const double* scale, Index n_rows, double* first, double* second) {
    return diagonal_moments<J, true>(x, stride, mean, r, scale, n_rows, first, second);
}

template <int J, int C>
void lower_tile(const double* xj, const double* xc, Index stride, const double* mj,
                const double* mc, const double* r, Index n_rows, double* out) {
    Vec s[J * C];
    MIXTURA_UNROLL
    for (int i = 0; i < J * C; ++i) s[i] = splat(0);
    for (Index n = 0; n < n_rows; n += lanes) {
        Vec rn = load(r + n), p[J];
        MIXTURA_UNROLL
        for (int j = 0; j < J; ++j) p[j] = (load(xj + j * stride + n) - mj[j]) * rn;
        MIXTURA_UNROLL
        for (int c = 0; c < C; ++c) {
            Vec y = load(xc + c * stride + n) - mc[c];
            MIXTURA_UNROLL
            for (int j = 0; j < J; ++j) s[j * C + c] += p[j] * y;
        }
    }
    add_lane_sums<J * C>(s, out);
}

using DiagonalTile = void (*)(const double*, Index, const double*, const double*, Index, double*,
                              double*);
using LowerTile = void (*)(const double*, const double*, Index, const double*, const double*,
                           const double*, Index, double*);

constexpr DiagonalTile diagonal_tiles[5] = {diagonal_tile<1>, diagonal_tile<2>, diagonal_tile<3>,
                                            diagonal_tile<4>, diagonal_tile<5>};
using ScaledTile = double (*)(const double*, Index, const double*, const double*, const double*,
                              Index, double*, double*);
constexpr ScaledTile scaled_tiles[5] = {scaled_tile<1>, scaled_tile<2>, scaled_tile<3>,
                                        scaled_tile<4>, scaled_tile<5>};
// Nearly equal tiles, two or more of them, are never narrower than two.
constexpr LowerTile lower_tiles[4][4] = {
    {lower_tile<2, 2>, lower_tile<2, 3>, lower_tile<2, 4>, lower_tile<2, 5>},
    {lower_tile<3, 2>, lower_tile<3, 3>, lower_tile<3, 4>, lower_tile<3, 5>},
    {lower_tile<4, 2>, lower_tile<4, 3>, lower_tile<4, 4>, lower_tile<4, 5>},
    {lower_tile<5, 2>, lower_tile<5, 3>, lower_tile<5, 4>, lower_tile<5, 5>}};

void unpack_first(const Shape& shape, const double* first, double* out) {
    const Cut cut(shape.n_features, scatter_tile);
    for (Index a = 0; a < cut.n_tiles; ++a, first += first_slot) {
        for (Index i = 0; i < cut.size(a); ++i) *out++ = first[i];
    }
}

template <int J>
void first_tile(const double* x, Index stride, const double* mean, const double* r, Index n_rows,
                double* first) {
    Vec s1[J];
    MIXTURA_UNROLL
    for (int i = 0; i < J; ++i) s1[i] = splat(0);
    for (Index n = 0; n < n_rows; n += lanes) {
        Vec rn = load(r + n);
        MIXTURA_UNROLL
        for (int i = 0; i < J; ++i) s1[i] += (load(x + i * stride + n) - mean[i]) * rn;
    }
    add_lane_sums<J>(s1, first);
}

using FirstTile = void (*)(const double*, Index, const double*, const double*, Index, double*);
constexpr FirstTile first_tiles[5] = {first_tile<1>, first_tile<2>, first_tile<3>, first_tile<4>,
                                      first_tile<5>};

// ---- variances ----

constexpr Index column_slot = vectors_for(plain_columns) * lanes;

// Scaled: as in diagonal_moments.
template <int C, bool Scaled>
MIXTURA_INLINE double plain_moments(const double* x, Index stride, const double* mean,
                                    const double* r, const double* scale, Index n_rows,
                                    double* first, double* second) {
    Vec weight = splat(0), s1[C], s2[C];
    MIXTURA_UNROLL
    for (int c = 0; c < C; ++c) s1[c] = s2[c] = splat(0);
    for (Index n = 0; n < n_rows; n += lanes) {
        Vec rn = load(r + n);
        if (Scaled) {
            rn *= load(scale + n);
            weight += rn;
        }
        MIXTURA_UNROLL
        for (int c = 0; c < C; ++c) {
            Vec y = load(x + c * stride + n) - mean[c];
            Vec p = y * rn;
            s1[c] += p;
            s2[c] += p * y;
        }
    }
    add_lane_sums<C>(s1, first);
    add_lane_sums<C>(s2, second);
    return sum_of_lanes(weight);
}

template <int C>
void column_moments(const double* x, Index stride, const double* mean, const double* r,
                    Index n_rows, double* first, double* second) {
    plain_moments<C, false>(x, stride, mean, r, nullptr, n_rows, first, second);
}

template <int C>
double scaled_columns(const double* x, Index stride, const double* mean, const double* r,
                      const double* scale, Index n_rows, double* first, double* second) {
    return plain_moments<C, true>(x, stride, mean, r, scale, n_rows, first, second);
}

constexpr ScaledTile scaled_column_sizes[5] = {scaled_columns<1>, scaled_columns<2>,
                                               scaled_columns<3>, scaled_columns<4>,
                                               scaled_columns<5>};

using ColumnMoments = void (*)(const double*, Index, const double*, const double*, Index, double*,
                               double*);
constexpr ColumnMoments column_moment_sizes[10] = {
    column_moments<1>, column_moments<2>, column_moments<3>, column_moments<4>,
    column_moments<5>, column_moments<6>, column_moments<7>, column_moments<8>,
    column_moments<9>, column_moments<10>};

void add_variances(const Plan& plan, const Layout& layout, const double* x, Index n_rows,
                   const double* mean, const double* r, double* first, double* second) {
    const Cut cut(plan.shape.n_features, plain_columns);
    for (Index a = 0; a < cut.n_tiles; ++a, first += column_slot, second += column_slot) {
        column_moment_sizes[cut.size(a) - 1](x + cut.start(a) * layout.x_stride, layout.x_stride,
                                             mean + cut.start(a), r, n_rows, first, second);
    }
}

void unpack_columns(const Shape& shape, const double* tiles, double* out) {
    const Cut cut(shape.n_features, plain_columns);
    for (Index a = 0; a < cut.n_tiles; ++a, tiles += column_slot) {
        for (Index i = 0; i < cut.size(a); ++i) *out++ = tiles[i];
    }
}

bool has_matrix(const Shape& shape) {
    return shape.geometry == Geometry::dense || shape.geometry == Geometry::tied;
}

}  // namespace

void add_scatter(const double* x, Index n_features, Index stride, Index n_rows,
                 const double* mean, const double* r, double* first, double* second) {
    const Cut cut(n_features, scatter_tile);
    for (Index a = 0; a < cut.n_tiles; ++a) {
        const double* xa = x + cut.start(a) * stride;
        const double* ma = mean + cut.start(a);
        for (Index b = 0; b < a; ++b, second += tile_slot) {
            lower_tiles[cut.size(a) - 2][cut.size(b) - 2](xa, x + cut.start(b) * stride, stride, ma,
                                                          mean + cut.start(b), r, n_rows, second);
        }
        diagonal_tiles[cut.size(a) - 1](xa, stride, ma, r, n_rows, first, second);
        first += first_slot;
        second += tile_slot;
    }
}

void unpack_scatter(Index n_features, const double* second, double* out) {
    const Cut cut(n_features, scatter_tile);
    for (Index a = 0; a < cut.n_tiles; ++a) {
        for (Index b = 0; b <= a; ++b, second += tile_slot) {
            for (Index i = 0; i < cut.size(a); ++i) {
                Index row = cut.start(a) + i;
                double* to = out + row * (row + 1) / 2 + cut.start(b);
                Index width = b < a ? cut.size(b) : i + 1;
                const double* from = second + (b < a ? i * width : i * (i + 1) / 2);
                for (Index c = 0; c < width; ++c) to[c] = from[c];
            }
        }
    }
}

Index scatter_first_size(Index n_features) {
    return Cut(n_features, scatter_tile).n_tiles * first_slot;
}

Index scatter_second_size(Index n_features) {
    Index tiles = Cut(n_features, scatter_tile).n_tiles;
    return tiles * (tiles + 1) / 2 * tile_slot;
}

void add_first_moments(const Plan& plan, const Layout& layout, const double* x, Index n_vectors,
                       Index k, const double* r, const Sums& sums) {
    const Cut cut(plan.shape.n_features, scatter_tile);
    double* first = sums.first + k * sums.first_size;
    const double* mean = plan.means + k * plan.shape.n_features;
    for (Index a = 0; a < cut.n_tiles; ++a, first += first_slot) {
        first_tiles[cut.size(a) - 1](x + cut.start(a) * layout.x_stride, layout.x_stride,
                                     mean + cut.start(a), r, n_vectors * lanes, first);
    }
}

Sums carve_sums(const Shape& shape, Carver& carver) {
    Sums sums;
    const Index n = shape.n_components;
    if (has_matrix(shape)) {
        sums.first_size = scatter_first_size(shape.n_features);
        sums.second_size = scatter_second_size(shape.n_features);
    } else {
        sums.first_size = Cut(shape.n_features, plain_columns).n_tiles * column_slot;
        sums.second_size = sums.first_size;
    }
    sums.weights = carver.take(n);
    sums.first = carver.take(n * sums.first_size);
    sums.second = carver.take((shape.geometry == Geometry::tied ? 1 : n) * sums.second_size);
    return sums;
}

void clear_sums(const Shape& shape, const Sums& sums) {
    const Index n = shape.n_components;
    const Index matrices = shape.geometry == Geometry::tied ? 1 : n;
    for (Index i = 0; i < n; ++i) sums.weights[i] = 0;
    for (Index i = 0; i < n * sums.first_size; ++i) sums.first[i] = 0;
    for (Index i = 0; i < matrices * sums.second_size; ++i) sums.second[i] = 0;
}

void add_moments(const Plan& plan, const Layout& layout, const double* x, Index n_vectors, Index k,
                 const double* r, const Sums& sums) {
    const Shape& shape = plan.shape;
    const double* mean = plan.means + k * shape.n_features;
    const Index n_rows = n_vectors * lanes;
    double* first = sums.first + k * sums.first_size;
    double* second = sums.second + (shape.geometry == Geometry::tied ? 0 : k) * sums.second_size;
    if (has_matrix(shape)) {
        add_scatter(x, shape.n_features, layout.x_stride, n_rows, mean, r, first, second);
    } else {
        add_variances(plan, layout, x, n_rows, mean, r, first, second);
    }
}

void add_scaled_moments(const Plan& plan, const Layout& layout, const double* x, Index n_rows,
                        Index k, const double* r, const double* scale, const Sums& sums) {
    const Index d = plan.shape.n_features;
    const ScaledTile add = (has_matrix(plan.shape) ? scaled_tiles : scaled_column_sizes)[d - 1];
    sums.weights[k] += add(x, layout.x_stride, plan.means + k * d, r, scale, n_rows,
                           sums.first + k * sums.first_size, sums.second + k * sums.second_size);
}

void unpack_sums(const Shape& shape, const Sums& sums, double* leaf) {
    const Index d = shape.n_features;
    for (Index k = 0; k < shape.n_components; ++k) {
        leaf[k] = sums.weights[k];
        double* total = leaf + shape.total_at() + k * shape.total_size();
        const double* first = sums.first + k * sums.first_size;
        const double* second = sums.second + k * sums.second_size;
        if (has_matrix(shape)) {
            unpack_first(shape, first, total);
            if (shape.geometry == Geometry::dense) unpack_scatter(d, second, total + d);
            continue;
        }
        unpack_columns(shape, first, total);
        if (shape.geometry == Geometry::diagonal) {
            unpack_columns(shape, second, total + d);
        } else {
            double sum = 0;
            for (Index i = 0; i < sums.second_size; ++i) sum += second[i];  // spare slots are zero
            total[d] = sum;
        }
    }
    if (shape.geometry == Geometry::tied) {
        unpack_scatter(d, sums.second, leaf + shape.shared_at());
    }
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
