// The part of the bindings that belongs to whole runs and their starts.
#pragma once

#include <nanobind/nanobind.h>

#include "kernel.hpp"

namespace mixtura {

// Carries out a pass without the interpreter lock, in the variant in use; an exception that a
// signal raised goes on to the caller.
using Pass = void (*)(const Execution&, void*);
void run_pass(int n_threads, Pass pass, void* context);

// Adds partitions, em_runs, soften and at_floor to the module.
void bind_runs(nanobind::module_& m);

// Adds split_partitions, exchanged_partitions, told_apart, partitions_of_runs and certainty_of_runs.
void bind_moves(nanobind::module_& m);

}  // namespace mixtura
