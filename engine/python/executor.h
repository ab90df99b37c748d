// SPDX-License-Identifier: BSD-3-Clause
// The executor as Python holds it, with the arrays that it works on. Whatever comes in is
// compared with the plan, once per call.
#pragma once

#include "../execution/executor.h"
#include "data.h"
#include "formula.h"
#include "released.h"
#include "update.h"

namespace nervure {

// A call of the engine without the lock; one that Ctrl-C ends, or what `look` throws.
template <class Call>
void listening(const nb::object& look, const Call& call) {
  if (look.is_none()) {
    const Released free;
    return call(nullptr);
  }
  std::exception_ptr error;
  {
    Released free;
    const auto hear = [&] {
      try {
        if (PyErr_CheckSignals() != 0) throw nb::python_error();
        look();
      } catch (...) {
        error = std::current_exception();
      }
    };
    Stopping stopping([&] {
      free.back(hear);
      return error != nullptr;
    });
    call(&stopping);
  }
  if (error != nullptr) std::rethrow_exception(error);
}

template <class T>
Callback<T> callback(nb::callable function, int64_t columns) {
  return [function, columns](const T* output, int64_t values, Rows rows, T* gradient) {
    const nb::gil_scoped_acquire gil;
    const auto count = static_cast<size_t>(values);
    const auto width = static_cast<size_t>(columns);
    std::vector<int64_t> index(static_cast<size_t>(rows.count));
    for (size_t i = 0; i < index.size(); ++i) index[i] = rows[static_cast<int64_t>(i)];
    using Matrix = nb::ndarray<nb::numpy, const T, nb::ndim<2>>;
    using Numbers = nb::ndarray<nb::numpy, const int64_t, nb::ndim<1>>;
    const nb::object result =
        function(Matrix(output, {count, width}).cast(nb::rv_policy::copy),
                 Numbers(index.data(), {index.size()}).cast(nb::rv_policy::copy));
    const auto slope = array_of<nb::ndarray<const T, nb::ndim<2>, nb::c_contig>>(
        nb::object(result[1]), "gradient of the loss", values * columns);
    if (gradient != nullptr) std::copy_n(slope.data(), count * width, gradient);
    return nb::cast<double>(nb::object(result[0]));
  };
}

template <class T>
class HeldExecutor {
 public:
  HeldExecutor(const nb::dict& fields, nb::object values, nb::object gradients)
      : HeldExecutor(plan(fields), values, gradients) {}

  void set_losses(const nb::list& entries) {
    std::vector<LossPlan<T>> losses;
    widths_.clear();
    for (nb::handle entry : entries) {
      LossPlan<T>& loss = losses.emplace_back();
      loss.node = nb::cast<int>(entry["node"]);
      loss.weight = nb::cast<double>(entry["weight"]);
      loss.members = nb::cast<int64_t>(entry["members"]);
      const nb::object function = entry["callback"];
      loss.places = nb::cast<int64_t>(entry["places"]);
      const NodePlan& node = executor_.plan().nodes.at(static_cast<size_t>(loss.node));
      const int64_t all = size_of(node.value_shape),
                    places = std::max<int64_t>(1, loss.places);
      if (loss.members < 1 || loss.places < 0 || all % (loss.members * places) != 0 ||
          (loss.places == 0 && node.clock == nowhere))
        refuse("loss: members or places that do not share the outputs evenly");
      const int64_t size = all / places;
      if (function.is_none()) {
        loss.loss = make_loss<T>(nb::cast<std::string>(entry["kind"]),
                                 attributes(nb::cast<nb::dict>(entry["attributes"])));
        const bool aligns = loss.loss->aligns();
        if (!loss.loss->fits(size) || (aligns && loss.members > 1))
          refuse("loss: not one for outputs of that number");
        widths_.push_back({size / loss.members, loss.loss->takes_classes(), loss.places,
                           node.clock, aligns});
      } else {
        loss.callback = callback<T>(nb::cast<nb::callable>(function), all);
        widths_.push_back({nowhere, true, 1, nowhere, false});
      }
    }
    executor_.set_losses(std::move(losses));
  }

