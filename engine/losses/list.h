// SPDX-License-Identifier: BSD-3-Clause
// Every loss of the engine, by its name, as the executor holds it: its type erased, its
// attributes read.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "loss.h"

namespace nervure {

template <class T>
class LossStep {
 public:
  virtual ~LossStep() = default;
  // Cost of one row; writes dcost/doutput (=) unless `gradient` is null.
  virtual double row(const T* output, const Target<T>& target, int64_t outputs,
                     T* gradient) const = 0;
  // May the target of a row be a class, not only values?
  [[nodiscard]] virtual bool takes_classes() const = 0;

  // Is it one of sequences? Then the following are of use in place of `row`.
  [[nodiscard]] virtual bool aligns() const = 0;
  [[nodiscard]] virtual bool fits(int64_t outputs) const = 0;
  [[nodiscard]] virtual int64_t scratch(int64_t steps, int64_t outputs,
                                        int64_t count) const = 0;
  virtual double sequence(const Aligned<T>& row) const = 0;
};

// Throws where no loss has this name.
template <class T>
std::unique_ptr<LossStep<T>> make_loss(std::string_view name, const Attributes& attributes);

std::vector<std::string> loss_names();

}  // namespace nervure
