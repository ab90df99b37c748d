// SPDX-License-Identifier: BSD-3-Clause
// Every loss: values by hand, gradients by 4-point central differences, limits.
#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "../losses/classification.h"
#include "../losses/focal.h"
#include "../losses/list.h"
#include "../losses/regression.h"
#include "check.h"

namespace {

using namespace nervure;
using Values = std::vector<double>;

struct Case {
  std::string name;
  Attributes attributes;
  Values output;
  Values values;       // empty where the target is a class
  int64_t label = -1;  //
  double cost;         // by hand

  [[nodiscard]] Target<double> target() const {
    return {values.empty() ? nullptr : values.data(), label};
  }
  [[nodiscard]] int64_t outputs() const { return static_cast<int64_t>(output.size()); }
};

Attributes with(const char* key, Attributes::Value value) {
  Attributes attributes;
  attributes.set(key, std::move(value));
  return attributes;
}

Attributes focal(double gamma, Values alpha) {
  Attributes attributes = with("gamma", gamma);
  if (!alpha.empty()) attributes.set("alpha", std::move(alpha));
  return attributes;
}

Attributes smoothing(double share) { return with("label_smoothing", share); }

std::vector<Case> cases() {
  const double log_2 = std::log(2.0), log_3 = std::log(3.0);
  const Values thirds = {0, log_2, log_3};  // softmax: 1/6, 2/6, 3/6
  return {
      {"quadratic", {}, {3, 4}, {1, 1}, -1, 6.5},
      {"mse", {}, {3, 4}, {1, 1}, -1, 6.5},
      {"mae", {}, {3, -4}, {1, 1}, -1, 3.5},
      {"huber", with("delta", 2.0), {1, 5}, {0, 0}, -1, (0.5 + 2 * 4) / 2},
      {"log_cosh", {}, {log_2}, {0}, -1, std::log(1.25)},
      {"log_cosh", {}, {2 * log_2}, {0}, -1, std::log(2.125)},
      {"cross_entropy", smoothing(0), {0.25, 0.75}, {}, 0, 2 * log_2},
      {"cross_entropy",
       smoothing(0.5),
       {0.25, 0.75},
       {},
       0,
       0.75 * 2 * log_2 - 0.25 * std::log(0.75)},
      {"cross_entropy",
       smoothing(0),
       {0.25, 0.75},
       {0.5, 0.5},
       -1,
       log_2 - 0.5 * std::log(0.75)},
      {"softmax_cross_entropy", smoothing(0), thirds, {}, 2, log_2},
      {"softmax_cross_entropy",
       smoothing(0.3),
       thirds,
       {},
       2,
       0.8 * log_2 + 0.1 * (std::log(6.0) + log_3)},
      {"softmax_cross_entropy",
       smoothing(0),
       thirds,
       {0.5, 0, 0.5},
       -1,
       0.5 * (std::log(6.0) + log_2)},
      {"binary_cross_entropy",
       smoothing(0),
       {0.25, 0.25},
       {1, 0},
       -1,
       -0.5 * std::log(0.1875)},
      {"binary_cross_entropy",
       smoothing(0.2),
       {0.25},
       {1},
       -1,
       0.9 * 2 * log_2 - 0.1 * std::log(0.75)},
      {"logistic_binary_cross_entropy",
       smoothing(0),
       {-log_3, -log_3},
       {1, 0},
       -1,
       -0.5 * std::log(0.1875)},
      {"gaussian_cdf_binary_cross_entropy", smoothing(0), {0}, {1}, -1, log_2},
      {"softmax_binary_cross_entropy", smoothing(0), {0, 0}, {1, 0}, -1, log_2},
      {"softmax_binary_cross_entropy",
       smoothing(0),
       {0, log_3},
       {0, 0},
       -1,
       -0.5 * std::log(0.1875)},
      {"gaussian_cdf_binary_cross_entropy", smoothing(0.2), {0}, {0}, -1, log_2},
      {"logistic_binary_cross_entropy",
       smoothing(0.2),
       {-log_3},
       {1},
       -1,
       0.9 * 2 * log_2 - 0.1 * std::log(0.75)},
      {"focal", focal(2, {}), {0.9, 0.1}, {}, 0, -std::log(0.9) / 100},
      {"focal", focal(2, {0.75, 0.25}), {0.9, 0.1}, {1, 0}, -1, -std::log(0.9) / 200},
      {"focal", focal(0, {1, 3}), {0.5, 0.5}, {}, 1, 3 * log_2},
      {"softmax_focal", focal(2, {}), {std::log(9.0), 0}, {}, 0, -std::log(0.9) / 100},
      {"softmax_focal", focal(0.5, {1, 1, 4}), thirds, {}, 2, 4 * std::sqrt(0.5) * log_2},
      {"logistic_focal",
       focal(2, {0.75, 0.25}),
       {std::log(9.0), -std::log(9.0)},
       {1, 0},
       -1,
       -std::log(0.9) / 200},
      {"logistic_focal", focal(1, {}), {-log_3}, {1}, -1, 0.75 * 2 * log_2},
      {"hinge", {}, {0.5, -2}, {-1, 0}, -1, 0.75},
      {"hinge", {}, {0.5, 2, 1}, {}, 2, 2},
      {"hinge", {}, {3, 1, 0.5}, {}, 0, 0},
      {"poisson", with("epsilon", 1e-30), {2, 1}, {3, 0}, -1, (3 - 3 * log_2) / 2},
      {"pinball", with("quantiles", Values{0.9}), {1, 0}, {0, 1}, -1, 0.5},
      {"pinball", with("quantiles", Values{0.1, 0.9}), {0, 0}, {1, 2}, -1, 0.95},
      {"pinball",
       with("quantiles", Values{0.1, 0.9}),
       {0, 0, 0, 0},
       {1, 1, 2, 2},
       -1,
       0.75},
      {"kl", {}, {0.25, 0.75}, {0.5, 0.5}, -1, log_2 - 0.5 * log_3},
      {"softmax_kl", {}, {0, log_3}, {0.5, 0.5}, -1, log_2 - 0.5 * log_3},
      {"softmax_kl", {}, {0, log_3}, {0, 1}, -1, -std::log(0.75)},
      {"cosine", {}, {1, 1}, {1, 0}, -1, 1 - std::sqrt(0.5)},
  };
}

double cost(const Case& c, const Values& output, double* gradient = nullptr) {
  const auto loss = make_loss<double>(c.name, c.attributes);
  return loss->row(output.data(), c.target(), c.outputs(), gradient);
}

double difference(const Case& c, size_t j) {
  const double h = 1e-3;
  const auto moved = [&](int steps) {
    Values output = c.output;
    output[j] += steps * h;
    return cost(c, output);
  };
  return (8 * (moved(1) - moved(-1)) - (moved(2) - moved(-2))) / (12 * h);
}

void test_values_and_gradients() {
  std::set<std::string> seen;
  for (const Case& c : cases()) {
    seen.insert(c.name);
    Values gradient(c.output.size(), -7);  // written, not added to
    CHECK_CLOSE(cost(c, c.output, gradient.data()), c.cost, 1e-14);
    CHECK(cost(c, c.output) == cost(c, c.output, gradient.data()));
    for (size_t j = 0; j < c.output.size(); ++j)
      CHECK_CLOSE(gradient[j], difference(c, j), 1e-8);
  }
  for (const std::string& name : loss_names())  // those of sequences: test_ctc.cpp
    CHECK(seen.count(name) == (name.ends_with("ctc") ? 0 : 1));
}

void test_float_follows_double() {
  for (const Case& c : cases()) {
    Values gradient(c.output.size());
    const double expected = cost(c, c.output, gradient.data());
    const std::vector<float> output(c.output.begin(), c.output.end());
    const std::vector<float> values(c.values.begin(), c.values.end());
    std::vector<float> slopes(output.size());
    const Target<float> target = {values.empty() ? nullptr : values.data(), c.label};
    const auto loss = make_loss<float>(c.name, c.attributes);
    CHECK_CLOSE(loss->row(output.data(), target, c.outputs(), slopes.data()), expected,
                1e-6);
    for (size_t j = 0; j < slopes.size(); ++j)
      CHECK_CLOSE(static_cast<double>(slopes[j]), gradient[j], 1e-6);
  }
}

// Any count of outputs: whole vectors, rests, several stretches.
void test_sizes() {
  for (int64_t outputs : {1, 2, 7, 8, 9, 15, 16, 17, 255, 256, 257, 1000}) {
    std::vector<float> z, gradient(static_cast<size_t>(outputs));
    double sum = 0, squares = 0;
    for (int64_t j = 0; j < outputs; ++j) {
      z.push_back(static_cast<float>(std::sin(static_cast<double>(3 * j))));
      const double value = static_cast<double>(z.back());
      sum += std::exp(value);
      squares += value * value;
    }
    const int64_t label = outputs / 2;
    const Target<float> target = {nullptr, label};
    const double found =
        SoftmaxCrossEntropy{0}.row(z.data(), target, outputs, gradient.data());
    const double own = static_cast<double>(z[static_cast<size_t>(label)]);
    CHECK_CLOSE(found, std::log(sum) - own, 1e-6);
    double total = 0;
    for (float slope : gradient) total += static_cast<double>(slope);
    CHECK_CLOSE(total, 0, 1e-6);
    const std::vector<float> zeros(z.size());
    const double half = Quadratic{}.row<float>(z.data(), {zeros.data()}, outputs, nullptr);
    CHECK_CLOSE(half, squares / 2, 1e-12);
  }
}

template <class T>
void test_far_logits() {
  const std::vector<T> z = {1000, -1000, 0};
  std::vector<T> gradient(3);
  CHECK_CLOSE(SoftmaxCrossEntropy{0}.row<T>(z.data(), {nullptr, 1}, 3, gradient.data()),
              2000, 1e-12);
  CHECK(gradient == std::vector<T>({1, -1, 0}));
  const SoftmaxFocal sure = {{0.5, {}}};
  CHECK(sure.row<T>(z.data(), {nullptr, 0}, 3, gradient.data()) == 0);
  CHECK(gradient == std::vector<T>({0, 0, 0}));
  const std::vector<T> yes = {0, 1, 0};
  const LogisticBinaryCrossEntropy binary = {0};
  CHECK_CLOSE(binary.row<T>(z.data(), {yes.data()}, 3, gradient.data()),
              (2000 + std::log(2.0)) / 3, 1e-12);
  CHECK_CLOSE(static_cast<double>(gradient[0]), 1.0 / 3, 1e-6);
}

void test_limits() {
  const Values none = {0, 0}, some = {1, 2};
  Values gradient = {5, 5};
  CHECK(Cosine{}.row(none.data(), {some.data()}, 2, gradient.data()) == 1);
  CHECK(gradient == none);
  CHECK(Cosine{}.row(some.data(), {none.data()}, 2, gradient.data()) == 1);
  CHECK(gradient == none);

  const Values kink = {1, 0};  // slope 0 where |d| has none
  (void)MeanAbsoluteError{}.row(kink.data(), {kink.data()}, 2, gradient.data());
  CHECK(gradient == none);

  const Values sure = {1, 0};  // a probability of 0 costs 69, not infinity
  const double held = CrossEntropy{0}.row(sure.data(), {nullptr, 1}, 2, gradient.data());
  CHECK(held > 69 && held < 70);
  CHECK(gradient == none);

  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Values lost = {nan, 1};
  const SoftmaxCrossEntropy fused = {0};
  for (int64_t label : {0, 1})
    CHECK(std::isnan(fused.row(lost.data(), {nullptr, label}, 2, gradient.data())));
  CHECK(std::isnan(Hinge{}.row(lost.data(), {some.data()}, 2, gradient.data())));
}

void test_unknown_name() {
  std::string message;
  try {
    (void)make_loss<float>("mee", {});
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  CHECK(message == "[engine] loss 'mee' has no native form; use executor=\"jax\"");
}

}  // namespace

int main() {
  test_values_and_gradients();
  test_float_follows_double();
  test_sizes();
  test_far_logits<float>();
  test_far_logits<double>();
  test_limits();
  test_unknown_name();
  return check::report();
}
