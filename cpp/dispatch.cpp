// Which variants there are and which of them this machine can run.
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

}  // namespace

const Variant* const* variants() {
    static const Available available;
    return available.list;
}

}  // namespace mixtura
