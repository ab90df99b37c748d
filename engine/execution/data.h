// SPDX-License-Identifier: BSD-3-Clause
// What a call works on: rows of a data set, and where its results go.
#pragma once

#include <cstdint>
#include <vector>

#include "../rows.h"

namespace nervure {

// Targets of one output: classes, or rows of values. Where each of several places of a
// row has one, of its steps for example, the cost of the row is the sum of theirs, weighed
// and divided by `scale`.
template <class T>
struct Targets {
  const int32_t* labels = nullptr;
  const T* values = nullptr;
  int64_t columns = 0;
  Sequences sequences = {};
  const double* weights = nullptr;        // of the places, or null
  const int64_t* weights_from = nullptr;  // where those of each row begin
  double scale = 1;
};

// Where the random numbers of a pass begin.
struct PassKey {
  bool training = false;
  uint64_t seed = 0;
  uint64_t step = 0;
  bool augmented = false;  // are inputs and targets changed as `set_augmentation` says?
};

// The rows of one pass.
struct Batch {
  Rows rows;
  double weight_sum = 0;  // of all rows that the cost is a mean over
  PassKey key;
  int64_t first_row = 0;  // of this pass within the batch
};

template <class T>
struct Data {
  std::vector<Source> inputs;
  std::vector<Targets<T>> targets;
  const double* weights = nullptr;  // of the rows, or null
  bool by_rows = false;  // is a batch's cost divided by its rows, not by their weights?

  [[nodiscard]] double weight_sum(Rows rows) const {
    if (weights == nullptr || by_rows) return static_cast<double>(rows.count);
    double sum = 0;
    for (int64_t i = 0; i < rows.count; ++i) sum += weights[rows[i]];
    return sum;
  }
  // What row i of a batch adds to its mean: w_i / sum of w, or w_i / number of rows.
  [[nodiscard]] double share(const Batch& batch, int64_t i) const {
    if (batch.weight_sum == 0) return 0;
    return (weights == nullptr ? 1 : weights[batch.rows[i]]) / batch.weight_sum;
  }
};

// What a pass leaves behind, each null if not wanted. Indexed by the data set's row.
template <class T>
struct Results {
  std::vector<T*> outputs;  // (rows, size) per output of the network
  double* costs = nullptr;  // (rows,)
};

}  // namespace nervure
