// SPDX-License-Identifier: BSD-3-Clause
// exp, expm1, log1p, tanh and the normal distribution, for loops that vectorize.
//
// Every function is free of branches, tables and calls: written in a plain loop over
// floats or doubles, compilers turn it into vector code for any instruction set. Only
// exactly rounded operations occur, so an element's bits do not depend on whether it
// falls into the body of the loop or its tail; this needs -ffp-contract=off.
//
// Largest error in units in the last place, of every float from 2^-12 on and a sample of
// the others and of doubles, with and without fused multiply-adds, where the result is a
// normal number; `test_math all` prints and tests/test_math.cpp holds it:
//                float  double
//   exp            1.1    1.1   (0 where exp(x) is below the smallest normal number)
//   expm1          1.8    2.3
//   log1p          2      2     (0 <= x <= 1)
//   log            2      2
//   tanh           2.5    2.5
//   logistic       2.5    2     (0 below about -88 and -709)
//   gaussian_cdf   6.5    7.5   (0 below about -13 and -37.5)
//   cos_turns, sin_turns: 2e-7 and 4e-16, absolute
//
// The polynomials are near-minimax (Chebyshev interpolants computed with 50 digits).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "simd.h"

namespace nervure::math {

// a b + c, in one rounding where the processor has it: a library call elsewhere would be
// slow, and fma is not assumed by any error bound above.
template <class T>
NERVURE_INLINE T multiply_add(T a, T b, T c) {
#if defined(__FMA__) || defined(__aarch64__)
  return std::fma(a, b, c);
#else
  return a * b + c;
#endif
}

// c[0] + c[1] x + c[2] x^2 + ...
template <class T>
NERVURE_INLINE T polynomial(T, T c0) {
  return c0;
}
template <class T, class... C>
NERVURE_INLINE T polynomial(T x, T c0, C... rest) {
  return multiply_add(polynomial(x, rest...), x, c0);
}

namespace detail {

template <class T>
struct Format;  // of IEEE 754: what exp needs to know

template <>
struct Format<float> {
  using Bits = uint32_t;
  static constexpr int mantissa = 23;
  static constexpr float round = 0x1.8p23f;  // adding it rounds to an integer
  static constexpr float ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
  static constexpr float smallest = -87.33654f, largest = 88.72283f;  // exp is normal
};

template <>
struct Format<double> {
  using Bits = uint64_t;
  static constexpr int mantissa = 52;
  static constexpr double round = 0x1.8p52;
  static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double smallest = -708.3964185, largest = 709.782712893384;
};

// x = n ln 2 + r with |r| <= ln(2) / 2; `power` holds n in its low bits.
template <class T>
struct Reduced {
  T r;
  typename Format<T>::Bits power;
};

template <class T>
NERVURE_INLINE Reduced<T> reduce(T x) {
  using F = Format<T>;
  const T shifted = multiply_add(x, T(1.4426950408889634), F::round);
  const T n = shifted - F::round;
  const T r = multiply_add(-n, F::ln2_low, multiply_add(-n, F::ln2_high, x));
  return {r, std::bit_cast<typename F::Bits>(shifted)};
}

// exp(r) - 1 for |r| <= ln(2) / 2.
template <class T>
NERVURE_INLINE T small_expm1(T r) {
  T p;
  if constexpr (std::is_same_v<T, float>)
    p = polynomial(r, 5.00000000e-1f, 1.66665770e-1f, 4.16665546e-2f, 8.36317905e-3f,
                   1.39261836e-3f);
  else
    p = polynomial(r, 5.0000000000000010e-1, 1.6666666666666667e-1, 4.1666666666624128e-2,
                   8.3333333333300618e-3, 1.3888888917213717e-3, 1.9841269863053617e-4,
                   2.4801521295954375e-5, 2.7557268459997065e-6, 2.7620088445409748e-7,
                   2.5100385495510319e-8);
  return multiply_add(r * r, p, r);
}

// x 2^n by adding n to the exponent: both x and the result are normal.
template <class T>
NERVURE_INLINE T scale(T x, typename Format<T>::Bits power) {
  using F = Format<T>;
  return std::bit_cast<T>(std::bit_cast<typename F::Bits>(x) + (power << F::mantissa));
}

}  // namespace detail

// exp(x + rest), where rest is less than x can hold.
template <class T>
NERVURE_INLINE T exp(T x, T rest = T(0)) {
  using F = detail::Format<T>;
  const auto [r, power] = detail::reduce(x);
  T y = detail::scale(T(1) + detail::small_expm1(r + rest), power);
  y = x < F::smallest ? T(0) : y;
  return x <= F::largest ? y : x + T(HUGE_VAL);  // infinity, or NaN as it came
}

// exp(x) - 1 for x up to 88 (float) or 709 (double).
template <class T>
NERVURE_INLINE T expm1(T x) {
  constexpr T floor = std::is_same_v<T, float> ? T(-87) : T(-708);
  const T bounded = x < floor ? floor : x;
  const auto [r, power] = detail::reduce(bounded);
  const T two_n = detail::scale(T(1), power);
  return multiply_add(two_n, detail::small_expm1(r), two_n - T(1));
}

// log(1 + x) for -1/2 <= x <= 1, as 2 atanh(s) with s = x / (2 + x).
template <class T>
NERVURE_INLINE T log1p(T x) {
  const T s = x / (T(2) + x);
  const T w = s * s;
  T p;
  if constexpr (std::is_same_v<T, float>)
    p = polynomial(w, 6.66666673e-1f, 3.99997063e-1f, 2.85923580e-1f, 2.17065758e-1f,
                   2.32243292e-1f);
  else
    p = polynomial(w, 6.6666666666666659e-1, 4.0000000000014583e-1, 2.8571428567108757e-1,
                   2.2222222717427863e-1, 1.8181789436132858e-1, 1.5385570064958623e-1,
                   1.3314144209654936e-1, 1.2001072809590713e-1, 8.8007384861446739e-2,
                   1.6164045611943532e-1);
  return multiply_add(s * w, p, T(2) * s);
}

// log(x) for normal x > 0: x = 2^n m with m between the roots of 1/2 and 2.
template <class T>
NERVURE_INLINE T log(T x) {
  using F = detail::Format<T>;
  using Bits = typename F::Bits;
  constexpr Bits one = std::bit_cast<Bits>(T(1)), fraction = (Bits(1) << F::mantissa) - 1;
  constexpr Bits least = std::bit_cast<Bits>(T(0.70710678118654752));
  const Bits bits = std::bit_cast<Bits>(x) + (one - least);
  const T m = std::bit_cast<T>((bits & fraction) + least);
  // The exponent as a number, by way of the last bits of a float that has no others.
  const T biased =
      std::bit_cast<T>((bits >> F::mantissa) | std::bit_cast<Bits>(F::round)) - F::round;
  const T n = biased - static_cast<T>(one >> F::mantissa);
  const T y = multiply_add(n, F::ln2_high, multiply_add(n, F::ln2_low, log1p(m - T(1))));
  return x <= std::numeric_limits<T>::max() ? y : x;  // infinity, or NaN as it came
}

template <class T>
NERVURE_INLINE T tanh(T x) {
  const T t = expm1(T(-2) * std::fabs(x));
  return std::copysign(-t / (T(2) + t), x);
}

namespace detail {

// sin(2 pi x) for |x| <= 1/4: the series at 0, whose next term is below the rounding.
template <class T>
NERVURE_INLINE T quarter_sine(T x) {
  T p;
  if constexpr (std::is_same_v<T, float>)
    p = polynomial(x * x, 6.283185307e+00f, -4.134170224e+01f, 8.160524928e+01f,
                   -7.670585975e+01f, 4.205869394e+01f, -1.509464258e+01f,
                   3.819952585e+00f);
  else
    p = polynomial(
        x * x, 6.28318530717958623e+00, -4.13417022403997549e+01, 8.16052492760750425e+01,
        -7.67058597530613611e+01, 4.20586939448976338e+01, -1.50946425768229844e+01,
        3.81995258484828026e+00, -7.18122301778500116e-01, 1.04229162208139783e-01,
        -1.20315859421206185e-02, 1.13092374825179542e-03);
  return x * p;
}

}  // namespace detail

// cos(2 pi x) and sin(2 pi x): the argument in turns, so that whole ones drop out exactly.
template <class T>
NERVURE_INLINE T cos_turns(T x) {
  return detail::quarter_sine(T(0.25) - std::fabs(x - std::rint(x)));
}
template <class T>
NERVURE_INLINE T sin_turns(T x) {
  const T r = x - std::rint(x);
  return detail::quarter_sine(std::fabs(r) > T(0.25) ? std::copysign(T(0.5), r) - r : r);
}

// 1 / (1 + exp(-x))
template <class T>
NERVURE_INLINE T logistic(T x) {
  return T(1) / (T(1) + exp(-x));
}

// The standard normal distribution function Phi(x) and exp(-x^2 / 2), from which follows
// the density. Phi(-|x|) = exp(-x^2 / 2) k t H(u), t = 1 / (|x| + k), u = 1 - 2 k t.
template <class T>
struct Gaussian {
  T cdf, bell;
};

namespace detail {

// k t H(u) for a >= 0: Phi(-a) is exp(-a^2 / 2) times it.
template <class T>
NERVURE_INLINE T gaussian_tail(T a) {
  constexpr bool single = std::is_same_v<T, float>;
  constexpr T k = single ? T(4) : T(5);
  const T t = T(1) / (a + k);
  const T u = (a - k) * t;
  T h;
  if constexpr (single)
    h = polynomial(u, 1.88821285e-1f, -1.51974152e-1f, 9.67841699e-2f, -4.66307515e-2f,
                   1.51016174e-2f, -1.88180323e-3f, -8.80893514e-4f, 3.92328411e-4f,
                   4.87004628e-5f, -3.07457893e-5f);
  else
    h = polynomial(u, 1.5383860995001259e-1, -1.3307650057801136e-1, 9.9061123193994827e-2,
                   -6.2706631334259421e-2, 3.3004073234100139e-2, -1.3823727741295964e-2,
                   4.1590133595139713e-3, -5.9867535381889456e-4, -1.5957387497823867e-4,
                   1.0897981253917041e-4, -1.1875173233472142e-5, -9.9525706330060272e-6,
                   3.3363407219545359e-6, 7.9623654830651549e-7, -5.5406418882939046e-7,
                   -6.7499304070492638e-8, 8.6887814527529169e-8, 8.7516831965711498e-9,
                   -1.3335058678455143e-8, -2.1236548348478753e-9, 1.5260820835746365e-9,
                   4.4498775354328866e-10);
  return k * t * h;
}

}  // namespace detail

template <class T>
NERVURE_INLINE Gaussian<T> gaussian(T x) {
  constexpr T far = std::is_same_v<T, float> ? T(14.5) : T(39);
  const T size = std::fabs(x);
  const T a = size > far ? far : size;
  // a^2 / 2 with the rounding error of the square kept: it would cost exp(-a^2 / 2) up
  // to a^2 units in the last place. `high` has so few bits that its square is exact.
  using Bits = typename detail::Format<T>::Bits;
  constexpr Bits mask = ~((Bits(1) << (detail::Format<T>::mantissa / 2 + 1)) - 1);
  const T high = std::bit_cast<T>(std::bit_cast<Bits>(a) & mask);
  const T first = high * high, second = (a - high) * (a + high);
  const T square = first + second;
  const T lost = (first - square) + second;
  const T bell = exp(T(-0.5) * square, T(-0.5) * lost);
  const T tail = bell * detail::gaussian_tail(a);
  return {x < T(0) ? tail : T(1) - tail, bell};
}

template <class T>
NERVURE_INLINE T gaussian_cdf(T x) {
  return gaussian(x).cdf;
}

// log Phi(x) and its slope phi(x) / Phi(x), which do not vanish where Phi does: far out
// they follow Phi(-a) = phi(a) / a (1 - 1 / a^2 + 3 / a^4 - 15 / a^6 + 105 / a^8 ...).
struct LogGaussian {
  double value, slope;
};
inline LogGaussian log_gaussian_cdf(double x) {
  constexpr double root = 0.39894228040143268, log_root = 0.91893853320467274;
  if (x >= 0) {
    const auto [above, bell] = gaussian(-x);
    return {std::log1p(-above), root * bell / (1 - above)};
  }
  const double a = -x, square = a * a;
  if (a < 30) {
    const double tail = detail::gaussian_tail(a);
    return {std::log(tail) - square / 2, root / tail};
  }
  const double next = 1 / square,
               rest = next * (-1 + next * (3 + next * (-15 + next * 105)));
  return {-square / 2 - std::log(a) - log_root + std::log1p(rest), a / (1 + rest)};
}

}  // namespace nervure::math
