// SPDX-License-Identifier: BSD-3-Clause
// A kernel as the executor holds it: its type erased, its shapes read.
#pragma once

#include <memory>

#include "kernel.h"

namespace nervure {

template <class T>
class Step {
 public:
  virtual ~Step() = default;
  [[nodiscard]] virtual bool reads_input() const = 0;
  [[nodiscard]] virtual bool reads_output() const = 0;
  [[nodiscard]] virtual bool in_place() const = 0;
  [[nodiscard]] virtual Buffers buffers(Extent extent) const = 0;
  [[nodiscard]] virtual Work forward_work(Extent extent) const = 0;
  [[nodiscard]] virtual Work backward_work(Extent extent) const = 0;
  [[nodiscard]] virtual bool by_halves(int64_t rows) const = 0;
  [[nodiscard]] virtual Early early(const Context<T>& context) const = 0;
  virtual void forward(const Context<T>& context, Task task) const = 0;
  virtual void backward(const Context<T>& context, Task task) const = 0;
};

}  // namespace nervure
