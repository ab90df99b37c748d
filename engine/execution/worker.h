// SPDX-License-Identifier: BSD-3-Clause
// One worker of a crew on its way through the phases. Workers may be phases apart: what is
// decided outside of a phase must follow from what no later phase changes.
#pragma once

#include "../kernels/kernel.h"
#include "ahead.h"
#include "threads.h"

namespace nervure {

class Worker {
 public:
  Worker(Crew& crew, int number) : crew_(crew), number_(number) {}

  [[nodiscard]] int number() const { return number_; }
  // The part of `total` items that is nearest to this worker.
  [[nodiscard]] Range share(int64_t total) const {
    return share_of(total, crew_.workers(), number_);
  }
  // What this worker fetches between the tasks of its kernels.
  Ahead& ahead() { return ahead_; }

  // Each of the following is a phase: all that is before it is done when it begins.
  template <class Call>
  void each_of(int64_t parts, Call&& call) {
    mark_ = crew_.phase(number_, mark_, parts, call);
  }
  template <class Call>
  void once(Call&& call) {
    each_of(1, [&](int64_t) { call(); });
  }
  // All rows, in parts of nearly equal length, of no more than a grain.
  template <class Call>
  void each_row(int64_t rows, int64_t grain, Call&& call) {
    const int64_t parts = parts_of(rows, grain);
    each_of(parts, [&](int64_t part) {
      const Range range = share_of(rows, parts, part);
      for (int64_t i = range.begin; i < range.end; ++i) call(i);
    });
  }
  // The tasks of a kernel, phase by phase.
  template <class Call>
  void each_task(const Work& work, Call&& call) {
    for (int phase = 0; phase < static_cast<int>(work.size()); ++phase) {
      const int64_t parts = work[static_cast<size_t>(phase)];
      if (parts == 0) break;
      each_of(parts, [&](int64_t i) {
        call(Task{phase, i});
        if (parts > 1) ahead_.fetch();
      });
      ahead_.fetch();
    }
  }

  // Waits until all phases so far are done.
  void settle() { crew_.settle(number_, mark_); }

 private:
  Crew& crew_;
  const int number_;
  Mark mark_ = 0;  // of the phases so far
  Ahead ahead_;
};

// Rows of so many columns in a part of elementwise work.
inline int64_t rows_per_part(int64_t columns) {
  return std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, columns));
}

}  // namespace nervure
