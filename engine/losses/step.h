// SPDX-License-Identifier: BSD-3-Clause
// A loss as the executor holds it: its type erased, its attributes read.
#pragma once

#include <memory>
#include <stdexcept>
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
};

template <class T, Loss<T> L>
class LossStepOf final : public LossStep<T> {
 public:
  explicit LossStepOf(L loss) : loss_(std::move(loss)) {}
  double row(const T* output, const Target<T>& target, int64_t outputs,
             T* gradient) const override {
    return loss_.row(output, target, outputs, gradient);
  }
  [[nodiscard]] bool takes_classes() const override {
    return requires { L::takes_classes; };
  }

 private:
  L loss_;
};

template <class... Losses>
struct LossList {
  template <class T>
  static std::unique_ptr<LossStep<T>> make(const std::string& name,
                                           const Attributes& attributes) {
    std::unique_ptr<LossStep<T>> step;
    (void)((name == Losses::name &&
            (step = std::make_unique<LossStepOf<T, Losses>>(Losses::read(attributes)),
             true)) ||
           ...);
    if (step == nullptr)
      throw std::invalid_argument("[engine] loss '" + name +
                                  "' has no native form; use executor=\"jax\"");
    return step;
  }

  static std::vector<std::string> names() { return {std::string(Losses::name)...}; }
};

}  // namespace nervure
