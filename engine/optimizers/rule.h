// SPDX-License-Identifier: BSD-3-Clause
// The contract of an update rule: one vectorized sweep over a stretch of parameters.
//
// The sweep (updater.cpp) hands a rule short stretches that lie in the first-level cache,
// their gradients already clipped and penalized. A rule writes w (=) and its slots (=).
// What depends on the step alone is computed in double, once per call.
//
// A rule whose gradient is wanted elsewhere than at the parameters (Nesterov) declares
// enter() and leave(): between them the weights hold the point of the gradient, outside
// of them the parameters. Leaving and entering again changes no bit.
//
// A rule that may be w <- w - rate g declares whether it is: descends().
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include "../attributes.h"

namespace nervure {

struct UpdateStep {
  double learning_rate = 0;  // of this segment: schedule times multiplier
  double decay = 0;          // share of the parameters taken off: rate times weight decay
  int64_t step = 1;          // number of this update, from 1
};

template <class R, class T>
concept Rule =
    requires(const R rule, const Attributes& attributes, T* weight, const T* gradient,
             T* const* slots, int64_t size, const UpdateStep& now) {
      { R::name } -> std::convertible_to<std::string_view>;
      { R::read(attributes) } -> std::same_as<R>;
      { rule.slots() } -> std::same_as<int>;  // arrays of state beside the weights
      { rule.update(weight, gradient, slots, size, now) };
    };

template <class R, class T>
concept LookingAhead = requires(const R rule, T* weight, T* const* slots, int64_t size) {
  { rule.ahead() } -> std::same_as<bool>;  // with these attributes it does look ahead
  { rule.enter(weight, slots, size) };
  { rule.leave(weight, slots, size) };
};

}  // namespace nervure