  void set_update(const std::string& kind, const nb::dict& fields, const nb::list& slots,
                  const nb::list& segments) {
    slots_ = vectors_of<T>(slots, "slots");
    executor_.set_update(
        read_update<T>(kind, fields, values_, gradients_, slots_, segments));
  }

  // function(forward, inputs, lengths, output, delta, (training, seed, step)):
  // the output, or the gradients of inputs and parameters, None where there is none.
  void set_formula(int node, nb::callable function) {
    executor_.set_formula(node, formula<T>(std::move(function)));
  }

  void set_augmentation(const nb::list& entries) {
    executor_.set_augmentation(all_attributes(entries));
  }

  void forward(int workers, const HeldData<T>& data, nb::object index, int64_t begin,
               int64_t count, bool training, uint64_t seed, uint64_t step,
               const nb::list& outputs, nb::object costs, const nb::object& look) {
    const Rows rows = read_rows(data, index, begin, count);
    const HeldResults held(outputs, costs);
    const Results<T> results = held.checked(executor_.plan(), data);
    for (int64_t done = 0; done < rows.count;) {
      {
        const Released free;
        const PassKey key{training, seed, step};
        done = executor_.forward(workers, data.data(), rows, key, results, done);
      }
      if (PyErr_CheckSignals() != 0) throw nb::python_error();
      if (!look.is_none()) look();
    }
  }

  double gradient(int workers, const HeldData<T>& data, nb::object index, int64_t begin,
                  int64_t count, bool training, uint64_t seed, uint64_t step,
                  const nb::list& outputs, nb::object costs, const nb::object& look) {
    const Rows rows = read_rows(data, index, begin, count);
    const HeldResults held(outputs, costs);
    const Results<T> results = held.checked(executor_.plan(), data);
    double cost = 0;
    listening(look, [&](Stopping* stopping) {
      const PassKey key{training, seed, step};
      cost = executor_.gradient(workers, data.data(), rows, key, results, stopping);
    });
    return cost;
  }

  int64_t train(int fewest, int most, const HeldData<T>& data, nb::object index,
                int64_t begin, int64_t count, int64_t batch_size,
                const std::vector<double>& learning_rates, int64_t first_step,
                uint64_t seed, nb::object costs, nb::object weights,
                const nb::list& outputs, const nb::object& look) {
    const auto steps = static_cast<int64_t>(learning_rates.size());
    const auto step_costs = array_of<Vector<double>>(costs, "costs", steps);
    const auto step_weights = array_of<Vector<double>>(weights, "weights", steps);
    TrainRequest request{.rows = read_rows(data, index, begin, count),
                         .batch_size = batch_size,
                         .learning_rates = learning_rates,
                         .first_step = first_step,
                         .seed = seed,
                         .costs = step_costs.data(),
                         .weights = step_weights.data()};
    if (batch_size < 1 || steps != parts_of(count, batch_size))
      refuse("steps, batch size and rows do not agree");
    const HeldResults held(outputs, nb::none());
    const Results<T> results = held.checked(executor_.plan(), data);
    int64_t taken = 0;
    listening(look, [&](Stopping* stopping) {
      request.stopping = stopping;
      taken = executor_.train({fewest, most}, data.data(), request, results);
    });
    return taken;
  }

  nb::object value(int node, int64_t rows) const {
    return copy_of(executor_.value(node), node, rows);
  }
  nb::object gradient_of(int node, int64_t rows) const {
    return copy_of(executor_.gradient(node), node, rows);
  }

