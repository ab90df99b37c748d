// SPDX-License-Identifier: BSD-3-Clause
// Accuracy of math.h against the library in more digits, and its special values.
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <numbers>
#include <vector>

#if defined(__SSE__)
#include <xmmintrin.h>
#endif

#include "../math.h"
#include "check.h"

namespace {

using namespace nervure;

// What the engine computes with: numbers below the smallest normal one are zero.
class FlushDenormals {
#if defined(__SSE__)
 public:
  FlushDenormals() { _mm_setcsr(_mm_getcsr() | 0x8040); }
#endif
};

// Distance in units in the last place of T around the exact value.
template <class T, class Exact>
double ulps(T found, Exact exact) {
  int exponent;
  std::frexp(exact, &exponent);
  const Exact unit = std::ldexp(Exact(1), exponent - std::numeric_limits<T>::digits);
  return static_cast<double>(std::fabs(static_cast<Exact>(found) - exact) / unit);
}

double logistic(double x) { return 1 / (1 + std::exp(-x)); }
long double logistic(long double x) { return 1 / (1 + std::exp(-x)); }
double normal(double x) { return std::erfc(-x / std::numbers::sqrt2) / 2; }
long double normal(long double x) {
  return std::erfc(-x / std::numbers::sqrt2_v<long double>) / 2;
}

// A function of math.h and its exact values, of arguments in [low, high]; `bound` holds
// for all of them.
template <class T, class Exact>
struct Function {
  const char* name;
  T (*fast)(T);
  Exact (*exact)(Exact);
  double low, high, bound;
};

template <class T, class Exact>
std::vector<Function<T, Exact>> functions() {
  constexpr bool single = std::is_same_v<T, float>;
  constexpr double most = std::numeric_limits<T>::max();
  constexpr double least = std::numeric_limits<T>::min();
  const double range = single ? 88 : 709;
  return {
      {"exp", [](T x) { return math::exp(x); }, [](Exact x) { return std::exp(x); }, -most,
       range + 0.7, 1.1},
      {"expm1", [](T x) { return math::expm1(x); }, [](Exact x) { return std::expm1(x); },
       -most, range, single ? 1.8 : 2.3},
      {"log1p", [](T x) { return math::log1p(x); }, [](Exact x) { return std::log1p(x); },
       2 * least, 1, 2},
      {"log", [](T x) { return math::log(x); }, [](Exact x) { return std::log(x); }, least,
       most, 2},
      {"tanh", [](T x) { return math::tanh(x); }, [](Exact x) { return std::tanh(x); },
       -most, most, 2.5},
      {"logistic", [](T x) { return math::logistic(x); },
       [](Exact x) { return logistic(x); }, -most, most, single ? 2.5 : 2},
      {"gaussian_cdf", [](T x) { return math::gaussian_cdf(x); },
       [](Exact x) { return normal(x); }, -most, most, single ? 6.5 : 7.5},
  };
}

// The largest error of some arguments, where results are normal numbers.
template <class T, class Exact>
class Worst {
 public:
  explicit Worst(const Function<T, Exact>& function) : function_(function) {}
  void take(T x) {
    if (!(x >= static_cast<T>(function_.low) && x <= static_cast<T>(function_.high)))
      return;
    if (x != 0 && std::fabs(x) < std::numeric_limits<T>::min()) return;
    const Exact exact = function_.exact(x);
    const bool normal = std::fabs(exact) >= std::numeric_limits<T>::min() &&
                        std::fabs(exact) <= std::numeric_limits<T>::max();
    if (normal) largest_ = std::fmax(largest_, ulps(function_.fast(x), exact));
  }
  void report(const char* type) const {
    std::printf("%-6s %-13s %.3f ulp\n", type, function_.name, largest_);
    check::that(largest_ <= function_.bound, function_.name, __FILE__, __LINE__);
  }

