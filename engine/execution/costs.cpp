// SPDX-License-Identifier: BSD-3-Clause
#include "costs.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace nervure {
namespace {

// Mean cost of the members; the gradient is that of their sum.
template <class T>
double members_cost(const LossPlan<T>& plan, const T* y, const Target<T>& target,
                    int64_t size, T* d) {
  const int64_t width = size / plan.members;
  double sum = 0;
  for (int64_t begin = 0; begin < size; begin += width)
    sum += plan.loss->row(y + begin, target, width, d == nullptr ? d : d + begin);
  return sum / static_cast<double>(plan.members);
}

template <class T>
Target<T> plain_target(const Targets<T>& targets, int64_t row) {
  Target<T> target;
  if (targets.labels != nullptr) target.label = targets.labels[row];
  if (targets.values != nullptr) target.values = targets.values + row * targets.columns;
  return target;
}

// What the places of a row weigh, beside those of a row on average.
template <class T>
double places_weigh(const Targets<T>& targets, int64_t row) {
  if (!targets.sequences) return 1;
  const int64_t places = targets.sequences.lengths[row];
  if (targets.weights == nullptr) return static_cast<double>(places) / targets.scale;
  const double* weights = targets.weights + targets.weights_from[row];
  return std::accumulate(weights, weights + places, 0.0) / targets.scale;
}

// to += part * target, a class being a row with a single 1.
template <class T>
void add_target(const Target<T>& target, T part, int64_t size, T* to) {
  if (target.values == nullptr) {
    to[target.label] += part;
    return;
  }
  for (int64_t j = 0; j < size; ++j) to[j] += part * target.values[j];
}

}  // namespace

template <class T>
void Costs<T>::prepare(const Gathering<T>& gathering) {
  if (!gathering.mixes()) return;
  mixed_.resize(losses_.size());
  for (size_t i = 0; i < losses_.size(); ++i) {
    const Operand<T>& y = nodes_[static_cast<size_t>(losses_[i].node)];
    mixed_[i].resize(rows_.size() * static_cast<size_t>(y.size));
  }
}

template <class T>
void Costs<T>::reserve(const Data<T>& data, Rows rows, int workers) {
  int64_t most = 0;
  for (size_t which = 0; which < losses_.size() && !data.targets.empty(); ++which)
    if (losses_[which].loss != nullptr && losses_[which].loss->aligns())
      most = std::max(most, room(data, rows, which));
  scratch_.resize(static_cast<size_t>(workers));
  for (std::vector<double>& own : scratch_)
    if (own.size() < static_cast<size_t>(most)) own.resize(static_cast<size_t>(most));
}

// Scratch for any of these rows.
template <class T>
int64_t Costs<T>::room(const Data<T>& data, Rows rows, size_t which) const {
  const LossPlan<T>& plan = losses_[which];
  const auto node = static_cast<size_t>(plan.node);
  const int clock = plan_.nodes[node].clock;
  const int64_t outputs = nodes_[node].size / std::max<int64_t>(1, plan.places);
  const int64_t* labels = data.targets[which].sequences.lengths;
  const int64_t* steps = nullptr;
  if (clock != nowhere) {
    const int input = plan_.clocks[static_cast<size_t>(clock)];
    steps = data.inputs[static_cast<size_t>(input)].sequences.lengths;
  }
  int64_t most = 0;
  for (int64_t i = 0; i < rows.count; ++i) {
    const int64_t own = steps == nullptr ? plan.places : steps[rows[i]];
    most = std::max(most, plan.loss->scratch(own, outputs, labels[rows[i]] - 1));
  }
  return most;
}

template <class T>
void Costs<T>::run(Worker& worker, const Pass& pass) {
  for (size_t which = 0; which < losses_.size(); ++which) {
    const LossPlan<T>& plan = losses_[which];
    if (plan.callback)
      callback(worker, pass, which);
    else if (plan.loss->aligns())
      of_sequences(worker, pass, which);
    else if (plan.places == 1)
      native(worker, pass, which);
    else
      of_places(worker, pass, which);
  }
}

template <class T>
Lengths Costs<T>::places_of(const Clocks& clocks, const LossPlan<T>& plan) const {
  const int clock = plan_.nodes[static_cast<size_t>(plan.node)].clock;
  return clock == nowhere ? Lengths{nullptr, plan.places} : Lengths{clocks.offsets(clock)};
}

template <class T>
void Costs<T>::of_sequences(Worker& worker, const Pass& pass, size_t which) {
  double* scratch = scratch_[static_cast<size_t>(worker.number())].data();
  worker.each_row(pass.batch.rows.count, 1, [&](int64_t row) {
    add(which, row, losses_[which].weight * row_of_sequence(pass, which, row, scratch));
  });
}

// The cost of a row whose steps have labels together; an end mark is behind these.
template <class T>
double Costs<T>::row_of_sequence(const Pass& pass, size_t which, int64_t row,
                                 double* scratch) {
  const LossPlan<T>& plan = losses_[which];
  const Targets<T>& targets = pass.data.targets[which];
  const Operand<T>& node = nodes_[static_cast<size_t>(plan.node)];
  const Lengths lengths = places_of(pass.clocks, plan);
  const int64_t width = node.size / std::max<int64_t>(1, plan.places),
                begin = lengths.begin(row) * width, of_data = pass.batch.rows[row];
  T* dy = pass.gradients && node.gradient != nullptr ? node.gradient + begin : nullptr;
  const double cost =
      plan.loss->sequence({.output = node.value + begin,
                           .gradient = dy,
                           .steps = lengths.of(row),
                           .outputs = width,
                           .labels = targets.labels + targets.sequences.starts[of_data],
                           .count = targets.sequences.lengths[of_data] - 1,
                           .scratch = scratch});
  const T factor = static_cast<T>(plan.weight * pass.data.share(pass.batch, row));
  for (int64_t j = 0; dy != nullptr && j < lengths.of(row) * width; ++j) dy[j] *= factor;
  return cost;
}