 private:
  HeldExecutor(Plan plan, nb::handle values, nb::handle gradients)
      : values_(array_of<Vector<T>>(values, "parameters", used_by(plan))),
        gradients_(array_of<Vector<T>>(gradients, "gradients", used_by(plan))),
        executor_(std::move(plan), values_.data(), gradients_.data()) {}

  // What a call's results are written to.
  class HeldResults {
   public:
    HeldResults(const nb::list& outputs, const nb::object& costs)
        : outputs_(vectors_of<T>(outputs, "outputs")) {
      if (!costs.is_none()) costs_ = array_of<Vector<double>>(costs, "costs");
    }
    [[nodiscard]] Results<T> checked(const Plan& plan, const HeldData<T>& data) const {
      Results<T> results;
      const int64_t rows = data.rows();
      if (outputs_.size() > plan.outputs.size()) refuse("outputs: more than the net has");
      for (size_t i = 0; i < outputs_.size(); ++i) {
        const auto node = static_cast<size_t>(plan.outputs[i]);
        const auto size = static_cast<int64_t>(outputs_[i].size());
        const NodePlan& from = plan.nodes.at(node);
        const int64_t values = from.clock == nowhere ? rows : steps_of(plan, from, data);
        if (size != 0 && size < values * size_of(from.value_shape))
          refuse("outputs: an array too small for the rows");
        results.outputs.push_back(size == 0 ? nullptr : outputs_[i].data());
      }
      if (!costs_.is_valid()) return results;
      if (static_cast<int64_t>(costs_.size()) < rows)
        refuse("costs: an array too small for the rows");
      results.costs = costs_.data();
      return results;
    }

   private:
    // Of all rows of the data, by the clock of a node.
    static int64_t steps_of(const Plan& plan, const NodePlan& node,
                            const HeldData<T>& data) {
      const int input = plan.clocks.at(static_cast<size_t>(node.clock));
      const Sequences& rows = data.data().inputs.at(static_cast<size_t>(input)).sequences;
      return rows ? rows.offsets[data.rows()] : 0;
    }
    std::vector<Vector<T>> outputs_;
    Vector<double> costs_;
  };

  Rows read_rows(const HeldData<T>& data, const nb::object& index, int64_t begin,
                 int64_t count) {
    Rows rows{nullptr, begin, count};
    int64_t known = data.rows();
    if (!index.is_none()) {
      index_ = array_of<Index>(index, "index");
      rows.index = index_.data();
      known = static_cast<int64_t>(index_.size());
    }
    if (begin < 0 || count < 1 || begin > known || count > known - begin)
      throw std::out_of_range("[engine] rows outside of the data");
    if (rows.index != nullptr) check_index(rows.index, {begin, begin + count}, data.rows());
    check_inputs(data.data());
    check_lengths(data, rows);
    check_targets(data);
    return rows;
  }

  void check_inputs(const Data<T>& data) const {
    const Plan& plan = executor_.plan();
    if (data.inputs.size() != plan.inputs.size())
      refuse("one array is needed for each input");
    for (size_t i = 0; i < data.inputs.size(); ++i) {
      const auto node = static_cast<size_t>(plan.inputs[i]);
      if (data.inputs[i].columns != size_of(plan.nodes.at(node).value_shape))
        refuse("input: " + std::to_string(data.inputs[i].columns) +
               " numbers in each row, which is not what the net takes");
      if (static_cast<bool>(data.inputs[i].sequences) !=
          (plan.nodes.at(node).clock != nowhere))
        refuse("input: rows where the net takes sequences, or the other way round");
    }
  }

