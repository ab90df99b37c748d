// SPDX-License-Identifier: BSD-3-Clause
// GRU: r, z = logistic(sums), n = tanh(sums), h = (1 - z) n + z h'.
//
// Legend: as of recurrent.h; the gates of a row are r, z, n of u units each. What h' adds
// to the sums is kept apart, by turns (3 u): `around`. Where the reset gate acts after the
// product, the sum of n is x W + b + r around, and `around` has a bias of its own; else it
// is x W + b + (r h') U, and the third of `around` holds r h'. Going back, `around` holds
// the derivatives of what it held, or still r h'.
#pragma once

#include "recurrent.h"

namespace nervure {

struct Gru {
  static constexpr std::string_view name = "gru";

  recurrent::Layer layer;
  bool after;  // does the reset gate act after the product?

  static Gru read(const Attributes& attributes, const Shapes&) {
    return {recurrent::Layer::read(attributes, 3, 3), attributes.flag("reset_after")};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Scratch: panels of U, and h of a row that ends; going back the panels of U^T and W^T,
  // dh of each row, and what comes to it by way of U.
  [[nodiscard]] Buffers buffers(Extent e) const {
    const int64_t u = layer.units;
    const int64_t forward = panels_room<float>(u, 2 * u) + panels_room<float>(u, 2 * u);
    const int64_t back =
        panels_room<float>(3 * u, u) + panels_room<float>(3 * u, layer.features);
    return {.saved = layer.tape_size(e),
            .scratch = std::max(forward, back) + 2 * e.rows * u};
  }
  [[nodiscard]] Work forward_work(Extent e) const {
    if (!layer.packs(e)) return {layer.groups(e.rows)};
    return {4, layer.groups(e.rows)};
  }
  [[nodiscard]] Work backward_work(Extent e) const {
    const int64_t weights = layer.input_parts(e.steps) + recurrent_parts(e.steps);
    if (!layer.packs(e)) return {layer.groups(e.rows), weights};
    return {6, layer.groups(e.rows), weights};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const int64_t u = layer.units;
    T* second = c.scratch + panels_room<float>(u, 2 * u);
    if (layer.packs(c) && task.phase-- == 0) return pack(c, second, task.part);
    const recurrent::Group group = layer.group(c, task.part);
    const recurrent::Tape<T> tape(layer, c);
    T* last = second + panels_room<float>(u, 2 * u) + group.first_row() * u;
    layer.enter(c, group, tape);
    recurrent::each_turn(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      layer.see(group, tape, rows, begin);
      after ? sums_after(c, tape, rows, begin, second)
            : sums_before(c, tape, rows, begin, second);
      for (int64_t i = 0; i < rows; ++i) {
        T* h = group.ends(i, turn) ? last : tape.before + (begin + rows + i) * u;
        const T *n = tape.gates + (begin + i) * 3 * u + 2 * u, *z = n - u;
        const T* old = tape.before + (begin + i) * u;
        fill(h, {0, u}, [=](int64_t j) { return (T(1) - z[j]) * n[j] + z[j] * old[j]; });
        layer.give(c, group, i, turn, h);
      }
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Room<T> room(*this, c);
    if (layer.packs(c) && task.phase-- == 0) return pack_back(c, room, task.part);
    const recurrent::Tape<T> tape(layer, c);
    if (task.phase == 1) return weights_back(c, tape, task.part);
    const recurrent::Group group = layer.group(c, task.part);
    const int64_t u = layer.units, first = group.first_row() * u;
    T *dh = room.dh + first, *by = room.by + first;
    recurrent::each_turn_back(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      T* gates = tape.gates + begin * 3 * u;
      for (int64_t i = 0; i < rows; ++i) {
        layer.take_back(c, group, i, turn, dh + i * u);
        step_back(gates + i * 3 * u, tape.own + (begin + i) * 3 * u,
                  tape.before + (begin + i) * u, dh + i * u);
      }
      const bool goes_back = layer.goes_back(c, turn);
      after ? recur_after(c, tape, rows, begin, room, goes_back, by)
            : recur_before(c, tape, rows, begin, room, goes_back, by);
      layer.inputs_back(c, group, turn, rows, gates, room.inputs);
      if (!goes_back) return;
      if (tape.factors != nullptr) layer.silence(by, tape.factors_of(group), by, rows * u);
      fill(dh, {0, rows * u}, [=](int64_t j) { return dh[j] + by[j]; });
    });
    layer.end_back(c, group, 0, dh);
  }

 private:
  // Four parts: panels of the columns of r and z, and of those of n. Where the reset gate
  // acts after the product they are columns of one product, in panels all the same.
  template <class T>
  void pack(const Context<T>& c, T* second, int64_t part) const {
    const int64_t u = layer.units;
    const T* weight = c.parameters[1].value;
    if (part < 2)
      pack_panels(c.scratch, weight, 3 * u, u, 2 * u, part);
    else
      pack_panels(second, weight + 2 * u, 3 * u, u, u, part - 2);
  }

  template <class T>
  void sums_after(const Context<T>& c, const recurrent::Tape<T>& tape, int64_t rows,
                  int64_t begin, const T* second) const {
    const int64_t u = layer.units;
    T *around = tape.own + begin * 3 * u, *gates = tape.gates + begin * 3 * u;
    for (int64_t i = 0; i < rows; ++i)
      std::copy_n(c.parameters[3].value, 3 * u, around + i * 3 * u);
    layer.recur(c, tape, rows, begin, c.scratch, {0, 2 * u}, around);
    layer.recur(c, tape, rows, begin, second, {2 * u, 3 * u}, around);
    for (int64_t i = 0; i < rows; ++i, gates += 3 * u, around += 3 * u) {
      T *r = gates, *n = gates + 2 * u;
      const T* a = around;
      fill(r, {0, 2 * u}, [=](int64_t j) { return math::logistic(r[j] + a[j]); });
      fill(n, {0, u}, [=](int64_t j) { return math::tanh(n[j] + r[j] * a[2 * u + j]); });
    }
  }

  template <class T>
  void sums_before(const Context<T>& c, const recurrent::Tape<T>& tape, int64_t rows,
                   int64_t begin, const T* second) const {
    const int64_t u = layer.units;
    T *around = tape.own + begin * 3 * u, *gates = tape.gates + begin * 3 * u;
    layer.recur(c, tape, rows, begin, c.scratch, {0, 2 * u}, gates);
    for (int64_t i = 0; i < rows; ++i) {
      T *r = gates + i * 3 * u, *reset = around + i * 3 * u + 2 * u;
      const T* h = tape.seen + (begin + i) * u;
      fill(r, {0, 2 * u}, [=](int64_t j) { return math::logistic(r[j]); });
      fill(reset, {0, u}, [=](int64_t j) { return r[j] * h[j]; });
    }
    layer.product(c, {.m = rows, .n = u, .k = u, .beta = 1}, around + 2 * u, 3 * u, second,
                  c.parameters[1].value + 2 * u, 3 * u, gates + 2 * u, 3 * u);
    for (int64_t i = 0; i < rows; ++i) {
      T* n = gates + i * 3 * u + 2 * u;
      fill(n, {0, u}, [=](int64_t j) { return math::tanh(n[j]); });
    }
  }

  // ---- backward
  // ---------------------------------------------------------------------------

  template <class T>
  struct Room {
    T *recurrents, *second, *inputs, *dh, *by;
    Room(const Gru& gru, const Context<T>& c) {
      const int64_t u = gru.layer.units;
      recurrents = c.scratch;
      second = recurrents + panels_room<float>(2 * u, u);
      inputs = recurrents + panels_room<float>(3 * u, u);
      dh = inputs + panels_room<float>(3 * u, gru.layer.features);
      by = dh + c.rows * u;
    }
  };

  template <class T>
  void pack_back(const Context<T>& c, const Room<T>& room, int64_t part) const {
    const int64_t u = layer.units;
    const T* weight = c.parameters[1].value;
    if (part >= 4) return layer.pack_back(c, part - 2, room.recurrents, room.inputs);
    if (part < 2)
      pack_panels(room.recurrents, weight, 3 * u, 2 * u, u, part, true);
    else
      pack_panels(room.second, weight + 2 * u, 3 * u, u, u, part - 2, true);
  }

  // Of one row: z and n become derivatives of their sums, r too where that is known; dh
  // what goes past the gates.
  template <class T>
  void step_back(T* gates, T* around, const T* old, T* dh) const {
    const int64_t u = layer.units;
    T *r = gates, *z = r + u, *n = z + u;
    const bool reset_after = after;
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < u; ++j) {
      const T keep = z[j], made = n[j], d = dh[j];
      const T d_keep = d * (old[j] - made) * keep * (T(1) - keep);
      const T d_made = d * (T(1) - keep) * (T(1) - made * made);
      z[j] = d_keep;
      n[j] = d_made;
      dh[j] = d * keep;
    }
    if (!reset_after) return;
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < u; ++j) {
      const T reset = r[j];
      const T d_reset = n[j] * around[2 * u + j] * reset * (T(1) - reset);
      r[j] = d_reset;
      around[j] = d_reset;
      around[u + j] = z[j];
      around[2 * u + j] = n[j] * reset;
    }
  }

