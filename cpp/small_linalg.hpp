// Linear algebra of small matrices, written as plain loops.
//
// All matrices are square, d x d, row-major and without padding. Calls to a BLAS library would wake
// its worker threads, which then spin beside our own; up to a few hundred features these loops,
// arranged so that the compiler vectorises them, are as fast.

#pragma once

#include <cstddef>
#include <type_traits>

namespace mixtura {

using Index = std::ptrdiff_t;

// Calls work(d) with the dimension as a constant where matrices are smallest: the compiler unrolls the
// loops, in which whole runs on few rows spend much of their time.
template <class Work>
auto with_dimension(Index d, Work work) {
    switch (d) {
        case 2: return work(std::integral_constant<Index, 2>{});
        case 3: return work(std::integral_constant<Index, 3>{});
        case 4: return work(std::integral_constant<Index, 4>{});
        case 5: return work(std::integral_constant<Index, 5>{});
        case 6: return work(std::integral_constant<Index, 6>{});
        default: return work(d);
    }
}

// Whether the dimension is known when this is compiled.
template <class Dimension>
constexpr bool is_constant = !std::is_same_v<Dimension, Index>;

// Position of (i, j), i >= j, in a lower triangle packed by rows.
constexpr Index packed_index(Index i, Index j) { return i * (i + 1) / 2 + j; }

// Doubles in a packed lower triangle.
constexpr Index packed_size(Index d) { return d * (d + 1) / 2; }

// a = l l' with l lower triangular (zeros above the diagonal). Reads the lower triangle of a.
//
// False when a is not positive definite to working precision: a pivot counts as zero when it is lost
// in the rounding of its own diagonal entry, so the answer does not depend on the units of the
// columns. The contents of l are then unspecified. l may be a.
bool cholesky(Index d, const double* a, double* l);
double pivot_tolerance(Index d);  // what a pivot must exceed, relative to its diagonal entry

// As `cholesky`, but every pivot above zero is accepted: for asking whether a difference of two
// matrices is positive definite, where the diagonal of the difference says nothing about rounding.
bool cholesky_any_pivot(Index d, const double* a, double* l);

// w = inverse of the lower triangular l (zeros above the diagonal). w must not be l.
void invert_lower(Index d, const double* l, double* w);

// sum of log x[i * stride], i < n, with few calls of the logarithm: of products that stay in range.
double sum_of_logs(Index n, const double* x, Index stride);

// sum_i log l_ii, twice: the log determinant of l l'.
double log_determinant_of_factor(Index d, const double* l);

// out[0..n) += sum over p < m of coefficient[p * stride] * rows[p * ld + 0..n).
void add_rows(Index n, Index m, const double* coefficient, Index stride, const double* rows,
              Index ld, double* out);

// c = a b.
void multiply(Index d, const double* a, const double* b, double* c);

// c = a s a' for symmetric s, exactly symmetric. `scratch` holds 2 d * d numbers; c may be s.
void congruence(Index d, const double* a, const double* s, double* c, double* scratch);

// c = sum_j value[j] v_j v_j', where v_j is row j of `rows`; exactly symmetric. `scratch`: d numbers.
void sum_of_outer_products(Index d, const double* value, const double* rows, double* c,
                           double* scratch);

// t = a' (t must not be a).
void transpose(Index d, const double* a, double* t);

// Copy the lower triangle onto the upper one.
void mirror_lower(Index d, double* a);

// tr(a b) of two symmetric matrices.
double trace_of_product(Index d, const double* a, const double* b);

// Turn axes p and q: new p = c p + s q, new q = c q - s p, in the symmetric a (both sides).
void rotate_symmetric(Index d, double* a, Index p, Index q, double c, double s);

// The same turn of rows p and q only.
void rotate_rows(Index d, double* rows, Index p, Index q, double c, double s);

// Eigenvalues, largest first, and eigenvectors as the rows of `vectors`, by cyclic Jacobi rotations.
// Destroys a. For positive definite matrices the stop rule is relative to the diagonal, so small
// eigenvalues of graded matrices keep their digits (Demmel and Veselic 1992).
void jacobi_eigen(Index d, double* a, double* values, double* vectors);

}  // namespace mixtura
