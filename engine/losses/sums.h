// SPDX-License-Identifier: BSD-3-Clause
// Sums and exponentials over the outputs of a row, in one fixed order.
//
// Eight partial results run side by side, so that the compiler can vectorize without
// being allowed to reorder; which element goes where depends on the count alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "../math.h"
#include "../simd.h"

namespace nervure::losses {

constexpr int64_t lanes = 8;

// Probabilities are kept above it before their logarithm (TINY in losses/_loss.py).
constexpr double tiny = 1e-30;

inline double combine(const double* partial) {
  return ((partial[0] + partial[4]) + (partial[2] + partial[6])) +
         ((partial[1] + partial[5]) + (partial[3] + partial[7]));
}

// Sum of term(j) over j in [0, count), in double.
template <class Term>
double sum_of(int64_t count, Term term) {
  double partial[lanes] = {};
  int64_t j = 0;
  for (; j + lanes <= count; j += lanes)
    for (int64_t lane = 0; lane < lanes; ++lane)
      partial[lane] += static_cast<double>(term(j + lane));
  double rest = 0;
  for (; j < count; ++j) rest += static_cast<double>(term(j));
  return combine(partial) + rest;
}

// What the softmax of a row needs: log sum exp z = top + log_sum.
struct Normalizer {
  double top, sum, log_sum;
  // -log softmax(z) of one z; the two differences stay exact where z is large.
  [[nodiscard]] double cost(double z) const { return (top - z) + log_sum; }
};

// Writes exp(z - top) to `exponentials` unless it is null. Rests padded to whole vectors
// were tried: 10 classes took 1.5 times as long.
template <class T>
Normalizer normalize(const T* z, int64_t count, T* exponentials) {
  constexpr int64_t stretch = 256;  // stays in the first-level cache
  const T top = simd::max(z, count);
  T buffer[stretch];
  double sum = 0;
  for (int64_t begin = 0; begin < count; begin += stretch) {
    const int64_t size = std::min(stretch, count - begin);
    T* e = exponentials != nullptr ? exponentials + begin : buffer;
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < size; ++j) e[j] = math::exp(z[begin + j] - top);
    sum += sum_of(size, [e](int64_t j) { return e[j]; });
  }
  return {static_cast<double>(top), sum, std::log(sum)};
}

// Mean cost over the outputs; slope(j) is dcost_j/doutput_j before the mean is taken.
template <class T, class Cost, class Slope>
double mean_of(int64_t outputs, T* gradient, Cost cost, Slope slope) {
  const double scale = 1.0 / static_cast<double>(outputs);
  const double mean = sum_of(outputs, cost) * scale;
  if (gradient == nullptr) return mean;
  NERVURE_VECTORIZE
  for (int64_t j = 0; j < outputs; ++j)
    gradient[j] = static_cast<T>(slope(j)) * static_cast<T>(scale);
  return mean;
}

}  // namespace nervure::losses
