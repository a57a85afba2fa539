// One chunk of rows of a mixture whose log-densities are linear in features.
#pragma once

#include "linear.hpp"
#include "simd.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

Index linear_scratch_size(const LinearShape& shape);

// Both return the first row of the chunk with a code out of range, or -1.
Index linear_chunk(const LinearPlan& plan, const LinearRows& rows, Span chunk, double* memory,
                   double* leaf);
Index linear_score_chunk(const LinearPlan& plan, const LinearRows& rows, Span chunk,
                         double* memory, const Scores& scores);

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
