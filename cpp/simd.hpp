// Vectors of doubles, one row of data per lane.
//
// Everything here lives in a namespace named after the instruction set the file is compiled for.
// Files compiled per instruction set must not instantiate templates of the standard library: the
// linker keeps one copy of those, and it might be the one the machine cannot run.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#ifndef MIXTURA_VARIANT
#define MIXTURA_VARIANT baseline
#endif

// INLINE: part of an inner loop. APART: an inner loop of its own, which gets all the registers.
#if defined(__clang__)
#define MIXTURA_UNROLL _Pragma("clang loop unroll(full)")
#define MIXTURA_INLINE inline __attribute__((always_inline))
#define MIXTURA_APART __attribute__((noinline))
#elif defined(__GNUC__)
#define MIXTURA_UNROLL _Pragma("GCC unroll 64")
#define MIXTURA_INLINE inline __attribute__((always_inline))
#define MIXTURA_APART __attribute__((noinline))
#else
#define MIXTURA_UNROLL
#define MIXTURA_INLINE inline
#define MIXTURA_APART
#endif

#if defined(__GNUC__) && !defined(MIXTURA_PLAIN_VECTORS)
#define MIXTURA_VECTOR_EXTENSIONS 1
#endif

namespace mixtura {
namespace MIXTURA_VARIANT {

using Index = std::ptrdiff_t;

#if defined(__AVX512F__)
constexpr int lanes = 8;
#elif defined(__AVX2__)
constexpr int lanes = 4;
#else
constexpr int lanes = 2;
#endif

#if defined(MIXTURA_VECTOR_EXTENSIONS)

typedef double Vec __attribute__((vector_size(lanes * 8), __may_alias__));
typedef std::int64_t Bits __attribute__((vector_size(lanes * 8), __may_alias__));
typedef double LooseVec __attribute__((vector_size(lanes * 8), __may_alias__, aligned(1)));

MIXTURA_INLINE Bits bits_of(Vec v) { return (Bits)v; }
MIXTURA_INLINE Vec from_bits(Bits b) { return (Vec)b; }
MIXTURA_INLINE Vec load(const double* p) { return *reinterpret_cast<const Vec*>(p); }
MIXTURA_INLINE void store(double* p, Vec v) { *reinterpret_cast<Vec*>(p) = v; }
MIXTURA_INLINE Vec load_loose(const double* p) { return *reinterpret_cast<const LooseVec*>(p); }

#else  // compilers without vector extensions: the same names for a pair of numbers

struct Vec {
    double lane[lanes];
    double& operator[](int i) { return lane[i]; }
    double operator[](int i) const { return lane[i]; }
};
struct Bits {
    std::int64_t lane[lanes];
};

#define MIXTURA_LANEWISE(op)                                                                  \
    inline Vec operator op(Vec a, Vec b) {                                                    \
        for (int i = 0; i < lanes; ++i) a.lane[i] = a.lane[i] op b.lane[i];                   \
        return a;                                                                             \
    }                                                                                         \
    inline Vec operator op(Vec a, double b) {                                                 \
        for (int i = 0; i < lanes; ++i) a.lane[i] = a.lane[i] op b;                           \
        return a;                                                                             \
    }                                                                                         \
    inline Vec operator op(double a, Vec b) {                                                 \
        for (int i = 0; i < lanes; ++i) b.lane[i] = a op b.lane[i];                           \
        return b;                                                                             \
    }
MIXTURA_LANEWISE(+)
MIXTURA_LANEWISE(-)
MIXTURA_LANEWISE(*)
MIXTURA_LANEWISE(/)
#undef MIXTURA_LANEWISE
inline Vec& operator+=(Vec& a, Vec b) { return a = a + b; }
inline Vec& operator*=(Vec& a, Vec b) { return a = a * b; }

#define MIXTURA_LANEWISE(op)                                                                  \
    inline Bits operator op(Bits a, std::int64_t b) {                                         \
        for (int i = 0; i < lanes; ++i) {                                                     \
            a.lane[i] = static_cast<std::int64_t>(static_cast<std::uint64_t>(a.lane[i])       \
                                                      op static_cast<std::uint64_t>(b));      \
        }                                                                                     \
        return a;                                                                             \
    }
MIXTURA_LANEWISE(+)
MIXTURA_LANEWISE(-)
MIXTURA_LANEWISE(<<)
MIXTURA_LANEWISE(&)
#undef MIXTURA_LANEWISE
inline Bits operator>>(Bits a, int b) {
    for (int i = 0; i < lanes; ++i) a.lane[i] >>= b;
    return a;
}
inline Bits operator+(Bits a, Bits b) {
    for (int i = 0; i < lanes; ++i) a.lane[i] += b.lane[i];
    return a;
}
inline Bits operator^(Bits a, Bits b) {
    for (int i = 0; i < lanes; ++i) a.lane[i] ^= b.lane[i];
    return a;
}
inline Bits operator-(Bits a, Bits b) {
    for (int i = 0; i < lanes; ++i) a.lane[i] -= b.lane[i];
    return a;
}

inline Bits bits_of(Vec v) {
    Bits b;
    std::memcpy(&b, &v, sizeof b);
    return b;
}
inline Vec from_bits(Bits b) {
    Vec v;
    std::memcpy(&v, &b, sizeof v);
    return v;
}
inline Vec load(const double* p) {
    Vec v;
    for (int i = 0; i < lanes; ++i) v.lane[i] = p[i];
    return v;
}
inline void store(double* p, Vec v) {
    for (int i = 0; i < lanes; ++i) p[i] = v.lane[i];
}
inline Vec load_loose(const double* p) { return load(p); }

#endif

MIXTURA_INLINE Vec splat(double x) {
    Vec v{};
    return v + x;
}

MIXTURA_INLINE double sum_of_lanes(Vec v) {
    double sum = v[0];
    for (int i = 1; i < lanes; ++i) sum += v[i];
    return sum;
}

#if defined(__GNUC__)
MIXTURA_INLINE void prefetch_line(const char* p) { __builtin_prefetch(p); }
MIXTURA_INLINE int bit_count(std::uint64_t word) { return __builtin_popcountll(word); }
MIXTURA_INLINE int lowest_bit(std::uint64_t word) { return __builtin_ctzll(word); }
#else
inline void prefetch_line(const char*) {}
inline int bit_count(std::uint64_t word) {
    int count = 0;
    for (; word; word &= word - 1) ++count;
    return count;
}
inline int lowest_bit(std::uint64_t word) { return bit_count((word & (0 - word)) - 1); }
#endif

#if defined(__AVX512F__)

MIXTURA_INLINE Vec greater_of(Vec a, Vec b) { return (Vec)_mm512_max_pd((__m512d)a, (__m512d)b); }
// b where a is not a number.
MIXTURA_INLINE Vec smaller_of(Vec a, Vec b) { return (Vec)_mm512_min_pd((__m512d)a, (__m512d)b); }

// v where x > limit, else 0.
MIXTURA_INLINE Vec where_above(Vec x, Vec limit, Vec v) {
    return (Vec)_mm512_maskz_mov_pd(_mm512_cmp_pd_mask((__m512d)x, (__m512d)limit, _CMP_GT_OQ),
                                    (__m512d)v);
}

MIXTURA_INLINE Vec root(Vec v) { return (Vec)_mm512_sqrt_pd((__m512d)v); }

// One bit per lane: whether it differs from zero.
MIXTURA_INLINE unsigned nonzero_lanes(Vec v) {
    return _mm512_test_epi64_mask((__m512i)v, (__m512i)v);
}

MIXTURA_INLINE Vec add_pairs(Vec a, Vec b) {
    return (Vec)_mm512_unpacklo_pd((__m512d)a, (__m512d)b) +
           (Vec)_mm512_unpackhi_pd((__m512d)a, (__m512d)b);
}
MIXTURA_INLINE Vec add_quarters(Vec a, Vec b) {
    return (Vec)_mm512_shuffle_f64x2((__m512d)a, (__m512d)b, 0x88) +
           (Vec)_mm512_shuffle_f64x2((__m512d)a, (__m512d)b, 0xDD);
}

// Lane i of the result is the sum over the lanes of a[i].
MIXTURA_INLINE Vec transposed_sum(const Vec* a) {
    Vec ab = add_pairs(a[0], a[1]), cd = add_pairs(a[2], a[3]);
    Vec ef = add_pairs(a[4], a[5]), gh = add_pairs(a[6], a[7]);
    return add_quarters(add_quarters(ab, cd), add_quarters(ef, gh));
}

// A square of `lanes` rows and columns, turned in registers.
MIXTURA_INLINE void transpose(Vec* a) {
    __m512d p[8], q[8];
    for (int i = 0; i < 4; ++i) {
        p[2 * i] = _mm512_unpacklo_pd((__m512d)a[2 * i], (__m512d)a[2 * i + 1]);
        p[2 * i + 1] = _mm512_unpackhi_pd((__m512d)a[2 * i], (__m512d)a[2 * i + 1]);
    }
    for (int h = 0; h < 2; ++h) {
        for (int i = 0; i < 2; ++i) {
            q[4 * h + i] = _mm512_shuffle_f64x2(p[4 * h + i], p[4 * h + 2 + i], 0x88);
            q[4 * h + 2 + i] = _mm512_shuffle_f64x2(p[4 * h + i], p[4 * h + 2 + i], 0xDD);
        }
    }
    for (int i = 0; i < 4; ++i) {
        a[i] = (Vec)_mm512_shuffle_f64x2(q[i], q[4 + i], 0x88);
        a[4 + i] = (Vec)_mm512_shuffle_f64x2(q[i], q[4 + i], 0xDD);
    }
}

// Of 2 * lanes numbers those in even places, and those in odd places.
MIXTURA_INLINE void unzip(Vec& a, Vec& b) {
    const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14);
    const __m512i odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
    const __m512d first = (__m512d)a, second = (__m512d)b;
    a = (Vec)_mm512_permutex2var_pd(first, even, second);
    b = (Vec)_mm512_permutex2var_pd(first, odd, second);
}

#elif defined(__AVX2__)

MIXTURA_INLINE Vec greater_of(Vec a, Vec b) { return (Vec)_mm256_max_pd((__m256d)a, (__m256d)b); }
MIXTURA_INLINE Vec smaller_of(Vec a, Vec b) { return (Vec)_mm256_min_pd((__m256d)a, (__m256d)b); }

MIXTURA_INLINE Vec root(Vec v) { return (Vec)_mm256_sqrt_pd((__m256d)v); }

MIXTURA_INLINE Vec where_above(Vec x, Vec limit, Vec v) {
    return (Vec)_mm256_and_pd(_mm256_cmp_pd((__m256d)x, (__m256d)limit, _CMP_GT_OQ), (__m256d)v);
}

MIXTURA_INLINE unsigned nonzero_lanes(Vec v) {
    __m256d zero = _mm256_setzero_pd();
    return static_cast<unsigned>(_mm256_movemask_pd(_mm256_cmp_pd((__m256d)v, zero, _CMP_NEQ_UQ)));
}

MIXTURA_INLINE Vec transposed_sum(const Vec* a) {
    __m256d ab = _mm256_hadd_pd((__m256d)a[0], (__m256d)a[1]);
    __m256d cd = _mm256_hadd_pd((__m256d)a[2], (__m256d)a[3]);
    return (Vec)_mm256_permute2f128_pd(ab, cd, 0x20) + (Vec)_mm256_permute2f128_pd(ab, cd, 0x31);
}

MIXTURA_INLINE void transpose(Vec* a) {
    __m256d p = _mm256_unpacklo_pd((__m256d)a[0], (__m256d)a[1]);
    __m256d q = _mm256_unpackhi_pd((__m256d)a[0], (__m256d)a[1]);
    __m256d r = _mm256_unpacklo_pd((__m256d)a[2], (__m256d)a[3]);
    __m256d s = _mm256_unpackhi_pd((__m256d)a[2], (__m256d)a[3]);
    a[0] = (Vec)_mm256_permute2f128_pd(p, r, 0x20);
    a[1] = (Vec)_mm256_permute2f128_pd(q, s, 0x20);
    a[2] = (Vec)_mm256_permute2f128_pd(p, r, 0x31);
    a[3] = (Vec)_mm256_permute2f128_pd(q, s, 0x31);
}

MIXTURA_INLINE void unzip(Vec& a, Vec& b) {
    const __m256d low = _mm256_permute2f128_pd((__m256d)a, (__m256d)b, 0x20);
    const __m256d high = _mm256_permute2f128_pd((__m256d)a, (__m256d)b, 0x31);
    a = (Vec)_mm256_unpacklo_pd(low, high);
    b = (Vec)_mm256_unpackhi_pd(low, high);
}

#else

#if defined(__SSE2__) && defined(MIXTURA_VECTOR_EXTENSIONS)

MIXTURA_INLINE Vec greater_of(Vec a, Vec b) { return (Vec)_mm_max_pd((__m128d)a, (__m128d)b); }
MIXTURA_INLINE Vec smaller_of(Vec a, Vec b) { return (Vec)_mm_min_pd((__m128d)a, (__m128d)b); }
MIXTURA_INLINE Vec root(Vec v) { return (Vec)_mm_sqrt_pd((__m128d)v); }
MIXTURA_INLINE Vec where_above(Vec x, Vec limit, Vec v) {
    return (Vec)_mm_and_pd(_mm_cmpgt_pd((__m128d)x, (__m128d)limit), (__m128d)v);
}
MIXTURA_INLINE unsigned nonzero_lanes(Vec v) {
    return static_cast<unsigned>(_mm_movemask_pd(_mm_cmpneq_pd((__m128d)v, _mm_setzero_pd())));
}

#else

MIXTURA_INLINE Vec greater_of(Vec a, Vec b) {
    return Vec{a[0] > b[0] ? a[0] : b[0], a[1] > b[1] ? a[1] : b[1]};
}
MIXTURA_INLINE Vec smaller_of(Vec a, Vec b) {
    return Vec{a[0] < b[0] ? a[0] : b[0], a[1] < b[1] ? a[1] : b[1]};
}
MIXTURA_INLINE Vec root(Vec v) { return Vec{std::sqrt(v[0]), std::sqrt(v[1])}; }
MIXTURA_INLINE Vec where_above(Vec x, Vec limit, Vec v) {
    return Vec{x[0] > limit[0] ? v[0] : 0.0, x[1] > limit[1] ? v[1] : 0.0};
}
MIXTURA_INLINE unsigned nonzero_lanes(Vec v) { return (v[0] != 0.0) | (v[1] != 0.0) << 1; }

#endif


MIXTURA_INLINE Vec transposed_sum(const Vec* a) {
    return Vec{a[0][0] + a[0][1], a[1][0] + a[1][1]};
}

MIXTURA_INLINE void transpose(Vec* a) {
    Vec first = a[0];
    a[0] = Vec{first[0], a[1][0]};
    a[1] = Vec{first[1], a[1][1]};
}

MIXTURA_INLINE void unzip(Vec& a, Vec& b) {
    const Vec first = a;
    a = Vec{first[0], b[0]};
    b = Vec{first[1], b[1]};
}

#endif

constexpr std::int64_t sign_bit = std::int64_t(std::uint64_t(1) << 63);

MIXTURA_INLINE Vec magnitude(Vec v) { return from_bits(bits_of(v) & ~sign_bit); }

// v, which is positive, with the sign of a / b.
MIXTURA_INLINE Vec with_sign_of_ratio(Vec v, Vec a, Vec b) {
    return from_bits(bits_of(v) ^ ((bits_of(a) ^ bits_of(b)) & sign_bit));
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
