// SPDX-License-Identifier: BSD-3-Clause
// The optimizer step: one fused sweep over the flat arrays of a network.
//
// The order of a step, each line a phase (barriers lie between them), each phase done
// part by part (segment.h):
//   squares(part)  only with clip_norm: partial sums of g^2, added in order by norm_scale
//   sweep(part)    clip, scale, penalize, update, block by block in the first-level cache
//   limit(part)    only with max-norm: columns that grew too long are shortened
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <span>

#include "rule.h"
#include "segment.h"

namespace nervure {

template <class T>
struct Arena {  // whole arrays, all of the same layout
  T* weight = nullptr;
  const T* gradient = nullptr;
  T* const* slots = nullptr;
};

struct StepSettings {
  double weight_decay = 0;  // decoupled: w -= rate weight_decay w
  double clip_value = 0;    // bound of each |g|; 0: none
  double clip_norm = 0;     // bound of the gradient's norm; 0: none

  static StepSettings read(const Attributes& attributes) {
    return {attributes.number("weight_decay"), attributes.number("clip_value"),
            attributes.number("clip_norm")};
  }
};

struct StepNow {
  double learning_rate = 0;   // of the schedule
  int64_t step = 1;           // number of this update, from 1
  double gradient_scale = 1;  // what norm_scale gave
};

constexpr int64_t block_size = 2048;
constexpr int64_t most_slots = 4;

namespace sweep_detail {

template <class T>
inline T bounded(T g, T bound) {  // not std::clamp: NaN stays NaN
  return g > bound ? bound : g < -bound ? -bound : g;
}

// Writes the gradient of the penalized cost, clipped (=).
template <class T>
inline void prepare(T* __restrict__ out, const T* __restrict__ g, const T* __restrict__ w,
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
inline void add_squares(double* __restrict__ sums, const T* __restrict__ g, int64_t size,
                        T bound) {
  for (int64_t lane = 0; lane < size; ++lane) {
    const double x = bounded(g[lane], bound);
    sums[lane] += x * x;
  }
}

template <class T>
inline void shifted(T* const* slots, int count, int64_t offset, T** out) {
  for (int s = 0; s < count; ++s) out[s] = slots[s] + offset;
}

}  // namespace sweep_detail

// Sum of the squared gradient of a part, clipped by value. The lanes of the sum are
// spelled out, so that the loop vectorizes without reordering anything.
template <class T>
double squares(const T* gradient, const Part& part, double clip_value) {
  constexpr int64_t lanes = 64;
  const T bound = clip_value > 0 ? static_cast<T>(clip_value) : static_cast<T>(INFINITY);
  alignas(64) std::array<double, lanes> sums{};
  for (int64_t i = part.begin; i < part.end; i += lanes)
    sweep_detail::add_squares(sums.data(), gradient + i, std::min(lanes, part.end - i),
                              bound);
  double total = 0;
  for (const double sum : sums) total += sum;
  return total;
}

// The factor that brings the gradient's norm down to the limit, from the parts' sums.
inline double norm_scale(std::span<const double> partial, double clip_norm) {
  double total = 0;
  for (const double sum : partial) total += sum;
  const double norm = std::sqrt(total);
  return norm > clip_norm ? clip_norm / norm : 1;
}

// `of_part` is the gradient of the part alone.
template <class T, Rule<T> R>
void sweep(const R& rule, const Arena<T>& arena, const Segment& segment, const Part& part,
           const T* of_part, const StepSettings& settings, const StepNow& now) {
  alignas(64) std::array<T, block_size> prepared;
  std::array<T*, most_slots> slots{};
  const double rate = now.learning_rate * segment.learning_rate_multiplier;
  const UpdateStep step{rate, segment.decays ? rate * settings.weight_decay : 0, now.step};
  const bool as_it_is = settings.clip_value <= 0 && now.gradient_scale == 1 &&
                        (!segment.decays || (segment.l1 == 0 && segment.l2 == 0));
  for (int64_t i = part.begin; i < part.end; i += block_size) {
    const int64_t size = std::min(block_size, part.end - i);
    T* weight = arena.weight + i;
    const T* gradient = of_part + (i - part.begin);
    sweep_detail::shifted(arena.slots, rule.slots(), i, slots.data());
    if (!as_it_is) {
      sweep_detail::prepare(prepared.data(), gradient, weight, size, segment,
                            settings.clip_value, now.gradient_scale);
      gradient = prepared.data();
    }
    rule.update(weight, gradient, slots.data(), size, step);
  }
}

// Weights <- point of the gradient, and back. Nothing to do for most rules.
template <class T, Rule<T> R>
void enter(const R& rule, const Arena<T>& arena, int64_t begin, int64_t end) {
  if constexpr (LookingAhead<R, T>) {
    std::array<T*, most_slots> slots{};
    sweep_detail::shifted(arena.slots, rule.slots(), begin, slots.data());
    rule.enter(arena.weight + begin, slots.data(), end - begin);
  }
}
template <class T, Rule<T> R>
void leave(const R& rule, const Arena<T>& arena, int64_t begin, int64_t end) {
  if constexpr (LookingAhead<R, T>) {
    std::array<T*, most_slots> slots{};
    sweep_detail::shifted(arena.slots, rule.slots(), begin, slots.data());
    rule.leave(arena.weight + begin, slots.data(), end - begin);
  }
}

// Shortens columns begin..end of a segment's (rows, columns) matrix to max_norm
// (Srivastava et al. 2014): the weights into each unit, as a vector.
template <class T, Rule<T> R>
void limit(const R& rule, const Arena<T>& arena, const Segment& segment, const Part& part) {
  const int64_t rows = segment.size / segment.columns, width = part.end - part.begin;
  const auto row = [&](int64_t r) {
    return segment.offset + r * segment.columns + part.begin;
  };
  std::array<double, column_grain> sums{};
  std::array<T, column_grain> factors{};
  for (int64_t r = 0; r < rows; ++r) {
    leave(rule, arena, row(r), row(r) + width);
    const T* __restrict__ w = arena.weight + row(r);
    for (int64_t k = 0; k < width; ++k)
      sums[k] += static_cast<double>(w[k]) * static_cast<double>(w[k]);
  }
  for (int64_t k = 0; k < width; ++k) {
    const double norm = std::sqrt(sums[k]);
    factors[k] = norm > segment.max_norm ? static_cast<T>(segment.max_norm / norm) : T{1};
  }
  for (int64_t r = 0; r < rows; ++r) {
    T* __restrict__ w = arena.weight + row(r);
    for (int64_t k = 0; k < width; ++k) w[k] *= factors[k];
    enter(rule, arena, row(r), row(r) + width);
  }
}

}  // namespace nervure
