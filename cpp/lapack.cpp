#include "lapack.hpp"

#include <algorithm>
#include <cmath>

#include "kernel.hpp"

namespace mixtura {

namespace {

Dsyevd dsyevd = nullptr;

constexpr Index kJacobiUpTo = 10;  // measured: beyond, dsyevd is faster

Index integer_work(Index d) { return 3 + 5 * d; }

Index real_work(Index d) { return 1 + 6 * d + 2 * d * d; }

bool by_lapack(Index d, double* a, double* values, double* scratch) {
    char jobz = 'V', uplo = 'U';
    int n = static_cast<int>(d), info = 0;
    int lwork = static_cast<int>(real_work(d)), liwork = static_cast<int>(integer_work(d));
    int* iwork = reinterpret_cast<int*>(scratch + real_work(d));
    dsyevd(&jobz, &uplo, &n, a, &n, values, scratch, &lwork, iwork, &liwork, &info);
    return info == 0;
}

}  // namespace

void set_dsyevd(Dsyevd routine) { dsyevd = routine; }

Index eigen_scratch(Index d) {
    return d <= kJacobiUpTo ? 0 : real_work(d) + integer_work(d) + d * d;
}

void symmetric_eigen(Index d, double* a, double* values, double* vectors, double* scratch) {
    if (d <= kJacobiUpTo || dsyevd == nullptr) {
        jacobi_eigen(d, a, values, vectors);
        return;
    }
    double* copy = scratch + real_work(d) + integer_work(d);
    std::copy(a, a + d * d, copy);
    double trace = 0.0;
    for (Index i = 0; i < d; ++i) trace += a[i * d + i];
    if (!std::isfinite(trace) || !by_lapack(d, a, values, scratch)) {
        jacobi_eigen(d, copy, values, vectors);
        return;
    }
    // Column-major columns are rows here, smallest eigenvalue first: reverse.
    std::reverse(values, values + d);
    for (Index j = 0; j < d; ++j)
        std::copy(a + (d - 1 - j) * d, a + (d - j) * d, vectors + j * d);
}

void symmetric_eigen_of_each(Index d, Index count, const Index* at, const double* matrices,
                             double* values, double* vectors, double* scratch) {
    if (d > 1 && d <= most_lane_features) {
        variant_in_use().eigen_of_each(d, count, at, matrices, values, vectors);
        return;
    }
    const Index size = d * d;
    for (Index i = 0; i < count; ++i) {
        std::copy_n(matrices + at[i] * size, size, scratch);
        symmetric_eigen(d, scratch, values + at[i] * d, vectors + at[i] * size, scratch + size);
    }
}

}  // namespace mixtura
