// SPDX-License-Identifier: BSD-3-Clause
#include "executor.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>
#include <optional>

#include "kernels/list.h"

namespace nervure {
namespace {

// Brings the rows of the next batch into the cache: shuffled rows come from memory, and
// waiting for them took a third of a small net's time (784-30-10, batch 10). A core that
// asks for more than some twenty lines at once waits for them, so it asks for a few at a
// time, as often as in the step before.
class Ahead {
 public:
  void begin(const Source& source, Rows rows, Range columns) {
    const int64_t size = bytes_of(source.element);
    data_ = static_cast<const char*>(source.data) + columns.begin * size;
    row_bytes_ = source.columns * size;
    wanted_bytes_ = columns.size() * size;
    rows_ = rows;
    row_ = offset_ = 0;
    const int64_t lines = rows.count * (wanted_bytes_ / line + 2);
    quota_ = parts_of(lines, std::max<int64_t>(1, calls_));
    calls_ = 0;
  }

  void fetch() {
    ++calls_;
    for (int64_t left = quota_; left > 0 && row_ < rows_.count; --left) {
      __builtin_prefetch(data_ + rows_[row_] * row_bytes_ + offset_, 0, 2);
      offset_ += line;
      if (offset_ >= wanted_bytes_ + line) {
        offset_ = 0;
        ++row_;
      }
    }
  }

 private:
  static constexpr int64_t line = 64;
  const char* data_ = nullptr;
  Rows rows_;
  int64_t row_bytes_ = 0, wanted_bytes_ = 0, row_ = 0, offset_ = 0, quota_ = 0;
  int64_t calls_ = 0;  // of fetch() since begin()
};

// The node that alone reads the only input of a network; else none.
std::optional<int> only_reader(const Plan& plan) {
  if (plan.inputs.size() != 1) return {};
  const int input = plan.inputs[0];
  std::vector<int> readers;
  for (size_t i = 0; i < plan.nodes.size(); ++i)
    for (const EdgePlan& edge : plan.nodes[i].inputs)
      if (edge.node == input) readers.push_back(static_cast<int>(i));
  const bool put_out = std::ranges::find(plan.outputs, input) != plan.outputs.end();
  if (put_out || readers.size() != 1) return {};
  return readers[0];
}

int64_t rows_per_part(int64_t columns) {
  return std::max<int64_t>(1, elementwise_grain / std::max<int64_t>(1, columns));
}

}  // namespace

template <class T>
struct Executor<T>::Batch {
  Rows rows;              // of this pass
  double weight_sum = 0;  // of all rows that the cost is a mean over
  PassKey key;
  int64_t first_row = 0;  // of this pass within the batch
  bool halves = false;    // does the first reader read the rows itself?
};

// What a training step does with its gradients.
template <class T>
struct Executor<T>::Learning {
  const Update<T>& update;
  const EarlyUpdates<T>& early;
  StepNow now;
};

// What the workers of one call share. All but the crew is written in a phase of one part
// and read after it.
template <class T>
struct Executor<T>::Shared {
  explicit Shared(int workers) : crew(workers) {}
  Crew crew;
  std::exception_ptr error;
};

// The program of one worker. Workers may be phases apart: what is decided outside of a
// phase must follow from what no later phase changes.
template <class T>
class Executor<T>::Program {
 public:
  Program(Executor& executor, const Data<T>& data, const Results<T>& results, int worker,
          Shared& shared)
      : executor_(executor),
        data_(data),
        results_(results),
        worker_(worker),
        shared_(shared) {}

  [[nodiscard]] double weight_sum(Rows rows) const {
    if (data_.weights == nullptr) return static_cast<double>(rows.count);
    double sum = 0;
    for (int64_t i = 0; i < rows.count; ++i) sum += data_.weights[rows[i]];
    return sum;
  }

  void forward_pass(const Batch& batch) {
    if (!batch.halves) gather(batch);
    for (size_t node = 0; node < executor_.steps_.size(); ++node) {
      const Step<T>* step = executor_.steps_[node].get();
      if (step == nullptr || executor_.skipped_[node]) continue;
      const Context<T> context = context_of(static_cast<int>(node), batch);
      each_part(step->forward_work(batch.rows.count),
                [&](Task task) { step->forward(context, task); });
    }
    keep_outputs(batch);
  }

