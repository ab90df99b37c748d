// SPDX-License-Identifier: BSD-3-Clause
// A call that somebody may want to end in its midst.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>

namespace nervure {

// Asks now and then, on the caller's thread, whether to end. Once it is so, tasks are
// passed over: the workers go through their phases as ever, and what the tasks would have
// written is not used. `asked` is no part of a phase, so it may wait.
class Stopping {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Stopping(std::function<bool()> asked,
                    Clock::duration period = std::chrono::milliseconds(40))
      : asked_(std::move(asked)), period_(period), next_(Clock::now() + period) {}

  // What one worker has read as true, every worker reads so in the phases that follow.
  [[nodiscard]] bool stopped() const { return stopped_.load(std::memory_order_relaxed); }

  // Between the tasks of worker 0.
  void look() {
    const auto now = Clock::now();
    if (now < next_ || stopped()) return;
    if (asked_()) stopped_.store(true, std::memory_order_relaxed);
    next_ = Clock::now() + period_;
  }

  // Workers may be phases apart, and must find the same: in a phase of its own it is
  // written down at which place the call ends, places being numbered in order.
  void decide(int64_t place) {
    if (stopped() && place < end_.load(std::memory_order_relaxed))
      end_.store(place, std::memory_order_relaxed);
  }
  [[nodiscard]] bool ends_at(int64_t place) const {
    return end_.load(std::memory_order_relaxed) <= place;
  }

 private:
  std::function<bool()> asked_;
  Clock::duration period_;
  Clock::time_point next_;
  std::atomic<bool> stopped_{false};
  std::atomic<int64_t> end_{std::numeric_limits<int64_t>::max()};
};

}  // namespace nervure
