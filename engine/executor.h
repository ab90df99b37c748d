// SPDX-License-Identifier: BSD-3-Clause
// Runs a plan: forward, backward and whole stretches of training steps.
//
// Every worker runs the same program and takes parts of each phase; a phase begins when
// all parts of the one before it are done.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "augment/augmenter.h"
#include "kernels/step.h"
#include "learning.h"
#include "losses/list.h"
#include "memory.h"
#include "optimizers/update.h"
#include "pace.h"
#include "plan.h"
#include "rows.h"
#include "threads.h"

namespace nervure {

// Targets of one output: classes, or rows of values.
template <class T>
struct Targets {
  const int32_t* labels = nullptr;
  const T* values = nullptr;
  int64_t columns = 0;
};

// A loss as the user's own function: (output, rows, gradient or null) -> mean cost.
template <class T>
using Callback = std::function<double(const T* output, Rows rows, T* gradient)>;

template <class T>
struct LossPlan {
  std::unique_ptr<LossStep<T>> loss;  // null where `callback` is set
  Callback<T> callback;
  int node = 0;         // whose value the loss reads: the output, or its input where fused
  int64_t members = 1;  // of an ensemble there: each has a cost, the row their mean
  double weight = 1;
};

// Where the random numbers of a pass begin.
struct PassKey {
  bool training = false;
  uint64_t seed = 0;
  uint64_t step = 0;
  bool augmented = false;  // are inputs and targets changed as `set_augmentation` says?
};

template <class T>
struct Data {
  std::vector<Source> inputs;
  std::vector<Targets<T>> targets;
  const double* weights = nullptr;  // of the rows, or null
};

// What a pass leaves behind, each null if not wanted. Indexed by the data set's row.
template <class T>
struct Results {
  std::vector<T*> outputs;  // (rows, size) per output of the network
  double* costs = nullptr;  // (rows,)
};

struct TrainRequest {
  Rows rows;
  int64_t batch_size = 0;
  std::vector<double> learning_rates;  // one per step
  int64_t first_step = 0;              // steps taken before
  uint64_t seed = 0;
  double* costs = nullptr;    // (steps,) mean cost of each batch
  double* weights = nullptr;  // (steps,) sum of its rows' weights
};

template <class T>
class Executor {
 public:
  // `values` and `gradients` are the flat arrays of all parameters; they outlive this.
  Executor(Plan plan, T* values, T* gradients);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  void set_losses(std::vector<LossPlan<T>> losses) { losses_ = std::move(losses); }
  void set_update(Update<T> update) { update_.emplace(std::move(update)); }
  // Changes of the images of the only input, made in training steps alone.
  void set_augmentation(const std::vector<Attributes>& changes);

  // Outputs and costs of all rows, without gradients.
  void forward(int workers, const Data<T>& data, Rows rows, PassKey key,
               const Results<T>& results);

  // Weighted mean cost of the rows; its gradients are written to `gradients`.
  double gradient(int workers, const Data<T>& data, Rows rows, PassKey key,
                  const Results<T>& results);

  // Steps taken; fewer than asked for where a cost was not finite: that step's update
  // is not made.
  int64_t train(Workers workers, const Data<T>& data, const TrainRequest& request,
                const Results<T>& results);

  [[nodiscard]] const Plan& plan() const { return plan_; }
  // Of the latest batch; null where the plan keeps none.
  [[nodiscard]] const T* value(int node) const;
  [[nodiscard]] const T* gradient(int node) const;

 private:
  struct Batch;
  struct Learning;
  struct Shared;
  class Program;

  Context<T> context(int node, const Batch& batch) const;
  void skip_idle_nodes(const Results<T>& results);
  void prepare_augmentation(int workers);
  void prepare_updates(const TrainRequest& request);
  [[nodiscard]] const EarlyUpdates<T>& early(int64_t rows) const {
    return early_[rows == early_rows_ ? 0 : 1];
  }
  T* at(int64_t offset) const { return offset < 0 ? nullptr : arena_ + offset; }
  template <class Body>
  void launch(int workers, const Data<T>& data, const Results<T>& results, Body&& body);

  Plan plan_;
  T* parameters_;
  T* parameter_gradients_;
  Memory memory_;
  T* arena_;
  std::vector<std::unique_ptr<Step<T>>> steps_;
  std::vector<std::vector<Operand<T>>> inputs_, weights_, weights_again_;
  std::optional<int> first_reader_;  // the node that alone reads the only input
  std::vector<double> row_costs_;
  std::vector<bool> skipped_;  // nodes that the present call has no use for
  std::vector<LossPlan<T>> losses_;
  std::optional<Update<T>> update_;
  std::vector<EarlyUpdates<T>> early_;  // of whole batches, and of the last one
  int64_t early_rows_ = 0;
  Pace pace_;  // of the training steps
  std::optional<augment::Augmenter<T>> augmenter_;
  std::vector<T> augment_scratch_;             // of each worker
  std::vector<double> shares_;                 // of its own target that a row keeps
  std::vector<std::vector<T>> mixed_targets_;  // of each loss, (rows, size)
};

}  // namespace nervure
