// SPDX-License-Identifier: BSD-3-Clause
// What recurrent kernels share: the way along time.
//
// Rows go along time in groups, each on one worker from the first step to the last, so
// that no step waits for another worker. In a group the longest row comes first: the rows
// that are still under way at a step are the first ones, and what belongs to a step lies
// together. Nothing is computed for a row that has ended.
//
// Legend: n rows of a group, u units, f features, w sums of a step (gates times units).
// `turn` counts the steps of a row as they are gone through, from its end where the layer
// goes in reverse. Arrays "by turns" hold for each group, one group behind the other, the
// rows of turn 0, of turn 1, and so on; they have as many rows as there are steps:
//   x (f) the inputs, sums (w) weighted sums and then gates, before (u) the state h before
//   the step, seen (u) the same as the weights see it, where recurrent dropout is on.
// Forward:  sums = x W + b, then turn by turn sums += seen U and the gates.
// Backward: turn by turn from the last, dsums in the place of the gates, dh = dsums U^T,
//           dx = dsums W^T; then dW = x^T dsums, dU = seen^T dsums, db = sum of dsums.
#pragma once

#include <algorithm>
#include <array>

#include "../math.h"
#include "../products/gemm.h"
#include "dropout.h"
#include "elementwise.h"
#include "transposed_dense.h"

namespace nervure::recurrent {

constexpr int64_t most_rows = 64;  // of a group

// The rows of one group in the order of their lengths.
class Group {
 public:
  Group(const Lengths& lengths, Range rows, bool reverse)
      : lengths_(lengths), reverse_(reverse), first_row_(rows.begin), rows_(rows.size()) {
    first_ = lengths.begin(rows.begin);
    steps_ = lengths.begin(rows.end) - first_;
    for (int64_t i = 0; i < rows_; ++i) {
      const int64_t row = rows.begin + i, own = lengths.of(row);
      int64_t place = i;
      for (; place > 0 && length(place - 1) < own; --place)
        row_[at(place)] = row_[at(place - 1)];
      row_[at(place)] = row;
    }
  }

  [[nodiscard]] int64_t rows() const { return rows_; }
  // Where its rows begin in arrays of a row for each row of the batch.
  [[nodiscard]] int64_t first_row() const { return first_row_; }
  [[nodiscard]] int64_t turns() const { return length(0); }
  [[nodiscard]] int64_t steps() const { return steps_; }
  // Where the arrays by turns of this group begin.
  [[nodiscard]] int64_t first() const { return first_; }
  [[nodiscard]] int64_t row(int64_t i) const { return row_[at(i)]; }
  [[nodiscard]] int64_t length(int64_t i) const { return lengths_.of(row_[at(i)]); }
  [[nodiscard]] bool ends(int64_t i, int64_t turn) const { return turn + 1 == length(i); }
  // Rows under way, given how many were at the turn before, or after.
  [[nodiscard]] int64_t shrink(int64_t rows, int64_t turn) const {
    while (rows > 0 && length(rows - 1) <= turn) --rows;
    return rows;
  }
  [[nodiscard]] int64_t grow(int64_t rows, int64_t turn) const {
    while (rows < rows_ && length(rows) > turn) ++rows;
    return rows;
  }
  // Where a step lies among the steps of the batch.
  [[nodiscard]] int64_t step(int64_t i, int64_t turn) const {
    const int64_t row = row_[at(i)];
    return lengths_.begin(row) + (reverse_ ? lengths_.of(row) - 1 - turn : turn);
  }

 private:
  static size_t at(int64_t i) { return static_cast<size_t>(i); }
  Lengths lengths_;
  bool reverse_;
  int64_t first_row_, rows_, first_, steps_;
  std::array<int64_t, most_rows> row_;
};

// Calls call(turn, rows, begin) with the rows under way and where those of the turn begin.
inline void each_turn(const Group& group, auto&& call) {
  int64_t begin = group.first(), rows = group.rows();
  for (int64_t turn = 0; turn < group.turns(); ++turn) {
    rows = group.shrink(rows, turn);
    call(turn, rows, begin);
    begin += rows;
  }
}
inline void each_turn_back(const Group& group, auto&& call) {
  int64_t begin = group.first() + group.steps(), rows = 0;
  for (int64_t turn = group.turns(); turn-- > 0;) {
    rows = group.grow(rows, turn);
    begin -= rows;
    call(turn, rows, begin);
  }
}

template <class T>
struct Tape;

struct Layer {
  int64_t features, units, states, gates;
  int64_t own;          // further units that a kernel keeps of each step
  bool whole, reverse;  // gives every step; goes from the end to the beginning
  int64_t stateful;     // rows whose states go on in the next batch, or 0
  bool drops;
  detail::Silencing silencing;

