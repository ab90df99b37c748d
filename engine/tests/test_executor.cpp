// SPDX-License-Identifier: BSD-3-Clause
// Plans built by hand, trained for some steps: the same bits for any number of workers,
// gradients by finite differences, and what happens when something goes wrong. Meant for
// the sanitizers: every buffer has just the size it needs.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <thread>
#include <vector>

#include "../execution/executor.h"
#include "../kernels/list.h"
#include "../losses/list.h"
#include "../optimizers/list.h"
#include "check.h"

namespace {

using namespace nervure;

Attributes with(std::initializer_list<std::pair<const char*, Attributes::Value>> fields) {
  Attributes attributes;
  for (const auto& [key, value] : fields) attributes.set(key, value);
  return attributes;
}

// A chain of nodes; every buffer has a place of its own.
struct PlanBuilder {
  explicit PlanBuilder(int64_t rows, int64_t features) {
    plan.rows = rows;
    plan.inputs = {0};
    add("", {}, {}, {features});
    plan.nodes[0].inputs.clear();
    plan.nodes[0].backward = false;
  }

  void add(const char* kernel, Attributes attributes, std::vector<int64_t> parameters,
           Shape shape) {
    NodePlan node;
    node.kernel = kernel;
    node.attributes = std::move(attributes);
    const int before = static_cast<int>(plan.nodes.size()) - 1;
    node.shapes.output = node.value_shape = shape;
    if (before >= 0) {
      node.shapes.inputs = {plan.nodes.back().shapes.output};
      node.inputs = {{before, before > 0, false}};
    }
    for (const int64_t size : parameters) {
      node.parameters.push_back({count, size, true});
      count += size;
    }
    node.value = place(plan.rows * size_of(shape));
    node.gradient = place(plan.rows * size_of(shape));
    if (*kernel != 0) {
      const auto step = make_step<float>(kernel, node.attributes, node.shapes);
      const Buffers buffers = step->buffers({plan.rows});
      node.saved = place(buffers.saved);
      node.scratch = place(buffers.scratch);
    }
    node.backward = true;
    node.random_key = static_cast<uint32_t>(plan.nodes.size());
    plan.nodes.push_back(std::move(node));
    plan.outputs = {before + 1};
  }

  void dense(int64_t units) {
    const int64_t features = size_of(plan.nodes.back().shapes.output);
    add("dense", with({{"bias", int64_t{1}}}), {features * units, units}, {units});
  }
  void tanh() {
    add("activation", with({{"function", "tanh"}, {"alpha", 0.0}}), {},
        plan.nodes.back().shapes.output);
  }
  void dropout(double rate) {
    const auto threshold = static_cast<int64_t>(rate * (1 << 24));
    add("dropout", with({{"rate", rate}, {"threshold", threshold}}), {},
        plan.nodes.back().shapes.output);
  }

  // Its derivative is fused with the loss.
  void softmax() {
    add("softmax", {}, {}, plan.nodes.back().shapes.output);
    plan.nodes.back().backward = false;
  }

  int64_t place(int64_t size) {
    const int64_t offset = plan.arena;
    plan.arena += (size + 15) / 16 * 16;
    return offset;
  }

  Plan plan;
  int64_t count = 0;  // of parameters
};

struct Problem {
  int64_t rows, features, hidden, classes, batch;
  bool sparse = false;  // some features are always 0, others in most rows

