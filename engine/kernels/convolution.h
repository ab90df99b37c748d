// SPDX-License-Identifier: BSD-3-Clause
// Convolution and its transpose, over one to three spatial axes.
//
// Legend: x (rows, d, h, w, channels), weight (taps, channels per group, filters); an axis
// that a layer does not have has extent 1. The transpose is the convolution's input
// gradient taken as a forward pass, and its gradients are the convolution's other halves.
#pragma once

#include "elementwise.h"
#include "weight_gradient.h"
#include "winograd.h"

namespace nervure {

namespace detail {

// The convolution of `wide` whose windows are the pixels of `narrow`.
struct Passes {
  Gather gather;
  Scatter scatter;
  WeightGradient weights;

  static Passes of(const Attributes& attributes, const Shape& wide, const Shape& narrow) {
    const Geometry g = {
        triple(attributes.integers("kernel"), 1), triple(attributes.integers("stride"), 1),
        triple(attributes.integers("dilation"), 1),
        triple(attributes.integers("before"), 0), attributes.integer("groups")};
    const Taps taps(g, extents_of(wide), wide.back(), extents_of(narrow), narrow.back());
    Gather gather(taps);
    const WeightGradient weights(gather);
    return {std::move(gather), Scatter(taps), weights};
  }

  // dW, db for `x` and the gradient `dy` at the windows; `bias` null where it is not
  // theirs.
  template <class T>
  void weight_gradient(const Context<T>& c, const T* x, const T* dy, const Operand<T>* bias,
                       Task task) const {
    const WeightGradients<T> to = {c.parameters[0].gradient,
                                   bias == nullptr ? nullptr : bias->gradient,
                                   c.parameters[0].accumulate};
    if (to.weight == nullptr && to.bias == nullptr) return;
    if (task.phase == 1)
      weights.add_up(gather, c.rows, to, c.scratch, task.part);
    else
      weights.run(gather, c.rows, x, dy, to, c.scratch, task.part);
  }
  [[nodiscard]] int64_t scratch(int64_t rows) const {
    return std::max(weights.scratch(gather, rows), gather.scratch(rows));
  }
};

}  // namespace detail

struct Convolution {
  static constexpr std::string_view name = "convolution";

  detail::Passes passes;
  detail::Winograd winograd;
  bool has_bias;

  static Convolution read(const Attributes& attributes, const Shapes& shapes) {
    auto passes = detail::Passes::of(attributes, shapes.inputs[0], shapes.output);
    const bool exact = attributes.has("exact") && attributes.flag("exact");
    const detail::Winograd winograd(passes.gather.taps(), exact);
    return {std::move(passes), winograd, attributes.flag("bias")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  [[nodiscard]] Buffers buffers(int64_t rows) const {
    // Smaller batches may go the other way.
    const int64_t other = winograd.takes(rows) ? winograd.scratch(rows) : 0;
    return {.scratch = std::max(passes.scratch(rows), other)};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    if (winograd.takes(rows)) return winograd.forward_work(rows);
    return {passes.gather.parts(rows)};
  }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    if (winograd.takes(rows)) return winograd.backward_work(rows);
    return {passes.weights.parts(passes.gather, rows) + passes.scatter.parts(rows),
            passes.weights.adding_parts(passes.gather, rows)};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    if (winograd.takes(c.rows)) return winograd.forward(c, has_bias, task);
    const T* bias = has_bias ? c.parameters[1].value : nullptr;
    passes.gather.run<T>({.rows = c.rows,
                          .from = c.inputs[0].value,
                          .weight = c.parameters[0].value,
                          .bias = bias,
                          .to = c.output.value,
                          .add = false,
                          .scratch = c.scratch},
                         task.part);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (winograd.takes(c.rows)) return winograd.backward(c, has_bias, task);
    const int64_t parts = passes.weights.parts(passes.gather, c.rows);
    if (task.phase == 1 || task.part < parts)
      passes.weight_gradient(c, c.inputs[0].value, c.output.gradient,
                             has_bias ? &c.parameters[1] : nullptr, task);
    else if (c.inputs[0].gradient != nullptr)
      passes.scatter.run<T>({.rows = c.rows,
                             .from = c.output.gradient,
                             .weight = c.parameters[0].value,
                             .bias = nullptr,
                             .to = c.inputs[0].gradient,
                             .add = c.inputs[0].accumulate,
                             .scratch = nullptr},
                            task.part - parts);
  }
};

// Of the convolution from y to x. Its bias gradient, the sum of dy over all pixels, has
// parts of its own: some channels each.
struct TransposedConvolution {
  static constexpr std::string_view name = "transposed_convolution";

  detail::Passes passes;
  bool has_bias;
  int64_t pixels, channels;  // of y

  static TransposedConvolution read(const Attributes& attributes, const Shapes& shapes) {
    const int64_t channels = shapes.output.back();
    return {detail::Passes::of(attributes, shapes.output, shapes.inputs[0]),
            attributes.flag("bias"), size_of(shapes.output) / channels, channels};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }

  [[nodiscard]] Buffers buffers(int64_t rows) const {
    const int64_t weights = passes.weights.scratch(passes.gather, rows);
    return {.scratch = weights + passes.gather.scratch(rows)};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return {passes.scatter.parts(rows)};
  }
  [[nodiscard]] Work backward_work(int64_t rows) const {
    return {passes.weights.parts(passes.gather, rows) + bias_parts() +
                passes.gather.parts(rows),
            passes.weights.adding_parts(passes.gather, rows)};
  }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    passes.scatter.run<T>({.rows = c.rows,
                           .from = c.inputs[0].value,
                           .weight = c.parameters[0].value,
                           .bias = has_bias ? c.parameters[1].value : nullptr,
                           .to = c.output.value,
                           .add = false,
                           .scratch = nullptr},
                          task.part);
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    const int64_t weights = passes.weights.parts(passes.gather, c.rows);
    const int64_t sums = weights + bias_parts();
    if (task.phase == 1 || task.part < weights)
      passes.weight_gradient<T>(c, c.output.gradient, c.inputs[0].value, nullptr, task);
    else if (task.part < sums)
      add_pixels(c.parameters[1], c.output.gradient, c.rows * pixels, channels,
                 task.part - weights);
    else if (c.inputs[0].gradient != nullptr)
      passes.gather.run<T>(
          {.rows = c.rows,
           .from = c.output.gradient,
           .weight = c.parameters[0].value,
           .bias = nullptr,
           .to = c.inputs[0].gradient,
           .add = c.inputs[0].accumulate,
           .scratch = c.scratch + passes.weights.scratch(passes.gather, c.rows)},
          task.part - sums);
  }

 private:
  [[nodiscard]] int64_t bias_parts() const {
    return has_bias ? channel_parts(channels) : 0;
  }
};

}  // namespace nervure
