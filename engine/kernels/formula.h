// SPDX-License-Identifier: BSD-3-Clause
// A layer that only Python knows: its formula and its derivatives are called back, on one
// worker.
#pragma once

#include <exception>
#include <functional>
#include <limits>
#include <utility>

#include "step.h"

namespace nervure {

enum class Direction { forward, backward };

template <class T>
using Formula = std::function<void(const Context<T>&, Direction)>;

template <class T>
class FormulaStep final : public Step<T> {
 public:
  static constexpr std::string_view name = "formula";

  void set(Formula<T> formula) { formula_ = std::move(formula); }
  // Throws on what the formula has thrown.
  void rethrow() {
    if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  }

  [[nodiscard]] bool reads_input() const override { return true; }
  [[nodiscard]] bool reads_output() const override { return true; }
  [[nodiscard]] bool in_place() const override { return false; }
  [[nodiscard]] Buffers buffers(Extent) const override { return {}; }
  [[nodiscard]] Work forward_work(Extent) const override { return {1}; }
  [[nodiscard]] Work backward_work(Extent) const override { return {1}; }
  [[nodiscard]] bool by_halves(int64_t) const override { return false; }
  [[nodiscard]] Early early(const Context<T>&) const override { return {}; }
  // What has failed gives NaN, so that training stops at the cost.
  void forward(const Context<T>& c, Task) const override {
    if (call(c, Direction::forward)) return;
    const int64_t values = c.rows * c.output.size;
    for (int64_t i = 0; i < values; ++i)
      c.output.value[i] = std::numeric_limits<T>::quiet_NaN();
  }
  void backward(const Context<T>& c, Task) const override { call(c, Direction::backward); }

 private:
  bool call(const Context<T>& c, Direction direction) const {
    try {
      formula_(c, direction);
      return true;
    } catch (...) {
      error_ = std::current_exception();
      return false;
    }
  }

  Formula<T> formula_;
  mutable std::exception_ptr error_;  // one worker calls, and the caller asks when it is done
};

}  // namespace nervure
