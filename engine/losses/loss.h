// SPDX-License-Identifier: BSD-3-Clause
// The contract of a loss: the cost of one row and its derivative.
//
// The cost of a batch is the weighted mean of its rows' costs. The executor scales the
// derivative of row i by w_i / sum(w); a loss only knows one row.
//
// A loss that is fused with the activation before it (its name then begins with that of
// the activation) takes the activation's input z for the output. `gradient` does not
// overlap `output`. Costs are summed in double, in the order of sums.h. A loss that knows
// what to do with a class in place of values says so by a member `takes_classes`.
//
// A loss of sequences (`SequenceLoss`) knows all steps of one row, and its labels, which
// are fewer. What it needs to work it out lies in scratch of the size that it asks for.
#pragma once

#include <concepts>
#include <cstdint>
#include <string_view>

#include "../attributes.h"

namespace nervure {

template <class T>
struct Target {               // of one row: either a class or values
  const T* values = nullptr;  // (outputs,) or null
  int64_t label = -1;         // class index where values is null
};

template <class L, class T>
concept Loss = requires(const L loss, const Attributes& attributes, const T* output,
                        const Target<T>& target, int64_t outputs, T* gradient) {
  { L::name } -> std::convertible_to<std::string_view>;
  { L::read(attributes) } -> std::same_as<L>;
  // Returns the cost of the row; writes dcost/doutput (=) unless `gradient` is null.
  { loss.row(output, target, outputs, gradient) } -> std::same_as<double>;
};

template <class T>
struct Aligned {              // one row: its steps, and the labels that they should say
  const T* output = nullptr;  // (steps, outputs)
  T* gradient = nullptr;      // (steps, outputs) or null
  int64_t steps = 0, outputs = 0;
  const int32_t* labels = nullptr;  // (count,)
  int64_t count = 0;
  double* scratch = nullptr;
};

template <class L, class T>
concept SequenceLoss = requires(const L loss, const Attributes& attributes,
                                const Aligned<T>& row, int64_t size) {
  { L::name } -> std::convertible_to<std::string_view>;
  { L::read(attributes) } -> std::same_as<L>;
  // Can it go with so many outputs?
  { loss.fits(size) } -> std::same_as<bool>;
  // Numbers of scratch for so many (steps, outputs, labels).
  { loss.scratch(size, size, size) } -> std::same_as<int64_t>;
  // Returns the cost of the row; writes dcost/doutput (=) unless `gradient` is null.
  { loss.sequence(row) } -> std::same_as<double>;
};

}  // namespace nervure
