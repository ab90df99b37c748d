// SPDX-License-Identifier: BSD-3-Clause
// SimpleRNN: h = phi(sums), phi being tanh or the rectifier.
//
// Legend: as of recurrent.h; the one gate of a row is h after the step.
#pragma once

#include "recurrent.h"

namespace nervure {

struct SimpleRnn {
  static constexpr std::string_view name = "simple_rnn";

  recurrent::Layer layer;
  bool relu;

  static SimpleRnn read(const Attributes& attributes, const Shapes&) {
    return {recurrent::Layer::read(attributes, 1, 0), attributes.flag("relu")};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Scratch: panels of U; going back those of U^T and W^T, and dh of each row.
  [[nodiscard]] Buffers buffers(Extent e) const {
    const int64_t u = layer.units;
    return {.saved = layer.tape_size(e),
            .scratch = panels_room<float>(u, u) + panels_room<float>(u, layer.features) +
                       e.rows * u};
  }
  [[nodiscard]] Work forward_work(Extent e) const {
    if (!layer.packs(e)) return {layer.groups(e.rows)};
    return {2, layer.groups(e.rows)};
  }
  [[nodiscard]] Work backward_work(Extent e) const {
    const int64_t weights = layer.input_parts(e.steps) + layer.recurrent_parts(e.steps);
    if (!layer.packs(e)) return {layer.groups(e.rows), weights};
    return {4, layer.groups(e.rows), weights};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    const int64_t u = layer.units;
    if (layer.packs(c) && task.phase-- == 0)
      return pack_panels(c.scratch, c.parameters[1].value, u, u, u, task.part);
    const recurrent::Group group = layer.group(c, task.part);
    const recurrent::Tape<T> tape(layer, c);
    layer.enter(c, group, tape);
    recurrent::each_turn(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      T* h = tape.gates + begin * u;
      layer.see(group, tape, rows, begin);
      layer.recur(c, tape, rows, begin, c.scratch, {0, u}, h);
      if (relu)
        fill(h, {0, rows * u}, [=](int64_t j) { return h[j] > 0 ? h[j] : T(0); });
      else
        fill(h, {0, rows * u}, [=](int64_t j) { return math::tanh(h[j]); });
      for (int64_t i = 0; i < rows; ++i) {
        layer.give(c, group, i, turn, h + i * u);
        if (!group.ends(i, turn))
          std::copy_n(h + i * u, u, tape.before + (begin + rows + i) * u);
      }
    });
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const int64_t u = layer.units;
    T *recurrents = c.scratch, *inputs = recurrents + panels_room<float>(u, u);
    if (layer.packs(c) && task.phase-- == 0)
      return layer.pack_back(c, task.part, recurrents, inputs);
    const recurrent::Tape<T> tape(layer, c);
    if (task.phase == 1) return weights_back(c, tape, task.part);
    const recurrent::Group group = layer.group(c, task.part);
    T* dh = inputs + panels_room<float>(u, layer.features) + group.first_row() * u;
    recurrent::each_turn_back(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      T* h = tape.gates + begin * u;
      for (int64_t i = 0; i < rows; ++i) layer.take_back(c, group, i, turn, dh + i * u);
      if (relu)
        fill(h, {0, rows * u}, [=](int64_t j) { return h[j] > 0 ? dh[j] : T(0); });
      else
        fill(h, {0, rows * u}, [=](int64_t j) { return dh[j] * (T(1) - h[j] * h[j]); });
      layer.inputs_back(c, group, turn, rows, h, inputs);
      if (!layer.goes_back(c, turn)) return;
      layer.recur_back(c, rows, h, {0, u}, false, recurrents, dh);
      if (tape.factors != nullptr) layer.silence(dh, tape.factors_of(group), dh, rows * u);
    });
    layer.end_back(c, group, 0, dh);
  }

 private:
  template <class T>
  void weights_back(const Context<T>& c, const recurrent::Tape<T>& tape,
                    int64_t part) const {
    const int64_t inputs = layer.input_parts(tape.steps);
    if (part < inputs)
      layer.input_weights_back(c, tape, part);
    else
      layer.recurrent_weights_back(c, tape, tape.gates, part - inputs);
  }
};

}  // namespace nervure
