// SPDX-License-Identifier: BSD-3-Clause
#include "executor.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace nervure {
namespace {

// The node that alone reads the only input of a network; else none.
std::optional<size_t> only_reader(const Plan& plan) {
  if (plan.inputs.size() != 1) return {};
  const int input = plan.inputs[0];
  std::vector<size_t> readers;
  for (size_t i = 0; i < plan.nodes.size(); ++i)
    for (const EdgePlan& edge : plan.nodes[i].inputs)
      if (edge.node == input) readers.push_back(i);
  const bool put_out = std::ranges::find(plan.outputs, input) != plan.outputs.end();
  if (put_out || readers.size() != 1) return {};
  const NodePlan& reader = plan.nodes[readers[0]];
  const bool row_by_row =
      reader.clock == nowhere && reader.spread == 1 && reader.sequences == 0;
  return row_by_row ? std::optional(readers[0]) : std::nullopt;
}

// What a training step does with its gradients.
template <class T>
struct Learning {
  const Update<T>& update;
  const EarlyUpdates<T>& early;
  StepNow now;
};

}  // namespace

// ---- the program of one worker --------------------------------------------------------

template <class T>
class Executor<T>::Program {
 public:
  Program(Executor& executor, const Data<T>& data, const Results<T>& results,
          const Worker& worker)
      : executor_(executor),
        data_(data),
        results_(results),
        worker_(worker),
        clocks_(executor.plan_) {}

  // The steps from `step` to `end`; returns the first one not taken.
  int64_t train(const TrainRequest& request, int64_t step, int64_t end, Update<T>& update) {
    enter(update);
    for (; step < end; ++step) {
      const int64_t begin = step * request.batch_size;
      const Rows rows = request.rows.part(
          begin, std::min(request.batch_size, request.rows.count - begin));
      const int64_t number = request.first_step + step;
      const PassKey key{true, request.seed, static_cast<uint64_t>(number),
                        executor_.gathering_.changes()};
      look_ahead(request, key, begin + request.batch_size);
      if (worker_.number() == 0) request.weights[step] = data_.weight_sum(rows);
      const double rate = request.learning_rates[static_cast<size_t>(step)];
      const Learning<T> learning{update, executor_.early(rows.count), {rate, number + 1}};
      if (!cost_and_gradient(rows, key, request.costs[step], &learning)) break;
      update_pass(update, learning);
    }
    leave(update);
    return step;
  }

  // All rows of one batch, in stretches that the plan has room for; the mean cost goes
  // to `cost`, which is not used for another batch. With `learning` the early updates are
  // made, unless the cost is not finite: then, or where it was stopped, this returns false.
  bool cost_and_gradient(Rows rows, PassKey key, double& cost,
                         const Learning<T>* learning = nullptr) {
    Batch batch{.rows = rows, .weight_sum = data_.weight_sum(rows), .key = key};
    const int64_t most = executor_.plan_.rows;
    for (int64_t first = 0; first < rows.count; first += most) {
      batch.rows = rows.part(first, std::min(most, rows.count - first));
      batch.first_row = first;
      forward_pass(batch, learning != nullptr && halves(batch.rows.count, key));
      if (ends(2 * first)) return false;
      loss_pass(batch, true);
      worker_.once([&] {
        if (batch.first_row == 0) cost = 0;
        for (int64_t i = 0; i < batch.rows.count; ++i)
          cost += data_.share(batch, i) * executor_.costs_.of_row(i);
      });
      const bool last = first + most >= rows.count;  // no later phase changes the cost
      if (learning != nullptr && last) {
        worker_.settle();
        if (!std::isfinite(cost)) return false;
      }
      backward_pass(batch, learning);
      if (ends(2 * first + 1)) return false;
    }
    return true;
  }

