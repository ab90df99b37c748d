// SPDX-License-Identifier: BSD-3-Clause
// The lists of features that are not 0 in a whole batch, against a look at each of them.
#include <cstdint>
#include <limits>
#include <vector>

#include "../kernels/active.h"
#include "check.h"

using namespace nervure;

namespace {

constexpr int64_t rows = 5;

// What the lists say of each feature, and whether the runs are in order and apart.
template <class T>
std::vector<bool> listed(const std::vector<T>& x, int64_t features, bool& ordered) {
  const Active active(features);
  std::vector<T> lists(static_cast<size_t>(active.room<T>()));
  std::vector<bool> found(static_cast<size_t>(features));
  ordered = true;
  for (int64_t which = 0; which < 2; ++which) {
    const Range half = half_of(features, which);
    active.find(x.data() + half.begin, features, rows, lists.data(), which);
  }
  for (int64_t which = 0; which < 2; ++which) {
    int64_t end = half_of(features, which).begin - 1;
    for (const Range& run : active.runs(lists.data(), which)) {
      ordered = ordered && end < run.begin && run.size() > 0;
      end = run.end;
      for (int64_t j = run.begin; j < run.end; ++j) found[static_cast<size_t>(j)] = true;
    }
    ordered = ordered && end <= half_of(features, which).end;
  }
  return found;
}

template <class T>
void check_lists(int64_t features, int64_t every) {
  std::vector<T> x(static_cast<size_t>(rows * features), T(-0.0));
  std::vector<bool> wanted(static_cast<size_t>(features));
  for (int64_t j = 0; j < features; ++j) {
    if (every == 0 || j % every < every / 2 + 1) continue;
    wanted[static_cast<size_t>(j)] = true;
    x[static_cast<size_t>(j * 3 % rows * features + j)] =
        j % 4 == 0   ? std::numeric_limits<T>::denorm_min()
        : j % 4 == 1 ? std::numeric_limits<T>::quiet_NaN()
                     : T(-2);
  }
  bool ordered = false;
  CHECK(listed(x, features, ordered) == wanted);
  CHECK(ordered);
}

// Where hardly any feature is 0, all are listed.
template <class T>
void check_full(int64_t features) {
  std::vector<T> x(static_cast<size_t>(rows * features), T(1));
  for (int64_t i = 0; i < rows; ++i) x[static_cast<size_t>(i * features + 3)] = 0;
  bool ordered = false;
  const std::vector<bool> found = listed(x, features, ordered);
  CHECK(ordered && found == std::vector<bool>(found.size(), true));
}

}  // namespace

int main() {
  for (const int64_t features : {64, 65, 95, 96, 100, 127, 784, 801, 1100, 2100}) {
    for (const int64_t every : {0, 2, 3, 16, 40, 1000}) {
      check_lists<float>(features, every);
      check_lists<double>(features, every);
    }
    check_full<float>(features);
    check_full<double>(features);
  }
  return check::report();
}