  // by = d(seen), from the derivatives of `around`.
  template <class T>
  void recur_after(const Context<T>& c, const recurrent::Tape<T>& tape, int64_t rows,
                   int64_t begin, const Room<T>& room, bool wanted, T* by) const {
    const int64_t u = layer.units;
    const T* around = tape.own + begin * 3 * u;
    if (!wanted) return;
    layer.recur_back(c, rows, around, {0, 2 * u}, false, room.recurrents, by);
    layer.recur_back(c, rows, around, {2 * u, 3 * u}, true, room.second, by);
  }

  // d(r h') is known first, then that of r, then d(seen).
  template <class T>
  void recur_before(const Context<T>& c, const recurrent::Tape<T>& tape, int64_t rows,
                    int64_t begin, const Room<T>& room, bool wanted, T* by) const {
    const int64_t u = layer.units;
    T* gates = tape.gates + begin * 3 * u;
    layer.recur_back(c, rows, gates, {2 * u, 3 * u}, false, room.second, by);
    for (int64_t i = 0; i < rows; ++i) {
      T *r = gates + i * 3 * u, *d = by + i * u;
      const T* h = tape.seen + (begin + i) * u;
      NERVURE_VECTORIZE
      for (int64_t j = 0; j < u; ++j) {
        const T reset = r[j], of_product = d[j];
        r[j] = of_product * h[j] * reset * (T(1) - reset);
        d[j] = of_product * reset;
      }
    }
    if (wanted) layer.recur_back(c, rows, gates, {0, 2 * u}, true, room.recurrents, by);
  }

