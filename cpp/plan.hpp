// From parameters to the plan of a pass.
#pragma once

#include "kernel.hpp"
#include "memory.hpp"

namespace mixtura {

// Owns the arrays a Plan points to.
class PlanStorage {
  public:
    // Throws std::invalid_argument when the model cannot be used.
    PlanStorage(const Model& model, const Variant& variant);
    const Plan& plan() const { return plan_; }

  private:
    void scale(const Model& model);

    Buffer means_, constants_, scaled_, packed_;
    Plan plan_;
};

}  // namespace mixtura