  // With `halves` the first reader reads the rows itself.
  void forward_pass(const Batch& batch, bool halves = false) {
    halves_ = halves;
    clocks_.set(data_, batch);
    if (!halves) executor_.gathering_.run(worker_, data_, batch, executor_.inputs_);
    for (size_t node = 0; node < executor_.nodes_.size(); ++node) {
      const Step<T>* step = executor_.nodes_.step(node);
      if (step == nullptr || executor_.skipped_[node]) continue;
      const Context<T> context = context_of(node, batch);
      each_task(step->forward_work(extent_of(context)),
                [&](Task task) { step->forward(context, task); });
    }
    keep_outputs(batch);
  }

  void loss_pass(const Batch& batch, bool gradients) {
    executor_.costs_.run(worker_, {data_, batch, executor_.gathering_, clocks_, gradients});
    if (results_.costs == nullptr) return;
    worker_.once([&] {
      for (int64_t i = 0; i < batch.rows.count; ++i)
        results_.costs[batch.rows[i]] = executor_.costs_.of_row(i);
    });
  }

 private:
  // The tasks of a kernel, as long as the call is not stopped.
  template <class Call>
  void each_task(const Work& work, const Call& call) {
    Stopping* const stopping = executor_.stopping_;
    if (stopping == nullptr) return worker_.each_task(work, call);
    worker_.each_task(work, [&](Task task) {
      if (stopping->stopped()) return;
      call(task);
      if (worker_.number() == 0) stopping->look();
    });
  }

  // Whether the call ends at this place.
  bool ends(int64_t place) {
    Stopping* const stopping = executor_.stopping_;
    if (stopping == nullptr) return false;
    worker_.once([&] { stopping->decide(place); });
    worker_.settle();
    return stopping->ends_at(place);
  }

  // With `learning`, the updates that can follow at once.
  void backward_pass(const Batch& batch, const Learning<T>* learning) {
    for (size_t node = executor_.nodes_.size(); node-- > 0;) {
      if (!executor_.plan_.nodes[node].backward) continue;
      const Step<T>* step = executor_.nodes_.step(node);
      Context<T> context = context_of(node, batch);
      std::optional<NodeLearner<T>> learner;
      if (learning != nullptr)
        context.learner =
            &learner.emplace(learning->update, learning->early, learning->now, node);
      each_task(step->backward_work(extent_of(context)),
                [&](Task task) { step->backward(context, task); });
    }
  }

  // What the kernel of a node sees: its rows are those of the batch, or their steps.
  [[nodiscard]] Context<T> context_of(size_t node, const Batch& batch) {
    Context<T> context = executor_.nodes_.context(node, batch);
    const NodePlan& plan = executor_.plan_.nodes[node];
    if (plan.sequences > 0) {
      go_along(context, plan);
    } else if (plan.clock != nowhere) {
      context.rows = clocks_.steps(plan.clock) * plan.spread;
      context.first_row = clocks_.first(plan.clock) * plan.spread;
    }
    if (halves_ && node == executor_.first_reader_) {
      context.source = data_.inputs.data();
      context.source_rows = batch.rows;
    }
    return context;
  }

  // The inputs of a kernel along time, those that are sequences with their lengths.
  void go_along(Context<T>& context, const NodePlan& plan) {
    along_.assign(context.inputs.begin(), context.inputs.end());
    for (size_t i = 0; i < plan.times.size(); ++i) {
      const auto from = static_cast<size_t>(plan.inputs[i].node);
      along_[i].lengths.length = plan.times[i];
      if (plan.times[i] == 0)
        along_[i].lengths.offsets = clocks_.offsets(executor_.plan_.nodes[from].clock);
    }
    context.inputs = along_;
  }

  // Are rows of the only input read by the kernel's parts that use them?
  [[nodiscard]] bool halves(int64_t rows, const PassKey& key) const {
    const std::optional<size_t> reader = executor_.first_reader_;
    if (!reader || data_.inputs[0].sparse()) return false;
    return !key.augmented && executor_.nodes_.step(*reader)->by_halves(rows);
  }

