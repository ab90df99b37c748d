// SPDX-License-Identifier: BSD-3-Clause
// How many workers take the next steps: as many as turn out to be the fastest.
//
// What a phase costs beyond its work is the time a cache line takes from one core to
// another: 30 ns where they share a cache, 300 to 800 ns where the system has put the
// threads far apart, and it moves them while they run. With 784-30-10 and batches of 10 a
// second worker then saves a quarter of the time, or doubles it (14, 19 and 39 ms per
// 2,000 steps). No number of workers changes a bit, so the choice may follow the clock.
#pragma once

#include <algorithm>
#include <cstdint>

namespace nervure {

// The numbers of workers to choose from.
struct Workers {
  int fewest = 1;
  int most = 1;
};

// Goes up and down by factors of two. Most of the time is spent with the number found
// best; another one is tried for a moment after ever longer waits, or at once where the
// steps have become slower.
class Pace {
 public:
  struct Stretch {
    int64_t steps = 0;
    int workers = 1;
  };

  // The next stretch of at most `left` steps.
  Stretch next(int64_t left, Workers workers) {
    limits_ = workers;
    if (present_ == 0 || !allowed(present_)) begin();
    if (workers.fewest == workers.most || step_seconds_ > longest_step)
      return {left, workers.most};
    if (step_seconds_ == 0) return {std::min(left, first_steps), present_};
    const bool tries = since_trial_ >= wait_;
    const double wanted = (tries ? std::max(trial, wait_ / 32) : stretch) / step_seconds_;
    const int64_t steps = std::clamp(static_cast<int64_t>(wanted), int64_t{1}, left);
    return {steps, tries ? other() : present_};
  }

  // What it took.
  void took(const Stretch& done, double seconds) {
    const double each = seconds / static_cast<double>(done.steps);
    if (done.workers == present_) {
      const bool slowed = step_seconds_ > 0 && slowdown * step_seconds_ < each;
      if (slowed) wait_ = shortest_wait;
      since_trial_ = slowed ? wait_ : since_trial_ + seconds;
      step_seconds_ = warm_ ? each : 0;
      warm_ = true;
      return;
    }
    since_trial_ = 0;
    if (each < clearly * step_seconds_) {
      present_ = done.workers;
      step_seconds_ = each;
      wait_ = shortest_wait;
    } else {
      more_ = !more_;
      wait_ = std::clamp(2 * wait_, shortest_wait, longest_wait);
    }
  }

 private:
  static constexpr int64_t first_steps = 16;              // with cold caches: not counted
  static constexpr double longest_step = 15e-5;           // seconds: waits are little of it
  static constexpr double stretch = 16e-3, trial = 1e-3;  // seconds
  static constexpr double shortest_wait = 4e-3, longest_wait = 512e-3;
  static constexpr double clearly = 0.95;  // as fast: worth a change
  static constexpr double slowdown = 1.3;  // as slow: worth a trial at once

  void begin() {
    present_ = limits_.most;
    step_seconds_ = since_trial_ = 0;
    warm_ = more_ = false;
    wait_ = 0;
  }
  [[nodiscard]] bool allowed(int workers) const {
    return limits_.fewest <= workers && workers <= limits_.most;
  }
  // Twice or half as many, in turn where both are allowed.
  [[nodiscard]] int other() const {
    const int more = std::min(2 * present_, limits_.most);
    const int fewer = std::max(present_ / 2, limits_.fewest);
    return (more_ && more != present_) || fewer == present_ ? more : fewer;
  }

  Workers limits_;
  int present_ = 0;          // workers; 0 before the first stretch
  double step_seconds_ = 0;  // with them, lately
  double since_trial_ = 0;   // seconds
  double wait_ = 0;          // seconds between two trials
  bool warm_ = false;
  bool more_ = false;  // does the next trial go up?
};

}  // namespace nervure
