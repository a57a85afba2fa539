// The part of the bindings that belongs to the M step.

#pragma once

#include <nanobind/nanobind.h>

namespace mixtura {

// Adds gaussian_m_step and cholesky_factors to the module, and takes LAPACK from SciPy.
void bind_m_step(nanobind::module_& m);

}  // namespace mixtura
