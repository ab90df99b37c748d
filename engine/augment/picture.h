// SPDX-License-Identifier: BSD-3-Clause
// One image of a batch while it is changed, and the random numbers of its changes.
#pragma once

#include <array>
#include <cstdint>

#include "../random.h"
#include "moment.h"

namespace nervure::augment {

struct Extent {
  int64_t height = 0, width = 0, channels = 0;
  [[nodiscard]] int64_t pixels() const { return height * width; }
  [[nodiscard]] int64_t size() const { return pixels() * channels; }
};

// Channels of a pixel lie together, pixels of a row too; rows are `stride` apart.
template <class T>
struct Picture {
  T* data = nullptr;
  int64_t stride = 0;
  Extent extent;
  [[nodiscard]] T* row(int64_t y) const { return data + y * stride; }
};

// What values may become: those of bytes stay within the range of a byte.
template <class T>
struct Limits {
  T low, high;
};

// Numbers of one row, in [0, 1).
template <size_t count>
std::array<double, count> uniform_numbers(const Moment& at, uint32_t key) {
  std::array<uint32_t, count> words;
  random::words({at.seed, at.step, key}, at.row * int64_t{count}, count, words.data());
  std::array<double, count> found;
  for (size_t i = 0; i < count; ++i)
    found[i] = static_cast<double>(random::uniform(words[i]));
  return found;
}

// Those of one change: the first decides whether it is made, those after it how.
using Draws = std::array<double, 8>;
inline Draws draw(const Moment& at, uint32_t key) { return uniform_numbers<8>(at, key); }

inline double between(double low, double high, double u) { return low + u * (high - low); }

// 0 .. count - 1
inline int64_t choose(int64_t count, double u) {
  return static_cast<int64_t>(u * static_cast<double>(count));
}

}  // namespace nervure::augment