  void keep_outputs(const Batch& batch) {
    for (size_t i = 0; i < results_.outputs.size(); ++i) {
      T* to = results_.outputs[i];
      if (to == nullptr) continue;
      const Operand<T>& node = executor_.nodes_.value(executor_.plan_.outputs[i]);
      const int clock =
          executor_.plan_.nodes[static_cast<size_t>(executor_.plan_.outputs[i])].clock;
      if (clock != nowhere) {
        keep_steps(batch, node, clock, to);
        continue;
      }
      worker_.each_row(batch.rows.count, rows_per_part(node.size), [&](int64_t row) {
        std::copy_n(node.value + row * node.size, node.size,
                    to + batch.rows[row] * node.size);
      });
    }
  }
  void keep_steps(const Batch& batch, const Operand<T>& node, int clock, T* to) {
    const auto input =
        static_cast<size_t>(executor_.plan_.clocks[static_cast<size_t>(clock)]);
    const int64_t *from = clocks_.offsets(clock),
                  *kept = data_.inputs[input].sequences.offsets;
    worker_.each_row(batch.rows.count, 4, [&](int64_t row) {
      std::copy_n(node.value + from[row] * node.size,
                  (from[row + 1] - from[row]) * node.size,
                  to + kept[batch.rows[row]] * node.size);
    });
  }

  // This worker's share of the next batch.
  void look_ahead(const TrainRequest& request, const PassKey& key, int64_t begin) {
    const Source& source = data_.inputs[0];
    const int64_t count = std::min(request.batch_size, request.rows.count - begin);
    if (count <= 0 || source.sequences || source.sparse())
      return worker_.ahead().begin(source, {}, {0, 0});
    const bool across = halves(count, key);
    const Range rows = across ? Range{0, count} : worker_.share(count);
    const Range columns = across ? worker_.share(source.columns) : Range{0, source.columns};
    worker_.ahead().begin(source, request.rows.part(begin + rows.begin, rows.size()),
                          columns);
  }

