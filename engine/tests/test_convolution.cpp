// SPDX-License-Identifier: BSD-3-Clause
// Convolution against its definition, in arrays of just the size they need, and that its
// scratch for a largest batch serves every smaller one.
#include <cmath>
#include <vector>

#include "../kernels/convolution.h"
#include "check.h"

namespace {

using namespace nervure;

struct Case {
  int64_t rows, extent, channels, filters, kernel, stride, padding, groups;
  [[nodiscard]] int64_t windows() const {
    return (extent + 2 * padding - kernel) / stride + 1;
  }
};

std::vector<double> numbers(int64_t size, double seed) {
  std::vector<double> x(static_cast<size_t>(size));
  for (size_t i = 0; i < x.size(); ++i)
    x[i] = std::sin(1.7 * static_cast<double>(i) + seed);
  return x;
}

struct Arrays64 {
  std::vector<double> x, y, weight, bias, dx, dy, dweight, dbias, scratch;
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

double apart(const std::vector<double>& a, const std::vector<double>& b) {
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::fmax(worst, std::fabs(a[i] - b[i]));
  return worst;
}

void run(const Case& k, int64_t planned) {
  const int64_t n = k.windows(), in = k.channels / k.groups;
  Attributes attributes;
  attributes.set("kernel", std::vector<int64_t>{k.kernel, k.kernel});
  attributes.set("stride", std::vector<int64_t>{k.stride, k.stride});
  attributes.set("dilation", std::vector<int64_t>{1, 1});
  attributes.set("before", std::vector<int64_t>{k.padding, k.padding});
  attributes.set("groups", k.groups);
  attributes.set("bias", int64_t{1});
  const auto kernel = Convolution::read(
      attributes, {{{k.extent, k.extent, k.channels}}, {n, n, k.filters}});
  const int64_t x = k.rows * k.extent * k.extent * k.channels;
  const int64_t y = k.rows * n * n * k.filters;
  const int64_t w = k.kernel * k.kernel * in * k.filters;
  Arrays64 a{numbers(x, 1),
             numbers(y, 2),
             numbers(w, 3),
             numbers(k.filters, 4),
             numbers(x, 5),
             numbers(y, 6),
             numbers(w, 7),
             numbers(k.filters, 8),
             numbers(kernel.buffers(planned).scratch, 9)};
  std::vector<double> y_expected(a.y.size()), dx = a.dx, dw(a.weight.size()),
                                              db(a.bias.size());
  for (size_t i = 0; i < a.y.size(); ++i) {
    y_expected[i] = a.bias[i % a.bias.size()];
    db[i % db.size()] += a.dy[i];
  }
  each_product(k, [&](size_t i, size_t j, size_t o) {
    y_expected[o] += a.x[i] * a.weight[j];
    dx[i] += a.dy[o] * a.weight[j];  // which accumulates
    dw[j] += a.dy[o] * a.x[i];
  });
  const Operand<double> input{a.x.data(), a.dx.data(), x / k.rows, true};
  const Operand<double> parameters[] = {{a.weight.data(), a.dweight.data(), w, false},
                                        {a.bias.data(), a.dbias.data(), k.filters, false}};
  Context<double> c;
  c.rows = k.rows;
  c.inputs = {&input, 1};
  c.output = {a.y.data(), a.dy.data(), y / k.rows, false};
  c.parameters = parameters;
  c.scratch = a.scratch.data();
  const auto all = [](const Work& work, auto call) {
    for (int phase = 0; phase < 4 && work[static_cast<size_t>(phase)] > 0; ++phase)
      for (int64_t part = 0; part < work[static_cast<size_t>(phase)]; ++part)
        call(Task{phase, part});
  };
  all(kernel.forward_work(k.rows), [&](Task task) { kernel.forward(c, task); });
  all(kernel.backward_work(k.rows), [&](Task task) { kernel.backward(c, task); });
  CHECK(apart(a.y, y_expected) < 1e-9);
  CHECK(apart(a.dx, dx) < 1e-9);
  CHECK(apart(a.dweight, dw) < 1e-9);
  CHECK(apart(a.dbias, db) < 1e-9);
}

}  // namespace

int main() {
  const Case cases[] = {
      {3, 7, 2, 3, 3, 1, 1, 1},    {5, 6, 3, 17, 2, 2, 0, 1}, {20, 2, 64, 40, 3, 1, 1, 1},
      {2, 9, 4, 6, 3, 1, 2, 2},    {1, 40, 1, 4, 5, 3, 2, 1}, {2, 3, 1100, 5, 1, 1, 0, 1},
      {2, 4, 300, 70, 3, 1, 1, 1}, {33, 1, 8, 9, 3, 1, 1, 1},
  };
  for (const Case& k : cases)
    for (const int64_t more : {0, 1, 40}) run(k, k.rows + more);
  return check::report();
}
