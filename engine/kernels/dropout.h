// SPDX-License-Identifier: BSD-3-Clause
// Dropout: y = x m / (1 - rate) while training, y = x else; dx = dy m / (1 - rate).
//
// The mask m is a function of (seed, step, node, element), so the backward pass makes
// it again instead of reading it from memory.
#pragma once

#include <algorithm>

#include "../random.h"
#include "elementwise.h"

namespace nervure {

struct Dropout {
  static constexpr std::string_view name = "dropout";

  uint32_t threshold;  // words whose 24 high bits are below it silence their element
  double scale;        // 1 / (1 - rate)
  int64_t size;

  static Dropout read(const Attributes& attributes, const Shapes& shapes) {
    return {static_cast<uint32_t>(attributes.integer("threshold")),
            1 / (1 - attributes.number("rate")), size_of(shapes.output)};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return true; }
  [[nodiscard]] Buffers buffers(int64_t) const { return {}; }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return elementwise_work(rows, size);
  }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return elementwise_work(rows, size);
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    Operand<T> y = {.gradient = c.output.value};
    apply(c, c.inputs[0].value, y, elementwise_range(c.rows, size, task));
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (c.inputs[0].gradient == nullptr) return;
    apply(c, c.output.gradient, c.inputs[0], elementwise_range(c.rows, size, task));
  }

 private:
  // to.gradient = (or +=) from m / (1 - rate)
  template <class T>
  void apply(const Context<T>& c, const T* from, const Operand<T>& to, Range range) const {
    if (!c.training) return put(to, range, [=](int64_t i) { return from[i]; });
    constexpr int64_t tile = 512;
    uint32_t words[tile];
    const T factor = static_cast<T>(scale);
    const uint32_t least = threshold;
    const int64_t first = c.first_row * size;
    for (int64_t begin = range.begin; begin < range.end; begin += tile) {
      const Range part = {begin, std::min(begin + tile, range.end)};
      random::words({c.seed, c.step, c.node}, first + begin, part.end - begin, words);
      const uint32_t* word = words;
      put(to, part, [=](int64_t i) {
        return (word[i - begin] >> 8) >= least ? from[i] * factor : T(0);
      });
    }
  }
};

}  // namespace nervure
