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

  // Takes parts of the phase after all that is before `begin` is done, with call(i) for
  // part i; returns when none is left to take, with the mark at which the next phase
  // begins. All workers call with the same marks, the first with 0. A phase of one part is
  // left to worker 0, who then goes through a row of them without a wait.
  template <class Call>
  Mark phase(int worker, Mark begin, int64_t parts, const Call& call) {
    return run_phase(worker, begin, parts, Some(call));
  }

  // Returns when all before the mark is done.
  void settle(int worker, Mark mark);

 private:
  static constexpr int64_t most_groups = 64;

  // Some parts of a phase, one after the other: one indirect call for all of them.
  class Some {
   public:
    template <class Call>
    explicit Some(const Call& call)
        : call_(&call), run_([](const void* with, int64_t part, int64_t end) {
            for (; part < end; ++part) (*static_cast<const Call*>(with))(part);
          }) {}
    void operator()(int64_t begin, int64_t end) const { run_(call_, begin, end); }

   private:
    const void* call_;
    void (*run_)(const void*, int64_t, int64_t);
  };
  Mark run_phase(int worker, Mark begin, int64_t parts, Some some);

  // Two lines each: what others watch and what they hardly look at.
  struct alignas(64) Seat {
    std::atomic<int64_t> finished{0};            // groups, by this worker
    alignas(64) std::atomic<Mark> unclaimed{0};  // the first one of this worker's share
    int64_t unpublished = 0;  // phases of one part, which nobody has been told of
  };

  // Phases of worker 0 alone are told when another's work may depend on them: each time a
  // line is written that others watch, it travels.
  void publish();
  // The next group of [begin, end), the share of `owner`, that nobody has taken.
  bool claim(int owner, Mark begin, Mark end, Mark& group);
  void finish(int worker, int64_t groups);
  [[nodiscard]] bool reached(Mark mark) const;
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
