// Which variants there are and which of them this machine can run.
#include <atomic>

#include "kernel.hpp"

namespace mixtura {

namespace baseline { extern const Variant table; }
#if defined(MIXTURA_X86_VARIANTS)
namespace avx2 { extern const Variant table; }
namespace avx512 { extern const Variant table; }
#endif

namespace {

struct Available {
    const Variant* list[4] = {};
    Available() {
        int n = 0;
#if defined(MIXTURA_X86_VARIANTS)
        __builtin_cpu_init();
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vl")) {
            list[n++] = &avx512::table;
        }
        if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
            list[n++] = &avx2::table;
        }
#endif
        list[n] = &baseline::table;
    }
};

std::atomic<const Variant*> chosen{nullptr};

}  // namespace

const Variant* const* variants() {
    static const Available available;
    return available.list;
}

const Variant& variant_in_use() {
    const Variant* variant = chosen.load(std::memory_order_relaxed);
    return variant ? *variant : *variants()[0];
}

void use_variant(const Variant& variant) { chosen = &variant; }

}  // namespace mixtura
