// SPDX-License-Identifier: BSD-3-Clause
// CTC: values by hand and by all paths, gradients by 4-point central differences, limits.
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "../losses/list.h"
#include "check.h"

namespace {

using namespace nervure;
using Values = std::vector<double>;
using Labels = std::vector<int32_t>;

Attributes with_blank(int64_t blank) {
  Attributes attributes;
  attributes.set("blank", blank);
  return attributes;
}

// The cost of outputs (steps, outputs), and its gradient where there is room for it.
template <class T>
double cost(const std::string& name, const std::vector<T>& output, int64_t outputs,
            const Labels& labels, std::vector<T>* gradient = nullptr, int64_t blank = 0) {
  const auto loss = make_loss<T>(name, with_blank(blank));
  const auto steps = static_cast<int64_t>(output.size()) / outputs,
             count = static_cast<int64_t>(labels.size());
  Values scratch(static_cast<size_t>(loss->scratch(steps, outputs, count)), -7);
  return loss->sequence({.output = output.data(),
                         .gradient = gradient == nullptr ? nullptr : gradient->data(),
                         .steps = steps,
                         .outputs = outputs,
                         .labels = labels.data(),
                         .count = count,
                         .scratch = scratch.data()});
}

// What a path of classes says: equal ones are one, blanks are dropped.
Labels said(const Labels& path, int32_t blank) {
  Labels found;
  for (size_t t = 0; t < path.size(); ++t)
    if (path[t] != blank && (t == 0 || path[t] != path[t - 1])) found.push_back(path[t]);
  return found;
}

// -log of the sum over all paths that say the labels (the definition).
double by_all_paths(const Values& z, size_t outputs, const Labels& labels, int32_t blank) {
  const size_t steps = z.size() / outputs;
  double total = 0;
  Labels path(steps);
  const std::function<void(size_t, double)> go = [&](size_t t, double p) {
    if (t == steps) {
      total += said(path, blank) == labels ? p : 0;
      return;
    }
    double sum = 0;
    for (size_t k = 0; k < outputs; ++k) sum += std::exp(z[t * outputs + k]);
    for (size_t k = 0; k < outputs; ++k) {
      path[t] = static_cast<int32_t>(k);
      go(t + 1, p * std::exp(z[t * outputs + k]) / sum);
    }
  };
  go(0, 1);
  return -std::log(total);
}

Values waves(size_t count) {
  Values z;
  for (size_t j = 0; j < count; ++j)
    z.push_back(2 * std::sin(3.0 * static_cast<double>(j)));
  return z;
}

void check_gradient(const std::string& name, const Values& y, int64_t outputs,
                    const Labels& labels, int64_t blank) {
  Values gradient(y.size(), -7);  // written, not added to
  const double expected = cost<double>(name, y, outputs, labels, &gradient, blank);
  CHECK(cost<double>(name, y, outputs, labels, nullptr, blank) == expected);
  const double h = 1e-3;
  for (size_t j = 0; j < y.size(); ++j) {
    const auto moved = [&](int by) {
      Values other = y;
      other[j] += by * h;
      return cost<double>(name, other, outputs, labels, nullptr, blank);
    };
    const double slope = (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h);
    CHECK_CLOSE(gradient[j], slope, 1e-8);
  }
}

void test_by_hand() {
  const double log_2 = std::log(2.0);
  const Values halves = {0.5, 0.5, 0.5, 0.5}, zeros = {0, 0, 0, 0};
  // Of the four paths of two steps 1-, -1 and 11 say "1", -- says nothing.
  CHECK_CLOSE(cost<double>("ctc", halves, 2, {1}), 2 * log_2 - std::log(3.0), 1e-15);
  CHECK_CLOSE(cost<double>("softmax_ctc", zeros, 2, {1}), 2 * log_2 - std::log(3.0), 1e-15);
  CHECK_CLOSE(cost<double>("softmax_ctc", zeros, 2, {}), 2 * log_2, 1e-15);
  // At the first step two of the three ways say 1: 1/2 - 2/3.
  Values gradient(4);
  (void)cost<double>("softmax_ctc", zeros, 2, {1}, &gradient);
  CHECK_CLOSE(gradient[1], -1.0 / 6, 1e-15);
  CHECK_CLOSE(gradient[0], 1.0 / 6, 1e-15);
  // The same label twice has one way in three steps: 1 - 1.
  const Values three = {0, 0, 0, 0, 0, 0};
  CHECK_CLOSE(cost<double>("softmax_ctc", three, 2, {1, 1}), 3 * log_2, 1e-15);
}

void test_all_paths() {
  for (const Labels& labels : {Labels{}, {1}, {2, 1}, {1, 1}, {2, 2, 1}, {1, 2, 1, 2}}) {
    const Values z = waves(15);
    CHECK_CLOSE(cost<double>("softmax_ctc", z, 3, labels), by_all_paths(z, 3, labels, 0),
                1e-13);
    check_gradient("softmax_ctc", z, 3, labels, 0);
    Labels moved = labels;  // class 2 is the blank, 0 and 1 are the labels
    for (int32_t& label : moved) --label;
    CHECK_CLOSE(cost<double>("softmax_ctc", z, 3, moved, nullptr, 2),
                by_all_paths(z, 3, moved, 2), 1e-13);
    check_gradient("softmax_ctc", z, 3, moved, 2);
  }
  const Values shares = {0.2, 0.5, 0.3, 0.6, 0.1, 0.3, 0.3, 0.3, 0.4};
  for (const Labels& labels : {Labels{}, {2}, {1, 2}})
    check_gradient("ctc", shares, 3, labels, 0);
}

void test_float_follows_double() {
  const Values z = waves(60);
  const std::vector<float> single(z.begin(), z.end());
  const Labels labels = {1, 2, 2, 4};
  Values gradient(z.size());
  std::vector<float> slopes(z.size());
  const double expected = cost<double>("softmax_ctc", z, 5, labels, &gradient);
  CHECK_CLOSE(cost<float>("softmax_ctc", single, 5, labels, &slopes), expected, 1e-6);
  for (size_t j = 0; j < z.size(); ++j)
    CHECK_CLOSE(static_cast<double>(slopes[j]), gradient[j], 1e-5);
}

// Long rows, far logits, labels that cannot be said, what is no number.
void test_limits() {
  const Values long_row(3 * 5000, 0);
  const double flat = cost<double>("softmax_ctc", long_row, 3, {1, 2});
  CHECK(std::isfinite(flat) && flat > 5000);
  Values far = {1000, 0, -1000, 0, -1000, 1000}, gradient(6, -7);
  const double expected = cost<double>("softmax_ctc", far, 3, {1}, &gradient);
  // 1- and -1 cost 2000 each, 11 costs 3000.
  CHECK_CLOSE(expected, 2000 - std::log(2.0), 1e-12);
  for (double slope : gradient) CHECK(std::isfinite(slope));

  const double infinity = std::numeric_limits<double>::infinity();
  for (const Labels& labels : {Labels{1, 2, 1}, {1, 1}}) {
    gradient.assign(6, -7);
    CHECK(cost<double>("softmax_ctc", far, 3, labels, &gradient) == infinity);
    CHECK(gradient == Values(6));
  }
  far[1] = std::numeric_limits<double>::quiet_NaN();
  CHECK(std::isnan(cost<double>("softmax_ctc", far, 3, {1}, &gradient)));
  const Values sure = {1, 0, 1, 0};  // a probability of 0 costs 69, not infinity
  const double held = cost<double>("ctc", sure, 2, {1});
  CHECK(held > 68 && held < 70);
}

void test_what_fits() {
  const auto loss = make_loss<float>("softmax_ctc", with_blank(3));
  CHECK(loss->aligns() && loss->takes_classes());
  CHECK(loss->fits(4) && !loss->fits(3));
  const auto row = make_loss<float>("quadratic", {});
  CHECK(!row->aligns() && row->fits(1) && row->scratch(9, 9, 9) == 0);
  CHECK(std::isnan(row->sequence({})));
  CHECK(std::isnan(loss->row(nullptr, {}, 1, nullptr)));
}

}  // namespace

int main() {
  test_by_hand();
  test_all_paths();
  test_float_follows_double();
  test_limits();
  test_what_fits();
  return check::report();
}
