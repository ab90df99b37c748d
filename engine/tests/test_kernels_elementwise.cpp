// SPDX-License-Identifier: BSD-3-Clause
// Activation, Dropout and Normalize against plain definitions and differences.
#include <functional>
#include <string>

#include "../kernels/activation.h"
#include "../kernels/dropout.h"
#include "../kernels/noise.h"
#include "../kernels/normalize.h"
#include "kernel_check.h"

namespace {

using namespace nervure;

struct Definition {
  const char* name;
  double alpha;
  std::function<double(double)> phi;
};

const double pi = std::acos(-1.0);

const Definition definitions[] = {
    {"linear", 0, [](double z) { return z; }},
    {"heaviside", 0, [](double z) { return z > 0; }},
    {"logistic", 0, [](double z) { return 1 / (1 + std::exp(-z)); }},
    {"gaussian_cdf", 0, [](double z) { return std::erfc(-z / std::sqrt(2.0)) / 2; }},
    {"tanh", 0, [](double z) { return std::tanh(z); }},
    {"scaled_tanh", 0, [](double z) { return 1.7159 * std::tanh(2 * z / 3); }},
    {"relu", 0, [](double z) { return std::fmax(z, 0); }},
    {"leaky_relu", 0.2, [](double z) { return z > 0 ? z : 0.2 * z; }},
    {"elu", 0.7, [](double z) { return z > 0 ? z : 0.7 * std::expm1(z); }},
    {"selu", 0,
     [](double z) {
       return 1.0507009873554805 * (z > 0 ? z : 1.6732632423543772 * std::expm1(z));
     }},
    {"gelu", 0, [](double z) { return z * std::erfc(-z / std::sqrt(2.0)) / 2; }},
    {"gelu_tanh", 0,
     [](double z) {
       return z / 2 * (1 + std::tanh(std::sqrt(2 / pi) * (z + 0.044715 * z * z * z)));
     }},
    {"silu", 0, [](double z) { return z / (1 + std::exp(-z)); }},
    {"softplus", 0, [](double z) { return std::log1p(std::exp(z)); }},
    {"softsign", 0, [](double z) { return z / (1 + std::fabs(z)); }},
    {"hard_sigmoid", 0, [](double z) { return std::fmin(std::fmax(z / 6 + 0.5, 0), 1); }},
    {"relu6", 0, [](double z) { return std::fmin(std::fmax(z, 0), 6); }},
    {"hard_silu", 0, [](double z) { return z * std::fmin(std::fmax(z / 6 + 0.5, 0), 1); }},
    {"mish", 0, [](double z) { return z * std::tanh(std::log1p(std::exp(z))); }},
    {"celu", 0.7, [](double z) { return z > 0 ? z : 0.7 * std::expm1(z / 0.7); }},
    {"thresholded_relu", 0.5, [](double z) { return z > 0.5 ? z : 0; }},
    {"negative", 0, [](double z) { return -z; }},
};

// Functions that are no squashing ones: far out they are as they are.
const Definition functions[] = {
    {"abs", 0, [](double z) { return std::fabs(z); }},
    {"square", 0, [](double z) { return z * z; }},
    {"exp", 0, [](double z) { return std::exp(z); }},
    {"erf", 0, [](double z) { return std::erf(z); }},
    {"sin", 0, [](double z) { return std::sin(z); }},
    {"cos", 0, [](double z) { return std::cos(z); }},
    {"arctan", 0, [](double z) { return std::atan(z); }},
    {"sinh", 0, [](double z) { return std::sinh(z); }},
    {"cosh", 0, [](double z) { return std::cosh(z); }},
    {"arcsinh", 0, [](double z) { return std::asinh(z); }},
    {"sign", 0, [](double z) { return double(z > 0) - double(z < 0); }},
    {"floor", 0, [](double z) { return std::floor(z); }},
    {"ceil", 0, [](double z) { return std::ceil(z); }},
    {"round", 0, [](double z) { return std::nearbyint(z); }},
};

// Of a part of the numbers alone, here between 1.01 and 2: the slope too.
struct Part {
  const char* name;
  std::function<double(double)> phi, slope;
  double shift;
};
const Part parts[] = {
    {"reciprocal", [](double z) { return 1 / z; }, [](double z) { return -1 / (z * z); },
     0},
    {"sqrt", [](double z) { return std::sqrt(z); },
     [](double z) { return 0.5 / std::sqrt(z); }, 0},
    {"log", [](double z) { return std::log(z); }, [](double z) { return 1 / z; }, 0},
    {"tan", [](double z) { return std::tan(z); },
     [](double z) { return 1 / std::pow(std::cos(z), 2); }, -1},
    {"arcsin", [](double z) { return std::asin(z); },
     [](double z) { return 1 / std::sqrt(1 - z * z); }, -1.02},
    {"arccos", [](double z) { return std::acos(z); },
     [](double z) { return -1 / std::sqrt(1 - z * z); }, -1.02},
    {"arccosh", [](double z) { return std::acosh(z); },
     [](double z) { return 1 / std::sqrt(z * z - 1); }, 0},
    {"arctanh", [](double z) { return std::atanh(z); },
     [](double z) { return 1 / (1 - z * z); }, -1.02},
};

Attributes attributes_of(const Definition& d) {
  Attributes attributes;
  attributes.set("function", std::string(d.name));
  attributes.set("alpha", d.alpha);
  return attributes;
}

void activation_values(const Definition& d) {
  check::Bench<Activation, double> bench(attributes_of(d), {{{101}}, {101}}, 3);
  for (size_t i = 0; i < bench.x[0].size(); ++i) bench.x[0][i] = 0.0731 * double(i) - 11;
  bench.forward();
  for (size_t i = 0; i < bench.y.size(); ++i)
    CHECK_CLOSE(bench.y[i], d.phi(bench.x[0][i]), 1e-14);
}

// Far out every function has its limit, and derivatives neither overflow nor turn NaN.
template <class T>
void activation_limits(const Definition& d) {
  check::Bench<Activation, T> bench(attributes_of(d), {{{6}}, {6}}, 1);
  bench.x[0] = {T(-1e4), T(1e4), T(-1e25), T(1e25), T(0), T(-0.0)};
  bench.forward();
  bench.backward();
  for (size_t i = 0; i < 6; ++i) {
    const double exact = d.phi(double(bench.x[0][i]));
    if (std::isfinite(exact)) CHECK_CLOSE(bench.y[i], exact, 1e-6);
    CHECK(std::isfinite(bench.dx[0][i]));
  }
}

template <class T>
void nan_stays_nan(const Definition& d) {
  if (std::string(d.name) == "heaviside") return;
  check::Bench<Activation, T> bench(attributes_of(d), {{{9}}, {9}}, 1);
  bench.x[0].assign(9, T(NAN));
  bench.forward();
  for (T a : bench.y) check::that(std::isnan(a), d.name, __FILE__, __LINE__);
}

void partial_values(const Part& p) {
  check::Bench<Activation, double> bench(attributes_of({p.name, 0, {}}), {{{99}}, {99}}, 1);
  for (size_t i = 0; i < 99; ++i) bench.x[0][i] = p.shift + 1.01 + 0.01 * double(i);
  bench.forward();
  bench.backward();
  for (size_t i = 0; i < 99; ++i) {
    const double z = bench.x[0][i];
    CHECK_CLOSE(bench.y[i], p.phi(z), 1e-14);
    CHECK_CLOSE(bench.dx[0][i], bench.dy[i] * p.slope(z), 1e-11);
  }
}

void unknown_activation() {
  try {
    Activation::read(attributes_of({"rellu", 0, {}}), {{{1}}, {1}});
    CHECK(false);
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()) ==
          "[engine] activation 'rellu' has no native kernel; use executor=\"jax\"");
  }
}

