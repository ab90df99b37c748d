// SPDX-License-Identifier: BSD-3-Clause
// LSTM: i, f, o = logistic(sums), g = tanh(sums), c = f c' + i g, h = o tanh(c).
//
// Legend: as of recurrent.h; the gates of a row are i, f, g, o of u units each; c' before
// each step is kept by turns. Peepholes add p_i c' to the sum of i, p_f c' to that of f
// and p_o c to that of o. c and tanh(c) are made again in the backward pass: with what
// they are made of at hand, that costs less than reading them.
#pragma once

#include "recurrent.h"

namespace nervure {

struct Lstm {
  static constexpr std::string_view name = "lstm";

  recurrent::Layer layer;
  bool peepholes;

  static Lstm read(const Attributes& attributes, const Shapes&) {
    return {recurrent::Layer::read(attributes, 4, 1), attributes.flag("peepholes")};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Scratch: panels of U, and h and c of a row that ends; going back the panels of U^T and
  // W^T, dh and dc of each row, dp of each group.
  [[nodiscard]] Buffers buffers(Extent e) const {
    const int64_t u = layer.units, states = 2 * e.rows * u;
    const int64_t back = panels_room<float>(4 * u, u) +
                         panels_room<float>(4 * u, layer.features) + states +
                         (peepholes ? layer.groups(e.rows) * 3 * u : 0);
    return {.saved = layer.tape_size(e),
            .scratch = std::max(panels_room<float>(u, 4 * u) + states, back)};
  }
  [[nodiscard]] Work forward_work(Extent e) const {
    if (!layer.packs(e)) return {layer.groups(e.rows)};
    return {2, layer.groups(e.rows)};
  }
  [[nodiscard]] Work backward_work(Extent e) const {
    const int64_t weights =
        layer.input_parts(e.steps) + layer.recurrent_parts(e.steps) + (peepholes ? 1 : 0);
    if (!layer.packs(e)) return {layer.groups(e.rows), weights};
    return {4, layer.groups(e.rows), weights};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const int64_t u = layer.units;
    if (layer.packs(c) && task.phase-- == 0)
      return pack_panels(c.scratch, c.parameters[1].value, 4 * u, u, 4 * u, task.part);
    const recurrent::Group group = layer.group(c, task.part);
    const recurrent::Tape<T> tape(layer, c);
    const T* p = peepholes ? c.parameters[3].value : nullptr;
    T* last = c.scratch + panels_room<float>(u, 4 * u) + 2 * group.first_row() * u;
    layer.enter(c, group, tape);
    layer.begin(c, group, 1, tape.own + group.first() * u);
    recurrent::each_turn(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      T* gates = tape.gates + begin * 4 * u;
      layer.see(group, tape, rows, begin);
      layer.recur(c, tape, rows, begin, c.scratch, {0, 4 * u}, gates);
      for (int64_t i = 0; i < rows; ++i) {
        const bool ends = group.ends(i, turn);
        const int64_t next = (begin + rows + i) * u;
        T *h = ends ? last : tape.before + next, *cell = ends ? last + u : tape.own + next;
        step(gates + i * 4 * u, tape.own + (begin + i) * u, p, cell, h);
        layer.give(c, group, i, turn, h);
        if (ends) layer.end(c, 1, group.row(i), cell);
      }
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const Room<T> room(*this, c);
    if (layer.packs(c) && task.phase-- == 0)
      return layer.pack_back(c, task.part, room.recurrents, room.inputs);
    const recurrent::Tape<T> tape(layer, c);
    if (task.phase == 1) return weights_back(c, tape, room, task.part);
    const recurrent::Group group = layer.group(c, task.part);
    const int64_t u = layer.units, first = group.first_row() * u;
    T *dh = room.dh + first, *dc = room.dc + first, *dp = room.dp + task.part * 3 * u;
    const T* p = peepholes ? c.parameters[3].value : nullptr;
    if (peepholes) std::fill_n(dp, 3 * u, T(0));
    recurrent::each_turn_back(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      T* gates = tape.gates + begin * 4 * u;
      for (int64_t i = 0; i < rows; ++i) {
        layer.take_back(c, group, i, turn, dh + i * u);
        if (group.ends(i, turn)) layer.begin_back(c, 1, group.row(i), dc + i * u);
        step_back(gates + i * 4 * u, tape.own + (begin + i) * u, dh + i * u, dc + i * u, p,
                  dp);
      }
      layer.inputs_back(c, group, turn, rows, gates, room.inputs);
      if (!layer.goes_back(c, turn)) return;
      layer.recur_back(c, rows, gates, {0, 4 * u}, false, room.recurrents, dh);
      if (tape.factors != nullptr) layer.silence(dh, tape.factors_of(group), dh, rows * u);
    });
    layer.end_back(c, group, 0, dh);
    layer.end_back(c, group, 1, dc);
  }

  // Of one row: sums become gates. `p` are the peepholes, or null.
  template <class T>
  static void open(T* gates, const T* before, const T* p, T* cell, int64_t u) {
    T *i = gates, *f = i + u, *g = f + u, *o = g + u;
    if (p != nullptr) {
      fill(i, {0, u}, [=](int64_t j) { return i[j] + p[j] * before[j]; });
      fill(f, {0, u}, [=](int64_t j) { return f[j] + p[u + j] * before[j]; });
    }
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < u; ++j) {
      i[j] = math::logistic(i[j]);
      f[j] = math::logistic(f[j]);
      g[j] = math::tanh(g[j]);
      cell[j] = f[j] * before[j] + i[j] * g[j];
    }
    if (p != nullptr)
      fill(o, {0, u}, [=](int64_t j) { return o[j] + p[2 * u + j] * cell[j]; });
  }

