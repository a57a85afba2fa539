// From parameters to the plan of a pass.
#pragma once

#include "kernel.hpp"
#include "memory.hpp"

namespace mixtura {

// Owns the arrays a Plan points to.
class PlanStorage {
  public:
    PlanStorage(const Shape& shape, const Variant& variant);
    PlanStorage(const Model& model, const Variant& variant) : PlanStorage(model.shape, variant) {
        set(model);
    }

    // Takes another model of the same shape; allocates nothing. Throws std::invalid_argument when
    // the model cannot be used.
    void set(const Model& model);
    const Plan& plan() const { return plan_; }

  private:
    void scale(const Model& model);

    const Variant& variant_;
    Buffer means_, constants_, scaled_, packed_;
    Plan plan_;
};

}  // namespace mixtura
