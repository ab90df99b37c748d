// SPDX-License-Identifier: BSD-3-Clause
// Convolution against its definition, in arrays of just the size they need, and that its
// scratch for a largest batch serves every smaller one.
#include <cmath>
#include <vector>

#include "../kernels/convolution.h"
#include "../kernels/depthwise.h"
#include "check.h"

namespace {

using namespace nervure;

struct Case {
  int64_t rows, extent, channels, filters, kernel, stride, padding, groups;
  bool fast = false;  // by Winograd's filtering
  [[nodiscard]] int64_t windows() const {
    return (extent + 2 * padding - kernel) / stride + 1;
  }
};

std::vector<double> numbers(int64_t size, double seed) {
  std::vector<double> x(static_cast<size_t>(size));
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = static_cast<float>(std::sin(1.7 * static_cast<double>(i) + seed));
  return x;
}

template <class T>
struct Numbers {
  std::vector<T> x, y, weight, bias, dx, dy, dweight, dbias;

  // The same as another type, in arrays of just the size they need.
  template <class U>
  [[nodiscard]] Numbers<U> as() const {
    const auto copy = [](const std::vector<T>& v) {
      return std::vector<U>(v.begin(), v.end());
    };
    return {copy(x),  copy(y),  copy(weight),  copy(bias),
            copy(dx), copy(dy), copy(dweight), copy(dbias)};
  }
};

// Calls with the elements that each product of the definition takes: x, weight, y.
template <class Call>
void each_product(const Case& k, Call call) {
  const int64_t in = k.channels / k.groups, out = k.filters / k.groups, n = k.windows();
  for (int64_t r = 0; r < k.rows; ++r)
    for (int64_t i = 0; i < n; ++i)
      for (int64_t j = 0; j < n; ++j)
        for (int64_t o = 0; o < k.filters; ++o)
          for (int64_t a = 0; a < k.kernel; ++a)
            for (int64_t b = 0; b < k.kernel; ++b)
              for (int64_t c = 0; c < in; ++c) {
                const int64_t h = i * k.stride + a - k.padding;
                const int64_t w = j * k.stride + b - k.padding;
                if (h < 0 || h >= k.extent || w < 0 || w >= k.extent) continue;
                const int64_t channel = o / out * in + c;
                call(static_cast<size_t>(((r * k.extent + h) * k.extent + w) * k.channels +
                                         channel),
                     static_cast<size_t>(((a * k.kernel + b) * in + c) * k.filters + o),
                     static_cast<size_t>(((r * n + i) * n + j) * k.filters + o));
              }
}

template <class T>
double apart(const std::vector<T>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i)
    worst = std::fmax(worst, std::fabs(static_cast<double>(a[i]) - b[i]));
  return worst;
}

// y, dx, dW and db by the definition; dx accumulates.
Numbers<double> expected(const Case& k, Numbers<double> n) {
  n.dweight.assign(n.dweight.size(), 0);
  n.dbias.assign(n.dbias.size(), 0);
  for (size_t i = 0; i < n.y.size(); ++i) {
    n.y[i] = n.bias[i % n.bias.size()];
    n.dbias[i % n.bias.size()] += n.dy[i];
  }
  each_product(k, [&](size_t i, size_t j, size_t o) {
    n.y[o] += n.x[i] * n.weight[j];
    n.dx[i] += n.dy[o] * n.weight[j];
    n.dweight[j] += n.dy[o] * n.x[i];
  });
  return n;
}

template <class K>
K kernel_of(const Case& k) {
  const int64_t n = k.windows();
  Attributes attributes;
  attributes.set("kernel", std::vector<int64_t>{k.kernel, k.kernel});
  attributes.set("stride", std::vector<int64_t>{k.stride, k.stride});
  attributes.set("dilation", std::vector<int64_t>{1, 1});
  attributes.set("before", std::vector<int64_t>{k.padding, k.padding});
  attributes.set("groups", k.groups);
  attributes.set("bias", int64_t{1});
  return K::read(attributes, {{{k.extent, k.extent, k.channels}}, {n, n, k.filters}});
}

