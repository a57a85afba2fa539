#include "small_linalg.hpp"

#include <cmath>
#include <limits>
#include <utility>

namespace mixtura {

namespace {

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr Index kTiny = 8;        // up to here plain scalar loops beat the row form
constexpr int kMaxSweeps = 60;    // Jacobi needs about 10; more only for non-finite input

// Rows of l from dot products; for small d, where setting up vector loops costs more than it saves.
template <class Dimension>
bool cholesky_tiny(Dimension d, const double* a, double* l, double tolerance) {
    double inverse_pivot[kTiny];
    for (Index i = 0; i < d; ++i) {
        const double diagonal = a[i * d + i];
        double pivot = diagonal;
        for (Index j = 0; j < i; ++j) {
            double sum = a[i * d + j];
            for (Index p = 0; p < j; ++p) sum -= l[i * d + p] * l[j * d + p];
            const double entry = sum * inverse_pivot[j];
            l[i * d + j] = entry;
            pivot -= entry * entry;
        }
        if (!(pivot > tolerance * diagonal) || !std::isfinite(pivot)) return false;
        const double root = std::sqrt(pivot);
        inverse_pivot[i] = 1.0 / root;
        l[i * d + i] = root;
        for (Index j = i + 1; j < d; ++j) l[i * d + j] = 0.0;
    }
    return true;
}

// Rows of u = l' by combining the rows above, all contiguous; then transposed in place.
bool cholesky_rows(Index d, const double* a, double* l, double tolerance) {
    if (l != a)
        for (Index i = 0; i < d; ++i)
            for (Index j = 0; j <= i; ++j) l[i * d + j] = a[i * d + j];
    for (Index i = 0; i < d; ++i)  // the rows below work on the upper triangle
        for (Index j = 0; j < i; ++j) l[j * d + i] = l[i * d + j];
    for (Index i = 0; i < d; ++i) {
        double* row = l + i * d + i;
        const double diagonal = row[0];
        for (Index p = 0; p < i; ++p) l[i * d + p] = -l[p * d + i];
        add_rows(d - i, i, l + i * d, 1, l + i, d, row);
        if (!(row[0] > tolerance * diagonal) || !std::isfinite(row[0])) return false;
        const double scale = 1.0 / std::sqrt(row[0]);
        for (Index j = 0; j < d - i; ++j) row[j] *= scale;
    }
    for (Index i = 0; i < d; ++i)
        for (Index j = 0; j < i; ++j) l[i * d + j] = std::exchange(l[j * d + i], 0.0);
    return true;
}

bool cholesky_with(Index d, const double* a, double* l, double tolerance) {
    if (d > kTiny) return cholesky_rows(d, a, l, tolerance);
    return with_dimension(d, [&](auto n) { return cholesky_tiny(n, a, l, tolerance); });
}

}  // namespace

// Rounding of a pivot grows like sqrt(d) units of the last place of its diagonal entry.
double pivot_tolerance(Index d) { return 8.0 * kEps * std::sqrt(static_cast<double>(d)); }

bool cholesky(Index d, const double* a, double* l) {
    return cholesky_with(d, a, l, pivot_tolerance(d));
}

bool cholesky_any_pivot(Index d, const double* a, double* l) {
    return cholesky_with(d, a, l, 0.0);
}

namespace {

template <class Dimension>
void invert_lower_of(Dimension d, const double* l, double* __restrict w) {
    for (Index i = 0; i < d; ++i) {
        double* row = w + i * d;
        const double scale = 1.0 / l[i * d + i];
        for (Index j = 0; j < d; ++j) row[j] = 0.0;
        if (d <= kTiny) {
            for (Index p = 0; p < i; ++p)
                for (Index j = 0; j <= p; ++j) row[j] += l[i * d + p] * w[p * d + j];
        } else {
            add_rows(i, i, l + i * d, 1, w, d, row);
        }
        for (Index j = 0; j < i; ++j) row[j] *= -scale;
        row[i] = scale;
    }
}

// out[0..n) = sum over p < d of coefficient[p] * rows[p * d + 0..n).
template <class Dimension>
void combine_rows(Dimension d, Index n, const double* coefficient, const double* rows,
                  double* __restrict out) {
    if constexpr (is_constant<Dimension>) {
        double sum[d];
        for (Index j = 0; j < d; ++j) sum[j] = 0.0;
        for (Index p = 0; p < d; ++p)
            for (Index j = 0; j < d; ++j) sum[j] += coefficient[p] * rows[p * d + j];
        for (Index j = 0; j < n; ++j) out[j] = sum[j];
    } else {
        for (Index j = 0; j < n; ++j) out[j] = 0.0;
        add_rows(n, d, coefficient, 1, rows, d, out);
    }
}

}  // namespace

void invert_lower(Index d, const double* l, double* w) {
    with_dimension(d, [&](auto n) { invert_lower_of(n, l, w); });
}

double sum_of_logs(Index n, const double* x, Index stride) {
    // products of two numbers in this range, or of one and a product, are finite and not denormal
    constexpr double least = 1e-100, most = 1e100;
    double sum = 0.0, product = 1.0;
    for (Index i = 0; i < n; ++i) {
        const double value = x[i * stride];
        if (!(value > least && value < most)) {
            sum += std::log(value);
            continue;
        }
        product *= value;
        if (product > least && product < most) continue;
        sum += std::log(product);
        product = 1.0;
    }
    return product == 1.0 ? sum : sum + std::log(product);
}

double log_determinant_of_factor(Index d, const double* l) { return 2.0 * sum_of_logs(d, l, d + 1); }

void add_rows(Index n, Index m, const double* coefficient, Index stride, const double* rows,
              Index ld, double* __restrict out) {
    Index p = 0;
    for (; p + 4 <= m; p += 4) {  // four at a time: one load and store of `out` for four rows
        const double c0 = coefficient[p * stride], c1 = coefficient[(p + 1) * stride];
        const double c2 = coefficient[(p + 2) * stride], c3 = coefficient[(p + 3) * stride];
        const double* r0 = rows + p * ld;
        const double* r1 = r0 + ld;
        const double* r2 = r1 + ld;
        const double* r3 = r2 + ld;
        for (Index j = 0; j < n; ++j)
            out[j] += (c0 * r0[j] + c1 * r1[j]) + (c2 * r2[j] + c3 * r3[j]);
    }
    for (; p < m; ++p) {
        const double c = coefficient[p * stride];
        const double* row = rows + p * ld;
        for (Index j = 0; j < n; ++j) out[j] += c * row[j];
    }
}

void multiply(Index d, const double* a, const double* b, double* c) {
    with_dimension(d, [&](auto n) {
        for (Index i = 0; i < n; ++i) combine_rows(n, n, a + i * n, b, c + i * n);
    });
}

void congruence(Index d, const double* a, const double* s, double* c, double* scratch) {
    double* as = scratch;
    double* at = scratch + d * d;
    with_dimension(d, [&](auto n) {
        for (Index i = 0; i < n; ++i) combine_rows(n, n, a + i * n, s, as + i * n);
        transpose(n, a, at);
        for (Index i = 0; i < n; ++i) combine_rows(n, i + 1, as + i * n, at, c + i * n);
        mirror_lower(n, c);
    });
}

void sum_of_outer_products(Index d, const double* value, const double* rows, double* c,
                           double* scratch) {
    with_dimension(d, [&](auto n) {
        for (Index i = 0; i < n; ++i) {
            for (Index j = 0; j < n; ++j) scratch[j] = value[j] * rows[j * n + i];
            combine_rows(n, i + 1, scratch, rows, c + i * n);
        }
        mirror_lower(n, c);
    });
}

void transpose(Index d, const double* a, double* t) {
    for (Index i = 0; i < d; ++i)
        for (Index j = 0; j < d; ++j) t[j * d + i] = a[i * d + j];
}

void mirror_lower(Index d, double* a) {
    for (Index i = 0; i < d; ++i)
        for (Index j = 0; j < i; ++j) a[j * d + i] = a[i * d + j];
}

double trace_of_product(Index d, const double* a, const double* b) {
    double sum[4] = {0.0, 0.0, 0.0, 0.0};  // four chains: the compiler may not reorder one
    const Index size = d * d;
    Index i = 0;
    for (; i + 4 <= size; i += 4)
        for (Index v = 0; v < 4; ++v) sum[v] += a[i + v] * b[i + v];
    for (; i < size; ++i) sum[0] += a[i] * b[i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

namespace {

template <class Dimension>
void turn_rows(Dimension d, double* rows, Index p, Index q, double c, double s) {
    double* __restrict row_p = rows + p * d;
    double* __restrict row_q = rows + q * d;
    for (Index j = 0; j < d; ++j) {
        const double at_p = row_p[j], at_q = row_q[j];
        row_p[j] = c * at_p + s * at_q;
        row_q[j] = c * at_q - s * at_p;
    }
}

template <class Dimension>
void turn_symmetric(Dimension d, double* a, Index p, Index q, double c, double s) {
    const double app = a[p * d + p], aqq = a[q * d + q], apq = a[p * d + q];
    turn_rows(d, a, p, q, c, s);
    const double both = 2.0 * c * s * apq;
    a[p * d + p] = c * c * app + both + s * s * aqq;
    a[q * d + q] = s * s * app - both + c * c * aqq;
    a[p * d + q] = a[q * d + p] = (c - s) * (c + s) * apq - c * s * (app - aqq);
    for (Index j = 0; j < d; ++j) {
        a[j * d + p] = a[p * d + j];
        a[j * d + q] = a[q * d + j];
    }
}

}  // namespace

void rotate_rows(Index d, double* rows, Index p, Index q, double c, double s) {
    with_dimension(d, [&](auto n) { turn_rows(n, rows, p, q, c, s); });
}

void rotate_symmetric(Index d, double* a, Index p, Index q, double c, double s) {
    with_dimension(d, [&](auto n) { turn_symmetric(n, a, p, q, c, s); });
}

namespace {

// Largest first. Insertion sort: d is small and Jacobi leaves the values nearly in order.
void sort_descending(Index d, double* values, double* vectors) {
    for (Index i = 1; i < d; ++i)
        for (Index j = i; j > 0 && values[j] > values[j - 1]; --j) {
            std::swap(values[j], values[j - 1]);
            for (Index m = 0; m < d; ++m) std::swap(vectors[j * d + m], vectors[(j - 1) * d + m]);
        }
}

// Rotate a_pq to zero; false when it is negligible already.
template <class Dimension>
bool annihilate(Dimension d, double* a, double* vectors, Index p, Index q) {
    const double app = a[p * d + p], aqq = a[q * d + q], apq = a[p * d + q];
    if (!(std::abs(apq) > kEps * std::sqrt(std::abs(app) * std::abs(aqq)))) return false;
    const double ratio = (app - aqq) / (2.0 * apq);
    const double t = std::copysign(1.0, ratio) / (std::abs(ratio) + std::sqrt(1.0 + ratio * ratio));
    const double c = 1.0 / std::sqrt(1.0 + t * t), s = c * t;
    turn_rows(d, a, p, q, c, s);
    a[p * d + p] = app + t * apq;
    a[q * d + q] = aqq - t * apq;
    a[p * d + q] = a[q * d + p] = 0.0;
    for (Index j = 0; j < d; ++j) {
        a[j * d + p] = a[p * d + j];
        a[j * d + q] = a[q * d + j];
    }
    turn_rows(d, vectors, p, q, c, s);
    return true;
}

template <class Dimension>
void jacobi(Dimension d, double* a, double* values, double* vectors) {
    for (Index i = 0; i < d * d; ++i) vectors[i] = 0.0;
    for (Index i = 0; i < d; ++i) vectors[i * d + i] = 1.0;
    bool turned = d > 1;
    for (int sweep = 0; turned && sweep < kMaxSweeps; ++sweep) {
        turned = false;
        for (Index p = 0; p + 1 < d; ++p)
            for (Index q = p + 1; q < d; ++q) turned |= annihilate(d, a, vectors, p, q);
        if (d == 2) break;  // one rotation is exact
    }
    for (Index i = 0; i < d; ++i) values[i] = a[i * d + i];
    sort_descending(d, values, vectors);
}

}  // namespace

void jacobi_eigen(Index d, double* a, double* values, double* vectors) {
    with_dimension(d, [&](auto n) { jacobi(n, a, values, vectors); });
}

}  // namespace mixtura
