// The rule by which runs of EM end.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace mixtura {

// Two gains in a row below this fraction of the tolerance end a run, whatever their sign.
constexpr double negligible_gain = 1e-4;

// Stop when the gain that successive gains project is below tol nats per unit of weight (Aitken
// 1926; Boehning et al. 1994). The same rule as that of runs from Python.
class Aitken {
  public:
    explicit Aitken(double tol, int least = 3) : tol_(tol), least_(least) {}
    bool met(double value, double mass) {
        const double gain = value - last_, before = gain_;
        gain_ = gain;
        last_ = value;
        if (++n_ < least_) return false;
        if (std::abs(gain) <= 4 * std::numeric_limits<double>::epsilon() * std::abs(value)) return true;
        if (std::max(std::abs(gain), std::abs(before)) <= negligible_gain * tol_ * mass) return true;
        if (!(gain > 0 && gain < before)) return false;
        const double ratio = gain / before;
        return gain * std::max(ratio / (1 - ratio), 1e-2) <= tol_ * mass;
    }

  private:
    double tol_, last_ = 0, gain_ = 0;
    int least_, n_ = 0;
};

}  // namespace mixtura