  static Layer read(const Attributes& attributes, int64_t gates, int64_t own) {
    return {attributes.integer("features"),
            attributes.integer("units"),
            attributes.integer("states"),
            gates,
            own,
            attributes.flag("return_sequences"),
            attributes.flag("reverse"),
            attributes.integer("stateful"),
            attributes.integer("threshold") > 0,
            detail::Silencing::read(attributes)};
  }

  [[nodiscard]] int64_t sums() const { return gates * units; }

  // ---- cuts ---------------------------------------------------------------------------
  // Sixteen rows are enough for products at full speed.
  [[nodiscard]] static int64_t groups(int64_t rows) {
    return std::max(std::clamp<int64_t>(rows / 16, 1, 16), parts_of(rows, most_rows));
  }
  template <class T>
  [[nodiscard]] Group group(const Context<T>& c, int64_t part) const {
    return {c.inputs[0].lengths, share_of(c.rows, groups(c.rows), part), reverse};
  }
  // A copy of the weights in panels pays where many turns use it.
  [[nodiscard]] static bool packs(Extent extent) { return extent.steps >= 4 * extent.rows; }
  template <class T>
  [[nodiscard]] static bool packs(const Context<T>& c) {
    return packs({c.rows, c.inputs[0].lengths.begin(c.rows)});
  }
  // Elements of a Tape.
  [[nodiscard]] int64_t tape_size(Extent e) const {
    const int64_t each = features + sums() + (1 + own + (drops ? 1 : 0)) * units;
    return e.steps * each + (drops ? e.rows * units : 0);
  }

  // ---- rows in and out ------------------------------------------------------------------

  template <class T>
  void gather(const Context<T>& c, const Group& group, T* x) const {
    each_turn(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      for (int64_t i = 0; i < rows; ++i)
        std::copy_n(c.inputs[0].value + group.step(i, turn) * features, features,
                    x + (begin + i) * features);
    });
  }

  // What state `which` of a row begins with, or null: zeros.
  template <class T>
  [[nodiscard]] const T* beginning(const Context<T>& c, size_t which, int64_t row) const {
    if (stateful > 0) {
      const size_t stored = c.parameters.size() - static_cast<size_t>(states) + which;
      return c.training ? c.parameters[stored].value + row * units : nullptr;
    }
    return c.inputs.size() > 1 ? c.inputs[1 + which].value + row * units : nullptr;
  }
  template <class T>
  void begin(const Context<T>& c, const Group& group, size_t which, T* target) const {
    for (int64_t i = 0; i < group.rows(); ++i, target += units) {
      const T* from = beginning(c, which, group.row(i));
      fill(target, {0, units}, [=](int64_t j) { return from == nullptr ? T(0) : from[j]; });
    }
  }
  // State `which` of a row whose sequence has ended.
  template <class T>
  void end(const Context<T>& c, size_t which, int64_t row, const T* state) const {
    if (which == 0 && !whole) std::copy_n(state, units, c.output.value + row * units);
    if (T* port = c.ports[which].value) std::copy_n(state, units, port + row * units);
    if (stateful > 0 && c.training) {
      const size_t stored = c.parameters.size() - static_cast<size_t>(states) + which;
      std::copy_n(state, units, c.parameters[stored].value + row * units);
    }
  }
  // h of a step: to the output of the step, and of the row where it is the last one.
  template <class T>
  void give(const Context<T>& c, const Group& group, int64_t i, int64_t turn,
            const T* h) const {
    if (whole) std::copy_n(h, units, c.output.value + group.step(i, turn) * units);
    if (group.ends(i, turn)) end(c, 0, group.row(i), h);
  }

