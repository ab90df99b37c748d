// SPDX-License-Identifier: BSD-3-Clause
// The choice of how many workers take the next steps, against a clock of the test's own.
#include <functional>
#include <map>

#include "../execution/pace.h"
#include "check.h"

namespace {

using namespace nervure;

// Seconds of one step with so many workers.
using Cost = std::function<double(int)>;

struct Shares {
  std::map<int, double> of;  // of the time, by workers
  bool within = true;        // were the stretches neither empty nor too long?
};

// Requests of `steps` steps until `seconds` have passed.
Shares run(Pace& pace, Workers workers, int64_t steps, double seconds, const Cost& cost) {
  Shares shares;
  double now = 0;
  while (now < seconds) {
    for (int64_t left = steps; left > 0;) {
      const Pace::Stretch stretch = pace.next(left, workers);
      shares.within = shares.within && 1 <= stretch.steps && stretch.steps <= left &&
                      workers.fewest <= stretch.workers && stretch.workers <= workers.most;
      const double took = cost(stretch.workers) * static_cast<double>(stretch.steps);
      pace.took(stretch, took);
      shares.of[stretch.workers] += took / seconds;
      now += took;
      left -= stretch.steps;
    }
  }
  return shares;
}

double near_threads(int workers) { return workers == 1 ? 10e-6 : 7e-6; }
double far_threads(int workers) { return workers == 1 ? 10e-6 : 20e-6; }

void the_faster_number_gets_the_time() {
  for (const int64_t steps : {1, 9, 2000}) {
    Pace pace;
    CHECK(run(pace, {1, 2}, steps, 2, near_threads).of[2] > 0.9);
    CHECK(run(pace, {1, 2}, steps, 2, far_threads).of[1] > 0.9);
    Shares back = run(pace, {1, 2}, steps, 2, near_threads);
    CHECK(back.of[2] > 0.7);  // noticed after half a second at the latest
    CHECK(back.within);
  }
}

// Best in the middle of many: 8 of 24.
void it_climbs_by_factors_of_two() {
  const Cost cost = [](int workers) {
    return 100e-6 / workers + 2e-6 * static_cast<double>(workers);
  };
  Pace pace;
  Shares shares = run(pace, {1, 24}, 500, 2, cost);
  CHECK(shares.within);
  CHECK(shares.of[6] > 0.9);
  CHECK(run(pace, {8, 8}, 500, 1, cost).of[8] > 0.99);  // asked for: kept
}

// A step that outlasts any wait is never tried with fewer.
void long_steps_have_all_workers() {
  Pace pace;
  CHECK(run(pace, {1, 4}, 20, 5, [](int workers) { return 0.08 / workers; }).of[4] > 0.99);
}

}  // namespace

int main() {
  the_faster_number_gets_the_time();
  it_climbs_by_factors_of_two();
  long_steps_have_all_workers();
  return check::report();
}
