// 2^x and log2 of vectors.
#pragma once

#include "simd.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

constexpr double ln_2 = 0.6931471805599453;

// Adding and subtracting 1.5 * 2^52 rounds to a whole number, which is then found in the low bits.
constexpr double magic = 6755399441055744.0;

// x becomes 2^x where x > limit, else 0, for x <= 1 and limit >= -1000. N vectors at a time share
// the loads of the coefficients and hide each other's latency.
#if defined(__AVX512F__)

// With x rounded to sixteenths: 2^(i/16) is looked up, the rest |f| <= 1/32 takes (2^f - 1)/f
// interpolated at Chebyshev nodes, degree 5, and scalef multiplies by 2^floor.
template <int N>
MIXTURA_INLINE void exp2_above(Vec (&x)[N], Vec limit) {
    const __m512d low = _mm512_setr_pd(
        0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
        0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0);
    const __m512d high = _mm512_setr_pd(
        0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0,
        0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0);
    MIXTURA_UNROLL
    for (int i = 0; i < N; ++i) {
        __mmask8 keep = _mm512_cmp_pd_mask((__m512d)x[i], (__m512d)limit, _CMP_GT_OQ);
        Vec shifted = x[i] + magic / 16;
        Vec rounded = shifted - magic / 16;
        Vec f = x[i] - rounded, f2 = f * f;
        __m512d entry = _mm512_permutex2var_pd(low, (__m512i)shifted, high);
        Vec scale = (Vec)_mm512_maskz_scalef_pd(keep, entry, (__m512d)rounded);
        Vec a = f * 0.24022650695910075 + 0.6931471805599457;
        Vec b = f * 0.009618129106919537 + 0.0555041086566393;
        Vec c = f * 0.00015403723980749256 + 0.0013333781576784268;
        Vec q = (c * f2 + b) * f2 + a;
        x[i] = scale + scale * (f * q);
    }
}

#else

// With x rounded to whole numbers: 2^f, |f| <= 1/2, from (2^f - 1)/f interpolated at Chebyshev
// nodes, degree 10; the whole part is added to the exponent.
template <int N>
MIXTURA_INLINE void exp2_above(Vec (&x)[N], Vec limit) {
    constexpr double coefficients[] = {
        7.072585949269223e-09,  1.0178062445845774e-07, 1.321544258792169e-06,
        1.525273382983612e-05,  0.0001540353044173605,  0.0013333558146416936,
        0.009618129107606888,   0.0555041086648216,     0.24022650695910097,
        0.6931471805599453,     1.0};
    Vec f[N], q[N];
    MIXTURA_UNROLL
    for (int i = 0; i < N; ++i) {
        f[i] = x[i] - ((x[i] + magic) - magic);
        q[i] = splat(4.4549605981865186e-10);
    }
    MIXTURA_UNROLL
    for (double c : coefficients) {
        MIXTURA_UNROLL
        for (int i = 0; i < N; ++i) q[i] = q[i] * f[i] + c;
    }
    MIXTURA_UNROLL
    for (int i = 0; i < N; ++i) {
        Bits whole = bits_of(x[i] + magic);
        x[i] = where_above(x[i], limit, from_bits(bits_of(q[i]) + (whole << 52)));
    }
}

#endif

// log2 of normal numbers >= 1. With x = 2^e m, sqrt(1/2) <= m < sqrt(2) and z = (m - 1)/(m + 1):
// log2 m = 2/ln 2 (z + z^3/3 + ...), the series interpolated at Chebyshev nodes.
MIXTURA_INLINE Vec log2_of(Vec x) {
    constexpr std::int64_t root_half = 0x3FE6A09E667F3BCD;
    constexpr std::int64_t magic_bits = 0x4338000000000000;
    Bits exponent = (bits_of(x) - root_half) >> 52;
    Vec m = from_bits(bits_of(x) - (exponent << 52));
    Vec z = (m - 1.0) / (m + 1.0);
    Vec u = z * z;
    Vec q = u * 0.21087079476015172 + 0.221189987214124;
    q = q * u + 0.2623236397004895;
    q = q * u + 0.32059873801756367;
    q = q * u + 0.412198583898078;
    q = q * u + 0.5770780163541355;
    q = q * u + 0.961796693925976;
    Vec whole = from_bits(exponent + magic_bits) - magic;
    return (whole + z * 2.8853900817779268) + z * (u * q);
}

}  // namespace MIXTURA_VARIANT
}  // namespace mixtura
