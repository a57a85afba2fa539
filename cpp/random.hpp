// Random numbers that are a function of a key and a counter: the same on every machine and for any
// number of threads.
#pragma once

#include <cstdint>

namespace mixtura {

class CounterRandom {
  public:
    explicit CounterRandom(std::uint64_t key) : state_(mixed(key)) {}

    // Uniform in [0, 1), 53 bits.
    double uniform() {
        state_ += 0x9e3779b97f4a7c15u;
        return static_cast<double>(mixed(state_) >> 11) * 0x1p-53;
    }

  private:
    // The output function of SplitMix64 (Steele, Lea and Flood 2014).
    static std::uint64_t mixed(std::uint64_t x) {
        x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
        x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
        return x ^ (x >> 31);
    }

    std::uint64_t state_;
};

}  // namespace mixtura