Attributes dropout_attributes(double rate) {
  Attributes attributes;
  attributes.set("rate", rate);
  attributes.set("threshold", int64_t(std::lround(rate * (1 << 24))));
  return attributes;
}

void dropout_masks() {
  check::Bench<Dropout, double> bench(dropout_attributes(0.25), {{{100}}, {100}}, 400);
  bench.forward();
  CHECK(bench.y == bench.x[0]);
  bench.training = true;
  bench.forward();
  bench.backward();
  std::vector<uint32_t> words(bench.y.size());
  random::words({5, 11, 3}, 0, int64_t(words.size()), words.data());
  int64_t silenced = 0;
  bool holds = true;
  for (size_t i = 0; i < words.size(); ++i) {
    const bool keep = random::uniform(words[i]) >= 0.25f;
    silenced += !keep;
    holds &= bench.y[i] == (keep ? bench.x[0][i] * (1 / 0.75) : 0);
    holds &= bench.dx[0][i] == (keep ? bench.dy[i] * (1 / 0.75) : 0);
  }
  CHECK(holds);
  CHECK_CLOSE(double(silenced) / double(words.size()), 0.25, 0.01);
}

void normalize_values() {
  check::Bench<Normalize, double> bench({}, {{{2, 3}}, {2, 3}}, 2, {{3}, {3}});
  bench.parameter = {{1, 2, 3}, {2, 4, -8}};
  bench.forward();
  bench.backward();
  for (size_t i = 0; i < bench.y.size(); ++i) {
    const double mean = bench.parameter[0][i % 3], scale = bench.parameter[1][i % 3];
    CHECK(bench.y[i] == (bench.x[0][i] - mean) / scale);
    CHECK(bench.dx[0][i] == bench.dy[i] / scale);
  }
  CHECK(bench.dparameter[0] == std::vector<double>(3, 0));
  CHECK(bench.dparameter[1] == std::vector<double>(3, 0));
}

}  // namespace

int main() {
  for (const Definition& d : definitions) {
    activation_values(d);
    activation_limits<float>(d);
    activation_limits<double>(d);
    nan_stays_nan<float>(d);
    nan_stays_nan<double>(d);
    check::kernel<Activation>(attributes_of(d), {{{7}}, {7}});
  }
  for (const Definition& d : functions) {
    activation_values(d);
    nan_stays_nan<float>(d);
    nan_stays_nan<double>(d);
    check::kernel<Activation>(attributes_of(d), {{{7}}, {7}});
  }
  for (const Part& p : parts) partial_values(p);
  unknown_activation();
  dropout_masks();
  check::kernel<Dropout>(dropout_attributes(0.3), {{{5, 3}}, {5, 3}}, true);
  check::kernel<Dropout>(dropout_attributes(0.3), {{{7}}, {7}}, false);
  Attributes noise;
  noise.set("deviation", 0.5);
  check::kernel<GaussianNoise>(noise, {{{5, 3}}, {5, 3}}, true);
  check::kernel<GaussianNoise>(noise, {{{7}}, {7}}, false);
  check::kernel<GaussianSample>({}, {{{5, 3}, {5, 3}}, {5, 3}}, true);
  check::kernel<GaussianSample>({}, {{{7}, {7}}, {7}}, false);
  normalize_values();
  check::kernel<Normalize>({}, {{{2, 3}}, {2, 3}}, false, {{3}, {3}});
  return check::report();
}
