// SPDX-License-Identifier: BSD-3-Clause
// One persistent pool of workers that all run the same program (SPMD), and the barrier
// that keeps them in step.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>

namespace nervure {

// Cores that this process may use, or NERVURE_THREADS.
int default_threads();

// Spins for some microseconds, then sleeps: the gap between two steps of a net is
// mostly shorter than a system call.
class Barrier {
 public:
  explicit Barrier(int workers) : workers_(workers) {}
  void wait() {
    if (workers_ > 1) wait_for_others();
  }

 private:
  void wait_for_others();

  const int workers_;
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) std::atomic<uint32_t> generation_{0};
};

// Runs program(worker) for worker = 0 .. workers-1, 0 being the caller, and returns when
// all are done. Returns false, having run nothing, when the pool is busy with another
// caller's program: the caller then runs alone, with the same bits.
bool run_workers(int workers, const std::function<void(int)>& program);

}  // namespace nervure
