// SPDX-License-Identifier: BSD-3-Clause
#include "threads.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <new>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace nervure {
namespace {

// About 20 microseconds, longer than any gap between balanced parts.
constexpr int spins = 4000;
// About five microseconds: a part that another worker takes over finds its weights in the
// wrong cache, which is worth it only where a worker does not run.
constexpr int patience = 300;
// About 100 microseconds, longer than Python takes between two short calls: a worker that
// went to sleep in between would take 50 to wake.
constexpr int lingering = 20000;

inline void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Whether what is waited for has come within so many turns.
template <class There>
bool spin(int turns, There&& there) {
  for (int i = 0; i < turns; ++i) {
    if (there()) return true;
    relax();
  }
  return false;
}

// Numbers below the smallest normal one count as zero while a program runs: dying
// gradients otherwise slow a sweep of Adam from 123 to 205 us (670,000 parameters).
class FlushDenormals {
 public:
#if defined(__x86_64__)
  FlushDenormals() { _mm_setcsr(earlier_ | 0x8040); }
  ~FlushDenormals() { _mm_setcsr(earlier_); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  const unsigned earlier_ = _mm_getcsr();
#elif defined(__aarch64__)
  FlushDenormals() {
    asm volatile("mrs %0, fpcr" : "=r"(earlier_));
    asm volatile("msr fpcr, %0" : : "r"(earlier_ | (uint64_t{1} << 24)));
  }
  ~FlushDenormals() { asm volatile("msr fpcr, %0" : : "r"(earlier_)); }
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  uint64_t earlier_ = 0;
#endif
};

class Pool {
 public:
  bool run(int workers, const std::function<void(int)>& program) {
    const std::unique_lock<std::mutex> turn(turn_, std::try_to_lock);
    if (!turn.owns_lock()) return false;
    grow(workers - 1);
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      program_ = &program;
      wanted_ = std::min(workers - 1, started_);
      running_ = wanted_;
      ++generation_;
    }
    wake_.notify_all();
    program(0);
    spin(lingering, [this] { return running_ == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    return true;
  }

  // The threads live as long as the process; a forked child has none of them.
  ~Pool() = delete;

 private:
  void grow(int count) {
    const std::lock_guard<std::mutex> lock(mutex_);
    while (started_ < count) {
      const auto work = [this, worker = started_ + 1, seen = generation_.load()] {
        serve(worker, seen);
      };
      try {
        std::thread(work).detach();
      } catch (const std::system_error&) {
        return;  // the system grants no more
      }
      ++started_;
    }
  }

  void serve(int worker, uint64_t seen) {
    for (;;) {
      spin(lingering, [&] { return generation_ != seen; });
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return generation_ != seen; });
      seen = generation_;
      if (worker > wanted_) continue;
      const std::function<void(int)>& program = *program_;
      lock.unlock();
      program(worker);
      lock.lock();
      if (--running_ == 0) done_.notify_one();
    }
  }

  std::mutex turn_;   // held by the caller whose program runs
  std::mutex mutex_;  // guards what follows; two of it are also read while spinning
  std::condition_variable wake_, done_;
  const std::function<void(int)>* program_ = nullptr;
  int started_ = 0;
  int wanted_ = 0;
  std::atomic<int> running_ = 0;
  std::atomic<uint64_t> generation_ = 0;
};

// Never destroyed: workers may still wait on it while the process exits.
Pool* pool = nullptr;

void renew_pool() { pool = new Pool; }

Pool& shared_pool() {
  static const bool made = [] {
    renew_pool();
#if !defined(_WIN32)
    pthread_atfork(nullptr, nullptr, renew_pool);
#endif
    return true;
  }();
  (void)made;
  return *pool;
}

}  // namespace

int default_threads() {
  if (const char* text = std::getenv("NERVURE_THREADS")) {
    const int count = std::atoi(text);
    if (count > 0) return count;
  }
#if defined(__linux__)
  cpu_set_t cores;
  if (sched_getaffinity(0, sizeof cores, &cores) == 0) return CPU_COUNT(&cores);
#endif
  const unsigned count = std::thread::hardware_concurrency();
  return count > 0 ? static_cast<int>(count) : 1;
}

Mark Crew::run_phase(int worker, Mark begin, int64_t parts, Some some) {
  if (workers() == 1) {
    some(0, parts);
    return begin;
  }
  const int64_t groups = std::min(parts, most_groups);
  const Mark end = begin + groups;
  if (groups == 1) {
    if (worker != 0) return end;
    if (seats_[0].unpublished == 0) settle(0, begin);
    some(0, 1);
    ++seats_[0].unpublished;
    return end;
  }
  settle(worker, begin);
  const auto run = [&](Mark group) {
    some(parts * (group - begin) / groups, parts * (group - begin + 1) / groups);
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

void Crew::settle(int worker, Mark mark) {
  if (workers() == 1) return;
  if (worker == 0) publish();
  if (!reached(mark)) await(mark);
}

void Crew::publish() {
  int64_t& unpublished = seats_[0].unpublished;
  if (unpublished > 0) finish(0, unpublished);
  unpublished = 0;
}

bool Crew::claim(int owner, Mark begin, Mark end, Mark& group) {
  std::atomic<Mark>& unclaimed = seats_[static_cast<size_t>(owner)].unclaimed;
  Mark found = unclaimed.load(std::memory_order_relaxed);
  do {
    group = found < begin ? begin : found;
    if (group >= end) return false;
  } while (!unclaimed.compare_exchange_weak(found, group + 1, std::memory_order_relaxed));
  return true;
}

void Crew::finish(int worker, int64_t groups) {
  std::atomic<int64_t>& finished = seats_[static_cast<size_t>(worker)].finished;
  const int64_t before = finished.load(std::memory_order_relaxed);
  finished.store(before + groups, std::memory_order_release);
  if (sleepers_.load(std::memory_order_relaxed) > 0) wake();
}

bool Crew::reached(Mark mark) const {
  int64_t finished = 0;
  for (const Seat& seat : seats_) finished += seat.finished.load(std::memory_order_acquire);
  return finished >= mark;
}

bool Crew::soon(Mark mark) const {
  return spin(patience, [&] { return reached(mark); });
}

void Crew::await(Mark mark) {
  const auto done = [&] { return reached(mark); };
  if (spin(spins, done)) return;
  std::unique_lock<std::mutex> lock(mutex_);
  sleepers_.fetch_add(1);
  // Who finishes does not wait until others see it before it looks for sleepers, and may
  // look too early: hence the limit.
  while (!done()) woken_.wait_for(lock, std::chrono::milliseconds(1));
  sleepers_.fetch_sub(1);
}

void Crew::wake() {
  const std::lock_guard<std::mutex> lock(mutex_);
  woken_.notify_all();
}

bool run_workers(int workers, const std::function<void(int)>& program) {
  const auto flushed = [&](int worker) {
    const FlushDenormals flush;
    program(worker);
  };
  if (workers > 1) return shared_pool().run(workers, flushed);
  flushed(0);
  return true;
}

}  // namespace nervure