  // The derivative that comes in at the end of a row, for state `which`.
  template <class T>
  void begin_back(const Context<T>& c, size_t which, int64_t row, T* d) const {
    const T* output = which == 0 && !whole ? c.output.gradient : nullptr;
    const T* port = c.ports[which].gradient;
    const auto of = [&](const T* array, int64_t j) {
      return array == nullptr ? T(0) : array[row * units + j];
    };
    for (int64_t j = 0; j < units; ++j) d[j] = of(output, j) + of(port, j);
  }
  // dh of a row at a turn: what comes from later turns and from the output.
  template <class T>
  void take_back(const Context<T>& c, const Group& group, int64_t i, int64_t turn,
                 T* dh) const {
    if (group.ends(i, turn)) begin_back(c, 0, group.row(i), dh);
    if (!whole || c.output.gradient == nullptr) return;
    const T* dy = c.output.gradient + group.step(i, turn) * units;
    fill(dh, {0, units}, [=](int64_t j) { return dh[j] + dy[j]; });
  }
  template <class T>
  void end_back(const Context<T>& c, const Group& group, size_t which, const T* d) const {
    if (c.inputs.size() < 2) return;
    for (int64_t i = 0; i < group.rows(); ++i, d += units) {
      const int64_t at = group.row(i) * units;
      put(c.inputs[1 + which], {at, at + units}, [=](int64_t j) { return d[j - at]; });
    }
  }

  // ---- recurrent dropout ----------------------------------------------------------------
  // The factors of the rows of a group, 0 where h is silenced, in the group's order.

  template <class T>
  void draw(const Context<T>& c, const Group& group, T* factors) const {
    const T factor = static_cast<T>(silencing.scale);
    for (int64_t i = 0; i < group.rows(); ++i, factors += units)
      silencing.each_tile(
          c, (c.first_row + group.row(i)) * units, {0, units}, [&](Range part, auto keeps) {
            fill(factors, part, [=](int64_t j) { return keeps(j) ? factor : T(0); });
          });
  }
  template <class T>
  static void silence(const T* x, const T* factors, T* y, int64_t size) {
    fill(y, {0, size}, [=](int64_t j) { return x[j] * factors[j]; });
  }

  // ---- forward --------------------------------------------------------------------------

  // C (+)= A B, of a B that lies in panels as well.
  template <class T>
  static void product(const Context<T>& c, const blas::Product& p, const T* a, int64_t lda,
                      const T* panels, const T* b, int64_t ldb, T* to, int64_t ldc) {
    if (packs(c))
      gemm_by_panels(p, a, lda, panels, to, ldc);
    else
      gemm_in_chains(p, a, lda, b, ldb, to, ldc);
  }

  // All that can be done before the first turn: what the inputs add to all sums.
  template <class T>
  void enter(const Context<T>& c, const Group& group, const Tape<T>& tape) const {
    T* to = tape.gates + group.first() * sums();
    for (int64_t i = 0; i < group.steps(); ++i)
      std::copy_n(c.parameters[2].value, sums(), to + i * sums());
    enter(c, group, tape, to, true);
  }
  // The same, `to` (steps of the group, sums) (+)= x W.
  template <class T>
  void enter(const Context<T>& c, const Group& group, const Tape<T>& tape, T* to,
             bool add) const {
    gather(c, group, tape.x);
    const int64_t first = group.first();
    own_gemm({.m = group.steps(), .n = sums(), .k = features, .beta = add ? 1.0 : 0.0},
             tape.x + first * features, features, c.parameters[0].value, sums(), to,
             sums());
    begin(c, group, 0, tape.before + first * units);
    if (tape.factors != nullptr) draw(c, group, tape.factors_of(group));
  }

  // h as the weights see it.
  template <class T>
  void see(const Group& group, const Tape<T>& tape, int64_t rows, int64_t begin) const {
    if (tape.factors != nullptr)
      silence(tape.before + begin * units, tape.factors_of(group),
              tape.seen + begin * units, rows * units);
  }
  // `target` (rows, columns of U) += seen U, or those columns of it.
  template <class T>
  void recur(const Context<T>& c, const Tape<T>& tape, int64_t rows, int64_t begin,
             const T* panels, Range columns, T* target, bool add = true) const {
    product(c, {.m = rows, .n = columns.size(), .k = units, .beta = add ? 1.0 : 0.0},
            tape.seen + begin * units, units, panels, c.parameters[1].value + columns.begin,
            sums(), target + columns.begin, sums());
  }

  // ---- backward
  // ---------------------------------------------------------------------------

  // Four parts: panels of U^T and of W^T.
  template <class T>
  void pack_back(const Context<T>& c, int64_t part, T* recurrents, T* inputs) const {
    if (part < 2)
      pack_panels(recurrents, c.parameters[1].value, sums(), sums(), units, part, true);
    else if (c.inputs[0].gradient != nullptr)
      pack_panels(inputs, c.parameters[0].value, sums(), sums(), features, part - 2, true);
  }
  // target (+)= dsums U^T, from these columns of the sums.
  template <class T>
  void recur_back(const Context<T>& c, int64_t rows, const T* dsums, Range columns,
                  bool add, const T* panels, T* target) const {
    product(c,
            {.transpose_b = true,
             .m = rows,
             .n = units,
             .k = columns.size(),
             .beta = add ? 1.0 : 0.0},
            dsums + columns.begin, sums(), panels, c.parameters[1].value + columns.begin,
            sums(), target, units);
  }
  // Does anybody want what is before the first turn?
  template <class T>
  [[nodiscard]] static bool goes_back(const Context<T>& c, int64_t turn) {
    return turn > 0 || c.inputs.size() > 1;
  }

