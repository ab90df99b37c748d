// SPDX-License-Identifier: BSD-3-Clause
// BatchNorm: y = gamma (x - mean) / sqrt(variance + epsilon) + beta over the last axis.
//
// Legend: a stretch is one pixel with its `features`; there are n of them in a batch.
// Training takes mean and variance over all n, part by part (each part two passes over
// rows that lie in the cache, by long sums), combined in their order in double:
//   M2 = sum (x - mean)^2 of a part; together M2 + sum of n_p (mean_p - mean)^2.
// With x^ = (x - mean) / deviation:
//   dgamma = sum dy x^,  dbeta = sum dy,
//   dx = gamma / deviation (dy - (dbeta + x^ dgamma) / n),
// and in inference, where mean and variance are stored numbers, dx = gamma / deviation dy.
// A single stretch has no variance: training takes the stored numbers then, and moves
// none of them.
#pragma once

#include <cmath>
#include <utility>

#include "elementwise.h"

namespace nervure {

struct BatchNorm {
  static constexpr std::string_view name = "batch_norm";

  int64_t size, features;
  double epsilon, momentum;

  static BatchNorm read(const Attributes& attributes, const Shapes& shapes) {
    return {size_of(shapes.output), shapes.output.back(), attributes.number("epsilon"),
            attributes.number("momentum")};
  }

  [[nodiscard]] bool reads_input() const { return true; }
  [[nodiscard]] bool reads_output() const { return false; }
  [[nodiscard]] bool in_place() const { return false; }
  // Saved: mean and 1 / deviation of the batch. Scratch: two long sums for each part, and
  // the two of all.
  [[nodiscard]] Buffers buffers(int64_t rows) const {
    return {.saved = 2 * features, .scratch = sums() * sum_parts(rows) + 2 * features};
  }
  [[nodiscard]] Work forward_work(int64_t rows) const {
    return {sum_parts(rows), feature_parts(), parts_of(stretches(rows), grain())};
  }
  [[nodiscard]] Work backward_work(int64_t rows) const { return forward_work(rows); }

  template <class T>
  void forward(const Context<T>& c, Task task) const {
    if (task.phase == 0) {
      if (of_batch(c)) part_moments(c, task.part);
    } else if (task.phase == 1) {
      of_batch(c) ? moments(c, features_of(task.part)) : stored(c, features_of(task.part));
    } else {
      normalize(c, range_of(stretches(c.rows), grain(), task.part));
    }
  }

  template <class T>
  void backward(const Context<T>& c, Task task) const {
    if (task.phase == 0)
      part_gradients(c, task.part);
    else if (task.phase == 1)
      gradients(c, features_of(task.part));
    else if (c.inputs[0].gradient != nullptr)
      input_gradient(c, range_of(stretches(c.rows), grain(), task.part));
  }

 private:
  enum { gamma = 0, beta = 1, running_mean = 2, running_variance = 3 };

  [[nodiscard]] int64_t stretches(int64_t rows) const { return rows * (size / features); }
  // Are mean and variance those of the batch?
  template <class T>
  [[nodiscard]] bool of_batch(const Context<T>& c) const {
    return c.training && stretches(c.rows) > 1;
  }
  [[nodiscard]] int64_t grain() const {
    return std::max<int64_t>(1, 4 * elementwise_grain / features);
  }
  // At most 64 parts, so that the sums stay small beside the batch.
  [[nodiscard]] int64_t sum_parts(int64_t rows) const {
    return std::min<int64_t>(64, parts_of(stretches(rows), grain()));
  }
  [[nodiscard]] Range sum_range(int64_t rows, int64_t part) const {
    return share_of(stretches(rows), sum_parts(rows), part);
  }
  [[nodiscard]] double count_of(int64_t rows, int64_t part) const {
    return static_cast<double>(sum_range(rows, part).size());
  }
  // Two long sums of each feature.
  [[nodiscard]] int64_t sums() const { return 4 * features; }
  template <class T>
  [[nodiscard]] std::pair<LongSums<T>, LongSums<T>> sums_of(const Context<T>& c,
                                                            int64_t part) const {
    T* first = c.scratch + sums() * part;
    return {{first, first + features}, {first + 2 * features, first + 3 * features}};
  }
  static constexpr int64_t feature_grain = 64;
  [[nodiscard]] int64_t feature_parts() const { return parts_of(features, feature_grain); }
  [[nodiscard]] Range features_of(int64_t part) const {
    return range_of(features, feature_grain, part);
  }

  // ---- forward ------------------------------------------------------------------------

  // Mean and M2 of some stretches.
  template <class T>
  void part_moments(const Context<T>& c, int64_t part) const {
    const Range range = sum_range(c.rows, part);
    const T* x = c.inputs[0].value + range.begin * features;
    const auto [sum, m2] = sums_of(c, part);
    sum.clear(features);
    m2.clear(features);
    add_rows(sum, range.size(), features, [=, this](int64_t i) {
      return [from = x + i * features](int64_t j) { return from[j]; };
    });
    const double share = 1 / static_cast<double>(range.size());
    for (int64_t j = 0; j < features; ++j) {  // the mean in the place of the sum
      const double mean = sum.total(j) * share;
      sum.high[j] = static_cast<T>(mean);
      sum.low[j] = static_cast<T>(mean - static_cast<double>(sum.high[j]));
    }
    add_rows(m2, range.size(), features, [=, this, mean = sum.high](int64_t i) {
      return [from = x + i * features, mean](int64_t j) {
        const T d = from[j] - mean[j];
        return d * d;
      };
    });
  }

