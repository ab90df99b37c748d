// SPDX-License-Identifier: BSD-3-Clause
// Runs a plan: forward, backward and whole stretches of training steps.
//
// Every worker runs the same program and takes parts of each phase; a phase begins when
// all parts of the one before it are done.
#pragma once

#include <optional>
#include <vector>

#include "../optimizers/update.h"
#include "clocks.h"
#include "costs.h"
#include "data.h"
#include "gathering.h"
#include "learning.h"
#include "nodes.h"
#include "pace.h"
#include "plan.h"
#include "stopping.h"

namespace nervure {

struct TrainRequest {
  Rows rows;
  int64_t batch_size = 0;
  std::vector<double> learning_rates;  // one per step
  int64_t first_step = 0;              // steps taken before
  uint64_t seed = 0;
  double* costs = nullptr;    // (steps,) mean cost of each batch
  double* weights = nullptr;  // (steps,) what its cost was divided by
  Stopping* stopping = nullptr;
};

template <class T>
class Executor {
 public:
  // `values` and `gradients` are the flat arrays of all parameters; they outlive this.
  Executor(Plan plan, T* values, T* gradients);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void set_losses(std::vector<LossPlan<T>> losses) { costs_.set_losses(std::move(losses)); }
  void set_update(Update<T> update) { update_.emplace(std::move(update)); }
  // The formula of a node whose kernel is called so.
  void set_formula(int node, Formula<T> formula) {
    nodes_.set_formula(node, std::move(formula));
  }
  // Changes of the images of the only input, made in training steps alone.
  void set_augmentation(const std::vector<Attributes>& changes);

  // Outputs and costs of rows, without gradients: from `begin` on for about a twentieth of
  // a second, so that somebody who wants to stop is heard. Returns how far it came.
  int64_t forward(int workers, const Data<T>& data, Rows rows, PassKey key,
                  const Results<T>& results, int64_t begin);

  // Weighted mean cost of the rows; its gradients are written to `gradients`. Neither is
  // of use where it was stopped.
  double gradient(int workers, const Data<T>& data, Rows rows, PassKey key,
                  const Results<T>& results, Stopping* stopping = nullptr);

  // Steps taken; fewer than asked for where a cost was not finite: that step's update
  // is not made. Where it was stopped, parameters and slots are of no use.
  int64_t train(Workers workers, const Data<T>& data, const TrainRequest& request,
                const Results<T>& results);

  [[nodiscard]] const Plan& plan() const { return plan_; }
  // Of the latest batch; null where the plan keeps none.
  [[nodiscard]] const T* value(int node) const { return nodes_.value(node).value; }
  [[nodiscard]] const T* gradient(int node) const { return nodes_.value(node).gradient; }

 private:
  class Program;
  static constexpr double longest_call = 0.05;  // seconds
  static constexpr int64_t most_passes = int64_t{1} << 20;

  void skip_idle_nodes(const Results<T>& results);
  void prepare_updates(const TrainRequest& request);
  [[nodiscard]] const EarlyUpdates<T>& early(int64_t rows) const {
    return early_[rows == early_rows_ ? 0 : 1];
  }
  template <class Body>
  void launch(int workers, const Data<T>& data, const Results<T>& results, Body&& body);

  Plan plan_;
  Nodes<T> nodes_;
  std::vector<T*> inputs_;              // of the network
  std::optional<size_t> first_reader_;  // the node that alone reads the only input
  std::vector<bool> skipped_;           // nodes that the present call has no use for
  Gathering<T> gathering_;
  Costs<T> costs_;
  std::optional<Update<T>> update_;
  std::vector<EarlyUpdates<T>> early_;  // of whole batches, and of the last one
  int64_t early_rows_ = 0;
  Pace pace_;                     // of the training steps
  int64_t passes_ = 1;            // of one call of forward
  Stopping* stopping_ = nullptr;  // of the present call; null where it cannot be stopped
};

}  // namespace nervure