  // Row costs; where asked for, dC/doutput.
  void loss_pass(const Batch& batch, bool gradients) {
    bool first = true;
    for (const LossPlan<T>& plan : executor_.losses_) {
      if (plan.callback)
        callback_loss(plan, batch, gradients, first);
      else
        native_loss(plan, batch, gradients, first);
      first = false;
    }
    if (results_.costs == nullptr) return;
    each_of(1, [&](int64_t) {
      for (int64_t i = 0; i < batch.rows.count; ++i)
        results_.costs[batch.rows[i]] = executor_.row_costs_[static_cast<size_t>(i)];
    });
  }

  // With `learning`, the updates that can follow at once.
  void backward_pass(const Batch& batch, const Learning* learning) {
    for (size_t i = executor_.steps_.size(); i-- > 0;) {
      const NodePlan& node = executor_.plan_.nodes[i];
      if (!node.backward) continue;
      const Step<T>* step = executor_.steps_[i].get();
      Context<T> context = context_of(static_cast<int>(i), batch);
      std::optional<NodeLearner<T>> learner;
      if (learning != nullptr)
        context.learner =
            &learner.emplace(learning->update, learning->early, learning->now, i);
      each_part(step->backward_work(batch.rows.count),
                [&](Task task) { step->backward(context, task); });
    }
  }

  // All rows of one batch, in stretches that the plan has room for; the mean cost goes
  // to `cost`, which is not used for another batch. With `learning` the early updates are
  // made, unless the cost is not finite: then this returns false.
  bool cost_and_gradient(Rows rows, PassKey key, double& cost,
                         const Learning* learning = nullptr) {
    Batch batch{.rows = rows, .weight_sum = weight_sum(rows), .key = key};
    const int64_t most = executor_.plan_.rows;
    for (int64_t first = 0; first < rows.count; first += most) {
      batch.rows = rows.part(first, std::min(most, rows.count - first));
      batch.first_row = first;
      batch.halves = learning != nullptr && halves(batch.rows.count, key);
      forward_pass(batch);
      loss_pass(batch, true);
      each_of(1, [&](int64_t) {
        if (batch.first_row == 0) cost = 0;
        for (int64_t i = 0; i < batch.rows.count; ++i)
          cost += share(batch, i) * executor_.row_costs_[static_cast<size_t>(i)];
      });
      const bool last = first + most >= rows.count;  // no later phase changes the cost
      if (learning != nullptr && last) {
        shared_.crew.settle(worker_, mark_);
        if (!std::isfinite(cost)) return false;
      }
      backward_pass(batch, learning);
    }
    return true;
  }

  // The steps from `step` to `end`; returns the first one not taken.
  int64_t train(const TrainRequest& request, int64_t step, int64_t end, Update<T>& update) {
    enter(update);
    for (; step < end; ++step) {
      const int64_t begin = step * request.batch_size;
      const Rows rows = request.rows.part(
          begin, std::min(request.batch_size, request.rows.count - begin));
      const int64_t number = request.first_step + step;
      const PassKey key{true, request.seed, static_cast<uint64_t>(number),
                        executor_.augmenter_.has_value()};
      look_ahead(request, key, begin + request.batch_size);
      if (worker_ == 0) request.weights[step] = weight_sum(rows);
      const double rate = request.learning_rates[static_cast<size_t>(step)];
      const Learning learning{update, executor_.early(rows.count), {rate, number + 1}};
      if (!cost_and_gradient(rows, key, request.costs[step], &learning)) break;
      update_pass(update, learning);
    }
    leave(update);
    return step;
  }

 private:
  template <class Call>
  void each_part(const Work& work, Call&& call) {
    for (int phase = 0; phase < static_cast<int>(work.size()); ++phase) {
      const int64_t parts = work[static_cast<size_t>(phase)];
      if (parts == 0) break;
      each_of(parts, [&](int64_t i) {
        call(Task{phase, i});
        if (parts > 1) ahead_.fetch();
      });
      ahead_.fetch();
    }
  }

  template <class Call>
  void each_of(int64_t parts, Call&& call) {
    mark_ = shared_.crew.phase(worker_, mark_, parts, call);
  }

