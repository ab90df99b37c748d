// SPDX-License-Identifier: BSD-3-Clause
// One persistent pool of workers that all run the same program, phase by phase.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>

namespace nervure {

// Cores that this process may use, or NERVURE_THREADS.
int default_threads();

// Workers that go through the same phases in the same order. A phase's parts are taken
// by whoever is there, at first those of the own share: a worker that the system has put
// to sleep holds nobody up, and finds when it wakes that its phases are done. Which
// worker takes a part changes no bit.
class Crew {
 public:
  explicit Crew(int workers) : workers_(workers) {}
  [[nodiscard]] int workers() const { return workers_; }

  // Takes parts of the phase after the one before it is done; returns when none is left
  // to take. `number` counts phases from 1, and is the same for all workers. A phase of
  // one part is left to worker 0, who then goes through a row of them without a wait.
  template <class Call>
  void phase(int worker, uint32_t number, int64_t parts, Call&& call) {
    if (workers_ == 1) {
      for (int64_t i = 0; i < parts; ++i) call(i);
      return;
    }
    const int64_t groups = parts < most_groups ? parts : most_groups;
    if (groups == 1 && worker != 0) return;
    settle(number - 1);
    const int64_t own = groups * worker / workers_;
    int64_t taken = 0;
    for (int64_t k = 0; k < groups; ++k) {
      const int64_t group = own + k < groups ? own + k : own + k - groups;
      if (groups > 1 && !claim(group, number)) continue;
      const int64_t end = parts * (group + 1) / groups;
      for (int64_t i = parts * group / groups; i < end; ++i) call(i);
      ++taken;
    }
    if (taken > 0) finish(number, taken, groups);
  }

  // Returns when the phase is done.
  void settle(uint32_t number) {
    if (workers_ > 1 && completed_.load(std::memory_order_acquire) < number) await(number);
  }

 private:
  static constexpr int64_t most_groups = 64;
  struct alignas(64) Claim {
    std::atomic<uint32_t> number{0};  // the latest phase in which the group was taken
  };

  bool claim(int64_t group, uint32_t number) {
    std::atomic<uint32_t>& latest = claims_[static_cast<size_t>(group)].number;
    uint32_t found = latest.load(std::memory_order_relaxed);
    return found < number &&
           latest.compare_exchange_strong(found, number, std::memory_order_relaxed);
  }
  void finish(uint32_t number, int64_t taken, int64_t groups) {
    if (taken < groups &&
        done_.fetch_add(taken, std::memory_order_acq_rel) + taken < groups)
      return;
    done_.store(0, std::memory_order_relaxed);
    // Sequentially consistent: the library looks for sleepers after the store, and with
    // a mere release could look before it and leave one asleep for ever.
    completed_.store(number, std::memory_order_seq_cst);
    completed_.notify_all();
  }
  // Spins for some microseconds, then sleeps: the gap between two phases is mostly
  // shorter than a system call.
  void await(uint32_t number);

  const int workers_;
  std::array<Claim, most_groups> claims_;
  alignas(64) std::atomic<int64_t> done_{0};
  alignas(64) std::atomic<uint32_t> completed_{0};
};

// Runs program(worker) for worker = 0 .. workers-1, 0 being the caller, and returns when
// all are done. Fewer run where the system grants no more threads: a crew does without
// them. Returns false, having run nothing, when the pool is busy with another caller's
// program: the caller then runs alone, with the same bits.
bool run_workers(int workers, const std::function<void(int)>& program);

}  // namespace nervure
