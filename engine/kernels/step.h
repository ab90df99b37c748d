// SPDX-License-Identifier: BSD-3-Clause
// A kernel as the executor holds it: its type erased, its shapes read.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "kernel.h"

namespace nervure {

template <class T>
class Step {
 public:
  virtual ~Step() = default;
  [[nodiscard]] virtual bool reads_input() const = 0;
  [[nodiscard]] virtual bool reads_output() const = 0;
  [[nodiscard]] virtual bool in_place() const = 0;
  [[nodiscard]] virtual Buffers buffers(int64_t rows) const = 0;
  [[nodiscard]] virtual Work forward_work(int64_t rows) const = 0;
  [[nodiscard]] virtual Work backward_work(int64_t rows) const = 0;
  [[nodiscard]] virtual bool by_halves(int64_t rows) const = 0;
  [[nodiscard]] virtual Early early(const Context<T>& context) const = 0;
  virtual void forward(const Context<T>& context, Task task) const = 0;
  virtual void backward(const Context<T>& context, Task task) const = 0;
};

template <class T, Kernel<T> K>
class StepOf final : public Step<T> {
 public:
  explicit StepOf(K kernel) : kernel_(std::move(kernel)) {}
  bool reads_input() const override { return kernel_.reads_input(); }
  bool reads_output() const override { return kernel_.reads_output(); }
  bool in_place() const override { return kernel_.in_place(); }
  Buffers buffers(int64_t rows) const override { return kernel_.buffers(rows); }
  Work forward_work(int64_t rows) const override { return kernel_.forward_work(rows); }
  Work backward_work(int64_t rows) const override { return kernel_.backward_work(rows); }
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
  K kernel_;
};

template <class... Kernels>
struct KernelList {
  template <class T>
  static std::unique_ptr<Step<T>> make(const std::string& name,
                                       const Attributes& attributes, const Shapes& shapes) {
    std::unique_ptr<Step<T>> step;
    (void)((name == Kernels::name &&
            (step = std::make_unique<StepOf<T, Kernels>>(Kernels::read(attributes, shapes)),
             true)) ||
           ...);
    if (step == nullptr)
      throw std::invalid_argument("[engine] layer '" + name +
                                  "' has no native kernel; use executor=\"jax\"");
    return step;
  }

  static std::vector<std::string> names() { return {std::string(Kernels::name)...}; }
};

}  // namespace nervure
