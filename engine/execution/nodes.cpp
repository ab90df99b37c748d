// SPDX-License-Identifier: BSD-3-Clause
#include "nodes.h"

#include "../kernels/list.h"

namespace nervure {

template <class T>
Nodes<T>::Nodes(const Plan& plan, T* values, T* gradients)
    : plan_(plan),
      memory_(static_cast<size_t>(plan.arena) * sizeof(T)),
      arena_(static_cast<T*>(memory_.data())) {
  for (const NodePlan& node : plan.nodes) add(node, values, gradients);
  for (const NodePlan& node : plan.nodes) {
    auto& ports = ports_.emplace_back();
    for (const int port : node.ports)
      ports.push_back(port == nowhere ? Operand<T>{} : value(port));
  }
}

template <class T>
void Nodes<T>::add(const NodePlan& node, T* values, T* gradients) {
  steps_.push_back(make(node));
  values_.push_back({at(node.value), at(node.gradient), size_of(node.value_shape), false});
  auto& edges = edges_.emplace_back();
  for (const EdgePlan& edge : node.inputs) {
    Operand<T>& from = edges.emplace_back(value(edge.node));
    if (!edge.gradient) from.gradient = nullptr;
    from.accumulate = edge.accumulate;
    const size_t place = edges.size() - 1;
    const bool fixed = place < node.times.size() && node.times[place] > 0;
    from.size /= fixed ? node.times[place] : node.spread;
  }
  auto& weights = weights_.emplace_back();
  for (const ParameterPlan& p : node.parameters) {
    const bool learns = p.trainable && gradients != nullptr;
    weights.push_back(
        {values + p.offset, learns ? gradients + p.offset : nullptr, p.size, p.accumulate});
  }
  weights_again_.push_back(weights);
  for (Operand<T>& operand : weights_again_.back()) operand.accumulate = true;
}

template <class T>
std::unique_ptr<Step<T>> Nodes<T>::make(const NodePlan& node) {
  if (node.kernel.empty()) return nullptr;
  if (node.kernel != FormulaStep<T>::name)
    return make_step<T>(node.kernel, node.attributes, node.shapes);
  auto step = std::make_unique<FormulaStep<T>>();
  formulas_.push_back(step.get());
  return step;
}

template <class T>
void Nodes<T>::set_formula(int node, Formula<T> formula) {
  const Step<T>* step = steps_.at(static_cast<size_t>(node)).get();
  for (FormulaStep<T>* own : formulas_)
    if (own == step) own->set(std::move(formula));
}

template <class T>
void Nodes<T>::rethrow() {
  for (FormulaStep<T>* formula : formulas_) formula->rethrow();
}

template <class T>
Context<T> Nodes<T>::context(size_t index, const Batch& batch) const {
  const NodePlan& node = plan_.nodes[index];
  Operand<T> output = values_[index];
  output.size = size_of(node.shapes.output);
  return {.rows = batch.rows.count * node.spread,
          .inputs = edges_[index],
          .output = output,
          .ports = ports_[index],
          .parameters = batch.first_row > 0 ? weights_again_[index] : weights_[index],
          .saved = at(node.saved),
          .scratch = at(node.scratch),
          .training = batch.key.training && !node.still,
          .seed = batch.key.seed,
          .step = batch.key.step,
          .node = node.random_key,
          .first_row = batch.first_row * node.spread,
          .learner = nullptr,
          .source = nullptr,
          .source_rows = {},
          .place = 0};
}

template class Nodes<float>;
template class Nodes<double>;

}  // namespace nervure