template <class K, class T>
void run(const Case& k, Numbers<T> a, const Numbers<double>& found, int64_t planned,
         double tolerance) {
  const auto kernel = kernel_of<K>(k);
  std::vector<T> scratch(static_cast<size_t>(kernel.buffers(planned).scratch), T(9));
  const auto each = [&](const std::vector<T>& array) {
    return static_cast<int64_t>(array.size()) / k.rows;
  };
  const Operand<T> input{a.x.data(), a.dx.data(), each(a.x), true};
  const Operand<T> parameters[] = {{a.weight.data(), a.dweight.data(), 0, false},
                                   {a.bias.data(), a.dbias.data(), k.filters, false}};
  Context<T> c;
  c.rows = k.rows;
  c.inputs = {&input, 1};
  c.output = {a.y.data(), a.dy.data(), each(a.y), false};
  c.parameters = parameters;
  c.scratch = scratch.data();
  const auto all = [](const Work& work, auto call) {
    for (int phase = 0; phase < 4 && work[static_cast<size_t>(phase)] > 0; ++phase)
      for (int64_t part = 0; part < work[static_cast<size_t>(phase)]; ++part)
        call(Task{phase, part});
  };
  all(kernel.forward_work(k.rows), [&](Task task) { kernel.forward(c, task); });
  all(kernel.backward_work(k.rows), [&](Task task) { kernel.backward(c, task); });
  CHECK(apart(a.y, found.y) < tolerance);
  CHECK(apart(a.dx, found.dx) < tolerance);
  CHECK(apart(a.dweight, found.dweight) < tolerance);
  CHECK(apart(a.dbias, found.dbias) < tolerance);
}

template <class K>
void run(const Case& k) {
  const int64_t n = k.windows();
  const int64_t x = k.rows * k.extent * k.extent * k.channels;
  const int64_t y = k.rows * n * n * k.filters;
  const int64_t w = k.kernel * k.kernel * k.channels / k.groups * k.filters;
  const Numbers<double> given{numbers(x, 1),         numbers(y, 2),        numbers(w, 3),
                              numbers(k.filters, 4), numbers(x, 5),        numbers(y, 6),
                              numbers(w, 7),         numbers(k.filters, 8)};
  const Numbers<double> found = expected(k, given);
  for (const int64_t more : {0, 1, 40}) run<K>(k, given, found, k.rows + more, 1e-9);
  run<K>(k, given.as<float>(), found, k.rows, 3e-4);
}

}  // namespace

int main() {
  const Case cases[] = {
      {3, 7, 2, 3, 3, 1, 1, 1},
      {5, 6, 3, 17, 2, 2, 0, 1},
      {20, 2, 64, 40, 3, 1, 1, 1},
      {2, 9, 4, 6, 3, 1, 2, 2},
      {1, 40, 1, 4, 5, 3, 2, 1},
      {2, 3, 1100, 5, 1, 1, 0, 1},
      {2, 4, 300, 70, 3, 1, 1, 1},
      {33, 1, 8, 9, 3, 1, 1, 1},
      // Many tiles, many filters, both; edges within tiles; margins of 0, 1 and 2.
      {8, 10, 16, 16, 3, 1, 1, 1, true},
      {6, 9, 32, 48, 3, 1, 0, 1, true},
      {20, 4, 32, 80, 3, 1, 1, 1, true},
      {9, 8, 16, 16, 3, 1, 2, 1, true},
  };
  for (const Case& k : cases) {
    CHECK(kernel_of<Convolution>(k).winograd.takes(k.rows) == k.fast);
    run<Convolution>(k);
  }
  const Case depthwise[] = {
      {3, 7, 5, 5, 3, 1, 1, 5},  {2, 6, 3, 9, 2, 2, 0, 3},     {40, 2, 64, 64, 3, 1, 1, 64},
      {1, 40, 2, 2, 5, 3, 2, 2}, {2, 1, 70, 140, 3, 1, 1, 70}, {3, 9, 1, 4, 3, 4, 3, 1},
  };
  for (const Case& k : depthwise) run<DepthwiseConvolution>(k);
  return check::report();
}
