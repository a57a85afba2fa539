// The part of the bindings that belongs to exponential families.
#pragma once

#include <nanobind/nanobind.h>

namespace mixtura {

// Adds linear_pass and linear_score to the module.
void bind_linear(nanobind::module_& m);

}  // namespace mixtura
