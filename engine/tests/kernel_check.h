// SPDX-License-Identifier: BSD-3-Clause
// Runs one kernel outside any plan and holds it to the contract of kernel.h.
#pragma once

#include <cstring>
#include <vector>

#include "../kernels/kernel.h"
#include "check.h"

namespace check {

using namespace nervure;

// A kernel with arrays of its own: inputs, parameters, output and their gradients.
template <class K, class T>
struct Bench {
  K kernel;
  int64_t rows;
  std::vector<std::vector<T>> x, dx, parameter, dparameter;
  std::vector<T> y, dy, saved;
  bool training = false, accumulate = false, in_place = false, reversed = false;

  Bench(const Attributes& attributes, const Shapes& shapes, int64_t batch,
        const std::vector<Shape>& parameter_shapes = {})
      : kernel(K::read(attributes, shapes)), rows(batch) {
    for (const Shape& shape : shapes.inputs) add(x, dx, rows * size_of(shape));
    for (const Shape& shape : parameter_shapes) add(parameter, dparameter, size_of(shape));
    y.assign(rows * size_of(shapes.output), T(0));
    dy = values(y.size(), 97);
  }

  // Numbers in (-2, 2) away from 0, where many functions have a kink.
  static std::vector<T> values(size_t size, int64_t seed) {
    std::vector<T> result(size);
    for (size_t i = 0; i < size; ++i) {
      const auto k = static_cast<int64_t>((i * 7919 + seed * 104729) % 389) - 194;
      result[i] = static_cast<T>(0.01 * double(k) + (k < 0 ? -0.005 : 0.005));
    }
    return result;
  }

  void forward() { run(kernel.forward_work(rows), true); }
  void backward() { run(kernel.backward_work(rows), false); }

  double cost() {
    forward();
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += double(y[i]) * double(dy[i]);
    return sum;
  }

 private:
  static void add(auto& value, auto& gradient, int64_t size) {
    value.push_back(values(size, static_cast<int64_t>(value.size())));
    gradient.emplace_back(size, T(0.25));
  }

  void run(const Work& work, bool ahead) {
    std::vector<Operand<T>> inputs, parameters;
    for (size_t k = 0; k < x.size(); ++k) inputs.push_back(operand(x[k], dx[k]));
    for (size_t k = 0; k < parameter.size(); ++k)
      parameters.push_back(operand(parameter[k], dparameter[k]));
    if (in_place) inputs[0].value = y.data(), inputs[0].gradient = dy.data();
    const Buffers buffers = kernel.buffers(rows);
    std::vector<T> scratch(buffers.scratch);
    saved.resize(buffers.saved);
    Context<T> context;
    context.rows = rows, context.inputs = inputs, context.parameters = parameters;
    context.output = operand(y, dy);
    context.saved = saved.data(), context.scratch = scratch.data();
    context.training = training, context.seed = 5, context.step = 11, context.node = 3;
    for (int phase = 0; phase < static_cast<int>(work.size()); ++phase)
      for (int64_t i = 0; i < work[phase]; ++i) {
        const Task task = {phase, reversed ? work[phase] - 1 - i : i};
        ahead ? kernel.forward(context, task) : kernel.backward(context, task);
      }
  }

  Operand<T> operand(std::vector<T>& value, std::vector<T>& gradient) const {
    return {value.data(), gradient.empty() ? nullptr : gradient.data(),
            static_cast<int64_t>(value.size()) / rows, accumulate};
  }
};

// Bits of an array are equal; a NaN equals itself.
template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

template <class T>
bool same(const std::vector<std::vector<T>>& a, const std::vector<std::vector<T>>& b) {
  bool equal = a.size() == b.size();
  for (size_t k = 0; equal && k < a.size(); ++k) equal = same(a[k], b[k]);
  return equal;
}

// dx = 4-point central differences of sum(dy y), relative to 1 + |dx|.
template <class K>
void differences(Bench<K, double> bench, double tolerance, const char* what) {
  bench.forward();
  bench.backward();
  const double h = 1e-3;
  double worst = 0;
  for (size_t k = 0; k < bench.x.size(); ++k)
    for (size_t i = 0; i < bench.x[k].size(); i += 1 + bench.x[k].size() / 50) {
      const double at = bench.x[k][i];
      const auto cost = [&](double step) {
        bench.x[k][i] = at + step * h;
        return bench.cost();
      };
      const double slope = (8 * (cost(1) - cost(-1)) - (cost(2) - cost(-2))) / (12 * h);
      bench.x[k][i] = at;
      worst = std::fmax(worst, std::fabs(bench.dx[k][i] - slope) / (1 + std::fabs(slope)));
    }
  if (worst > tolerance) std::fprintf(stderr, "differences of %s: %g\n", what, worst);
  that(worst <= tolerance, what, __FILE__, __LINE__);
}

// What kernel.h promises beside the numbers themselves.
template <class K, class T>
void contract(Bench<K, T> bench, const char* what) {
  bench.forward();
  bench.backward();

  Bench<K, T> again = bench;  // any order of parts; outputs are written, not added to
  again.reversed = true;
  again.forward();
  again.backward();
  that(same(again.y, bench.y) && same(again.dx, bench.dx), what, __FILE__, __LINE__);

  Bench<K, T> added = bench;  // += where the operand says so
  for (auto& gradient : added.dx) gradient.assign(gradient.size(), T(0.5));
  added.accumulate = true;
  added.backward();
  bool holds = true;
  for (size_t k = 0; k < bench.dx.size(); ++k)
    for (size_t i = 0; i < bench.dx[k].size(); ++i)
      holds &= added.dx[k][i] == T(0.5) + bench.dx[k][i];
  that(holds, what, __FILE__, __LINE__);

  Bench<K, T> unwanted = bench;  // a null gradient is not computed
  for (auto& gradient : unwanted.dx) gradient.clear();
  unwanted.backward();

  if (!bench.kernel.reads_output()) {  // what is not read may be overwritten
    Bench<K, T> blind = bench;
    blind.y.assign(bench.y.size(), T(NAN));
    blind.backward();
    that(same(blind.dx, bench.dx), what, __FILE__, __LINE__);
  }
  if (!bench.kernel.reads_input()) {
    Bench<K, T> blind = bench;
    for (auto& x : blind.x) x.assign(x.size(), T(NAN));
    blind.backward();
    that(same(blind.dx, bench.dx), what, __FILE__, __LINE__);
  }
  if (!bench.kernel.in_place()) return;
  Bench<K, T> over = bench;  // y over x, dx over dy
  over.y = bench.x[0];
  over.in_place = true;
  over.forward();
  over.backward();
  that(same(over.y, bench.y) && same(over.dy, bench.dx[0]), what, __FILE__, __LINE__);
}

// Everything at once, in both precisions, for one row, few and more than one part's.
template <class K>
void kernel(const Attributes& attributes, const Shapes& shapes, bool training = false,
            const std::vector<Shape>& parameters = {}) {
  const std::string what(K::name);
  for (int64_t rows : {int64_t(1), int64_t(3), 20000 / size_of(shapes.output)}) {
    Bench<K, double> bench(attributes, shapes, rows, parameters);
    bench.training = training;
    contract(bench, what.c_str());
    if (rows <= 3) differences(bench, 1e-8, what.c_str());
    Bench<K, float> single(attributes, shapes, rows, parameters);
    single.training = training;
    contract(single, what.c_str());
    bench.forward(), single.forward();
    for (size_t i = 0; i < bench.y.size(); i += 7)
      close(single.y[i], bench.y[i], 1e-5, what.c_str(), __FILE__, __LINE__);
  }
}

}  // namespace check
