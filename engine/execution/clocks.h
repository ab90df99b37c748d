// SPDX-License-Identifier: BSD-3-Clause
// How the steps of a batch of sequences lie, one row behind the other. Every worker works
// it out for itself, so that none has to wait.
#pragma once

#include <vector>

#include "data.h"
#include "plan.h"

namespace nervure {

class Clocks {
 public:
  explicit Clocks(const Plan& plan) : inputs_(plan.clocks), clocks_(plan.clocks.size()) {
    for (Clock& clock : clocks_) clock.offsets.resize(static_cast<size_t>(plan.rows) + 1);
  }

  // The rows of a pass; passes of one batch follow each other.
  template <class T>
  void set(const Data<T>& data, const Batch& batch) {
    for (size_t i = 0; i < clocks_.size(); ++i) {
      Clock& clock = clocks_[i];
      const auto input = static_cast<size_t>(inputs_[i]);
      const int64_t* lengths = data.inputs[input].sequences.lengths;
      clock.first = batch.first_row == 0 ? 0 : clock.first + clock.steps;
      clock.steps = 0;
      for (int64_t r = 0; r < batch.rows.count; ++r) {
        clock.offsets[static_cast<size_t>(r)] = clock.steps;
        clock.steps += lengths[batch.rows[r]];
      }
      clock.offsets[static_cast<size_t>(batch.rows.count)] = clock.steps;
    }
  }

  [[nodiscard]] const int64_t* offsets(int clock) const { return at(clock).offsets.data(); }
  // Of all rows of the pass, and of those before it in the batch.
  [[nodiscard]] int64_t steps(int clock) const { return at(clock).steps; }
  [[nodiscard]] int64_t first(int clock) const { return at(clock).first; }

 private:
  struct Clock {
    std::vector<int64_t> offsets;
    int64_t steps = 0, first = 0;
  };
  [[nodiscard]] const Clock& at(int clock) const {
    return clocks_[static_cast<size_t>(clock)];
  }

  std::vector<int> inputs_;
  std::vector<Clock> clocks_;
};

}  // namespace nervure
