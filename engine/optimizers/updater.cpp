// SPDX-License-Identifier: BSD-3-Clause
#include "updater.h"

#include <algorithm>
#include <array>

namespace nervure {
namespace {

constexpr int64_t block_size = 2048;
constexpr int64_t most_slots = 4;

template <class T>
T bounded(T g, T bound) {  // not std::clamp: NaN stays NaN
  return g > bound ? bound : g < -bound ? -bound : g;
}

// Writes the gradient of the penalized cost, clipped (=).
template <class T>
void prepare(T* __restrict__ out, const T* __restrict__ g, const T* __restrict__ w,
             int64_t size, const Segment& segment, double clip_value, double scale) {
  const T factor = static_cast<T>(scale);
  if (clip_value > 0) {
    const T bound = static_cast<T>(clip_value);
    for (int64_t i = 0; i < size; ++i) out[i] = factor * bounded(g[i], bound);
  } else {
    for (int64_t i = 0; i < size; ++i) out[i] = factor * g[i];
  }
  if (!segment.decays) return;
  const T l1 = static_cast<T>(segment.l1), l2 = static_cast<T>(segment.l2);
  if (l2 != 0)
    for (int64_t i = 0; i < size; ++i) out[i] += l2 * w[i];
  if (l1 != 0)
    for (int64_t i = 0; i < size; ++i) out[i] += w[i] > 0 ? l1 : w[i] < 0 ? -l1 : T{0};
}

template <class T>
void add_squares(double* __restrict__ sums, const T* __restrict__ g, int64_t size,
                 T bound) {
  for (int64_t lane = 0; lane < size; ++lane) {
    const double x = bounded(g[lane], bound);
    sums[lane] += x * x;
  }
}

template <class T>
std::array<T*, most_slots> shifted(T* const* slots, int count, int64_t offset) {
  std::array<T*, most_slots> result{};
  for (int s = 0; s < count; ++s) result[static_cast<size_t>(s)] = slots[s] + offset;
  return result;
}

}  // namespace

template <class T>
void Updater<T>::enter(const Arena<T>& arena, const Part& part) const {
  if (!looks_ahead()) return;
  const auto own = shifted(arena.slots, slots(), part.begin);
  enter(arena.weight + part.begin, own.data(), part.end - part.begin);
}
template <class T>
void Updater<T>::leave(const Arena<T>& arena, const Part& part) const {
  if (!looks_ahead()) return;
  const auto own = shifted(arena.slots, slots(), part.begin);
  leave(arena.weight + part.begin, own.data(), part.end - part.begin);
}

// The lanes of the sum are spelled out, so that the loop vectorizes without reordering
// anything.
template <class T>
double Updater<T>::squares(const Arena<T>& arena, const Part& part) const {
  constexpr int64_t lanes = 64;
  const double clip = settings_.clip_value;
  const T bound = clip > 0 ? static_cast<T>(clip) : static_cast<T>(INFINITY);
  alignas(64) std::array<double, lanes> sums{};
  for (int64_t i = part.begin; i < part.end; i += lanes)
    add_squares(sums.data(), arena.gradient + i, std::min(lanes, part.end - i), bound);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

template <class T>
void Updater<T>::sweep(const Arena<T>& arena, const Segment& segment, const Part& part,
                       const T* of_part, const StepNow& now) const {
  alignas(64) std::array<T, block_size> prepared;
  const double rate = now.learning_rate * segment.learning_rate_multiplier;
  const UpdateStep step{rate, segment.decays ? rate * settings_.weight_decay : 0, now.step};
  const bool as_it_is = settings_.clip_value <= 0 && now.gradient_scale == 1 &&
                        (!segment.decays || (segment.l1 == 0 && segment.l2 == 0));
  for (int64_t i = part.begin; i < part.end; i += block_size) {
    const int64_t size = std::min(block_size, part.end - i);
    T* weight = arena.weight + i;
    const T* gradient = of_part + (i - part.begin);
    if (!as_it_is) {
      prepare(prepared.data(), gradient, weight, size, segment, settings_.clip_value,
              now.gradient_scale);
      gradient = prepared.data();
    }
    update(weight, gradient, shifted(arena.slots, slots(), i).data(), size, step);
  }
}

template <class T>
void Updater<T>::limit(const Arena<T>& arena, const Segment& segment,
                       const Part& part) const {
  const int64_t rows = segment.size / segment.columns, width = part.end - part.begin;
  const auto row = [&](int64_t r) {
    const int64_t begin = segment.offset + r * segment.columns + part.begin;
    return Part{part.segment, begin, begin + width};
  };
  std::array<double, column_grain> sums{};
  std::array<T, column_grain> factors{};
  for (int64_t r = 0; r < rows; ++r) {
    leave(arena, row(r));
    const T* __restrict__ w = arena.weight + row(r).begin;
    for (int64_t k = 0; k < width; ++k)
      sums[k] += static_cast<double>(w[k]) * static_cast<double>(w[k]);
  }
  for (int64_t k = 0; k < width; ++k) {
    const double norm = std::sqrt(sums[k]);
    factors[k] = norm > segment.max_norm ? static_cast<T>(segment.max_norm / norm) : T{1};
  }
  for (int64_t r = 0; r < rows; ++r) {
    T* __restrict__ w = arena.weight + row(r).begin;
    for (int64_t k = 0; k < width; ++k) w[k] *= factors[k];
    enter(arena, row(r));
  }
}

template class Updater<float>;
template class Updater<double>;

}  // namespace nervure
