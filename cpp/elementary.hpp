// 2^x and log2 of vectors.
#pragma once

#include "simd.hpp"

namespace mixtura {
namespace MIXTURA_VARIANT {

// Adding and subtracting 1.5 * 2^52 rounds to a whole number, which is then found in the low bits.
constexpr double magic = 6755399441055744.0;

// Terms below 2^-100 times the largest one of their row count as zero. Their products with squared
// distances would otherwise come near denormal numbers, which slow the arithmetic down at random.
constexpr double negligible = -100.0;

#if defined(__AVX512F__)

// 2^(i/16): the sixteenth is looked up, the rest |f| <= 1/32 takes (2^f - 1)/f interpolated at
// Chebyshev nodes, degree 5.
MIXTURA_INLINE Vec exp2_of(Vec x) {
    const __m512d low = _mm512_setr_pd(
        0x1.0000000000000p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
        0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0);
    const __m512d high = _mm512_setr_pd(
        0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f090p+0,
        0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0);
    Vec shifted = x + magic / 16;
    Vec f = x - (shifted - magic / 16);
    Bits steps = bits_of(shifted);
    Vec entry = (Vec)_mm512_permutex2var_pd(low, (__m512i)steps, high);
    Vec scale = from_bits(bits_of(entry) + ((steps >> 4) << 52));
    Vec q = f * 0.00015403723980749256 + 0.0013333781576784268;
    q = q * f + 0.009618129106919537;
    q = q * f + 0.0555041086566393;
    q = q * f + 0.24022650695910075;
    q = q * f + 0.6931471805599457;
    return scale + scale * (f * q);
}

#else

// 2^f for |f| <= 1/2: (2^f - 1)/f interpolated at Chebyshev nodes, degree 10.
MIXTURA_INLINE Vec exp2_of(Vec x) {
    Vec shifted = x + magic;
    Vec f = x - (shifted - magic);
    Vec q = f * 4.4549605981865186e-10 + 7.072585949269223e-09;
    q = q * f + 1.0178062445845774e-07;
    q = q * f + 1.321544258792169e-06;
    q = q * f + 1.525273382983612e-05;
    q = q * f + 0.0001540353044173605;
    q = q * f + 0.0013333558146416936;
    q = q * f + 0.009618129107606888;
    q = q * f + 0.0555041086648216;
    q = q * f + 0.24022650695910097;
    q = q * f + 0.6931471805599453;
    return from_bits(bits_of(q * f + 1.0) + (bits_of(shifted) << 52));
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
