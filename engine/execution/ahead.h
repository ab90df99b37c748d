// SPDX-License-Identifier: BSD-3-Clause
// Brings the rows of the next batch into the cache: shuffled rows come from memory, and
// waiting for them took a third of a small net's time (784-30-10, batch 10). A core that
// asks for more than some twenty lines at once waits for them, so it asks for a few at a
// time, as often as in the step before.
#pragma once

#include <algorithm>

#include "../rows.h"

namespace nervure {

class Ahead {
 public:
  void begin(const Source& source, Rows rows, Range columns) {
    const int64_t size = bytes_of(source.element);
    data_ = static_cast<const char*>(source.data) + columns.begin * size;
    row_bytes_ = source.columns * size;
    wanted_bytes_ = columns.size() * size;
    rows_ = rows;
    row_ = offset_ = 0;
    const int64_t lines = rows.count * (wanted_bytes_ / line + 2);
    quota_ = parts_of(lines, std::max<int64_t>(1, calls_));
    calls_ = 0;
  }

  void fetch() {
    ++calls_;
    for (int64_t left = quota_; left > 0 && row_ < rows_.count; --left) {
      __builtin_prefetch(data_ + rows_[row_] * row_bytes_ + offset_, 0, 2);
      offset_ += line;
      if (offset_ >= wanted_bytes_ + line) {
        offset_ = 0;
        ++row_;
      }
    }
  }

 private:
  static constexpr int64_t line = 64;
  const char* data_ = nullptr;
  Rows rows_;
  int64_t row_bytes_ = 0, wanted_bytes_ = 0, row_ = 0, offset_ = 0, quota_ = 0;
  int64_t calls_ = 0;  // of fetch() since begin()
};

}  // namespace nervure