  [[nodiscard]] int64_t recurrent_parts(int64_t steps) const {
    const int64_t u = layer.units;
    return layer.weight_parts(u, 2 * u, steps) + layer.weight_parts(u, u, steps) +
           (after ? channel_parts(3 * u) : 0);
  }
  template <class T>
  void weights_back(const Context<T>& c, const recurrent::Tape<T>& tape,
                    int64_t part) const {
    const int64_t u = layer.units, steps = tape.steps;
    const int64_t inputs = layer.input_parts(steps);
    if (part < inputs) return layer.input_weights_back(c, tape, part);
    part -= inputs;
    const T* d = after ? tape.own : tape.gates;
    const int64_t first = layer.weight_parts(u, 2 * u, steps);
    if (part < first)
      return layer.weight_back(c.parameters[1], steps, tape.seen, u, u, d, 3 * u,
                               {0, 2 * u}, part);
    part -= first;
    const int64_t second = layer.weight_parts(u, u, steps);
    if (part >= second)
      return add_pixels(c.parameters[3], tape.own, steps, 3 * u, part - second);
    const T* a = after ? tape.seen : tape.own + 2 * u;
    layer.weight_back(c.parameters[1], steps, a, after ? u : 3 * u, u, d, 3 * u,
                      {2 * u, 3 * u}, part);
  }
};

}  // namespace nervure
