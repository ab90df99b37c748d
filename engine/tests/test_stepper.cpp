// SPDX-License-Identifier: BSD-3-Clause
// One step after the other: attention over what was kept, and what is drawn. Meant for the
// sanitizers: memory grows with the steps, and every other buffer has just its size.
#include <cmath>
#include <limits>
#include <vector>

#include "../execution/stepper.h"
#include "../kernels/list.h"
#include "check.h"

namespace {

using namespace nervure;

constexpr int64_t width = 4, heads = 2;

// A code times a weight, plus a bias, attends to all before it; two steps of a node each.
Plan attentive() {
  Plan plan;
  plan.rows = 1;
  plan.steps = {1};
  plan.clocks = {0};
  plan.inputs = {0};
  plan.outputs = {2};
  const auto place = [&](int64_t size) {
    const int64_t offset = plan.arena;
    plan.arena += size;
    return offset;
  };
  const auto add = [&](const char* kernel, Attributes attributes, std::vector<Shape> inputs,
                       std::vector<int> from, Shape shape) {
    NodePlan node;
    node.kernel = kernel;
    node.attributes = std::move(attributes);
    node.shapes = {std::move(inputs), shape};
    node.value_shape = shape;
    node.clock = 0;
    for (const int source : from) node.inputs.push_back({source, false, false});
    node.value = place(size_of(shape));
    plan.nodes.push_back(std::move(node));
  };
  add("", {}, {}, {}, {1});
  Attributes dense, attention;
  dense.set("bias", int64_t{1});
  add("dense", dense, {{1}}, {0}, {width});
  plan.nodes.back().parameters = {{0, width, true}, {width, width, true}};
  const auto step = make_step<double>("dense", dense, plan.nodes.back().shapes);
  plan.nodes.back().scratch = place(step->buffers({1}).scratch);
  plan.nodes.back().saved = place(step->buffers({1}).saved);
  attention.set("heads", heads);
  attention.set("causal", int64_t{1});
  add("dot_product_attention", attention, {{width}, {width}, {width}}, {1, 1, 1}, {width});
  plan.nodes.back().sequences = 3;
  plan.nodes.back().times = {0, 0, 0};
  return plan;
}

// What the latest of some vectors finds among all of them, head by head.
std::vector<double> attended(const std::vector<std::vector<double>>& all) {
  constexpr int64_t size = width / heads;
  std::vector<double> y(width, 0.0);
  for (int64_t h = 0; h < heads; ++h) {
    double sum = 0;
    for (const auto& key : all) {
      double dot = 0;
      for (int64_t j = h * size; j < (h + 1) * size; ++j) dot += all.back()[j] * key[j];
      const double weight = std::exp(dot / std::sqrt(double(size)));
      sum += weight;
      for (int64_t j = h * size; j < (h + 1) * size; ++j) y[j] += weight * key[j];
    }
    for (int64_t j = h * size; j < (h + 1) * size; ++j) y[j] /= sum;
  }
  return y;
}

void check_attention() {
  std::vector<double> values{0.3, -0.2, 0.1, 0.4, 0.05, 0.2, -0.3, 0.1};
  Stepper<double> stepper(attentive(), {Kept::nothing, Kept::nothing, Kept::steps},
                          values.data());
  for (int time = 0; time < 2; ++time) {
    std::vector<std::vector<double>> all;
    stepper.restart();
    for (int64_t step = 0; step < 40; ++step) {
      const int64_t code = step * step % 5;
      stepper.read(code);
      std::vector<double>& latest = all.emplace_back(width);
      for (size_t j = 0; j < width; ++j)
        latest[j] = values[j] * static_cast<double>(code) + values[width + j];
      const std::vector<double> expected = attended(all);
      for (size_t j = 0; j < width; ++j)
        CHECK_CLOSE(stepper.output()[j], expected[j], 1e-12);
    }
  }
}

void check_writing() {
  std::vector<double> values{0.3, -0.2, 0.1, 0.4, 0.05, 0.2, -0.3, 0.1};
  const std::vector<Kept> kept{Kept::nothing, Kept::nothing, Kept::steps};
  Stepper<double> whole(attentive(), kept, values.data());
  Stepper<double> parts(attentive(), kept, values.data());
  const std::vector<int64_t> prompt{2, 0, 3};
  const Draws draws{{}, 5, 0, false};
  std::vector<int64_t> together(30), one(1), alone;
  CHECK(whole.write(prompt, draws, together) == 30);
  for (int64_t step = 0; step < 30; ++step) {
    Draws next = draws;
    next.first = step;
    const std::vector<int64_t> last = alone.empty() ? prompt : std::vector{alone.back()};
    CHECK(parts.write(last, next, one) == 1);
    alone.push_back(one[0]);
  }
  CHECK(alone == together);
  values[0] = std::numeric_limits<double>::quiet_NaN();
  whole.restart();
  CHECK(whole.write(prompt, draws, together) == 0);
  CHECK(!whole.finite());
}

void check_drawing() {
  Drawing drawing;
  const std::vector<double> scores{std::log(0.1), std::log(0.4), std::log(0.3),
                                   std::log(0.2)};
  CHECK(drawing.draw(scores, {}, 0.0) == 0);
  CHECK(drawing.draw(scores, {}, 0.49) == 1);
  CHECK(drawing.draw(scores, {}, 0.51) == 2);
  CHECK(drawing.draw(scores, {}, 0.9999) == 3);
  CHECK(drawing.draw(scores, {.temperature = 0}, 0.9999) == 1);
  CHECK(drawing.draw(scores, {.top_k = 2}, 0.0) == 1);
  CHECK(drawing.draw(scores, {.top_k = 2}, 0.9999) == 2);
  CHECK(drawing.draw(scores, {.top_p = 0.7}, 0.9999) == 2);
  CHECK(drawing.draw(scores, {.top_p = 0.71}, 0.9999) == 3);
  const double infinity = std::numeric_limits<double>::infinity();
  CHECK(drawing.draw(std::vector{-infinity, 1.0, -infinity}, {}, 0.5) == 1);
  CHECK(!drawing.draw(std::vector{-infinity, -infinity}, {}, 0.5));
  CHECK(!drawing.draw(std::vector{0.0, infinity}, {}, 0.5));
  CHECK(!drawing.draw(std::vector{0.0, std::nan("")}, {}, 0.5));
}

}  // namespace

int main() {
  check_attention();
  check_writing();
  check_drawing();
  return check::report();
}