  // Of the batch, for some features; they move the running ones.
  template <class T>
  void moments(const Context<T>& c, Range some) const {
    const int64_t parts = sum_parts(c.rows);
    const auto n = static_cast<double>(stretches(c.rows));
    for (int64_t j = some.begin; j < some.end; ++j) {
      double mean = 0, m2 = 0;
      for (int64_t p = 0; p < parts; ++p)
        mean += count_of(c.rows, p) / n * sums_of(c, p).first.total(j);
      for (int64_t p = 0; p < parts; ++p) {
        const auto [own, squares] = sums_of(c, p);
        const double apart = own.total(j) - mean;
        m2 += squares.total(j) + count_of(c.rows, p) * apart * apart;
      }
      c.saved[j] = static_cast<T>(mean);
      c.saved[features + j] = static_cast<T>(1 / std::sqrt(m2 / n + epsilon));
      if (!std::isfinite(mean) || !std::isfinite(m2)) continue;  // the step is not taken
      move(c.parameters[running_mean].value[j], mean);
      move(c.parameters[running_variance].value[j], m2 / (n - 1));
    }
  }
  template <class T>
  void move(T& running, double value) const {
    running =
        static_cast<T>(momentum * static_cast<double>(running) + (1 - momentum) * value);
  }

  // The stored numbers in the place of the batch's.
  template <class T>
  void stored(const Context<T>& c, Range some) const {
    for (int64_t j = some.begin; j < some.end; ++j) {
      const auto variance = static_cast<double>(c.parameters[running_variance].value[j]);
      c.saved[j] = c.parameters[running_mean].value[j];
      c.saved[features + j] = static_cast<T>(1 / std::sqrt(variance + epsilon));
    }
  }

  template <class T>
  void normalize(const Context<T>& c, Range range) const {
    const T *mean = c.saved, *inverse = c.saved + features;
    const T *scale = c.parameters[gamma].value, *shift = c.parameters[beta].value;
    for (int64_t s = range.begin; s < range.end; ++s) {
      const T* x = c.inputs[0].value + s * features;
      fill(c.output.value + s * features, {0, features},
           [=](int64_t j) { return (x[j] - mean[j]) * inverse[j] * scale[j] + shift[j]; });
    }
  }

  // ---- backward -----------------------------------------------------------------------

  // Sums of dy x^ and of dy over some stretches.
  template <class T>
  void part_gradients(const Context<T>& c, int64_t part) const {
    const Range range = sum_range(c.rows, part);
    const T *mean = c.saved, *inverse = c.saved + features;
    const T* x = c.inputs[0].value + range.begin * features;
    const T* dy = c.output.gradient + range.begin * features;
    const auto [scaled, plain] = sums_of(c, part);
    scaled.clear(features);
    plain.clear(features);
    add_rows(scaled, range.size(), features, [=, this](int64_t i) {
      return [=, from = x + i * features, d = dy + i * features](int64_t j) {
        return d[j] * ((from[j] - mean[j]) * inverse[j]);
      };
    });
    add_rows(plain, range.size(), features, [=, this](int64_t i) {
      return [d = dy + i * features](int64_t j) { return d[j]; };
    });
  }

  template <class T>
  void gradients(const Context<T>& c, Range some) const {
    const int64_t parts = sum_parts(c.rows);
    T* all = c.scratch + sums() * parts;
    for (int64_t j = some.begin; j < some.end; ++j) {
      double scaled = 0, plain = 0;
      for (int64_t p = 0; p < parts; ++p) {
        const auto [own_scaled, own_plain] = sums_of(c, p);
        scaled += own_scaled.total(j);
        plain += own_plain.total(j);
      }
      all[gamma * features + j] = static_cast<T>(scaled);
      all[beta * features + j] = static_cast<T>(plain);
    }
    for (size_t which : {gamma, beta}) {
      const T* found = all + static_cast<int64_t>(which) * features;
      put(c.parameters[which], some, [=](int64_t j) { return found[j]; });
    }
    for (size_t which : {running_mean, running_variance}) {  // no gradient moves them
      const Operand<T>& parameter = c.parameters[which];
      put(parameter, some, [](int64_t) { return T(0); });
    }
  }

  template <class T>
  void input_gradient(const Context<T>& c, Range range) const {
    const T *mean = c.saved, *inverse = c.saved + features;
    const T* scale = c.parameters[gamma].value;
    const T *dscale = c.scratch + sums() * sum_parts(c.rows), *dshift = dscale + features;
    const T share = of_batch(c) ? T(1) / static_cast<T>(stretches(c.rows)) : T(0);
    for (int64_t s = range.begin; s < range.end; ++s) {
      const int64_t begin = s * features;
      const T *x = c.inputs[0].value + begin, *dy = c.output.gradient + begin;
      const auto dx = [=](int64_t j) {
        const T normal = (x[j] - mean[j]) * inverse[j];
        return scale[j] * inverse[j] * (dy[j] - (dshift[j] + normal * dscale[j]) * share);
      };
      put(c.inputs[0], {begin, begin + features}, [=](int64_t i) { return dx(i - begin); });
    }
  }
};

}  // namespace nervure