  [[nodiscard]] bool zeros(int64_t row, int64_t feature) const {
    return sparse &&
           (feature / 7 % 3 == 0 || (feature % 5 != 0 && (row + feature) % 9 > 0));
  }
};

// A classifier with one hidden layer and its data; `rate` of dropout. Rows may be seen
// as images.
template <class T>
class Trained {
 public:
  explicit Trained(const Problem& p, double rate = 0.25, Shape image = {})
      : batch(p.batch), problem_(p), builder_(p.batch, p.features) {
    builder_.dense(p.hidden);
    builder_.tanh();
    if (rate > 0) builder_.dropout(rate);
    builder_.dense(p.classes);
    builder_.softmax();
    NodePlan& input = builder_.plan.nodes[0];
    if (!image.empty()) input.shapes.output = input.value_shape = std::move(image);
    const auto count = static_cast<size_t>(builder_.count);
    weights.resize(count);
    gradients.resize(count);
    for (size_t i = 0; i < count; ++i)
      weights[i] = static_cast<T>(0.2 * std::sin(1.3 * static_cast<double>(i)));
    x_.resize(static_cast<size_t>(p.rows * p.features));
    for (int64_t i = 0; i < p.rows; ++i) {
      for (int64_t j = 0; j < p.features; ++j) {
        const bool of_class = j % p.classes == i * 7 % p.classes;
        const int64_t at = i * p.features + j;
        if (p.zeros(i, j)) continue;
        x_[static_cast<size_t>(at)] =
            static_cast<uint8_t>(1 + at * 37 % 101 + (of_class ? 150 : 0));
      }
      labels_.push_back(static_cast<int32_t>(i * 7 % p.classes));
      order_.push_back((i * 5 + 3) % p.rows);
      row_weights_.push_back(1 + 0.25 * static_cast<double>(i % 3));
    }
    data.inputs = {{x_.data(), Element::uint8, p.features, 1.0 / 255}};
    data.targets = {{labels_.data(), nullptr, 1}};
    data.weights = row_weights_.data();
    executor =
        std::make_unique<Executor<T>>(builder_.plan, weights.data(), gradients.data());
    std::vector<LossPlan<T>> losses(1);
    losses[0].loss =
        make_loss<T>("softmax_cross_entropy", with({{"label_smoothing", 0.1}}));
    losses[0].node = logits();
    executor->set_losses(std::move(losses));
  }

  [[nodiscard]] int logits() const { return builder_.plan.outputs[0] - 1; }
  [[nodiscard]] Rows rows() const { return {order_.data(), 0, problem_.rows}; }

  void optimize(const char* rule, const Attributes& attributes, double max_norm,
                double l2 = 0.01) {
    std::vector<Segment> segments;
    for (const NodePlan& node : builder_.plan.nodes)
      for (const ParameterPlan& p : node.parameters)
        segments.push_back({.offset = p.offset,
                            .size = p.size,
                            .columns = size_of(node.shapes.output),
                            .decays = &p == node.parameters.data(),
                            .l2 = l2,
                            .max_norm = max_norm});
    auto updater = make_updater<T>(rule, attributes);
    slots_.assign(static_cast<size_t>(updater->slots()), std::vector<T>(weights.size()));
    std::vector<T*> arrays;
    for (std::vector<T>& slot : slots_) arrays.push_back(slot.data());
    executor->set_update(
        Update<T>(std::move(updater), weights.data(), gradients.data(), arrays, segments));
  }

  // Whole epochs; the number of steps taken.
  int64_t train(int workers, int epochs, double learning_rate = 0.01) {
    const int64_t steps = (problem_.rows + batch - 1) / batch;
    int64_t taken = 0;
    for (int epoch = 0; epoch < epochs; ++epoch) {
      std::vector<double> epoch_costs(static_cast<size_t>(steps)), sums(epoch_costs.size());
      const TrainRequest request{
          .rows = rows(),
          .batch_size = batch,
          .learning_rates = std::vector<double>(epoch_costs.size(), learning_rate),
          .first_step = epoch * steps,
          .seed = 11,
          .costs = epoch_costs.data(),
          .weights = sums.data()};
      taken += executor->train({workers, workers}, data, request, {});
      costs.insert(costs.end(), epoch_costs.begin(), epoch_costs.end());
    }
    return taken;
  }

  // One step; 0 where it was stopped, and then nothing has changed.
  int64_t step(int workers, Stopping* stopping = nullptr) {
    double cost = 0, sum = 0;
    const TrainRequest request{.rows = rows().part(0, batch),
                               .batch_size = batch,
                               .learning_rates = {0.01},
                               .seed = 11,
                               .costs = &cost,
                               .weights = &sum,
                               .stopping = stopping};
    const std::vector<T> before = weights;
    const std::vector<std::vector<T>> slots = slots_;
    const int64_t taken = executor->train({workers, workers}, data, request, {});
    if (taken > 0) return taken;
    std::ranges::copy(before, weights.begin());
    for (size_t i = 0; i < slots.size(); ++i)
      std::ranges::copy(slots[i], slots_[i].begin());
    return 0;
  }

  // The same rows, of which only what is not 0 lies in memory.
  void make_sparse() {
    starts_ = {0};
    for (int64_t i = 0; i < problem_.rows; ++i) {
      for (int64_t j = 0; j < problem_.features; ++j) {
        const uint8_t x = x_[static_cast<size_t>(i * problem_.features + j)];
        if (x == 0) continue;
        values_.push_back(x);
        columns_.push_back(static_cast<int32_t>(j));
      }
      starts_.push_back(static_cast<int64_t>(values_.size()));
    }
    Source& source = data.inputs[0];
    source.data = values_.data(), source.starts = starts_.data();
    source.at = columns_.data();
  }

