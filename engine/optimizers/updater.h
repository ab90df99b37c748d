// SPDX-License-Identifier: BSD-3-Clause
// The optimizer step: one fused sweep over the flat arrays of a network, by a rule that is
// chosen once.
//
// The order of a step, each line a phase (barriers lie between them), each phase done
// part by part (segment.h):
//   squares(part)  only with clip_norm: partial sums of g^2, added in order by norm_scale
//   sweep(part)    clip, scale, penalize, update, block by block in the first-level cache
//   limit(part)    only with max-norm: columns that grew too long are shortened
#pragma once

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

// The factor that brings the gradient's norm down to the limit, from the parts' sums.
inline double norm_scale(std::span<const double> partial, double clip_norm) {
  double total = 0;
  for (const double sum : partial) total += sum;
  const double norm = std::sqrt(total);
  return norm > clip_norm ? clip_norm / norm : 1;
}

// What a rule does with some elements is in its own file; how the elements of all
// parameters come to it, and what is done to their gradients before, is in updater.cpp.
template <class T>
class Updater {
 public:
  virtual ~Updater() = default;

  [[nodiscard]] virtual int slots() const = 0;
  [[nodiscard]] virtual bool looks_ahead() const = 0;  // enter and leave do something
  [[nodiscard]] virtual bool descends() const = 0;
  [[nodiscard]] const StepSettings& settings() const { return settings_; }

  // Weights <- point of the gradient, and back. Nothing to do for most rules.
  void enter(const Arena<T>& arena, const Part& part) const;
  void leave(const Arena<T>& arena, const Part& part) const;
  // Sum of the squared gradient of a part, clipped by value.
  [[nodiscard]] double squares(const Arena<T>& arena, const Part& part) const;
  // `gradient` is that of the part alone.
  void sweep(const Arena<T>& arena, const Segment& segment, const Part& part,
             const T* gradient, const StepNow& now) const;
  // Shortens columns of a segment's (rows, columns) matrix to max_norm (Srivastava et al.
  // 2014): the weights into each unit, as a vector.
  void limit(const Arena<T>& arena, const Segment& segment, const Part& columns) const;

 protected:
  explicit Updater(StepSettings settings) : settings_(settings) {}

 private:
  // As in rule.h.
  virtual void update(T* weight, const T* gradient, T* const* slots, int64_t size,
                      const UpdateStep& now) const = 0;
  virtual void enter(T* weight, T* const* slots, int64_t size) const = 0;
  virtual void leave(T* weight, T* const* slots, int64_t size) const = 0;

  StepSettings settings_;
};

}  // namespace nervure
