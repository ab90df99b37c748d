// SPDX-License-Identifier: BSD-3-Clause
// Checks for the C++ tests: each failure is printed, report() gives the exit status.
#pragma once

#include <cmath>
#include <cstdio>

namespace check {

inline int passed = 0;
inline int failed = 0;

inline void that(bool holds, const char* what, const char* file, int line) {
  holds ? ++passed : ++failed;
  if (!holds) std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}

inline void close(double found, double expected, double tolerance, const char* what,
                  const char* file, int line) {
  const bool holds = std::abs(found - expected) <= tolerance * (1 + std::abs(expected));
  if (!holds) std::fprintf(stderr, "%.17g, expected %.17g: ", found, expected);
  that(holds, what, file, line);
}

inline int report() {
  std::printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace check

#define CHECK(condition) check::that((condition), #condition, __FILE__, __LINE__)
#define CHECK_CLOSE(found, expected, tolerance) \
  check::close((found), (expected), (tolerance), #found, __FILE__, __LINE__)
