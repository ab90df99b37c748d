// SPDX-License-Identifier: BSD-3-Clause
// The crew and its pool: every part runs once, a phase sees all of the one before it,
// several callers and forked processes come through. Meant for the thread sanitizer.
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#if !defined(_WIN32)
#include <sys/wait.h>
#include <unistd.h>
#endif

#include "../execution/threads.h"
#include "check.h"

namespace {

using namespace nervure;

constexpr int64_t most_parts = 150;

// Parts of a phase: from one to more than the crew has groups, never twice the same.
int64_t parts_of_phase(uint32_t phase) { return 1 + (phase * 37) % most_parts; }

void linger(uint32_t turns) {
  for (uint32_t i = 0; i < turns; ++i) std::this_thread::yield();
}

// What part i of a phase makes of the values of the phase before: plain memory, so that
// a missing order between phases shows as a race or as another number.
uint64_t made(const std::vector<uint64_t>& before, uint32_t phase, int64_t i) {
  const auto at = [&](int64_t j) { return before[static_cast<size_t>(j % most_parts)]; };
  return at(i) * 6364136223846793005U + at(i + phase) + phase;
}

// Values after `phases` phases, and how often a part ran.
struct Outcome {
  std::vector<uint64_t> values = std::vector<uint64_t>(most_parts, 1);
  uint64_t parts = 0;
  bool operator==(const Outcome&) const = default;
};

// `slow` is a worker that dawdles between phases, so that the others leave it behind.
Outcome run_phases(int workers, uint32_t phases, int slow = -1) {
  const auto once = [&](int crew_size, Outcome& outcome) {
    Crew crew(crew_size);
    std::vector<uint64_t> before(outcome.values), after(outcome.values);
    std::vector<uint64_t> runs(most_parts);  // of each part: its own cell, no atomics
    const bool ran = run_workers(crew_size, [&](int worker) {
      Mark mark = 0;
      for (uint32_t phase = 1; phase <= phases; ++phase) {
        auto& from = phase % 2 == 1 ? before : after;
        auto& to = phase % 2 == 1 ? after : before;
        mark = crew.phase(worker, mark, parts_of_phase(phase), [&](int64_t i) {
          if ((phase + static_cast<uint32_t>(i)) % 97 == 0) linger(3);
          to[static_cast<size_t>(i)] = made(from, phase, i);
          ++runs[static_cast<size_t>(i)];
        });
        if (worker == slow && phase % 5 == 0) linger(20);
      }
    });
    outcome.values = phases % 2 == 1 ? after : before;
    for (const uint64_t count : runs) outcome.parts += count;
    return ran;
  };
  Outcome outcome;
  if (!once(workers, outcome)) once(1, outcome);
  return outcome;
}

uint64_t expected_parts(uint32_t phases) {
  uint64_t parts = 0;
  for (uint32_t phase = 1; phase <= phases; ++phase)
    parts += static_cast<uint64_t>(parts_of_phase(phase));
  return parts;
}

void phases_of_any_crew() {
  constexpr uint32_t phases = 4000;
  const Outcome alone = run_phases(1, phases);
  CHECK(alone.parts == expected_parts(phases));
  for (const int workers : {2, 3, 4, 7, 2, 1}) CHECK(run_phases(workers, phases) == alone);
}

void a_worker_left_behind() {
  constexpr uint32_t phases = 2000;
  const Outcome alone = run_phases(1, phases);
  for (int slow = 0; slow < 3; ++slow) CHECK(run_phases(3, phases, slow) == alone);
}

// Long waits put workers to sleep; the phase that ends must wake them. Every other phase
// has one part and keeps worker 0 busy.
void sleepers_wake() {
  Crew crew(3);
  std::vector<int> seen(3);
  constexpr uint32_t phases = 300;
  run_workers(3, [&](int worker) {
    Mark mark = 0;
    for (uint32_t phase = 1; phase <= phases; ++phase) {
      const int64_t parts = phase % 2 == 1 ? 1 : 3;
      const auto part = [&](int64_t) { linger(parts == 1 ? 2000 : 1); };
      mark = crew.phase(worker, mark, parts, part);
      crew.settle(worker, mark);
      ++seen[static_cast<size_t>(worker)];
    }
  });
  for (const int count : seen) CHECK(count == static_cast<int>(phases));
}

void several_callers() {
  constexpr uint32_t phases = 60;
  const Outcome alone = run_phases(1, phases);
  std::atomic<int> right{0};
  constexpr int callers = 4, calls = 100;
  std::vector<std::thread> threads;
  for (int caller = 0; caller < callers; ++caller)
    threads.emplace_back([&, caller] {
      for (int i = 0; i < calls; ++i)
        right += run_phases(2 + (caller + i) % 3, phases) == alone;
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == callers * calls);
}

void every_worker_runs_once() {
  for (const int workers : {1, 2, 5}) {
    std::vector<int> runs(static_cast<size_t>(workers));
    CHECK(run_workers(workers, [&](int worker) { ++runs[static_cast<size_t>(worker)]; }));
    CHECK(std::all_of(runs.begin(), runs.end(), [](int count) { return count == 1; }));
  }
}

// The pool is busy with the outer program: the inner one is told so, and nothing runs.
void a_call_within_a_call() {
  bool inner = true, ran = false;
  CHECK(run_workers(2, [&](int worker) {
    if (worker == 0) inner = run_workers(2, [&](int) { ran = true; });
  }));
  CHECK(!inner && !ran);
}

// A child has none of its parent's threads and makes its own. The thread sanitizer does
// not support threads in a child of a process that had some.
void fork_in_between() {
#if !defined(_WIN32) && !defined(__SANITIZE_THREAD__)
  constexpr uint32_t phases = 200;
  const Outcome expected = run_phases(3, phases);
  const pid_t child = fork();
  if (child == 0) _exit(run_phases(3, phases) == expected ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  CHECK(run_phases(3, phases) == expected);
#endif
}

}  // namespace

int main() {
  every_worker_runs_once();
  phases_of_any_crew();
  a_worker_left_behind();
  sleepers_wake();
  several_callers();
  a_call_within_a_call();
  fork_in_between();
  CHECK(default_threads() >= 1);
  return check::report();
}
