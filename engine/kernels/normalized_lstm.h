// SPDX-License-Identifier: BSD-3-Clause
// LSTM whose sums are normalized: sums = a N(x W) + a' N(h' U) + b and
// h = o tanh(a" N(c) + b"), N(z) = (z - mean) / sqrt(variance + epsilon) over all sums of
// a step, or all cells.
//
// Legend: as of lstm.h; gains a (4 u), a' (4 u), a" (u) and the bias b" (u). Of each step
// are kept, by turns: c', N(x W), N(h' U), N(c), and 1 / deviation of the three. Going
// back the first two normals become derivatives of x W and h' U. Derivatives of vectors
// are added up group by group, and then over the groups.
#pragma once

#include "lstm.h"

namespace nervure {

struct NormalizedLstm {
  static constexpr std::string_view name = "normalized_lstm";

  recurrent::Layer layer;
  bool peepholes;
  double epsilon;

  static NormalizedLstm read(const Attributes& attributes, const Shapes&) {
    return {recurrent::Layer::read(attributes, 4, kept), attributes.flag("peepholes"),
            attributes.number("epsilon")};
  }

  [[nodiscard]] bool reads_input() const { return false; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  [[nodiscard]] Buffers buffers(Extent e) const {
    const int64_t u = layer.units;
    const int64_t back = panels_room<float>(4 * u, u) +
                         panels_room<float>(4 * u, layer.features) + 2 * e.rows * u +
                         layer.groups(e.rows) * vectors * u;
    return {.saved = layer.tape_size(e),
            .scratch = std::max(panels_room<float>(u, 4 * u) + 2 * e.rows * u, back)};
  }
  [[nodiscard]] Work forward_work(Extent e) const {
    if (!layer.packs(e)) return {layer.groups(e.rows)};
    return {2, layer.groups(e.rows)};
  }
  [[nodiscard]] Work backward_work(Extent e) const {
    const int64_t weights = layer.weight_parts(layer.features, layer.sums(), e.steps) +
                            layer.recurrent_parts(e.steps) + 1;
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
    const Kept<T> kept(tape);
    const Vectors<const T> own(*this, c);
    T* last = c.scratch + panels_room<float>(u, 4 * u) + 2 * group.first_row() * u;
    layer.enter(c, group, tape, kept.of_x + group.first() * 4 * u, false);
    layer.begin(c, group, 1, kept.cells + group.first() * u);
    recurrent::each_turn(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      layer.see(group, tape, rows, begin);
      layer.recur(c, tape, rows, begin, c.scratch, {0, 4 * u}, kept.of_h + begin * 4 * u,
                  false);
      for (int64_t i = 0; i < rows; ++i) {
        const bool ends = group.ends(i, turn);
        const int64_t at = begin + i, next = (begin + rows + i) * u;
        T *h = ends ? last : tape.before + next,
          *cell = ends ? last + u : kept.cells + next;
        add_up(own, kept, at, tape.gates + at * 4 * u);
        Lstm::open(tape.gates + at * 4 * u, kept.cells + at * u, own.peephole, cell, u);
        read(own, kept, at, tape.gates + at * 4 * u + 3 * u, cell, h);
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
    const Kept<T> kept(tape);
    if (task.phase == 1) return weights_back(c, tape, kept, room, task.part);
    const recurrent::Group group = layer.group(c, task.part);
    const int64_t u = layer.units, first = group.first_row() * u;
    T *dh = room.dh + first, *dc = room.dc + first;
    const Vectors<const T> own(*this, c);
    const Vectors<T> d(room.sums + task.part * vectors * u, u);
    std::fill_n(d.bias, vectors * u, T(0));
    recurrent::each_turn_back(group, [&](int64_t turn, int64_t rows, int64_t begin) {
      for (int64_t i = 0; i < rows; ++i) {
        layer.take_back(c, group, i, turn, dh + i * u);
        if (group.ends(i, turn)) layer.begin_back(c, 1, group.row(i), dc + i * u);
        step_back(own, d, kept, begin + i, tape.gates + (begin + i) * 4 * u, dh + i * u,
                  dc + i * u);
      }
      layer.inputs_back(c, group, turn, rows, kept.of_x + begin * 4 * u, room.inputs);
      if (!layer.goes_back(c, turn)) return;
      layer.recur_back(c, rows, kept.of_h + begin * 4 * u, {0, 4 * u}, false,
                       room.recurrents, dh);
      if (tape.factors != nullptr) layer.silence(dh, tape.factors_of(group), dh, rows * u);
    });
    layer.end_back(c, group, 0, dh);
    layer.end_back(c, group, 1, dc);
  }

 private:
  static constexpr int64_t kept = 13, vectors = 17;  // units of each step, and of all

  template <class T>
  struct Kept {
    T *cells, *of_x, *of_h, *of_cell, *inverse;
    int64_t u;
    explicit Kept(const recurrent::Tape<T>& tape) : u(tape.units) {
      cells = tape.own;
      of_x = cells + tape.steps * u;
      of_h = of_x + tape.steps * 4 * u;
      of_cell = of_h + tape.steps * 4 * u;
      inverse = of_cell + tape.steps * u;
    }
  };

  // The vectors among the parameters, or their derivatives one behind the other.
  template <class T>
  struct Vectors {
    T *bias, *input_gain, *recurrent_gain, *cell_gain, *cell_bias, *peephole;
    Vectors(const NormalizedLstm& lstm, const auto& c) {
      const size_t next = lstm.peepholes ? 4 : 3;
      bias = c.parameters[2].value;
      peephole = lstm.peepholes ? c.parameters[3].value : nullptr;
      input_gain = c.parameters[next].value;
      recurrent_gain = c.parameters[next + 1].value;
      cell_gain = c.parameters[next + 2].value;
      cell_bias = c.parameters[next + 3].value;
    }
    Vectors(T* first, int64_t u)
        : bias(first),
          input_gain(bias + 4 * u),
          recurrent_gain(input_gain + 4 * u),
          cell_gain(recurrent_gain + 4 * u),
          cell_bias(cell_gain + u),
          peephole(cell_bias + u) {}
  };

  template <class T>
  struct Room {
    T *recurrents, *inputs, *dh, *dc, *sums;
    Room(const NormalizedLstm& lstm, const Context<T>& c) {
      const int64_t u = lstm.layer.units;
      recurrents = c.scratch;
      inputs = recurrents + panels_room<float>(4 * u, u);
      dh = inputs + panels_room<float>(4 * u, lstm.layer.features);
      dc = dh + c.rows * u;
      sums = dc + c.rows * u;
    }
  };

  // z becomes N(z); returns 1 / deviation.
  template <class T>
  T normalize(T* z, int64_t size) const {
    const T mean = simd::sum(z, size) / static_cast<T>(size);
    fill(z, {0, size}, [=](int64_t j) { return z[j] - mean; });
    const T variance = simd::dot(z, z, size) / static_cast<T>(size);
    const T inverse = T(1) / std::sqrt(variance + static_cast<T>(epsilon));
    fill(z, {0, size}, [=](int64_t j) { return z[j] * inverse; });
    return inverse;
  }
  // The normal becomes dz, d being the derivative of what `gain` has multiplied.
  template <class T>
  static void normal_back(T* normal, T inverse, const T* d, const T* gain, int64_t size) {
    T mean = 0, along = 0;
    for (int64_t j = 0; j < size; ++j) {
      mean += d[j] * gain[j];
      along += d[j] * gain[j] * normal[j];
    }
    mean /= static_cast<T>(size);
    along /= static_cast<T>(size);
    fill(normal, {0, size},
         [=](int64_t j) { return (d[j] * gain[j] - mean - normal[j] * along) * inverse; });
  }

  template <class T>
  void add_up(const Vectors<const T>& own, const Kept<T>& k, int64_t at, T* sums) const {
    const int64_t size = 4 * layer.units;
    T *x = k.of_x + at * size, *h = k.of_h + at * size, *inverse = k.inverse + 3 * at;
    inverse[0] = normalize(x, size);
    inverse[1] = normalize(h, size);
    const T *gain = own.input_gain, *again = own.recurrent_gain, *bias = own.bias;
    fill(sums, {0, size},
         [=](int64_t j) { return x[j] * gain[j] + bias[j] + h[j] * again[j]; });
  }

  template <class T>
  void read(const Vectors<const T>& own, const Kept<T>& k, int64_t at, T* o, const T* cell,
            T* h) const {
    const int64_t u = layer.units;
    T* normal = k.of_cell + at * u;
    std::copy_n(cell, u, normal);
    k.inverse[3 * at + 2] = normalize(normal, u);
    const T *gain = own.cell_gain, *bias = own.cell_bias;
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < u; ++j) {
      o[j] = math::logistic(o[j]);
      h[j] = o[j] * math::tanh(normal[j] * gain[j] + bias[j]);
    }
  }

  // Of one row: gates become derivatives of their sums, the normals those of what they
  // were made of, dc that of c'.
  template <class T>
  void step_back(const Vectors<const T>& own, const Vectors<T>& d, const Kept<T>& k,
                 int64_t at, T* gates, T* dh, T* dc) const {
    const int64_t u = layer.units;
    T *i = gates, *f = i + u, *g = f + u, *o = g + u, *normal = k.of_cell + at * u;
    const T *before = k.cells + at * u, *p = own.peephole;
    // dh becomes the derivative of what is read of the cell, since it is made anew.
    const T *gain = own.cell_gain, *bias = own.cell_bias;
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < u; ++j) {
      const T t = math::tanh(normal[j] * gain[j] + bias[j]), out = o[j];
      o[j] = dh[j] * t * out * (T(1) - out);
      dh[j] *= out * (T(1) - t * t);
      d.cell_bias[j] += dh[j];
      d.cell_gain[j] += dh[j] * normal[j];
      d.peephole[2 * u + j] += o[j] * (f[j] * before[j] + i[j] * g[j]);
    }
    normal_back(normal, k.inverse[3 * at + 2], dh, own.cell_gain, u);
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < u; ++j) {
      const T write = i[j], keep = f[j], what = g[j], old = before[j];
      const T all = dc[j] + normal[j] + (p == nullptr ? T(0) : p[2 * u + j] * o[j]);
      i[j] = all * what * write * (T(1) - write);
      f[j] = all * old * keep * (T(1) - keep);
      g[j] = all * write * (T(1) - what * what);
      dc[j] = all * keep + (p == nullptr ? T(0) : p[j] * i[j] + p[u + j] * f[j]);
      d.peephole[j] += i[j] * old;
      d.peephole[u + j] += f[j] * old;
    }
    T *x = k.of_x + at * 4 * u, *h = k.of_h + at * 4 * u;
    const T* inverse = k.inverse + 3 * at;
    NERVURE_VECTORIZE
    for (int64_t j = 0; j < 4 * u; ++j) {
      d.bias[j] += gates[j];
      d.input_gain[j] += gates[j] * x[j];
      d.recurrent_gain[j] += gates[j] * h[j];
    }
    normal_back(x, inverse[0], gates, own.input_gain, 4 * u);
    normal_back(h, inverse[1], gates, own.recurrent_gain, 4 * u);
  }

  template <class T>
  void weights_back(const Context<T>& c, const recurrent::Tape<T>& tape, const Kept<T>& k,
                    const Room<T>& room, int64_t part) const {
    const int64_t u = layer.units;
    const int64_t inputs = layer.weight_parts(layer.features, 4 * u, tape.steps);
    if (part < inputs) return layer.input_weight_back(c, tape, k.of_x, part);
    part -= inputs;
    if (part < layer.recurrent_parts(tape.steps))
      return layer.recurrent_weights_back(c, tape, k.of_h, part);
    const Vectors<T> d(room.sums, u);
    const size_t next = peepholes ? 4 : 3;
    const auto add = [&](size_t parameter, int64_t size, const T* first) {
      put_sum(c.parameters[parameter], {0, size}, first, layer.groups(c.rows), vectors * u);
    };
    add(2, 4 * u, d.bias);
    if (peepholes) add(3, 3 * u, d.peephole);
    add(next, 4 * u, d.input_gain);
    add(next + 1, 4 * u, d.recurrent_gain);
    add(next + 2, u, d.cell_gain);
    add(next + 3, u, d.cell_bias);
  }
};

}  // namespace nervure