 private:
  const Function<T, Exact>& function_;
  double largest_ = 0;
};

// Floats in the order of their bits: of every power of two some eight thousand, in steps
// that meet all endings of the mantissa. `test_math all` takes each of those that are not
// very small, from 2^-12 on, which is where the bounds in math.h come from.
void accuracy_of_floats(bool all) {
  constexpr uint32_t step = 1009, small = 0x39800000, sign = 0x80000000;
  for (const Function<float, double>& f : functions<float, double>()) {
    Worst<float, double> worst(f);
    for (uint64_t bits = 0; bits < uint64_t{1} << 32;) {
      worst.take(std::bit_cast<float>(static_cast<uint32_t>(bits)));
      bits += all && (bits & ~sign) >= small ? 1 : step;
    }
    worst.report("float");
  }
}

// Doubles: as many of each power of two near 1, and fewer far from it.
void accuracy_of_doubles() {
  for (const Function<double, long double>& f : functions<double, long double>()) {
    Worst<double, long double> worst(f);
    uint64_t random = 1;
    for (int exponent = -1022; exponent <= 1023; ++exponent) {
      const int count = -12 <= exponent && exponent <= 10 ? 8000 : 20;
      for (int i = 0; i < count; ++i) {
        random = random * 6364136223846793005U + 1442695040888963407U;
        const double mantissa = 1 + std::ldexp(static_cast<double>(random >> 12), -52);
        const double x = std::ldexp(mantissa, exponent);
        worst.take(x), worst.take(-x);
      }
    }
    worst.report("double");
  }
}

// Absolute: a sine of 0 is exact, but next to half a turn the argument's rounding counts.
template <class T>
void turns() {
  const double bound = std::is_same_v<T, float> ? 2e-7 : 4e-16;
  double largest = 0;
  for (int i = -20011; i <= 20011; ++i) {
    const T x = T(i) * T(0.000237);
    const long double angle = 2 * std::numbers::pi_v<long double> * x;
    const double cosine = math::cos_turns(x) - static_cast<double>(std::cos(angle));
    const double sine = math::sin_turns(x) - static_cast<double>(std::sin(angle));
    largest = std::fmax(largest, std::fmax(std::fabs(cosine), std::fabs(sine)));
  }
  std::printf("turns  %.2g\n", largest);
  CHECK(largest <= bound);
  CHECK(math::sin_turns(T(0)) == T(0));
  CHECK(math::cos_turns(T(0.25)) == T(0));
  CHECK(math::sin_turns(T(1e9)) == T(0));
}

template <class T>
void special_values() {
  const T infinity = std::numeric_limits<T>::infinity();
  const T nan = std::numeric_limits<T>::quiet_NaN();
  CHECK(math::exp(T(0)) == T(1));
  CHECK(math::exp(infinity) == infinity);
  CHECK(math::exp(-infinity) == T(0));
  CHECK(math::exp(T(1e30)) == infinity);
  CHECK(math::exp(T(-1e30)) == T(0));
  CHECK(math::expm1(T(0)) == T(0));
  CHECK(math::expm1(-infinity) == T(-1));
  CHECK(math::log1p(T(0)) == T(0));
  CHECK(math::log(T(1)) == T(0));
  CHECK(math::log(infinity) == infinity);
  CHECK(math::tanh(T(0)) == T(0));
  CHECK(math::tanh(infinity) == T(1));
  CHECK(math::tanh(-infinity) == T(-1));
  CHECK(math::tanh(T(-1e30)) == T(-1));
  CHECK(math::logistic(T(0)) == T(0.5));
  CHECK(math::logistic(-infinity) == T(0));
  CHECK(math::logistic(infinity) == T(1));
  CHECK(math::gaussian_cdf(-infinity) == T(0));
  CHECK(math::gaussian_cdf(infinity) == T(1));
  CHECK(math::gaussian(T(0)).bell == T(1));
  for (T (*f)(T) :
       {+[](T x) { return math::exp(x); }, +[](T x) { return math::expm1(x); },
        +[](T x) { return math::log1p(x); }, +[](T x) { return math::log(x); },
        +[](T x) { return math::tanh(x); }, +[](T x) { return math::logistic(x); },
        +[](T x) { return math::gaussian_cdf(x); }})
    CHECK(std::isnan(f(nan)));
}

// Bits must not depend on where a vector loop begins or ends.
template <class T, class F>
void same_bits_for_any_cut(F f) {
  constexpr int64_t size = 103;
  std::vector<T> x(size), whole(size), pieces(size);
  for (int64_t i = 0; i < size; ++i) x[i] = T(i - 50) * T(0.137);
  const auto map = [&](T* y, int64_t begin, int64_t end) {
    NERVURE_VECTORIZE
    for (int64_t i = begin; i < end; ++i) y[i] = f(x[i]);
  };
  map(whole.data(), 0, size);
  for (int64_t piece = 1; piece < 20; ++piece) {
    for (int64_t i = 0; i < size; i += piece)
      map(pieces.data(), i, i + piece < size ? i + piece : size);
    CHECK(pieces == whole);
  }
}

template <class T>
void reductions() {
  for (int64_t size : {1, 2, 15, 16, 17, 100}) {
    std::vector<T> x(size), y(size);
    double sum = 0, dot = 0, largest = -1e9;
    for (int64_t i = 0; i < size; ++i) {
      x[i] = T((i * 37) % 11) - 20, y[i] = T(i % 7);
      sum += x[i], dot += double(x[i]) * y[i], largest = std::fmax(largest, x[i]);
    }
    CHECK(simd::sum(x.data(), size) == T(sum));
    CHECK(simd::dot(x.data(), y.data(), size) == T(dot));
    CHECK(simd::max(x.data(), size) == T(largest));
  }
}

template <class T>
void all() {
  turns<T>();
  special_values<T>();
  same_bits_for_any_cut<T>([](T x) { return math::exp(x); });
  same_bits_for_any_cut<T>([](T x) { return math::tanh(x); });
  same_bits_for_any_cut<T>([](T x) { return math::gaussian_cdf(x); });
  reductions<T>();
}

}  // namespace

int main(int count, char** words) {
  all<float>();
  all<double>();
  const FlushDenormals flush;
  accuracy_of_floats(count > 1 && std::strcmp(words[1], "all") == 0);
  accuracy_of_doubles();
  return check::report();
}