  // Outputs are steps of four classes, and none to two labels of a row are aligned with
  // these; an end mark is behind them.
  void align(int64_t steps) {
    for (int64_t i = 0; i < problem_.rows; ++i) {
      label_starts_.push_back(static_cast<int64_t>(aligned_.size()));
      for (int64_t j = 0; j < i % 3; ++j)
        aligned_.push_back(static_cast<int32_t>(1 + (i + j) % 3));
      aligned_.push_back(0);
      label_lengths_.push_back(i % 3 + 1);
    }
    data.targets = {{.labels = aligned_.data(),
                     .columns = 1,
                     .sequences = {label_starts_.data(), label_lengths_.data()}}};
    std::vector<LossPlan<T>> losses(1);
    losses[0].loss = make_loss<T>("softmax_ctc", with({{"blank", int64_t{0}}}));
    losses[0].node = logits();
    losses[0].places = steps;
    executor->set_losses(std::move(losses));
  }

  int64_t batch;  // of training; more rows than the plan has room for go in passes
  std::vector<T> weights, gradients;
  std::vector<double> costs;
  std::unique_ptr<Executor<T>> executor;
  Data<T> data;

 private:
  Problem problem_;
  PlanBuilder builder_;
  std::vector<uint8_t> x_, values_;
  std::vector<int32_t> labels_, columns_, aligned_;
  std::vector<int64_t> starts_, label_starts_, label_lengths_;
  std::vector<int64_t> order_;
  std::vector<double> row_weights_;
  std::vector<std::vector<T>> slots_;
};

template <class V>
bool same_bits(const std::vector<V>& a, const std::vector<V>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(V)) == 0;
}

Attributes sweep_with(
    std::initializer_list<std::pair<const char*, Attributes::Value>> own) {
  Attributes attributes = with(own);
  attributes.set("weight_decay", 0.01);
  attributes.set("clip_value", 0.0);
  attributes.set("clip_norm", 0.5);
  return attributes;
}

struct Method {
  const char* name;
  Attributes attributes;
};

std::vector<Method> methods() {
  return {{"adam", sweep_with({{"beta1", 0.9},
                               {"beta2", 0.99},
                               {"epsilon", 1e-8},
                               {"amsgrad", 0L},
                               {"epsilon_hat", 0L}})},
          {"sgd", sweep_with({{"momentum", 0.9}, {"nesterov", 1L}})}};
}

template <class T>
Trained<T> trained(const Problem& problem, const Method& method, int workers, int epochs) {
  Trained<T> net(problem);
  net.optimize(method.name, method.attributes, 0.7);
  net.train(workers, epochs);
  return net;
}

// Wide layers, whose products and sweeps have several parts, and a last batch that is
// shorter; long rows into few units, which are cut along the features; long batches into
// few units, whose gradients are cut along the batch; a small net, whose phases are over
// before a worker has come.
constexpr Problem wide{150, 300, 260, 40, 64}, narrow{45, 400, 20, 3, 20},
    long_batch{330, 40, 50, 5, 200}, small{53, 9, 12, 3, 12};
// Features that are 0 in a whole batch: in halves, in blocks of halves, in rows and columns
// of W, and where dW is summed over two halves of the batch.
constexpr Problem sparse_narrow{45, 400, 20, 3, 20, true},
    sparse_blocks{170, 512, 128, 5, 160, true}, sparse_wide{150, 300, 260, 40, 64, true},
    sparse_long{330, 70, 24, 5, 300, true};

template <class T>
void workers_change_no_bit(const Problem& problem, int epochs) {
  for (const Method& method : methods()) {
    const Trained<T> alone = trained<T>(problem, method, 1, epochs);
    CHECK(alone.costs.back() < alone.costs.front());
    for (const int workers : {2, 3, 4}) {
      const Trained<T> net = trained<T>(problem, method, workers, epochs);
      CHECK(same_bits(net.weights, alone.weights));
      CHECK(same_bits(net.costs, alone.costs));
    }
  }
}

template <class T>
void sparse_rows_change_no_bit(const Problem& problem) {
  const Method method = methods()[0];
  const Trained<T> dense = trained<T>(problem, method, 1, 2);
  for (const int workers : {1, 3}) {
    Trained<T> net(problem);
    net.make_sparse();
    net.optimize(method.name, method.attributes, 0.7);
    net.train(workers, 2);
    CHECK(same_bits(net.weights, dense.weights));
  }
}