  template <class Call>
  void each_update_part(const std::vector<Bundle>& bundles, Call&& call) {
    if (bundles.empty()) return;
    worker_.each_of(static_cast<int64_t>(bundles.size()), [&](int64_t i) {
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

  void update_pass(Update<T>& update, const Learning<T>& learning) {
    apply(
        update, learning.early.late(), learning.now.learning_rate, learning.now.step,
        [&](const std::vector<Bundle>& bundles, auto&& call) {
          each_update_part(bundles, call);
        },
        [&](auto&& call) { worker_.once(call); });
  }

  Executor& executor_;
  const Data<T>& data_;
  const Results<T>& results_;
  Worker worker_;
  Clocks clocks_;
  std::vector<Operand<T>> along_;  // inputs of the kernel that goes along time
  bool halves_ = false;
};

// ---- the calls --------------------------------------------------------------------------

template <class T>
int64_t Executor<T>::forward(int workers, const Data<T>& data, Rows rows, PassKey key,
                             const Results<T>& results, int64_t begin) {
  using Clock = std::chrono::steady_clock;
  const int64_t end = std::min(rows.count, begin + passes_ * plan_.rows);
  const auto started = Clock::now();
  stopping_ = nullptr;
  skipped_.assign(skipped_.size(), false);
  costs_.reserve(data, rows, workers);
  launch(workers, data, results, [&](Program& program, int) {
    for (int64_t first = begin; first < end; first += plan_.rows) {
      Batch batch{.rows = rows.part(first, std::min(plan_.rows, end - first)),
                  .key = key,
                  .first_row = first};
      batch.weight_sum = data.weight_sum(batch.rows);
      program.forward_pass(batch);
      if (data.targets.empty()) continue;
      program.loss_pass(batch, false);
    }
  });
  const double took = std::chrono::duration<double>(Clock::now() - started).count();
  if (took < longest_call / 2)
    passes_ = std::min(2 * passes_, most_passes);
  else if (took > longest_call)
    passes_ = (passes_ + 1) / 2;
  return end;
}

template <class T>
double Executor<T>::gradient(int workers, const Data<T>& data, Rows rows, PassKey key,
                             const Results<T>& results, Stopping* stopping) {
  double cost = 0;
  stopping_ = stopping;
  skipped_.assign(skipped_.size(), false);
  costs_.reserve(data, rows, workers);
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
  gathering_.prepare(workers.most, plan_.rows);
  costs_.prepare(gathering_);
  costs_.reserve(data, request.rows, workers.most);
  prepare_updates(request);
  stopping_ = request.stopping;
  int64_t taken = 0;
  while (taken < steps) {
    const Pace::Stretch stretch = pace_.next(steps - taken, workers);
    const int64_t first = taken, end = first + stretch.steps;
    const auto begin = Clock::now();
    launch(stretch.workers, data, results, [&](Program& program, int worker) {
      const int64_t reached = program.train(request, first, end, *update_);
      if (worker == 0) taken = reached;
    });
    if (taken < end) break;  // a cost that is not finite, or it was stopped
    pace_.took(stretch, std::chrono::duration<double>(Clock::now() - begin).count());
  }
  return taken;
}

// Runs body(program) on every worker, or on the caller alone while the pool is busy.
template <class T>
template <class Body>
void Executor<T>::launch(int workers, const Data<T>& data, const Results<T>& results,
                         Body&& body) {
  const auto on = [&](int count) {
    Crew crew(count);
    return run_workers(count, [&](int worker) {
      Program program(*this, data, results, Worker(crew, worker));
      body(program, worker);
    });
  };
  if (!on(workers)) on(1);
  nodes_.rethrow();
  costs_.rethrow();
}

// ---- what is made beforehand
// --------------------------------------------------------------

template <class T>
Executor<T>::Executor(Plan plan, T* values, T* gradients)
    : plan_(std::move(plan)),
      nodes_(plan_, values, gradients),
      first_reader_(only_reader(plan_)),
      skipped_(plan_.nodes.size(), false),
      costs_(plan_, nodes_.values()) {
  for (const int input : plan_.inputs) inputs_.push_back(nodes_.value(input).value);
}

template <class T>
void Executor<T>::set_augmentation(const std::vector<Attributes>& changes) {
  const auto input = static_cast<size_t>(plan_.inputs.at(0));
  gathering_.set_changes(changes, plan_.nodes[input].value_shape);
}

// Nodes that neither a loss nor a wanted output depends on: a softmax whose derivative is
// fused with the loss need not be computed in training.
template <class T>
void Executor<T>::skip_idle_nodes(const Results<T>& results) {
  skipped_.assign(plan_.nodes.size(), true);
  const auto want = [&](int node) { skipped_[static_cast<size_t>(node)] = false; };
  for (const LossPlan<T>& loss : costs_.losses()) want(loss.node);
  for (size_t i = 0; i < results.outputs.size(); ++i)
    if (results.outputs[i] != nullptr) want(plan_.outputs[i]);
  for (size_t i = plan_.nodes.size(); i-- > 0;)
    if (!skipped_[i])
      for (const EdgePlan& edge : plan_.nodes[i].inputs) want(edge.node);
}

// Batches have two sizes: that which was asked for, and that of the last one.
template <class T>
void Executor<T>::prepare_updates(const TrainRequest& request) {
  const auto of = [&](int64_t rows) {
    const Batch batch{.rows = {nullptr, 0, rows}, .key = {.training = true}};
    return EarlyUpdates<T>(*update_, plan_, nodes_.steps(), rows, [&](int node) {
      return nodes_.context(static_cast<size_t>(node), batch);
    });
  };
  early_rows_ = std::min(request.batch_size, request.rows.count);
  early_.clear();
  early_.push_back(of(early_rows_));
  early_.push_back(of(request.rows.count % request.batch_size));
}

template class Executor<float>;
template class Executor<double>;

}  // namespace nervure