  // All rows, in parts of nearly equal length, of no more than a grain.
  template <class Call>
  void each_row(int64_t rows, int64_t grain, Call&& call) {
    const int64_t parts = parts_of(rows, grain);
    each_of(parts, [&](int64_t part) {
      const Range range = share_of(rows, parts, part);
      for (int64_t i = range.begin; i < range.end; ++i) call(i);
    });
  }

  [[nodiscard]] Context<T> context_of(int node, const Batch& batch) const {
    Context<T> context = executor_.context(node, batch);
    if (batch.halves && node == executor_.first_reader_) {
      context.source = data_.inputs.data();
      context.source_rows = batch.rows;
    }
    return context;
  }

  // Are rows of the only input read by the kernel's parts that use them?
  [[nodiscard]] bool halves(int64_t rows, const PassKey& key) const {
    const std::optional<int> reader = executor_.first_reader_;
    return reader && !key.augmented &&
           executor_.steps_[static_cast<size_t>(*reader)]->by_halves(rows);
  }
  void gather(const Batch& batch) {
    if (batch.key.augmented) return gather_augmented(batch);
    for (size_t i = 0; i < data_.inputs.size(); ++i) {
      const Source& source = data_.inputs[i];
      const int node = executor_.plan_.inputs[i];
      T* x = executor_.at(executor_.plan_.nodes[static_cast<size_t>(node)].value);
      each_row(batch.rows.count, rows_per_part(source.columns), [&](int64_t row) {
        read_row(source, batch.rows[row], {0, source.columns}, x + row * source.columns);
      });
    }
  }

  // Pairs of rows, which may be mixed: a pass begins on an even row of its batch.
  void gather_augmented(const Batch& batch) {
    const augment::Augmenter<T>& augmenter = *executor_.augmenter_;
    const Source& source = data_.inputs[0];
    const NodePlan& node =
        executor_.plan_.nodes[static_cast<size_t>(executor_.plan_.inputs[0])];
    T* x = executor_.at(node.value);
    T* scratch = executor_.augment_scratch_.data() + worker_ * augmenter.scratch();
    const auto limits = augment::limits_of<T>(source);
    each_of(parts_of(batch.rows.count, 2), [&](int64_t part) {
      const Range range = range_of(batch.rows.count, 2, part);
      const augment::Moment at{batch.key.seed, batch.key.step,
                               batch.first_row + range.begin};
      const auto read = [&](int64_t i, Range columns, T* out) {
        read_row(source, batch.rows[range.begin + i], columns, out);
      };
      const double share = augmenter.rows(range.end - range.begin, at, limits, read,
                                          x + range.begin * source.columns, scratch);
      for (int64_t i = range.begin; i < range.end; ++i)
        executor_.shares_[static_cast<size_t>(i)] = share;
    });
  }

  // The target of row i of a batch: of a mixed row, that of both images by their shares.
  Target<T> target_of(const Batch& batch, size_t which, int64_t i, int64_t size) {
    const Targets<T>& targets = data_.targets[which];
    const auto plain = [&](int64_t row) {
      Target<T> target;
      if (targets.labels != nullptr) target.label = targets.labels[row];
      if (targets.values != nullptr) target.values = targets.values + row * targets.columns;
      return target;
    };
    const Target<T> own = plain(batch.rows[i]);
    const double share =
        batch.key.augmented ? executor_.shares_[static_cast<size_t>(i)] : 1;
    if (share == 1) return own;
    const Target<T> other = plain(batch.rows[i ^ 1]);
    T* mixed = executor_.mixed_targets_[which].data() + i * size;
    std::fill_n(mixed, size, T(0));
    const auto add = [&](const Target<T>& target, T part) {
      if (target.values == nullptr) mixed[target.label] += part;
      for (int64_t j = 0; target.values != nullptr && j < size; ++j)
        mixed[j] += part * target.values[j];
    };
    add(own, static_cast<T>(share));
    add(other, 1 - static_cast<T>(share));
    return {.values = mixed};
  }

  void keep_outputs(const Batch& batch) {
    for (size_t i = 0; i < results_.outputs.size(); ++i) {
      if (results_.outputs[i] == nullptr) continue;
      const NodePlan& node =
          executor_.plan_.nodes[static_cast<size_t>(executor_.plan_.outputs[i])];
      const int64_t size = size_of(node.shapes.output);
      const T* y = executor_.at(node.value);
      each_row(batch.rows.count, rows_per_part(size), [&](int64_t row) {
        std::copy_n(y + row * size, size, results_.outputs[i] + batch.rows[row] * size);
      });
    }
  }