// Some columns of a row, those at its ends and beyond what is there too.
void columns_of_sparse_rows() {
  const std::vector<float> values{1, 2, 3};
  const std::vector<int32_t> at{0, 4, 5};
  const std::vector<int64_t> starts{0, 3, 3};
  const Source source{values.data(), Element::float32, 6, 2, starts.data(), at.data()};
  std::vector<double> some(4, 7);
  read_row(source, 0, {1, 5}, some.data());
  CHECK((some == std::vector<double>{0, 0, 0, 4}));
  read_row(source, 0, {0, 4}, some.data());
  CHECK((some == std::vector<double>{2, 0, 0, 0}));
  read_row(source, 1, {2, 6}, some.data());
  CHECK((some == std::vector<double>(4, 0)));
}

// A batch of several passes through the plan: the cost is whole after the last.
void batches_in_passes() {
  const auto run = [](int workers) {
    auto net = std::make_unique<Trained<float>>(small, 0);
    net->batch = 30;
    net->optimize("adam", methods()[0].attributes, 0);
    CHECK(net->train(workers, 20) == 40);
    return net;
  };
  const auto one = run(1);
  CHECK(one->costs.back() < one->costs.front());
  for (const int workers : {2, 3, 4}) CHECK(same_bits(run(workers)->weights, one->weights));
}

// Rules whose updates follow on the gradients at once, plain descent by the layer itself.
std::vector<Method> early_methods(double clip_norm) {
  std::vector<Method> methods{{"sgd", with({{"momentum", 0.0}, {"nesterov", 0L}})},
                              {"sgd", with({{"momentum", 0.9}, {"nesterov", 1L}})},
                              {"adam", with({{"beta1", 0.9},
                                             {"beta2", 0.99},
                                             {"epsilon", 1e-6},
                                             {"amsgrad", 0L},
                                             {"epsilon_hat", 0L}})}};
  for (Method& method : methods) {
    method.attributes.set("weight_decay", 0.0);
    method.attributes.set("clip_value", 0.0);
    method.attributes.set("clip_norm", clip_norm);
  }
  return methods;
}

// The same weights as where all gradients are written and then swept, for which a limit
// of the norm that is never reached sees; the same bits for any number of workers.
template <class T>
void early_updates(const Problem& problem, double tolerance) {
  const std::vector<Method> early = early_methods(0), late = early_methods(1e30);
  for (size_t i = 0; i < early.size(); ++i) {
    const auto run = [&](const Method& method, int workers) {
      auto net = std::make_unique<Trained<T>>(problem, 0);
      net->optimize(method.name, method.attributes, 0.9, 0);
      net->train(workers, 2, i == 0 ? 0.1 : 0.01);
      return net;
    };
    const auto one = run(early[i], 1), reference = run(late[i], 1);
    CHECK(one->costs.back() < one->costs.front());
    double worst = 0;
    for (size_t j = 0; j < one->weights.size(); ++j)
      worst = std::max(worst, std::abs(static_cast<double>(one->weights[j]) -
                                       static_cast<double>(reference->weights[j])));
    CHECK(worst < tolerance);
    for (const int workers : {2, 3, 4})
      CHECK(same_bits(run(early[i], workers)->weights, one->weights));
  }
}

// Only one of them gets the pool at a time; the others train alone.
void several_nets_at_once() {
  const Method method = methods()[0];
  const Trained<float> alone = trained<float>(small, method, 1, 10);
  std::vector<int> same(3);
  std::vector<std::thread> threads;
  for (int& result : same)
    threads.emplace_back([&] {
      result = same_bits(trained<float>(small, method, 3, 10).weights, alone.weights);
    });
  for (std::thread& thread : threads) thread.join();
  for (const int result : same) CHECK(result == 1);
}

// The mean cost by its gradient and by 4-point central differences. 53 rows in a plan
// for 12: gradients of five stretches add up.
void gradient_by_differences() {
  Trained<double> net(small, 0);
  const auto cost = [&](int workers) {
    return net.executor->gradient(workers, net.data, net.rows(), {true, 1, 2}, {});
  };
  const double found = cost(2);
  const std::vector<double> gradients = net.gradients;
  CHECK(found == cost(1) && same_bits(gradients, net.gradients));
  for (size_t i = 0; i < net.weights.size(); i += 5) {
    const double before = net.weights[i], h = 1e-3;
    const auto moved = [&](double by) {
      net.weights[i] = before + by;
      return cost(1);
    };
    const double slope =
        (8 * (moved(h) - moved(-h)) - (moved(2 * h) - moved(-2 * h))) / (12 * h);
    net.weights[i] = before;
    CHECK_CLOSE(gradients[i], slope, 1e-9);
  }
}

