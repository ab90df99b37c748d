// SPDX-License-Identifier: BSD-3-Clause
// Sizes that a file claims: checked before anything is multiplied with them.
#pragma once

#include <initializer_list>
#include <stdexcept>

#include "../attributes.h"

namespace nervure::c {

// Numbers of one value for all rows of a pass; OpenBLAS counts in 31 bits.
constexpr int64_t most_numbers = (int64_t{1} << 31) - 1;
constexpr int64_t most_axes = 32;

inline void need(bool holds, const char* what) {
  if (!holds) throw std::invalid_argument(what);
}

// The product of sizes that are at least 1, where it is no larger than `most`.
template <class Sizes>
int64_t product_of(const Sizes& sizes, int64_t most, const char* what) {
  int64_t product = 1;
  for (const int64_t size : sizes) {
    need(size >= 1 && size <= most / product, what);
    product *= size;
  }
  return product;
}
inline int64_t product(std::initializer_list<int64_t> sizes, int64_t most = most_numbers) {
  return product_of(sizes, most, "sizes that are not positive, or too large together");
}
inline int64_t elements(const Shape& shape) {
  need(static_cast<int64_t>(shape.size()) <= most_axes, "a shape of too many axes");
  return product_of(shape, most_numbers, "a shape that is not positive, or too large");
}

}  // namespace nervure::c
