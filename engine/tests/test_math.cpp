// SPDX-License-Identifier: BSD-3-Clause
// Accuracy of math.h against the long double library, and its special values.
#include <cfloat>
#include <limits>
#include <numbers>
#include <vector>

#include "../math.h"
#include "check.h"

namespace {

using namespace nervure;

// Distance in units in the last place of T around the exact value.
template <class T>
double ulps(T found, long double exact) {
  int exponent;
  std::frexp(exact, &exponent);
  const long double unit = std::ldexp(1.0L, exponent - std::numeric_limits<T>::digits);
  return static_cast<double>(std::fabs(static_cast<long double>(found) - exact) / unit);
}

template <class T>
struct Function {
  const char* name;
  T (*fast)(T);
  long double (*exact)(long double);
  double low, high;
  double bound;
};

template <class T>
double worst(const Function<T>& f, bool logarithmic) {
  constexpr int steps = 20011;
  double largest = 0;
  for (int i = 0; i <= steps; ++i) {
    T x = static_cast<T>(f.low + (f.high - f.low) * i / steps);
    if (logarithmic) x = static_cast<T>(std::ldexp(x, -(i % 30)));
    const long double exact = f.exact(x);
    if (std::fabs(exact) < std::numeric_limits<T>::min()) continue;
    largest = std::fmax(largest, ulps(f.fast(x), exact));
  }
  return largest;
}

long double exact_logistic(long double x) { return 1 / (1 + std::exp(-x)); }
template <class T>
long double exact_log_above_1(long double x) {
  return std::log(static_cast<long double>(T(1) + static_cast<T>(x)));
}
long double exact_cdf(long double x) { return std::erfc(-x / std::sqrt(2.0L)) / 2; }

template <class T>
void accuracy(const char* type) {
  const bool single = std::numeric_limits<T>::digits == 24;
  const double range = single ? 87.3 : 708.3;
  const double tail = single ? 12.9 : 37.5, cdf = single ? 5.5 : 7.5;
  const Function<T> functions[] = {
      {"exp", [](T x) { return math::exp(x); }, std::exp, -range, range + 1, 1},
      {"expm1", [](T x) { return math::expm1(x); }, std::expm1, -range, range,
       single ? 2 : 2.5},
      {"expm1 near 0", [](T x) { return math::expm1(x); }, std::expm1, -2, 2,
       single ? 2 : 2.5},
      {"log1p", [](T x) { return math::log1p(x); }, std::log1p, 0, 1, 2},
      {"log", [](T x) { return math::log(T(1) + x); }, exact_log_above_1<T>, 0, 1e9, 2},
      {"tanh", [](T x) { return math::tanh(x); }, std::tanh, -25, 25, 2.5},
      {"tanh near 0", [](T x) { return math::tanh(x); }, std::tanh, -2, 2, 2.5},
      {"logistic", [](T x) { return math::logistic(x); }, exact_logistic, -range, 50, 2},
      {"gaussian_cdf", [](T x) { return math::gaussian_cdf(x); }, exact_cdf, -tail, 10,
       cdf},
      {"gaussian_cdf near 0", [](T x) { return math::gaussian_cdf(x); }, exact_cdf, -3, 3,
       cdf},
  };
  for (const Function<T>& f : functions) {
    const double plain = worst(f, false), logarithmic = worst(f, true);
    std::printf("%-6s %-20s %.2f ulp, towards 0 %.2f ulp\n", type, f.name, plain,
                logarithmic);
    check::that(plain <= f.bound && logarithmic <= f.bound, f.name, __FILE__, __LINE__);
  }
}

// Absolute: a sine of 0 is exact, but next to half a turn the argument's rounding counts.
template <class T>
void turns() {
  const double bound = std::is_same_v<T, float> ? 2e-7 : 3e-16;
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
  CHECK_CLOSE(math::log(T(0.75)), std::log(0.75), 2 * std::numeric_limits<T>::epsilon());
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
void all(const char* type) {
  accuracy<T>(type);
  turns<T>();
  special_values<T>();
  same_bits_for_any_cut<T>([](T x) { return math::exp(x); });
  same_bits_for_any_cut<T>([](T x) { return math::tanh(x); });
  same_bits_for_any_cut<T>([](T x) { return math::gaussian_cdf(x); });
  reductions<T>();
}

}  // namespace

int main() {
  all<float>("float");
  all<double>("double");
  return check::report();
}
