// SPDX-License-Identifier: BSD-3-Clause
// Kernels of plain arithmetic, moved and reduced arrays, against hand-computed ones.
#include "../kernels/arrange.h"
#include "../kernels/clip.h"
#include "../kernels/learned.h"
#include "../kernels/matmul.h"
#include "../kernels/pairs.h"
#include "../kernels/reduce.h"
#include "kernel_check.h"

namespace {

using namespace nervure;
using Values = std::vector<double>;

Attributes of(std::initializer_list<std::pair<const char*, Attributes::Value>> pairs) {
  Attributes attributes;
  for (const auto& [key, value] : pairs) attributes.set(key, value);
  return attributes;
}

template <class K>
check::Bench<K, double> ran(const Attributes& attributes, const Shapes& shapes,
                            const std::vector<Values>& x, const Values& dy,
                            const std::vector<Shape>& parameters = {},
                            const std::vector<Values>& values = {}) {
  check::Bench<K, double> bench(attributes, shapes, 1, parameters);
  bench.x = x;
  bench.dy = dy;
  if (!values.empty()) bench.parameter = values;
  bench.forward();
  bench.backward();
  return bench;
}

void pairs_of(const char* function, const Values& y, const Values& da, const Values& db) {
  const auto bench = ran<Pair>(of({{"function", std::string(function)}}), {{{2}, {2}}, {2}},
                               {{2, 3}, {4, 0.5}}, {1, 10});
  for (size_t i = 0; i < 2; ++i) {
    CHECK_CLOSE(bench.y[i], y[i], 1e-15);
    CHECK_CLOSE(bench.dx[0][i], da[i], 1e-15);
    CHECK_CLOSE(bench.dx[1][i], db[i], 1e-15);
  }
}

void pair_values() {
  pairs_of("subtract", {-2, 2.5}, {1, 10}, {-1, -10});
  pairs_of("divide", {0.5, 6}, {0.25, 20}, {-0.125, -120});
  const double root = std::sqrt(3.0);
  pairs_of("power", {16, root}, {32, 5 / root},
           {16 * std::log(2.0), 10 * root * std::log(3.0)});
  pairs_of("less", {1, 0}, {0, 0}, {0, 0});
  pairs_of("less_equal", {1, 0}, {0, 0}, {0, 0});
  pairs_of("greater", {0, 1}, {0, 0}, {0, 0});
  pairs_of("greater_equal", {0, 1}, {0, 0}, {0, 0});
  pairs_of("equal", {0, 0}, {0, 0}, {0, 0});
  pairs_of("not_equal", {1, 1}, {0, 0}, {0, 0});
  try {
    Pair::read(of({{"function", std::string("modulo")}}), {{{1}, {1}}, {1}});
    CHECK(false);
  } catch (const std::invalid_argument& error) {
    CHECK(std::string(error.what()) ==
          "[engine] function 'modulo' of two inputs has no native kernel; use "
          "executor=\"jax\"");
  }
}

void extreme_values() {
  const Shapes shapes = {{{3}, {3}}, {3}};
  const std::vector<Values> x = {{1, 5, 2}, {3, 5, NAN}};
  const auto most = ran<Extreme>(of({{"least", int64_t(0)}}), shapes, x, {1, 2, 3});
  CHECK(most.y[0] == 3 && most.y[1] == 5 && std::isnan(most.y[2]));
  CHECK((most.dx[0] == Values{0, 2, 0} && most.dx[1] == Values{1, 0, 3}));
  const auto least = ran<Extreme>(of({{"least", int64_t(1)}}), shapes, x, {1, 2, 3});
  CHECK(least.y[0] == 1 && least.y[1] == 5 && std::isnan(least.y[2]));
}

void where_values() {
  const auto bench = ran<Where>({}, {{{3}, {3}, {3}}, {3}},
                                {{1, 0, -2}, {10, 20, 30}, {40, 50, 60}}, {1, 2, 3});
  CHECK((bench.y == Values{10, 50, 60}));
  CHECK((bench.dx[0] == Values{0, 0, 0}));
  CHECK((bench.dx[1] == Values{1, 0, 0} && bench.dx[2] == Values{0, 2, 3}));
}

void clip_values() {
  const auto bench = ran<Clip>(of({{"low", -1.0}, {"high", 2.0}}), {{{5}}, {5}},
                               {{-3, -1, 0.5, 2, 7}}, {1, 2, 3, 4, 5});
  CHECK((bench.y == Values{-1, -1, 0.5, 2, 2}));
  CHECK((bench.dx[0] == Values{0, 0, 3, 0, 0}));
}

// Transposed; elements 2, 0, 2 of the last axis; a row repeated.
void arrange_values() {
  using List = std::vector<int64_t>;
  const auto turned =
      ran<Arrange>(of({{"strides", List{1, 3}}, {"taken", int64_t(-1)}}),
                   {{{2, 3}}, {3, 2}}, {{1, 2, 3, 4, 5, 6}}, {10, 20, 30, 40, 50, 60});
  CHECK((turned.y == Values{1, 4, 2, 5, 3, 6}));
  CHECK((turned.dx[0] == Values{10, 30, 50, 20, 40, 60}));
  const Attributes some =
      of({{"strides", List{3, 1}}, {"taken", int64_t(1)}, {"indices", List{2, 0, 2}}});
  const auto taken = ran<Arrange>(some, {{{2, 3}}, {2, 3}}, {{1, 2, 3, 4, 5, 6}},
                                  {10, 20, 30, 40, 50, 60});
  CHECK((taken.y == Values{3, 1, 3, 6, 4, 6}));
  CHECK((taken.dx[0] == Values{20, 0, 40, 50, 0, 100}));
  const auto repeated = ran<Arrange>(of({{"strides", List{0, 1}}, {"taken", int64_t(-1)}}),
                                     {{{2}}, {2, 2}}, {{1, 2}}, {10, 20, 30, 40});
  CHECK((repeated.y == Values{1, 2, 1, 2} && repeated.dx[0] == Values{40, 60}));
  check::kernel<Arrange>(some, {{{2, 3}}, {2, 3}});
}

void reduced(const char* function, const Values& y, const Values& dx) {
  const Attributes attributes =
      of({{"function", std::string(function)}, {"reduced", std::vector<int64_t>{1, 0}}});
  const auto bench =
      ran<Reduce>(attributes, {{{3, 2}}, {2}}, {{1, 4, 5, 0, 5, 2}}, {1, 10});
  CHECK(bench.y == y && bench.dx[0] == dx);
  check::kernel<Reduce>(attributes, {{{3, 2}}, {2}});
}

void reduce_values() {
  reduced("sum", {11, 6}, {1, 10, 1, 10, 1, 10});
  reduced("mean", {11.0 / 3, 2}, {1.0 / 3, 10.0 / 3, 1.0 / 3, 10.0 / 3, 1.0 / 3, 10.0 / 3});
  reduced("max", {5, 4}, {0, 10, 1, 0, 0, 0});
  reduced("min", {1, 0}, {1, 0, 0, 10, 0, 0});
  reduced("product", {25, 0}, {25, 0, 5, 80, 5, 0});
  const auto both = ran<Reduce>(
      of({{"function", std::string("sum")}, {"reduced", std::vector<int64_t>{1, 0, 1}}}),
      {{{2, 2, 2}}, {2}}, {{1, 2, 3, 4, 5, 6, 7, 8}}, {1, 10});
  CHECK((both.y == Values{14, 22} && both.dx[0] == Values{1, 1, 10, 10, 1, 1, 10, 10}));
}

// (1 2; 3 4) (5; 6) = (17; 39)
void matmul_values() {
  const auto bench =
      ran<MatMul>({}, {{{2, 2}, {2, 1}}, {2, 1}}, {{1, 2, 3, 4}, {5, 6}}, {1, 10});
  CHECK((bench.y == Values{17, 39}));
  CHECK((bench.dx[0] == Values{5, 6, 50, 60} && bench.dx[1] == Values{31, 42}));
  check::kernel<MatMul>({}, {{{2, 3, 4}, {2, 4, 5}}, {2, 3, 5}});
}

void learned_values() {
  check::Bench<Learned, double> bench({}, {{}, {2}}, 3, {{2}});
  bench.parameter = {{7, 8}};
  bench.dy = {1, 2, 3, 4, 5, 6};
  bench.forward();
  bench.backward();
  CHECK((bench.y == Values{7, 8, 7, 8, 7, 8} && bench.dparameter[0] == Values{9, 12}));
}

}  // namespace

int main() {
  pair_values();
  check::kernel<Pair>(of({{"function", std::string("subtract")}}), {{{7}, {7}}, {7}});
  extreme_values();
  check::kernel<Extreme>(of({{"least", int64_t(0)}}), {{{7}, {7}}, {7}});
  where_values();
  check::kernel<Where>({}, {{{7}, {7}, {7}}, {7}});
  clip_values();
  check::kernel<Clip>(of({{"low", -0.512}, {"high", 1.013}}), {{{7}}, {7}});
  arrange_values();
  reduce_values();
  matmul_values();
  learned_values();
  return check::report();
}
