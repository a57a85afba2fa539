#include "small_matrices.hpp"

#include "kernel.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {
namespace {

constexpr double epsilon = 2.220446049250313e-16;
constexpr int most_sweeps = 60;  // about 6 are needed; more only for numbers that are not finite

// Calls work(constant) with the dimension as a constant.
template <class Work>
MIXTURA_INLINE void with_dimension(Index d, Work work) {
    switch (d) {
        case 2: work.template operator()<2>(); break;
        case 3: work.template operator()<3>(); break;
        case 4: work.template operator()<4>(); break;
        case 5: work.template operator()<5>(); break;
        case 6: work.template operator()<6>(); break;
        default: break;
    }
}

// Number i of the matrices at `places`, side by side.
MIXTURA_INLINE Vec gather(const double* matrices, const Index* places, Index i) {
    double side_by_side[lanes];
    for (int l = 0; l < lanes; ++l) side_by_side[l] = matrices[places[l] + i];
    return load_loose(side_by_side);
}

// Where the matrices first .. first + lanes - 1 begin; spare lanes repeat the last one.
MIXTURA_INLINE void find_places(Index first, Index count, const Index* at, Index size, Index* places) {
    for (int l = 0; l < lanes; ++l) {
        const Index i = first + l < count ? first + l : count - 1;
        places[l] = (at ? at[i] : i) * size;
    }
}

// Turn axes p < q so that the number between them is zero, where it is not negligible already; zero
// if it is so in all lanes. Only the upper triangle of a is kept. As in `jacobi_eigen`.
template <int d>
MIXTURA_INLINE bool annihilate(Vec* a, Vec* vectors, int p, int q) {
    const Vec app = a[p * d + p], aqq = a[q * d + q], apq = a[p * d + q];
    const Vec limit = splat(epsilon) * root(magnitude(app) * magnitude(aqq));
    const Vec size = where_above(magnitude(apq), limit, magnitude(apq));  // 0: negligible
    if (!nonzero_lanes(size)) return false;
    // t = sign(r) / (|r| + sqrt(1 + r^2)) with r = (app - aqq) / (2 apq)
    const Vec difference = app - aqq;
    const Vec ratio = magnitude(difference) / (size + size);
    const Vec tangent = splat(1.0) / (ratio + root(ratio * ratio + splat(1.0)));
    const Vec t = where_above(size, splat(0.0), with_sign_of_ratio(tangent, difference, apq));
    const Vec c = splat(1.0) / root(t * t + splat(1.0)), s = c * t;
    a[p * d + p] = app + t * apq;
    a[q * d + q] = aqq - t * apq;
    a[p * d + q] = apq - where_above(size, splat(0.0), apq);
    MIXTURA_UNROLL
    for (int j = 0; j < d; ++j) {
        if (j == p || j == q) continue;
        Vec& upper = j < p ? a[j * d + p] : a[p * d + j];
        Vec& lower = j < q ? a[j * d + q] : a[q * d + j];
        const Vec at_p = upper, at_q = lower;
        upper = c * at_p + s * at_q;
        lower = c * at_q - s * at_p;
    }
    MIXTURA_UNROLL
    for (int j = 0; j < d; ++j) {
        const Vec at_p = vectors[p * d + j], at_q = vectors[q * d + j];
        vectors[p * d + j] = c * at_p + s * at_q;
        vectors[q * d + j] = c * at_q - s * at_p;
    }
    return true;
}

template <int d>
MIXTURA_APART void jacobi(Vec* a, Vec* vectors) {
    for (int i = 0; i < d * d; ++i) vectors[i] = splat(i % (d + 1) == 0 ? 1.0 : 0.0);
    bool turned = true;
    for (int sweep = 0; turned && sweep < most_sweeps; ++sweep) {
        turned = false;
        MIXTURA_UNROLL
        for (int p = 0; p + 1 < d; ++p) {
            MIXTURA_UNROLL
            for (int q = p + 1; q < d; ++q) turned |= annihilate<d>(a, vectors, p, q);
        }
        if (d == 2) break;  // one rotation is exact
    }
}

// Largest first: values of one lane, and the vectors that belong to them.
template <int d>
void put_in_order(const Vec* a, const Vec* vectors, int lane, double* values, double* out) {
    int order[d];
    for (int i = 0; i < d; ++i) {
        int j = i;
        const double own = a[i * (d + 1)][lane];
        for (; j > 0 && own > a[order[j - 1] * (d + 1)][lane]; --j) order[j] = order[j - 1];
        order[j] = i;
    }
    for (int i = 0; i < d; ++i) {
        values[i] = a[order[i] * (d + 1)][lane];
        for (int j = 0; j < d; ++j) out[i * d + j] = vectors[order[i] * d + j][lane];
    }
}

struct EigenWork {
    Index count;
    const Index* at;
    const double* matrices;
    double *values, *vectors;

