// SPDX-License-Identifier: BSD-3-Clause
// Layers that only Python knows, as the engine calls them.
#pragma once

#include "../kernels/formula.h"
#include "arrays.h"

namespace nervure {

// A copy of some values of an operand, as a matrix.
template <class T>
nb::object matrix(const T* values, int64_t rows, int64_t columns) {
  if (values == nullptr) return nb::none();
  const auto height = static_cast<size_t>(rows), width = static_cast<size_t>(columns);
  return nb::ndarray<nb::numpy, const T, nb::ndim<2>>(values, {height, width})
      .cast(nb::rv_policy::copy);
}

// Writes what a formula gives for an operand, or adds it where the operand says so.
template <class T>
void take(nb::handle given, T* to, int64_t count, bool add, const char* what) {
  if (to == nullptr) return;
  if (given.is_none()) {
    if (!add) std::fill_n(to, count, T(0));
    return;
  }
  const auto found = array_of<Vector<const T>>(given, what, count);
  for (int64_t i = 0; i < count; ++i)
    to[i] = add ? to[i] + found.data()[i] : found.data()[i];
}

template <class T>
Formula<T> formula(nb::callable function) {
  return [function](const Context<T>& c, Direction direction) {
    const nb::gil_scoped_acquire gil;
    const bool forward = direction == Direction::forward;
    nb::list inputs, lengths;
    const auto rows_of = [&](const Operand<T>& x) { return x.lengths.begin(c.rows); };
    for (const Operand<T>& x : c.inputs) {
      inputs.append(matrix(x.value, rows_of(x), x.size));
      nb::list own;
      for (int64_t r = 0; r < c.rows; ++r) own.append(x.lengths.of(r));
      lengths.append(own);
    }
    const bool steps = nb::cast<bool>(function.attr("gives_steps"));
    const int64_t values = steps ? rows_of(c.inputs[0]) : c.rows;
    const int64_t size = values * c.output.size;
    const nb::object found = function(
        forward, inputs, lengths,
        forward ? nb::none() : matrix(c.output.value, values, c.output.size),
        forward ? nb::none() : matrix(c.output.gradient, values, c.output.size),
        nb::make_tuple(c.training, c.seed, c.step));
    if (forward) return take(found, c.output.value, size, false, "output of a formula");
    for (size_t i = 0; i < c.inputs.size(); ++i) {
      const Operand<T>& x = c.inputs[i];
      take(nb::object(found[0][i]), x.gradient, rows_of(x) * x.size, x.accumulate,
           "gradient of an input");
    }
    for (size_t i = 0; i < c.parameters.size(); ++i)
      take(nb::object(found[1][i]), c.parameters[i].gradient, c.parameters[i].size,
           c.parameters[i].accumulate, "gradient of a parameter");
  };
}

}  // namespace nervure