  // w_i / sum of w.
  [[nodiscard]] double share(const Batch& batch, int64_t row) const {
    if (batch.weight_sum == 0) return 0;
    const double weight = data_.weights == nullptr ? 1 : data_.weights[batch.rows[row]];
    return weight / batch.weight_sum;
  }

  void native_loss(const LossPlan<T>& plan, const Batch& batch, bool gradients,
                   bool first) {
    const size_t which = static_cast<size_t>(&plan - executor_.losses_.data());
    const NodePlan& node = executor_.plan_.nodes[static_cast<size_t>(plan.node)];
    const int64_t size = size_of(node.shapes.output);
    const T* y = executor_.at(node.value);
    T* dy = gradients ? executor_.at(node.gradient) : nullptr;
    const int64_t grain = std::max<int64_t>(8, rows_per_part(size) / 16);
    each_row(batch.rows.count, grain, [&](int64_t i) {
      const Target<T> target = target_of(batch, which, i, size);
      T* d = dy == nullptr ? nullptr : dy + i * size;
      const double cost = plan.weight * members_cost(plan, y + i * size, target, size, d);
      double& total = executor_.row_costs_[static_cast<size_t>(i)];
      total = first ? cost : total + cost;
      if (d == nullptr) return;
      const T factor =
          static_cast<T>(plan.weight * share(batch, i) / static_cast<double>(plan.members));
      for (int64_t j = 0; j < size; ++j) d[j] *= factor;
    });
  }

  // Mean cost of the members; the gradient is that of their sum.
  static double members_cost(const LossPlan<T>& plan, const T* y, const Target<T>& target,
                             int64_t size, T* d) {
    const int64_t width = size / plan.members;
    double sum = 0;
    for (int64_t begin = 0; begin < size; begin += width)
      sum += plan.loss->row(y + begin, target, width, d == nullptr ? d : d + begin);
    return sum / static_cast<double>(plan.members);
  }

  // The user's function sees the batch as a whole, on one worker.
  void callback_loss(const LossPlan<T>& plan, const Batch& batch, bool gradients,
                     bool first) {
    each_of(1, [&](int64_t) {
      const NodePlan& node = executor_.plan_.nodes[static_cast<size_t>(plan.node)];
      const int64_t size = size_of(node.shapes.output);
      T* dy = gradients ? executor_.at(node.gradient) : nullptr;
      double cost = std::numeric_limits<double>::quiet_NaN();
      try {
        cost = plan.weight * plan.callback(executor_.at(node.value), batch.rows, dy);
      } catch (...) {
        shared_.error = std::current_exception();
      }
      double part = 0;
      for (int64_t i = 0; i < batch.rows.count; ++i) {
        double& total = executor_.row_costs_[static_cast<size_t>(i)];
        total = first ? cost : total + cost;
        part += share(batch, i);
      }
      const T factor = static_cast<T>(plan.weight * part);
      for (int64_t j = 0; dy != nullptr && j < batch.rows.count * size; ++j)
        dy[j] *= factor;
    });
  }

  // This worker's share of the next batch.
  void look_ahead(const TrainRequest& request, const PassKey& key, int64_t begin) {
    const Source& source = data_.inputs[0];
    const int64_t count = std::min(request.batch_size, request.rows.count - begin);
    if (count <= 0) return ahead_.begin(source, {}, {0, 0});
    const int64_t workers = shared_.crew.workers();
    const auto share = [&](int64_t total) { return share_of(total, workers, worker_); };
    const bool across = halves(count, key);
    const Range rows = across ? Range{0, count} : share(count);
    const Range columns = across ? share(source.columns) : Range{0, source.columns};
    ahead_.begin(source, request.rows.part(begin + rows.begin, rows.end - rows.begin),
                 columns);
  }

  template <class Call>
  void each_update_part(const std::vector<Bundle>& bundles, Call&& call) {
    if (bundles.empty()) return;
    each_of(static_cast<int64_t>(bundles.size()), [&](int64_t i) {
      for (const Part& part : bundles[static_cast<size_t>(i)]) call(part);
    });
  }

