// SPDX-License-Identifier: BSD-3-Clause
// What the nodes of a plan become: kernels, and where what they work on lies.
#pragma once

#include <memory>
#include <vector>

#include "../kernels/formula.h"
#include "../kernels/step.h"
#include "../memory.h"
#include "data.h"
#include "plan.h"

namespace nervure {

template <class T>
class Nodes {
 public:
  // `values` and `gradients` are the flat arrays of all parameters; they and the plan
  // outlive this. Without gradients none can be asked for.
  Nodes(const Plan& plan, T* values, T* gradients);
  Nodes(const Nodes&) = delete;
  Nodes& operator=(const Nodes&) = delete;

  [[nodiscard]] size_t size() const { return steps_.size(); }
  // Null for an input of the network, and for a further output of another node.
  [[nodiscard]] const Step<T>* step(size_t node) const { return steps_[node].get(); }
  [[nodiscard]] const std::vector<std::unique_ptr<Step<T>>>& steps() const {
    return steps_;
  }
  // What each node gives.
  [[nodiscard]] const std::vector<Operand<T>>& values() const { return values_; }
  [[nodiscard]] const Operand<T>& value(int node) const {
    return values_.at(static_cast<size_t>(node));
  }
  // What the kernel of a node sees of a batch, but for lengths.
  [[nodiscard]] Context<T> context(size_t node, const Batch& batch) const;

  // The formula of a node whose kernel is called so.
  void set_formula(int node, Formula<T> formula);
  // Throws on what a formula has thrown.
  void rethrow();

 private:
  void add(const NodePlan& node, T* values, T* gradients);
  std::unique_ptr<Step<T>> make(const NodePlan& node);
  [[nodiscard]] T* at(int64_t offset) const {
    return offset < 0 ? nullptr : arena_ + offset;
  }

  const Plan& plan_;
  Memory memory_;
  T* arena_;
  std::vector<std::unique_ptr<Step<T>>> steps_;
  std::vector<FormulaStep<T>*> formulas_;  // those of the steps that Python computes
  std::vector<Operand<T>> values_;
  std::vector<std::vector<Operand<T>>> edges_, weights_, weights_again_, ports_;
};

}  // namespace nervure