  // dx of the rows of a turn: dsums W^T.
  template <class T>
  void inputs_back(const Context<T>& c, const Group& group, int64_t turn, int64_t rows,
                   const T* dsums, const T* panels) const {
    const Operand<T>& x = c.inputs[0];
    if (x.gradient == nullptr) return;
    const double beta = x.accumulate ? 1 : 0;
    const blas::Product p{
        .transpose_b = true, .m = rows, .n = features, .k = sums(), .beta = beta};
    if (packs(c)) {
      std::array<int64_t, most_rows> places;
      for (int64_t i = 0; i < rows; ++i)
        places[static_cast<size_t>(i)] = group.step(i, turn);
      return gemm_by_panels(p, dsums, sums(), panels, x.gradient, features,
                            {.of_c = places.data()});
    }
    blas::Product one = p;
    one.m = 1;
    for (int64_t i = 0; i < rows; ++i)
      gemm_in_chains(one, dsums + i * sums(), sums(), c.parameters[0].value, sums(),
                     x.gradient + group.step(i, turn) * features, features);
  }

  // dweight (rows, columns) = a^T d over all steps: one part of it.
  template <class T>
  static void weight_back(const Operand<T>& weight, int64_t steps, const T* a, int64_t lda,
                          int64_t rows, const T* d, int64_t ldd, Range columns,
                          int64_t part) {
    if (weight.gradient == nullptr) return;
    const Tile t =
        Tile::of(Cut::of(rows, columns.size(), steps), rows, columns.size(), part);
    const int64_t at = columns.begin + t.column;
    gemm<T>({.transpose_a = true,
             .m = t.rows,
             .n = t.columns,
             .k = steps,
             .beta = weight.accumulate ? 1.0 : 0.0},
            a + t.row, lda, d + at, ldd, weight.gradient + t.row * ldd + at, ldd);
  }
  [[nodiscard]] static int64_t weight_parts(int64_t rows, int64_t columns, int64_t steps) {
    return Cut::of(rows, columns, steps).parts;
  }
  // Of W and the bias.
  [[nodiscard]] int64_t input_parts(int64_t steps) const {
    return weight_parts(features, sums(), steps) + channel_parts(sums());
  }
  template <class T>
  void input_weights_back(const Context<T>& c, const Tape<T>& tape, int64_t part) const {
    const int64_t products = weight_parts(features, sums(), tape.steps);
    if (part < products)
      input_weight_back(c, tape, tape.gates, part);
    else
      add_pixels(c.parameters[2], tape.gates, tape.steps, sums(), part - products);
  }
  template <class T>
  void input_weight_back(const Context<T>& c, const Tape<T>& tape, const T* dsums,
                         int64_t part) const {
    weight_back(c.parameters[0], tape.steps, tape.x, features, features, dsums, sums(),
                {0, sums()}, part);
  }
  // Of U, where all sums weigh the same h.
  [[nodiscard]] int64_t recurrent_parts(int64_t steps) const {
    return weight_parts(units, sums(), steps);
  }
  template <class T>
  void recurrent_weights_back(const Context<T>& c, const Tape<T>& tape, const T* dsums,
                              int64_t part) const {
    weight_back(c.parameters[1], tape.steps, tape.seen, units, units, dsums, sums(),
                {0, sums()}, part);
  }
};

// What is kept from forward to backward, by turns; `own` as the kernel likes.
template <class T>
struct Tape {
  T *x, *gates, *before, *own, *seen, *factors = nullptr;
  int64_t units, steps;

  Tape(const Layer& layer, const Context<T>& c)
      : units(layer.units), steps(c.inputs[0].lengths.begin(c.rows)) {
    x = c.saved;
    gates = x + steps * layer.features;
    before = gates + steps * layer.sums();
    own = before + steps * units;
    seen = before;
    if (!layer.drops || !c.training) return;
    seen = own + steps * layer.own * units;
    factors = seen + steps * units;
  }
  [[nodiscard]] T* factors_of(const Group& group) const {
    return factors + group.first_row() * units;
  }
};

}  // namespace nervure::recurrent