  // Between enter and leave the weights are the point at which the rule wants its
  // gradient (Nesterov looks ahead); for most rules there is nothing to do.
  void enter(const Update<T>& update) {
    if (!update.updater->looks_ahead()) return;
    each_update_part(update.sweeps,
                     [&](const Part& part) { update.updater->enter(update.all(), part); });
  }
  void leave(const Update<T>& update) {
    if (!update.updater->looks_ahead()) return;
    each_update_part(update.sweeps,
                     [&](const Part& part) { update.updater->leave(update.all(), part); });
  }

  void update_pass(Update<T>& update, const Learning& learning) {
    apply(
        update, learning.early.late(), learning.now.learning_rate, learning.now.step,
        [&](const std::vector<Bundle>& bundles, auto&& call) {
          each_update_part(bundles, call);
        },
        [&](auto&& call) { each_of(1, [&](int64_t) { call(); }); });
  }

  Executor& executor_;
  const Data<T>& data_;
  const Results<T>& results_;
  const int worker_;
  Shared& shared_;
  Mark mark_ = 0;  // of the phases so far
  Ahead ahead_;
};

template <class T>
Executor<T>::Executor(Plan plan, T* values, T* gradients)
    : plan_(std::move(plan)),
      parameters_(values),
      parameter_gradients_(gradients),
      memory_(static_cast<size_t>(plan_.arena) * sizeof(T)),
      arena_(static_cast<T*>(memory_.data())),
      row_costs_(static_cast<size_t>(plan_.rows)),
      skipped_(plan_.nodes.size(), false) {
  for (const NodePlan& node : plan_.nodes) {
    steps_.push_back(node.kernel.empty()
                         ? nullptr
                         : Kernels::make<T>(node.kernel, node.attributes, node.shapes));
    auto& inputs = inputs_.emplace_back();
    for (const EdgePlan& edge : node.inputs) {
      const NodePlan& from = plan_.nodes[static_cast<size_t>(edge.node)];
      inputs.push_back({at(from.value), edge.gradient ? at(from.gradient) : nullptr,
                        size_of(from.shapes.output), edge.accumulate});
    }
    auto& weights = weights_.emplace_back();
    for (const ParameterPlan& p : node.parameters)
      weights.push_back({parameters_ + p.offset,
                         p.trainable ? parameter_gradients_ + p.offset : nullptr, p.size,
                         false});
    weights_again_.push_back(weights);
    for (Operand<T>& operand : weights_again_.back()) operand.accumulate = true;
  }
  first_reader_ = only_reader(plan_);
}

template <class T>
Context<T> Executor<T>::context(int index, const Batch& batch) const {
  const auto i = static_cast<size_t>(index);
  const NodePlan& node = plan_.nodes[i];
  return {.rows = batch.rows.count,
          .inputs = inputs_[i],
          .output = {at(node.value), at(node.gradient), size_of(node.shapes.output), false},
          .parameters = batch.first_row > 0 ? weights_again_[i] : weights_[i],
          .saved = at(node.saved),
          .scratch = at(node.scratch),
          .training = batch.key.training && !node.still,
          .seed = batch.key.seed,
          .step = batch.key.step,
          .node = node.random_key,
          .first_row = batch.first_row,
          .learner = nullptr,
          .source = nullptr,
          .source_rows = {}};
}

// Runs body(program) on every worker, or on the caller alone while the pool is busy.
template <class T>
template <class Body>
void Executor<T>::launch(int workers, const Data<T>& data, const Results<T>& results,
                         Body&& body) {
  std::exception_ptr error;
  const auto on = [&](int count) {
    Shared shared(count);
    const bool ran = run_workers(count, [&](int worker) {
      Program program(*this, data, results, worker, shared);
      body(program, worker);
    });
    error = shared.error;
    return ran;
  };
  if (!on(workers)) on(1);
  if (error != nullptr) std::rethrow_exception(error);
}

template <class T>
void Executor<T>::forward(int workers, const Data<T>& data, Rows rows, PassKey key,
                          const Results<T>& results) {
  skipped_.assign(skipped_.size(), false);
  launch(workers, data, results, [&](Program& program, int) {
    for (int64_t first = 0; first < rows.count; first += plan_.rows) {
      Batch batch{.rows = rows.part(first, std::min(plan_.rows, rows.count - first)),
                  .key = key,
                  .first_row = first};
      batch.weight_sum = program.weight_sum(batch.rows);
      program.forward_pass(batch);
      if (data.targets.empty()) continue;
      program.loss_pass(batch, false);
    }
  });
}

template <class T>
double Executor<T>::gradient(int workers, const Data<T>& data, Rows rows, PassKey key,
                             const Results<T>& results) {
  double cost = 0;
  skipped_.assign(skipped_.size(), false);
  launch(workers, data, results,
         [&](Program& program, int) { program.cost_and_gradient(rows, key, cost); });
  return cost;
}

template <class T>
int64_t Executor<T>::train(Workers workers, const Data<T>& data,
                           const TrainRequest& request, const Results<T>& results) {
  using Clock = std::chrono::steady_clock;
  const auto steps = static_cast<int64_t>(request.learning_rates.size());
  skip_idle_nodes(results);
  prepare_augmentation(workers.most);
  prepare_updates(request);
  int64_t taken = 0;
  while (taken < steps) {
    const Pace::Stretch stretch = pace_.next(steps - taken, workers);
    const int64_t first = taken, end = first + stretch.steps;
    const auto begin = Clock::now();
    launch(stretch.workers, data, results, [&](Program& program, int worker) {
      const int64_t reached = program.train(request, first, end, *update_);
      if (worker == 0) taken = reached;
    });
    if (taken < end) break;  // a cost that is not finite
    pace_.took(stretch, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return taken;
}

// Batches have two sizes: that which was asked for, and that of the last one.
template <class T>
void Executor<T>::prepare_updates(const TrainRequest& request) {
  const auto of = [&](int64_t rows) {
    const Batch batch{.rows = {nullptr, 0, rows}, .key = {.training = true}};
    return EarlyUpdates<T>(*update_, plan_, steps_, rows,
                           [&](int node) { return context(node, batch); });
  };
  early_rows_ = std::min(request.batch_size, request.rows.count);
  early_.clear();
  early_.push_back(of(early_rows_));
  early_.push_back(of(request.rows.count % request.batch_size));
}

template <class T>
void Executor<T>::set_augmentation(const std::vector<Attributes>& changes) {
  augmenter_.reset();
  if (changes.empty()) return;
  const int input = plan_.inputs.at(0);
  augmenter_.emplace(changes, plan_.nodes[static_cast<size_t>(input)].shapes.output);
}

// Room for what the workers are about to change and mix.
template <class T>
void Executor<T>::prepare_augmentation(int workers) {
  if (!augmenter_) return;
  augment_scratch_.resize(static_cast<size_t>(workers * augmenter_->scratch()));
  shares_.resize(static_cast<size_t>(plan_.rows));
  if (!augmenter_->mixes()) return;
  mixed_targets_.resize(losses_.size());
  for (size_t i = 0; i < losses_.size(); ++i) {
    const NodePlan& node = plan_.nodes[static_cast<size_t>(losses_[i].node)];
    mixed_targets_[i].resize(static_cast<size_t>(plan_.rows * size_of(node.shapes.output)));
  }
}

// Nodes that neither a loss nor a wanted output depends on: a softmax whose derivative is
// fused with the loss need not be computed in training.
template <class T>
void Executor<T>::skip_idle_nodes(const Results<T>& results) {
  skipped_.assign(plan_.nodes.size(), true);
  const auto want = [&](int node) { skipped_[static_cast<size_t>(node)] = false; };
  for (const LossPlan<T>& loss : losses_) want(loss.node);
  for (size_t i = 0; i < results.outputs.size(); ++i)
    if (results.outputs[i] != nullptr) want(plan_.outputs[i]);
  for (size_t i = plan_.nodes.size(); i-- > 0;)
    if (!skipped_[i])
      for (const EdgePlan& edge : plan_.nodes[i].inputs) want(edge.node);
}

template <class T>
const T* Executor<T>::value(int node) const {
  return at(plan_.nodes.at(static_cast<size_t>(node)).value);
}

template <class T>
const T* Executor<T>::gradient(int node) const {
  return at(plan_.nodes.at(static_cast<size_t>(node)).gradient);
}

template class Executor<float>;
template class Executor<double>;

}  // namespace nervure
