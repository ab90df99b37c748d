// SPDX-License-Identifier: BSD-3-Clause
// What the rows of a batch cost, and the derivative by the outputs of the network.
#pragma once

#include <exception>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "../losses/list.h"
#include "clocks.h"
#include "gathering.h"

namespace nervure {

// A loss as the user's own function: (output, values of it, the rows that they are of,
// gradient or null) -> mean cost.
template <class T>
using Callback =
    std::function<double(const T* output, int64_t values, Rows rows, T* gradient)>;

template <class T>
struct LossPlan {
  std::unique_ptr<LossStep<T>> loss;  // null where `callback` is set
  Callback<T> callback;
  int node = 0;         // whose value the loss reads: the output, or its input where fused
  int64_t members = 1;  // of an ensemble there: each has a cost, the row their mean
  double weight = 1;
  // With targets of their own, of a row; 0: each of its steps has one. Of a loss of
  // sequences they have one together.
  int64_t places = 1;
};

// What the losses of one batch have in common.
template <class T>
struct CostPass {
  const Data<T>& data;
  const Batch& batch;
  const Gathering<T>& gathering;
  const Clocks& clocks;
  bool gradients;
};

template <class T>
class Costs {
 public:
  // `nodes` are what those of the plan give.
  Costs(const Plan& plan, const std::vector<Operand<T>>& nodes)
      : plan_(plan), nodes_(nodes), rows_(static_cast<size_t>(plan.rows)) {}

  void set_losses(std::vector<LossPlan<T>> losses) { losses_ = std::move(losses); }
  [[nodiscard]] const std::vector<LossPlan<T>>& losses() const { return losses_; }
  // Makes room for targets that are mixed.
  void prepare(const Gathering<T>& gathering);
  // Makes room for what losses of sequences work out of any of these rows.
  void reserve(const Data<T>& data, Rows rows, int workers);

  // The costs of all rows of a batch and, where asked for, dC/doutput.
  void run(Worker& worker, const CostPass<T>& pass);
  [[nodiscard]] double of_row(int64_t row) const { return rows_[static_cast<size_t>(row)]; }

  // Throws on what the user's function has thrown.
  void rethrow() {
    if (error_ != nullptr) std::rethrow_exception(std::exchange(error_, nullptr));
  }

 private:
  using Pass = CostPass<T>;

  void native(Worker& worker, const Pass& pass, size_t which);
  void of_places(Worker& worker, const Pass& pass, size_t which);
  double row_of_places(const Pass& pass, size_t which, int64_t row);
  [[nodiscard]] int64_t room(const Data<T>& data, Rows rows, size_t which) const;
  void of_sequences(Worker& worker, const Pass& pass, size_t which);
  double row_of_sequence(const Pass& pass, size_t which, int64_t row, double* scratch);
  // Where the places of the rows of a batch begin.
  [[nodiscard]] Lengths places_of(const Clocks& clocks, const LossPlan<T>& plan) const;
  void callback(Worker& worker, const Pass& pass, size_t which);
  Target<T> target(const Pass& pass, size_t which, int64_t row, int64_t size);
  // The cost of a row is the sum over the losses.
  void add(size_t which, int64_t row, double cost) {
    double& total = rows_[static_cast<size_t>(row)];
    total = which == 0 ? cost : total + cost;
  }

  const Plan& plan_;
  const std::vector<Operand<T>>& nodes_;
  std::vector<double> rows_;
  std::vector<LossPlan<T>> losses_;
  std::vector<std::vector<T>> mixed_;         // targets of each loss, (rows, size)
  std::vector<std::vector<double>> scratch_;  // of each worker
  std::exception_ptr error_;
};

}  // namespace nervure
