// SPDX-License-Identifier: BSD-3-Clause
// Kernels that move, merge or normalize whole rows, against hand-computed arrays.
#include <limits>

#include "../kernels/embedding.h"
#include "../kernels/merge.h"
#include "../kernels/reshape.h"
#include "../kernels/softmax.h"
#include "../kernels/source.h"
#include "kernel_check.h"

namespace {

using namespace nervure;
using Values = std::vector<double>;

Attributes integers(std::initializer_list<std::pair<const char*, int64_t>> pairs) {
  Attributes attributes;
  for (const auto& [key, value] : pairs) attributes.set(key, value);
  return attributes;
}

template <class K>
check::Bench<K, double> ran(const Attributes& attributes, const Shapes& shapes,
                            int64_t rows, const std::vector<Values>& x, const Values& dy) {
  check::Bench<K, double> bench(attributes, shapes, rows);
  bench.x = x;
  bench.dy = dy;
  bench.forward();
  bench.backward();
  return bench;
}

void softmax_values() {
  const double a = std::log(2.0), b = std::log(5.0);
  const auto p = ran<Softmax>({}, {{{3}}, {3}}, 1, {{0, a, b}}, {1, 0, 0});
  const Values expected = {0.125, 0.25, 0.625}, slope = {0.109375, -0.03125, -0.078125};
  for (size_t i = 0; i < 3; ++i) {
    CHECK_CLOSE(p.y[i], expected[i], 1e-15);
    CHECK_CLOSE(p.dx[0][i], slope[i], 1e-15);
  }
  const auto l = ran<LogSoftmax>({}, {{{3}}, {3}}, 1, {{0, a, b}}, {1, 0, 0});
  for (size_t i = 0; i < 3; ++i) {
    CHECK_CLOSE(l.y[i], std::log(expected[i]), 1e-15);
    CHECK_CLOSE(l.dx[0][i], (i == 0 ? 1 : 0) - expected[i], 1e-15);
  }
}

// Scores of any size are fine: only their differences count.
template <class T>
void softmax_is_stable() {
  check::Bench<Softmax, T> bench({}, {{{4}}, {4}}, 1);
  bench.x[0] = {T(1e4), T(-1e4), T(1e4), T(0)};
  bench.forward();
  CHECK((bench.y == std::vector<T>{T(0.5), T(0), T(0.5), T(0)}));
  check::Bench<LogSoftmax, T> log({}, {{{2}}, {2}}, 1);
  log.x[0] = {T(1e4), T(-1e4)};
  log.forward();
  CHECK((log.y == std::vector<T>{T(0), T(-2e4)}));
}

void concatenate_values() {
  // Two samples, axis 0 of (1, 2) and (2, 2).
  const auto c = ran<Concatenate>(integers({{"axis", 0}}), {{{1, 2}, {2, 2}}, {3, 2}}, 2,
                                  {{1, 2, 3, 4}, {5, 6, 7, 8, 9, 10, 11, 12}},
                                  {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  CHECK((c.y == Values{1, 2, 5, 6, 7, 8, 3, 4, 9, 10, 11, 12}));
  CHECK((c.dx[0] == Values{1, 2, 7, 8}));
  CHECK((c.dx[1] == Values{3, 4, 5, 6, 9, 10, 11, 12}));
}

void slice_values() {
  // x[:, 1::2] of two samples of shape (4,).
  const auto s = ran<Slice>(integers({{"axis", 0}, {"begin", 1}, {"step", 2}}),
                            {{{4}}, {2}}, 2, {{1, 2, 3, 4, 5, 6, 7, 8}}, {1, 2, 3, 4});
  CHECK((s.y == Values{2, 4, 6, 8}));
  CHECK((s.dx[0] == Values{0, 1, 0, 2, 0, 3, 0, 4}));
}

void merged_values() {
  const Shapes three = {{{2}, {2}, {2}}, {2}};
  const std::vector<Values> x = {{1, 2}, {3, 0}, {5, 7}};
  const auto a = ran<Add>({}, three, 1, x, {1, 10});
  CHECK((a.y == Values{9, 9}));
  for (const Values& dx : a.dx) CHECK((dx == Values{1, 10}));
  const auto m = ran<Multiply>({}, three, 1, x, {1, 10});
  CHECK((m.y == Values{15, 0}));
  CHECK((m.dx == std::vector<Values>{{15, 0}, {5, 140}, {3, 0}}));
}

void constant_values() {
  Attributes attributes;
  attributes.set("value", 2.5);
  check::Bench<Constant, float> bench(attributes, {{}, {2, 2}}, 5000);
  bench.forward();
  bench.backward();
  CHECK(bench.y == std::vector<float>(20000, 2.5f));
}

Attributes tables(std::vector<int64_t> sizes, int64_t dim) {
  Attributes attributes;
  attributes.set("categories", std::move(sizes));
  attributes.set("dim", dim);
  return attributes;
}

// Tables of 2 and 3 categories; codes out of range and NaN stand for no row.
template <class T>
void embedding_values() {
  const T nan = std::numeric_limits<T>::quiet_NaN(), much = T(1e30);
  check::Bench<Embedding, T> bench(tables({2, 3}, 2), {{{2}}, {2, 2}}, 5, {{5, 2}});
  bench.parameter[0] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
  bench.x[0] = {1, 0, 0, 2, nan, 3, 1, -1, much, 2};
  bench.dy = {1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 9, 10, 20, 9, 9, 9, 9, 70, 80};
  bench.forward();
  bench.backward();
  CHECK((bench.y ==
         std::vector<T>{2, 3, 4, 5, 0, 1, 8, 9, 0, 0, 0, 0, 2, 3, 0, 0, 0, 0, 8, 9}));
  CHECK((bench.dparameter[0] == std::vector<T>{5, 6, 11, 22, 3, 4, 0, 0, 77, 88}));
  CHECK((bench.dx[0] == std::vector<T>(10, T(0))));
  bench.accumulate = true;
  bench.backward();
  CHECK((bench.dparameter[0] == std::vector<T>{10, 12, 22, 44, 6, 8, 0, 0, 154, 176}));
}

Attributes bag(int64_t codes, int64_t dim, std::string pooling) {
  Attributes attributes = tables({codes}, dim);
  attributes.set("pooling", std::move(pooling));
  attributes.set("rate", 0.0);
  attributes.set("threshold", int64_t{0});
  return attributes;
}

// Code 0 and codes out of range are no words; of no word the vector is zero.
template <class T>
void embedding_bag_values() {
  check::Bench<EmbeddingBag, T> bench(bag(4, 2, "mean"), {{{3}}, {2}}, 3, {{4, 2}});
  bench.parameter[0] = {9, 9, 1, 2, 3, 4, 5, 6};
  bench.x[0] = {0, 1, 3, 0, 0, -1, 2, 2, 4};
  bench.dy = {2, 4, 9, 9, 1, 1};
  bench.forward();
  bench.backward();
  CHECK((bench.y == std::vector<T>{3, 4, 0, 0, 3, 4}));
  CHECK((bench.dparameter[0] == std::vector<T>{0, 0, 1, 2, 1, 1, 1, 2}));
  CHECK((bench.dx[0] == std::vector<T>(9, T(0))));
  bench.accumulate = true;
  bench.backward();
  CHECK((bench.dparameter[0] == std::vector<T>{0, 0, 2, 4, 2, 2, 2, 4}));
}

}  // namespace

int main() {
  embedding_values<float>();
  embedding_values<double>();
  check::kernel<Embedding>(tables({3, 5000}, 7), {{{4}}, {4, 7}}, false, {{5003, 7}});
  check::kernel<Embedding>(tables({4}, 600), {{{2}}, {2, 600}}, false, {{4, 600}});
  embedding_bag_values<float>();
  embedding_bag_values<double>();
  for (const char* pooling : {"mean", "root", "sum"})
    check::kernel<EmbeddingBag>(bag(5000, 70, pooling), {{{2, 9}}, {2, 70}}, false,
                                {{5000, 70}});
  softmax_values();
  softmax_is_stable<float>();
  softmax_is_stable<double>();
  concatenate_values();
  slice_values();
  merged_values();
  constant_values();
  for (int64_t classes : {1, 5, 16, 37, 600}) {
    check::kernel<Softmax>({}, {{{classes}}, {classes}});
    check::kernel<LogSoftmax>({}, {{{classes}}, {classes}});
  }
  check::kernel<Softmax>({}, {{{2, 3}}, {2, 3}});
  check::kernel<LogSoftmax>({}, {{{2, 3}}, {2, 3}});
  check::kernel<Flatten>({}, {{{2, 3}}, {6}});
  check::kernel<Reshape>({}, {{{6}}, {2, 3}});
  check::kernel<Slice>(integers({{"axis", 1}, {"begin", 1}, {"step", 2}}),
                       {{{2, 5, 3}}, {2, 2, 3}});
  check::kernel<Concatenate>(integers({{"axis", 1}}), {{{2, 3}, {2, 1}, {2, 4}}, {2, 8}});
  check::kernel<Concatenate>(integers({{"axis", 0}}), {{{5}}, {5}});
  check::kernel<Add>({}, {{{4}, {4}, {4}}, {4}});
  check::kernel<Add>({}, {{{4}}, {4}});
  check::kernel<Multiply>({}, {{{4}, {4}, {4}}, {4}});
  check::kernel<Multiply>({}, {{{300}, {300}}, {300}});
  return check::report();
}
