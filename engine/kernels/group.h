// SPDX-License-Identifier: BSD-3-Clause
// Kernels that are compiled together. Each group is one source file, so that a change of
// a kernel compiles its group anew and nothing else.
#pragma once

#include <type_traits>
#include <utility>

#include "../named.h"
#include "step.h"

namespace nervure {

template <class T>
using StepTable = Table<Step<T>, Attributes, Shapes>;

struct KernelGroup {
  StepTable<float> single;
  StepTable<double> twice;

  template <class T>
  [[nodiscard]] StepTable<T> table() const {
    if constexpr (std::is_same_v<T, float>)
      return single;
    else
      return twice;
  }
};

// activations.cpp, arrays.cpp, convolutions.cpp, maps.cpp, pointwise.cpp, products.cpp,
// sequences.cpp
KernelGroup activation_kernels();
KernelGroup array_kernels();
KernelGroup convolution_kernels();
KernelGroup map_kernels();
KernelGroup pointwise_kernels();
KernelGroup product_kernels();
KernelGroup sequence_kernels();

template <class T, Kernel<T> K>
class StepOf final : public Step<T> {
 public:
  explicit StepOf(K kernel) : kernel_(std::move(kernel)) {}
  bool reads_input() const override { return kernel_.reads_input(); }
  bool reads_output() const override { return kernel_.reads_output(); }
  bool in_place() const override { return kernel_.in_place(); }
  Buffers buffers(Extent extent) const override { return kernel_.buffers(size(extent)); }
  Work forward_work(Extent extent) const override {
    return kernel_.forward_work(size(extent));
  }
  Work backward_work(Extent extent) const override {
    return kernel_.backward_work(size(extent));
  }
  bool by_halves(int64_t rows) const override {
    if constexpr (requires { kernel_.by_halves(rows); }) return kernel_.by_halves(rows);
    return false;
  }
  Early early(const Context<T>& c) const override {
    if constexpr (requires { kernel_.early(c); }) return kernel_.early(c);
    return {};
  }
  void forward(const Context<T>& c, Task task) const override { kernel_.forward(c, task); }
  void backward(const Context<T>& c, Task task) const override {
    kernel_.backward(c, task);
  }

 private:
  static auto size(Extent extent) {
    if constexpr (AlongTime<K>)
      return extent;
    else
      return extent.rows;
  }
  K kernel_;
};

template <class T, Kernel<T>... K>
constexpr std::array<Named<Step<T>, Attributes, Shapes>, sizeof...(K)> table_of = {
    {{K::name, [](const Attributes& attributes, const Shapes& shapes) {
        return std::unique_ptr<Step<T>>(new StepOf<T, K>(K::read(attributes, shapes)));
      }}...}};

template <class... K>
KernelGroup group_of() {
#ifdef NERVURE_SINGLES  // where nobody asks for doubles: half the time to compile them
  return {table_of<float, K...>, {}};
#else
  return {table_of<float, K...>, table_of<double, K...>};
#endif
}

}  // namespace nervure