// All rows, in as many calls as that takes.
void forward(const Trained<float>& net, int workers, const Data<float>& data, Rows rows,
             const Results<float>& results) {
  for (int64_t done = 0; done < rows.count;)
    done = net.executor->forward(workers, data, rows, {}, results, done);
}

// Outputs and costs of each row land at the row's place in the data.
void forward_by_rows() {
  Trained<float> net(small);
  const auto outputs_of = [&](int workers, Rows rows, std::vector<double>& costs) {
    std::vector<float> outputs(static_cast<size_t>(small.rows * small.classes), -1);
    costs.assign(static_cast<size_t>(small.rows), -1);
    forward(net, workers, net.data, rows, {{outputs.data()}, costs.data()});
    return outputs;
  };
  std::vector<double> costs, shuffled_costs, some_costs;
  const Rows in_order{nullptr, 0, small.rows};
  const std::vector<float> outputs = outputs_of(1, in_order, costs);
  CHECK(same_bits(outputs, outputs_of(3, net.rows(), shuffled_costs)));
  CHECK(same_bits(costs, shuffled_costs));
  const std::vector<float> some = outputs_of(2, in_order.part(20, 7), some_costs);
  for (size_t i = 0; i < some_costs.size(); ++i)
    CHECK(some_costs[i] == (i >= 20 && i < 27 ? costs[i] : -1));
  CHECK(some.front() == -1 && some.back() == -1);
}

// The step whose cost is not finite is not taken.
void not_finite() {
  Trained<float> net(small);
  const Method method = methods()[1];
  net.optimize(method.name, method.attributes, 0);
  std::vector<double> weights(static_cast<size_t>(small.rows), 1.0);
  weights[static_cast<size_t>(net.rows()[2 * small.batch])] =
      std::numeric_limits<double>::quiet_NaN();
  net.data.weights = weights.data();
  CHECK(net.train(3, 1) == 2);
  bool finite = true;
  for (const float w : net.weights) finite = finite && std::isfinite(w);
  CHECK(finite);
}

// A step that is stopped, wherever that is, ends for all workers and is not counted; the
// next one is taken as ever.
void stopped(int workers) {
  const auto begin = [] {
    auto net = std::make_unique<Trained<float>>(long_batch);
    net->optimize(methods()[1].name, methods()[1].attributes, 0);
    return net;
  };
  const auto whole = begin();
  whole->step(workers);
  for (int limit = 0;; ++limit) {
    const auto net = begin();
    int asked = 0;
    Stopping stopping([&] { return asked++ == limit; }, {});
    const bool cut = net->step(workers, &stopping) == 0;
    if (cut) CHECK(net->step(workers) == 1);
    CHECK(same_bits(net->weights, whole->weights));
    if (!cut) {
      CHECK(workers > 1 || limit > 3);  // others may take the tasks of worker 0
      break;
    }
  }
}

bool are_probabilities(const std::vector<float>& rows) {
  for (size_t i = 0; i < rows.size(); i += small.classes) {
    float sum = 0;
    for (size_t j = 0; j < small.classes; ++j) sum += rows[i + j];
    if (std::abs(sum - 1) > 1e-5F) return false;
  }
  return true;
}

// An error of the user's own loss reaches the caller, and the net is usable after it: the
// softmax, which training has no use for, is computed again.
void error_in_a_callback() {
  Trained<float> net(small);
  const Method method = methods()[1];
  net.optimize(method.name, method.attributes, 0);
  int calls = 0;
  std::vector<LossPlan<float>> losses(1);
  losses[0].node = net.logits();
  losses[0].callback = [&](const float*, int64_t, Rows rows, float* gradient) {
    if (++calls == 3) throw std::runtime_error("third call");
    std::fill_n(gradient, rows.count * small.classes, 0.5F);
    return 1.0;
  };
  net.executor->set_losses(std::move(losses));
  bool thrown = false;
  try {
    net.train(2, 1);
  } catch (const std::runtime_error& error) {
    thrown = std::strcmp(error.what(), "third call") == 0;
  }
  CHECK(thrown && calls == 3);
  std::vector<float> outputs(static_cast<size_t>(small.rows * small.classes));
  Data<float> inputs = net.data;
  inputs.targets.clear();
  forward(net, 2, inputs, net.rows(), {{outputs.data()}, nullptr});
  CHECK(are_probabilities(outputs));
  CHECK(net.train(2, 1) == 5);
}