 private:
  template <class T>
  struct Room {
    T *recurrents, *inputs, *dh, *dc, *dp;
    Room(const Lstm& lstm, const Context<T>& c) {
      const int64_t u = lstm.layer.units;
      recurrents = c.scratch;
      inputs = recurrents + panels_room<float>(4 * u, u);
      dh = inputs + panels_room<float>(4 * u, lstm.layer.features);
      dc = dh + c.rows * u;
      dp = dc + c.rows * u;
    }
  };

  template <class T>
  void step(T* gates, const T* before, const T* p, T* cell, T* h) const {
    const int64_t u = layer.units;
    T* o = gates + 3 * u;
    open(gates, before, p, cell, u);
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < u; ++j) {
      o[j] = math::logistic(o[j]);
      h[j] = o[j] * math::tanh(cell[j]);
    }
  }

  // Of one row: gates become derivatives of their sums, dc that of c'.
  template <class T>
  void step_back(T* gates, const T* before, const T* dh, T* dc, const T* p, T* dp) const {
    const int64_t u = layer.units;
    T *i = gates, *f = i + u, *g = f + u, *o = g + u;
    const auto derive = [=](auto peephole) {
      NERVURE_VECTORIZE
      for (int64_t j = 0; j < u; ++j) {
        const T write = i[j], keep = f[j], what = g[j], read = o[j], old = before[j];
        const T cell = keep * old + write * what;
        const T t = math::tanh(cell);
        const T d_read = dh[j] * t * read * (T(1) - read);
        T d = dc[j] + dh[j] * read * (T(1) - t * t);
        if constexpr (peephole) d += p[2 * u + j] * d_read;
        const T d_write = d * what * write * (T(1) - write);
        const T d_keep = d * old * keep * (T(1) - keep);
        i[j] = d_write;
        f[j] = d_keep;
        g[j] = d * write * (T(1) - what * what);
        o[j] = d_read;
        dc[j] = d * keep;
        if constexpr (peephole) {
          dc[j] += p[j] * d_write + p[u + j] * d_keep;
          dp[j] += d_write * old;
          dp[u + j] += d_keep * old;
          dp[2 * u + j] += d_read * cell;
        }
      }
    };
    p == nullptr ? derive(std::false_type{}) : derive(std::true_type{});
  }

  template <class T>
  void weights_back(const Context<T>& c, const recurrent::Tape<T>& tape,
                    const Room<T>& room, int64_t part) const {
    const int64_t inputs = layer.input_parts(tape.steps);
    const int64_t recurrents = layer.recurrent_parts(tape.steps);
    if (part < inputs)
      layer.input_weights_back(c, tape, part);
    else if (part < inputs + recurrents)
      layer.recurrent_weights_back(c, tape, tape.gates, part - inputs);
    else
      put_sum(c.parameters[3], {0, 3 * layer.units}, room.dp, layer.groups(c.rows),
              3 * layer.units);
  }
};

}  // namespace nervure
