// SPDX-License-Identifier: BSD-3-Clause
// The optimizer of one training run: its rule, its state and the cuts of its sweeps.
#pragma once

#include <memory>
#include <vector>

#include "updater.h"

namespace nervure {

template <class T>
struct Update {
  Update(std::unique_ptr<Updater<T>> rule, T* weights, const T* gradients,
         std::vector<T*> slot_arrays, std::vector<Segment> all_segments)
      : updater(std::move(rule)),
        slots(std::move(slot_arrays)),
        segments(std::move(all_segments)),
        parts(cut(segments)),
        columns(cut_columns(segments)),
        sweeps(bundled(parts, sweep_grain)),
        limits(bundled(columns, column_grain)),
        squares(parts.size()),
        arena{weights, gradients, nullptr} {}

  [[nodiscard]] Arena<T> all() const {
    return {arena.weight, arena.gradient, slots.data()};
  }
  double& squares_of(const Part& part) {
    return squares[static_cast<size_t>(&part - parts.data())];
  }
  void sweep(const Part& part, const StepNow& now) const {
    sweep(part, arena.gradient + part.begin, now);
  }
  // With a gradient of the part that lies elsewhere.
  void sweep(const Part& part, const T* gradient, const StepNow& now) const {
    updater->sweep(all(), segment(part), part, gradient, now);
  }
  // Is an update of these weights w <- w - rate g?
  [[nodiscard]] bool descends(const Segment& of) const {
    const StepSettings& also = updater->settings();
    const bool penalized = also.weight_decay != 0 || of.l1 != 0 || of.l2 != 0;
    return updater->descends() && also.clip_value == 0 && also.clip_norm == 0 &&
           !(of.decays && penalized);
  }
  [[nodiscard]] const Segment& segment(const Part& part) const {
    return segments[static_cast<size_t>(part.segment)];
  }

  std::unique_ptr<Updater<T>> updater;
  std::vector<T*> slots;
  std::vector<Segment> segments;
  std::vector<Part> parts;      // of the sweep
  std::vector<Part> columns;    // of the max-norm pass
  std::vector<Bundle> sweeps;   // of the parts
  std::vector<Bundle> limits;   // of the columns
  std::vector<double> squares;  // of the gradient, one sum per part
  double gradient_scale = 1;    // that brings its norm down to the limit

 private:
  Arena<T> arena;
};

// One update, of which `sweeps` are to be made: each(bundles, call) calls call(part) for
// all parts of some bundles, in any order and by any worker; once(call) calls once. Each
// ends before the next begins.
template <class T, class Each, class Once>
void apply(Update<T>& update, const std::vector<Bundle>& sweeps, double learning_rate,
           int64_t step, Each&& each, Once&& once) {
  const Updater<T>& rule = *update.updater;
  const Arena<T> all = update.all();
  const double limit = rule.settings().clip_norm;
  if (limit > 0) {
    each(update.sweeps,
         [&](const Part& part) { update.squares_of(part) = rule.squares(all, part); });
    once([&] { update.gradient_scale = norm_scale(update.squares, limit); });
  }
  each(sweeps, [&](const Part& part) {  // the scale is known within a part, not before
    update.sweep(part, {learning_rate, step, update.gradient_scale});
  });
  each(update.limits,
       [&](const Part& part) { rule.limit(all, update.segment(part), part); });
}

}  // namespace nervure
