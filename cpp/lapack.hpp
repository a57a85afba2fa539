// The one LAPACK routine that is needed: eigenvalues and eigenvectors of larger symmetric matrices.
//
// No library is linked; the address of a LAPACK in the process is set once, at import.

#pragma once

#include "small_linalg.hpp"

namespace mixtura {

// dsyevd of LAPACK with 32-bit integers.
using Dsyevd = void (*)(char* jobz, char* uplo, int* n, double* a, int* lda, double* w, double* work,
                        int* lwork, int* iwork, int* liwork, int* info);

// Set the address. Not thread-safe: call it once, before any other thread works.
void set_dsyevd(Dsyevd routine);

// Numbers of scratch that `symmetric_eigen` needs.
Index eigen_scratch(Index d);

// Eigenvalues, largest first, and eigenvectors as the rows of `vectors`, of the symmetric a.
//
// Destroys a. Jacobi rotations for small d, dsyevd above, Jacobi again where dsyevd is not set or
// fails. Non-finite input gives non-finite values.
void symmetric_eigen(Index d, double* a, double* values, double* vectors, double* scratch);

// The same for matrices (.., d, d) at the `count` places `at`, which are left as they are; results
// at the same places of `values` (.., d) and `vectors`. `scratch`: eigen_scratch(d) + d * d numbers.
void symmetric_eigen_of_each(Index d, Index count, const Index* at, const double* matrices,
                             double* values, double* vectors, double* scratch);

}  // namespace mixtura