  // Sequences that go together are equally long, and no pass has more steps than planned.
  void check_lengths(const HeldData<T>& data, const Rows& rows) const {
    const Plan& plan = executor_.plan();
    for (size_t i = 0; i < plan.inputs.size(); ++i) {
      const int clock = plan.nodes.at(static_cast<size_t>(plan.inputs[i])).clock;
      if (clock == nowhere) continue;
      const auto first = static_cast<size_t>(plan.clocks.at(static_cast<size_t>(clock)));
      const int64_t* lengths = data.data().inputs[i].sequences.lengths;
      const int64_t* others = data.data().inputs.at(first).sequences.lengths;
      const int64_t most = plan.steps.at(static_cast<size_t>(clock));
      std::vector<int64_t> longest;
      for (int64_t r = 0; r < rows.count; ++r) {
        if (lengths[rows[r]] != others[rows[r]])
          refuse("input: sequences that go together have different lengths");
        longest.push_back(lengths[rows[r]]);
      }
      std::ranges::sort(longest, std::greater{});
      int64_t steps = 0;
      for (size_t r = 0; r < longest.size() && static_cast<int64_t>(r) < plan.rows; ++r)
        steps += longest[r];
      if (steps > most) refuse("input: more steps than the plan has room for");
    }
  }

  void check_targets(const HeldData<T>& data) const {
    const std::vector<Targets<T>>& targets = data.data().targets;
    if (targets.empty() || widths_.empty()) return;
    if (targets.size() != widths_.size()) refuse("targets: not as many as losses");
    for (size_t i = 0; i < targets.size(); ++i) {
      const auto& [width, takes_classes, places, clock, aligns] = widths_[i];
      if (width == nowhere) continue;  // the user's function reads them
      check_places(data, i);
      if (aligns && targets[i].labels == nullptr) refuse("targets: no labels");
      if (targets[i].labels == nullptr) {
        if (targets[i].columns != width) refuse("targets: not one number for each output");
        continue;
      }
      if (!takes_classes) refuse("targets: classes, where the loss takes numbers");
      const auto& [least, most] = data.labels(i);
      if (least < 0 || most >= width)
        refuse("targets: class " + std::to_string(least < 0 ? least : most) + " of " +
               std::to_string(width));
    }
  }

  // Where each place has a target, rows have as many as places.
  void check_places(const HeldData<T>& data, size_t which) const {
    const Sequences& rows = data.data().targets[which].sequences;
    const auto& [width, takes_classes, places, clock, aligns] = widths_[which];
    if (static_cast<bool>(rows) != (places != 1 || aligns))
      refuse("targets: not one for each row, or for each place of it");
    if (!rows || aligns) return;
    const int64_t* lengths = nullptr;
    if (clock != nowhere) {
      const int input = executor_.plan().clocks.at(static_cast<size_t>(clock));
      lengths = data.data().inputs.at(static_cast<size_t>(input)).sequences.lengths;
    }
    for (int64_t r = 0; r < data.rows(); ++r)
      if (rows.lengths[r] != (lengths == nullptr ? places : lengths[r]))
        refuse("targets: not as many in a row as it has places");
  }

  nb::object copy_of(const T* data, int node, int64_t rows) const {
    if (data == nullptr) return nb::none();
    const Plan& plan = executor_.plan();
    const NodePlan& of = plan.nodes.at(static_cast<size_t>(node));
    const int64_t most =
        of.clock == nowhere ? plan.rows : plan.steps.at(static_cast<size_t>(of.clock));
    if (rows < 0 || rows > most) refuse("more rows than a batch has");
    const Shape& shape = of.value_shape;
    std::vector<size_t> extents{static_cast<size_t>(rows)};
    for (int64_t extent : shape) extents.push_back(static_cast<size_t>(extent));
    return nb::ndarray<nb::numpy, const T>(data, extents.size(), extents.data())
        .cast(nb::rv_policy::copy);
  }

  struct Width {  // of what a loss reads of a row; `nowhere`: the user's function
    int64_t outputs;
    bool takes_classes;
    int64_t places;
    int clock;
    bool aligns;
  };

  Vector<T> values_, gradients_;
  std::vector<Vector<T>> slots_;
  std::vector<Width> widths_;  // of each loss
  Index index_;
  Executor<T> executor_;
};

}  // namespace nervure
