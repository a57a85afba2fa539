// Arrays of doubles on their own cache lines, so that threads do not share any.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace mixtura {

constexpr std::size_t cache_alignment = 128;

struct AlignedDelete {
    void operator()(double* p) const {
        ::operator delete(p, std::align_val_t(cache_alignment));
    }
};

using Buffer = std::unique_ptr<double[], AlignedDelete>;

// Not initialised: the thread that fills the buffer touches it first.
inline Buffer make_buffer(std::ptrdiff_t n) {
    std::size_t bytes = sizeof(double) * static_cast<std::size_t>(n > 0 ? n : 1);
    return Buffer(static_cast<double*>(::operator new(bytes, std::align_val_t(cache_alignment))));
}

}  // namespace mixtura