    template <int d>
    void operator()() const {
        Vec a[d * d], turned[d * d];
        Index places[lanes];
        for (Index first = 0; first < count; first += lanes) {
            find_places(first, count, at, d * d, places);
            for (int i = 0; i < d * d; ++i) a[i] = gather(matrices, places, i);
            jacobi<d>(a, turned);
            for (int l = 0; l < lanes && first + l < count; ++l) {
                put_in_order<d>(a, turned, l, values + places[l] / d, vectors + places[l]);
            }
        }
    }
};

// w = inverse of l, where a = l l', of which the lower triangle is read; a lane whose matrix is not positive definite
// to the tolerance ends with a last number that is not finite. As `cholesky` and `invert_lower`.
template <int d>
MIXTURA_APART void invert_factor(Vec* a, Vec* w, double tolerance) {
    Vec inverse_pivot[d];
    MIXTURA_UNROLL
    for (int i = 0; i < d; ++i) {
        Vec pivot = a[i * d + i];
        const Vec diagonal = pivot;
        MIXTURA_UNROLL
        for (int j = 0; j < i; ++j) {
            Vec sum = a[i * d + j];
            for (int p = 0; p < j; ++p) sum = sum - a[i * d + p] * a[j * d + p];
            a[i * d + j] = sum * inverse_pivot[j];
            pivot = pivot - a[i * d + j] * a[i * d + j];
        }
        // infinite where the pivot is lost, and then all later ones are not finite either
        inverse_pivot[i] = splat(1.0) / root(where_above(pivot, splat(tolerance) * diagonal, pivot));
    }
    MIXTURA_UNROLL
    for (int i = 0; i < d; ++i) {
        for (int j = 0; j < i; ++j) {
            Vec sum = splat(0.0);
            for (int p = j; p < i; ++p) sum += a[i * d + p] * w[p * d + j];
            w[i * d + j] = splat(0.0) - sum * inverse_pivot[i];
        }
        w[i * d + i] = inverse_pivot[i];
    }
}

struct FactorWork {
    Index count;
    const double* matrices;
    double tolerance;
    double* factors;

    template <int d>
    void operator()() const {
        Vec a[d * d], w[d * d];
        Index places[lanes];
        for (int i = 0; i < d * d; ++i) w[i] = splat(0.0);
        for (Index first = 0; first < count; first += lanes) {
            find_places(first, count, nullptr, d * d, places);
            for (int i = 0; i < d; ++i) {
                for (int j = 0; j <= i; ++j) a[i * d + j] = gather(matrices, places, i * d + j);
            }
            invert_factor<d>(a, w, tolerance);
            for (int l = 0; l < lanes && first + l < count; ++l) {
                const double zero = w[d * d - 1][l] - w[d * d - 1][l];  // or NaN
                for (int i = 0; i < d * d; ++i) factors[places[l] + i] = w[i][l] + zero;
            }
        }
    }
};

}  // namespace

void eigen_of_each(Index d, Index count, const Index* at, const double* matrices, double* values,
                   double* vectors) {
    with_dimension(d, EigenWork{count, at, matrices, values, vectors});
}

void inverse_factors_of_each(Index d, Index count, const double* matrices, double tolerance,
                             double* factors) {
    with_dimension(d, FactorWork{count, matrices, tolerance, factors});
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
