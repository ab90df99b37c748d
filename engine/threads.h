// SPDX-License-Identifier: BSD-3-Clause
// One persistent pool of workers that all run the same program, phase by phase.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

namespace nervure {

// Cores that this process may use, or NERVURE_THREADS.
int default_threads();

// How far a crew is: groups of parts, counted from the first phase on.
using Mark = int64_t;

// Workers that go through the same phases in the same order. Each takes its own share of
// a phase's parts, and then what others have not come to: a worker that the system has
// put to sleep holds nobody up, and finds when it wakes that its phases are done. Which
// worker takes a part changes no bit.
//
// A cache line takes 30 to 800 ns from one core to another, which is what a phase costs.
// So a worker writes to its own seat alone, and reads of the others' how much they have
// finished; their claims it looks at only when they are late.
class Crew {
 public:
  explicit Crew(int workers) : seats_(static_cast<size_t>(workers)) {}
  [[nodiscard]] int workers() const { return static_cast<int>(seats_.size()); }

  // Takes parts of the phase after all that is before `begin` is done; returns when none
  // is left to take, with the mark at which the next phase begins. All workers call with
  // the same marks, the first with 0. A phase of one part is left to worker 0, who then
  // goes through a row of them without a wait.
  template <class Call>
  Mark phase(int worker, Mark begin, int64_t parts, Call&& call) {
    if (workers() == 1) {
      for (int64_t i = 0; i < parts; ++i) call(i);
      return begin;
    }
    const int64_t groups = parts < most_groups ? parts : most_groups;
    const Mark end = begin + groups;
    if (groups == 1) {
      if (worker != 0) return end;
      if (seats_[0].unpublished == 0) settle(0, begin);
      call(int64_t{0});
      ++seats_[0].unpublished;
      return end;
    }
    settle(worker, begin);
    const auto run = [&](Mark group) {
      const int64_t last = parts * (group - begin + 1) / groups;
      for (int64_t i = parts * (group - begin) / groups; i < last; ++i) call(i);
    };
    const auto share = [&](int k) { return begin + groups * k / workers(); };
    int64_t taken = 0;
    for (Mark group; claim(worker, share(worker), share(worker + 1), group); ++taken)
      run(group);
    finish(worker, taken);
    if (soon(end)) return end;
    for (int i = 1; i < workers(); ++i) {
      const int other = (worker + i) % workers();
      for (Mark group; claim(other, share(other), share(other + 1), group);) {
        run(group);
        finish(worker, 1);
      }
    }
    return end;
  }

  // Returns when all before the mark is done.
  void settle(int worker, Mark mark) {
    if (workers() == 1) return;
    if (worker == 0) publish();
    if (!reached(mark)) await(mark);
  }

 private:
  static constexpr int64_t most_groups = 64;
  // Two lines each: what others watch and what they hardly look at.
  struct alignas(64) Seat {
    std::atomic<int64_t> finished{0};            // groups, by this worker
    alignas(64) std::atomic<Mark> unclaimed{0};  // the first one of this worker's share
    int64_t unpublished = 0;  // phases of one part, which nobody has been told of
  };

  // Phases of worker 0 alone are told when another's work may depend on them: each time a
  // line is written that others watch, it travels.
  void publish() {
    int64_t& unpublished = seats_[0].unpublished;
    if (unpublished > 0) finish(0, unpublished);
    unpublished = 0;
  }
  // The next group of [begin, end), the share of `owner`, that nobody has taken.
  bool claim(int owner, Mark begin, Mark end, Mark& group) {
    std::atomic<Mark>& unclaimed = seats_[static_cast<size_t>(owner)].unclaimed;
    Mark found = unclaimed.load(std::memory_order_relaxed);
    do {
      group = found < begin ? begin : found;
      if (group >= end) return false;
    } while (!unclaimed.compare_exchange_weak(found, group + 1, std::memory_order_relaxed));
    return true;
  }
  void finish(int worker, int64_t groups) {
    std::atomic<int64_t>& finished = seats_[static_cast<size_t>(worker)].finished;
    const int64_t before = finished.load(std::memory_order_relaxed);
    finished.store(before + groups, std::memory_order_release);
    if (sleepers_.load(std::memory_order_relaxed) > 0) wake();
  }
  [[nodiscard]] bool reached(Mark mark) const {
    int64_t finished = 0;
    for (const Seat& seat : seats_)
      finished += seat.finished.load(std::memory_order_acquire);
    return finished >= mark;
  }
  // Whether the mark is reached within the time that balanced shares differ by.
  [[nodiscard]] bool soon(Mark mark) const;
  // Spins for some microseconds, then sleeps: the gap between two phases is mostly
  // shorter than a system call.
  void await(Mark mark);
  void wake();

  std::vector<Seat> seats_;
  alignas(64) std::atomic<int> sleepers_{0};
  std::mutex mutex_;
  std::condition_variable woken_;
};

// Runs program(worker) for worker = 0 .. workers-1, 0 being the caller, and returns when
// all are done. Fewer run where the system grants no more threads: a crew does without
// them. Returns false, having run nothing, when the pool is busy with another caller's
// program: the caller then runs alone, with the same bits.
bool run_workers(int workers, const std::function<void(int)>& program);

}  // namespace nervure