// Images changed and mixed, and their targets with them.
template <class T>
void workers_augment_alike(const Problem& problem, const Shape& image) {
  const auto change = [](const char* type, int64_t key,
                         std::initializer_list<std::pair<const char*, double>> fields) {
    Attributes one = with({{"type", type}, {"probability", 0.8}, {"fill", 0.1}});
    one.set("key", key);
    one.set("field_key", key + 1);
    for (const auto& [name, value] : fields) one.set(name, value);
    return one;
  };
  const std::vector<Attributes> changes{
      change("rotate", 100, {{"degrees", 30.0}}),
      change("elastic", 102, {{"alpha", 8.0}, {"sigma", 2.0}}),
      change("mixup", 104, {{"alpha", 0.4}}), change("cutmix", 106, {{"alpha", 1.0}})};
  const auto run = [&](int workers) {
    auto net = std::make_unique<Trained<T>>(problem, 0.25, image);
    net->optimize("sgd", methods()[1].attributes, 0);
    net->executor->set_augmentation(changes);
    net->train(workers, 3);
    return net;
  };
  const auto one = run(1), plain = std::make_unique<Trained<T>>(problem);
  plain->optimize("sgd", methods()[1].attributes, 0);
  plain->train(1, 3);
  CHECK(!same_bits(one->weights, plain->weights));
  for (const int workers : {2, 3, 4}) CHECK(same_bits(run(workers)->weights, one->weights));
}

// Labels that are aligned: one worker or several, longer batches in passes.
template <class T>
void alignments_are_the_same() {
  const Problem problem{43, 9, 12, 20, 12};
  std::vector<Trained<T>> nets;
  nets.reserve(3);
  for (const int workers : {1, 2, 3}) {
    Trained<T>& net = nets.emplace_back(problem);
    net.align(5);
    net.optimize("sgd", methods()[1].attributes, 0);
    net.train(workers, 10, 0.05);
    CHECK(net.costs.back() < net.costs.front());
    CHECK(same_bits(net.weights, nets[0].weights));
    CHECK(same_bits(net.costs, nets[0].costs));
  }
  const double whole = nets[0].executor->gradient(2, nets[0].data, nets[0].rows(), {}, {});
  std::vector<double> costs(static_cast<size_t>(problem.rows));
  for (int64_t done = 0; done < problem.rows;)
    done = nets[0].executor->forward(2, nets[0].data, {nullptr, 0, problem.rows}, {},
                                     {.outputs = {}, .costs = costs.data()}, done);
  double sum = 0, weights = 0;
  for (size_t i = 0; i < costs.size(); ++i) {
    sum += nets[0].data.weights[i] * costs[i];
    weights += nets[0].data.weights[i];
  }
  CHECK_CLOSE(sum / weights, whole, 1e-6);
}

}  // namespace

int main() {
  alignments_are_the_same<float>();
  alignments_are_the_same<double>();
  workers_change_no_bit<float>(small, 8);
  workers_change_no_bit<double>(small, 8);
  workers_change_no_bit<float>(narrow, 4);
  workers_change_no_bit<float>(long_batch, 4);
  workers_change_no_bit<double>(long_batch, 4);
  workers_change_no_bit<float>(wide, 2);
  for (const Problem& problem :
       {narrow, wide, long_batch, small, sparse_narrow, sparse_wide, sparse_long}) {
    early_updates<double>(problem, 1e-11);
    early_updates<float>(problem, 2e-3);
  }
  early_updates<float>(sparse_blocks, 2e-3);
  for (const Problem& problem : {small, narrow, sparse_narrow, sparse_wide, sparse_long}) {
    sparse_rows_change_no_bit<float>(problem);
    sparse_rows_change_no_bit<double>(problem);
  }
  columns_of_sparse_rows();
  workers_augment_alike<float>(narrow, {20, 20, 1});
  workers_augment_alike<double>(small, {3, 3, 1});
  batches_in_passes();
  several_nets_at_once();
  gradient_by_differences();
  forward_by_rows();
  not_finite();
  for (const int workers : {1, 2, 3}) stopped(workers);
  error_in_a_callback();
  return check::report();
}
