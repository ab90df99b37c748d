// SPDX-License-Identifier: BSD-3-Clause
#include "stepper.h"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>

#include "../random.h"
#include "threads.h"

namespace nervure {
namespace {

const Batch one_row = [] {
  Batch batch;
  batch.rows = {nullptr, 0, 1};
  return batch;
}();

}  // namespace

template <class T>
Stepper<T>::Stepper(Plan plan, const std::vector<Kept>& kept, T* values)
    : plan_(std::move(plan)), nodes_(plan_, values, nullptr) {
  for (size_t node = 0; node < nodes_.size(); ++node)
    if (nodes_.step(node) != nullptr) add(node, kept.at(node));
}

template <class T>
void Stepper<T>::add(size_t node, Kept kept) {
  const NodePlan& plan = plan_.nodes[node];
  const Context<T> context = nodes_.context(node, one_row);
  Stage& stage =
      stages_.emplace_back(Stage{.node = node,
                                 .kept = kept,
                                 .context = context,
                                 .inputs = {context.inputs.begin(), context.inputs.end()},
                                 .ports = {context.ports.begin(), context.ports.end()}});
  if (kept == Kept::states) stage.memory.resize(plan.ports.size());
  if (kept == Kept::steps) stage.memory.resize(2);
  for (size_t i = 0; i < static_cast<size_t>(plan.sequences); ++i)
    stage.inputs.at(i).lengths.length = std::max<int64_t>(1, plan.times.at(i));
}

template <class T>
std::span<const T> Stepper<T>::output() const {
  const Operand<T>& value = nodes_.value(plan_.outputs.at(0));
  return {value.value, static_cast<size_t>(value.size)};
}

template <class T>
void Stepper<T>::read(int64_t code) {
  *nodes_.value(plan_.inputs.at(0)).value = static_cast<T>(code);
  for (Stage& stage : stages_) {
    if (stage.kept == Kept::states && place_ == 0) begin_states(stage);
    if (stage.kept == Kept::steps) keep_step(stage);
    run(stage);
    if (stage.kept == Kept::states) end_states(stage);
  }
  ++place_;
}

template <class T>
void Stepper<T>::run(Stage& stage) {
  Context<T>& context = stage.context;
  context.inputs = stage.inputs;
  context.ports = stage.ports;
  context.place = stage.kept == Kept::place ? place_ : 0;
  const Step<T>& step = *nodes_.step(stage.node);
  const Work work = step.forward_work(extent_of(context));
  for (int phase = 0; phase < static_cast<int>(work.size()); ++phase)
    for (int64_t part = 0; part < work[static_cast<size_t>(phase)]; ++part)
      step.forward(context, {phase, part});
}

// The kernel finds states where it looks for first ones, and leaves them where it leaves
// the last ones. What the network gives to begin with comes first.
template <class T>
void Stepper<T>::begin_states(Stage& stage) {
  const Context<T> beginning = nodes_.context(stage.node, one_row);
  const int64_t size = stage.context.output.size;
  stage.inputs.resize(1 + stage.memory.size());
  for (size_t i = 0; i < stage.memory.size(); ++i) {
    std::vector<T>& state = stage.memory[i];
    state.assign(static_cast<size_t>(size), T(0));
    if (i + 1 < beginning.inputs.size())
      std::copy_n(beginning.inputs[i + 1].value, size, state.data());
    Operand<T> kept;
    kept.value = state.data();
    kept.size = size;
    stage.inputs[i + 1] = stage.ports[i] = kept;
  }
}

// To those nodes that are further outputs.
template <class T>
void Stepper<T>::end_states(Stage& stage) {
  const std::vector<int>& ports = plan_.nodes[stage.node].ports;
  for (size_t i = 0; i < ports.size(); ++i)
    if (ports[i] != nowhere)
      std::ranges::copy(stage.memory[i], nodes_.value(ports[i]).value);
}

// The key and the value of the step go behind those before it.
template <class T>
void Stepper<T>::keep_step(Stage& stage) {
  const Context<T> latest = nodes_.context(stage.node, one_row);
  for (size_t i = 0; i < 2; ++i) {
    const Operand<T>& step = latest.inputs[1 + i];
    std::vector<T>& all = stage.memory[i];
    if (place_ == 0) all.clear();
    all.insert(all.end(), step.value, step.value + step.size);
    stage.inputs[1 + i].value = all.data();
    stage.inputs[1 + i].lengths.length = place_ + 1;
  }
  const auto room = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(place_ + 1)));
  const Buffers buffers = nodes_.step(stage.node)->buffers({1, 1, room});
  stage.saved.resize(static_cast<size_t>(buffers.saved));
  stage.scratch.resize(static_cast<size_t>(buffers.scratch));
  stage.context.saved = stage.saved.data();
  stage.context.scratch = stage.scratch.data();
}

template <class T>
int64_t Stepper<T>::write(std::span<const int64_t> codes, const Draws& draws,
                          std::span<int64_t> drawn) {
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(longest_call);
  const auto count = static_cast<int64_t>(drawn.size());
  int64_t number = 0;
  run_workers(1, [&](int) {
    for (const int64_t code : codes) read(code);
    while (number < count && (number == 0 || Clock::now() < end)) {
      if (number > 0) read(drawn[static_cast<size_t>(number - 1)]);
      const std::optional<int64_t> code = draw(draws, number);
      finite_ = code.has_value();
      if (!finite_) break;
      drawn[static_cast<size_t>(number++)] = *code;
    }
  });
  return number;
}

template <class T>
std::optional<int64_t> Stepper<T>::draw(const Draws& draws, int64_t number) {
  const std::span<const T> said = output();
  scores_.assign(said.begin(), said.end());
  if (draws.shares)
    for (double& score : scores_) score = std::log(score);
  uint32_t word = 0;
  const auto step = static_cast<uint64_t>(draws.first + number);
  random::words({draws.seed, step, 0}, 0, 1, &word);
  return drawing_.draw(scores_, draws.choice, random::uniform(word));
}

template class Stepper<float>;
template class Stepper<double>;

}  // namespace nervure
