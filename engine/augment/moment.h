// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <cstdint>

namespace nervure::augment {

// Where random numbers are drawn: the row counts within the whole batch.
struct Moment {
  uint64_t seed = 0, step = 0;
  int64_t row = 0;
};

}  // namespace nervure::augment