template <class T>
void Costs<T>::of_places(Worker& worker, const Pass& pass, size_t which) {
  worker.each_row(pass.batch.rows.count, 1, [&](int64_t row) {
    add(which, row, losses_[which].weight * row_of_places(pass, which, row));
  });
}

// The cost of a row whose places have targets of their own: those that weigh something.
template <class T>
double Costs<T>::row_of_places(const Pass& pass, size_t which, int64_t row) {
  const LossPlan<T>& plan = losses_[which];
  const Targets<T>& targets = pass.data.targets[which];
  const auto index = static_cast<size_t>(plan.node);
  const Lengths lengths = places_of(pass.clocks, plan);
  const int64_t width = nodes_[index].size / std::max<int64_t>(1, plan.places);
  const int64_t begin = lengths.begin(row) * width, of_data = pass.batch.rows[row];
  const T* y = nodes_[index].value + begin;
  T* dy = pass.gradients ? nodes_[index].gradient : nullptr;
  if (dy != nullptr) dy += begin;
  const double share = plan.weight * pass.data.share(pass.batch, row) /
                       (targets.scale * static_cast<double>(plan.members));
  double sum = 0;
  for (int64_t place = 0; place < lengths.of(row); ++place, y += width) {
    const double weight = targets.weights == nullptr
                              ? 1
                              : targets.weights[targets.weights_from[of_data] + place];
    if (weight == 0 && dy != nullptr) std::fill_n(dy, width, T(0));
    if (weight != 0) {
      const Target<T> aim =
          plain_target(targets, targets.sequences.starts[of_data] + place);
      sum += weight * members_cost(plan, y, aim, width, dy);
      const T factor = static_cast<T>(share * weight);
      for (int64_t j = 0; dy != nullptr && j < width; ++j) dy[j] *= factor;
    }
    if (dy != nullptr) dy += width;
  }
  return sum / targets.scale;
}

template <class T>
void Costs<T>::native(Worker& worker, const Pass& pass, size_t which) {
  const LossPlan<T>& plan = losses_[which];
  const Operand<T>& node = nodes_[static_cast<size_t>(plan.node)];
  const int64_t size = node.size;
  T* dy = pass.gradients ? node.gradient : nullptr;
  const int64_t grain = std::max<int64_t>(8, rows_per_part(size) / 16);
  worker.each_row(pass.batch.rows.count, grain, [&](int64_t i) {
    const Target<T> aim = target(pass, which, i, size);
    T* d = dy == nullptr ? nullptr : dy + i * size;
    add(which, i, plan.weight * members_cost(plan, node.value + i * size, aim, size, d));
    if (d == nullptr) return;
    const T factor = static_cast<T>(plan.weight * pass.data.share(pass.batch, i) /
                                    static_cast<double>(plan.members));
    for (int64_t j = 0; j < size; ++j) d[j] *= factor;
  });
}

// The user's function sees the batch as a whole, on one worker.
template <class T>
void Costs<T>::callback(Worker& worker, const Pass& pass, size_t which) {
  worker.once([&] {
    const LossPlan<T>& plan = losses_[which];
    const Operand<T>& node = nodes_[static_cast<size_t>(plan.node)];
    const int64_t rows = pass.batch.rows.count;
    const int clock = plan_.nodes[static_cast<size_t>(plan.node)].clock;
    const int64_t values = clock == nowhere ? rows : pass.clocks.steps(clock);
    T* dy = pass.gradients ? node.gradient : nullptr;
    double cost = std::numeric_limits<double>::quiet_NaN();
    try {
      cost = plan.weight * plan.callback(node.value, values, pass.batch.rows, dy);
    } catch (...) {
      error_ = std::current_exception();
    }
    double part = 0;
    for (int64_t i = 0; i < rows; ++i) {
      const double weight = places_weigh(pass.data.targets[which], pass.batch.rows[i]);
      add(which, i, weight * cost);
      part += weight * pass.data.share(pass.batch, i);
    }
    const T factor = static_cast<T>(plan.weight * part);
    for (int64_t j = 0; dy != nullptr && j < values * node.size; ++j) dy[j] *= factor;
  });
}

// Of a row of a batch; of a mixed one, that of both images by their shares.
template <class T>
Target<T> Costs<T>::target(const Pass& pass, size_t which, int64_t row, int64_t size) {
  const Targets<T>& targets = pass.data.targets[which];
  const Rows& rows = pass.batch.rows;
  const Target<T> own = plain_target(targets, rows[row]);
  const double share = pass.batch.key.augmented ? pass.gathering.share(row) : 1;
  if (share == 1) return own;
  T* mixed = mixed_[which].data() + row * size;
  std::fill_n(mixed, size, T(0));
  add_target(own, static_cast<T>(share), size, mixed);
  add_target(plain_target(targets, rows[row ^ 1]), 1 - static_cast<T>(share), size, mixed);
  return {.values = mixed};
}

template class Costs<float>;
template class Costs<double>;

}  // namespace nervure
