// Small matrices of several components at once, one matrix per lane.
//
// Roots and quotients make a factorisation of a small matrix a chain in which each step waits for the
// one before; lanes do several of them in the time of one.
#pragma once

#include "simd.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// See Variant in kernel.hpp.
void eigen_of_each(Index d, Index count, const Index* at, const double* matrices, double* values,
                   double* vectors);
void inverse_factors_of_each(Index d, Index count, const double* matrices, double tolerance,
                             double* factors);

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
