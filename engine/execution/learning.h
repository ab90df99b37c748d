// SPDX-License-Identifier: BSD-3-Clause
// Updates that are made as soon as their gradient is known: of parameters that one node
// has, which always has as many rows.
//
// A kernel hands over gradients as they are completed (Learner in kernel.h); the worker
// that has just written them updates their weights, out of its nearest cache. Where the
// norm of the whole gradient is wanted first, no update can be early.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "../kernels/step.h"
#include "../optimizers/update.h"
#include "plan.h"

namespace nervure {

// For batches of a certain number of rows.
template <class T>
class EarlyUpdates {
 public:
  // `context(node)` is what the kernels see of such a batch.
  template <class MakeContext>
  EarlyUpdates(const Update<T>& update, const Plan& plan,
               const std::vector<std::unique_ptr<Step<T>>>& steps, int64_t rows,
               MakeContext&& context)
      : segments_(plan.nodes.size(), {none, none}), late_(update.parts) {
    const bool in_one_pass = 0 < rows && rows <= plan.rows;
    if (in_one_pass && update.updater->settings().clip_norm == 0)
      for (size_t i = 0; i < plan.nodes.size(); ++i)
        if (plan.nodes[i].backward && plan.nodes[i].clock == nowhere)
          find(update, plan.nodes[i], steps[i]->early(context(static_cast<int>(i))),
               segments_[i]);
    sweeps_ = bundled(late_, sweep_grain);
  }
  EarlyUpdates(EarlyUpdates&&) noexcept = default;

  // Segments of the node's first two parameters that are updated early; `none` else.
  static constexpr int none = -1;
  [[nodiscard]] const std::array<int, 2>& segments(size_t node) const {
    return segments_[node];
  }
  // What is left to be swept after the backward pass.
  [[nodiscard]] const std::vector<Bundle>& late() const { return sweeps_; }

 private:
  // Segments of the parameters that this node hands over.
  void find(const Update<T>& update, const NodePlan& node, const Early& early,
            std::array<int, 2>& found) {
    for (size_t p = 0; p < std::min(early.size(), node.parameters.size()); ++p)
      for (size_t s = 0; early[p] && s < update.segments.size(); ++s) {
        const Segment& segment = update.segments[s];
        if (node.parameters[p].shared) continue;  // other nodes add to its gradient
        if (segment.trainable && segment.offset == node.parameters[p].offset)
          found[p] = static_cast<int>(s);
      }
    std::erase_if(late_, [&](const Part& part) {
      return part.segment == found[0] || part.segment == found[1];
    });
  }

  std::vector<std::array<int, 2>> segments_;  // of each node
  std::vector<Part> late_;
  std::vector<Bundle> sweeps_;
};

// Updates the parameters of one node in one step.
template <class T>
class NodeLearner final : public Learner<T> {
 public:
  NodeLearner(const Update<T>& update, const EarlyUpdates<T>& early, const StepNow& now,
              size_t node)
      : update_(update), segments_(early.segments(node)), now_(now) {}

  [[nodiscard]] bool takes(size_t parameter) const override {
    return segments_[parameter] != EarlyUpdates<T>::none;
  }
  void take(size_t parameter, Range elements, const T* gradient) const override {
    const int segment = segments_[parameter];
    const int64_t offset = update_.segments[static_cast<size_t>(segment)].offset;
    update_.sweep({segment, offset + elements.begin, offset + elements.end}, gradient,
                  now_);
  }
  [[nodiscard]] std::optional<double> descent(size_t parameter) const override {
    const int segment = segments_[parameter];
    const Segment& of = update_.segments[static_cast<size_t>(segment)];
    if (!update_.descends(of)) return {};
    return now_.learning_rate * of.learning_rate_multiplier;
  }

 private:
  const Update<T>& update_;
  const std::array<int, 2>& segments_;
  StepNow now_;
};

}  // namespace nervure
