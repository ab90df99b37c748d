// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <deque>

#include "../execution/data.h"
#include "arrays.h"

namespace nervure {

// A data set as the engine reads it; keeps the arrays alive.
template <class T>
class HeldData {
 public:
  HeldData(const nb::list& inputs, const nb::list& targets, const nb::object& weights,
           bool by_rows) {
    data_.by_rows = by_rows;
    for (nb::handle given : inputs) {
      const auto parts = nb::cast<nb::tuple>(given);
      const auto [array, sequences] = hold(parts, "input");
      data_.inputs.push_back({array.data(), element_of(array), columns_of(array),
                              nb::cast<double>(parts[3]), sequences});
    }
    for (nb::handle given : targets) data_.targets.push_back(targets_of(given));
    if (weights.is_none()) return;
    weights_ = array_of<RowWeights>(weights, "weights of rows", rows_);
    data_.weights = weights_.data();
  }

  [[nodiscard]] const Data<T>& data() const { return data_; }
  [[nodiscard]] int64_t rows() const { return rows_; }

  // The classes of a target that hold a row each lie in [least, most].
  struct Labels {
    int64_t least, most;
  };
  [[nodiscard]] const Labels& labels(size_t target) const { return labels_.at(target); }

 private:
  struct Held {
    const AnyArray& array;
    Sequences sequences;
  };
  // Values, and where sequences begin in them and how long they are, or None.
  Held hold(const nb::tuple& parts, const std::string& what) {
    const AnyArray& array = held_.emplace_back(array_of<AnyArray>(parts[0], what));
    const int64_t values = array.ndim() == 0 ? 0 : static_cast<int64_t>(array.shape(0));
    const bool plain = parts[1].is_none();
    const Sequences sequences = plain ? Sequences{} : sequences_of(parts, values, what);
    const int64_t rows = plain ? values : static_cast<int64_t>(numbers_.back().size());
    if (held_.size() > 1 && rows != rows_) refuse("arrays have different numbers of rows");
    rows_ = rows;
    return {array, sequences};
  }
  Sequences sequences_of(const nb::tuple& parts, int64_t values, const std::string& what) {
    const Index& starts =
        numbers_.emplace_back(array_of<Index>(parts[1], what + " starts"));
    const auto rows = static_cast<int64_t>(starts.size());
    const Index& lengths =
        numbers_.emplace_back(array_of<Index>(parts[2], what + " lengths", rows));
    std::vector<int64_t>& offsets = offsets_.emplace_back(starts.size() + 1);
    for (size_t i = 0; i < starts.size(); ++i) {
      const int64_t start = starts.data()[i], length = lengths.data()[i];
      if (start < 0 || length < 1 || start > values || length > values - start)
        refuse(what + ": a sequence outside of its values");
      offsets[i + 1] = offsets[i] + length;
    }
    if (lengths.size() != starts.size()) refuse(what + ": not as many lengths as starts");
    return {starts.data(), lengths.data(), offsets.data()};
  }
  // Values, starts, lengths, weights of steps and where those begin, their mean in a row.
  Targets<T> targets_of(nb::handle given) {
    const auto parts = nb::cast<nb::tuple>(given);
    const auto [array, sequences] = hold(parts, "targets");
    Targets<T> targets;
    targets.columns = columns_of(array);
    targets.sequences = sequences;
    if (sequences && !parts[3].is_none()) weigh(targets, parts);
    targets.scale = nb::cast<double>(parts[5]);
    Labels& known = labels_.emplace_back(Labels{0, 0});
    if (array.dtype() == nb::dtype<int32_t>()) {
      if (targets.columns != 1) refuse("targets: classes in several columns");
      targets.labels = static_cast<const int32_t*>(array.data());
      const auto [least, most] =
          std::minmax_element(targets.labels, targets.labels + array.size());
      if (array.size() > 0) known = {*least, *most};
    } else if (array.dtype() == nb::dtype<T>()) {
      targets.values = static_cast<const T*>(array.data());
    } else {
      refuse("targets: neither int32 nor of the net's type");
    }
    return targets;
  }
  void weigh(Targets<T>& targets, const nb::tuple& parts) {
    const auto& weights =
        weights_of_steps_.emplace_back(array_of<RowWeights>(parts[3], "weights of steps"));
    const Index& from =
        numbers_.emplace_back(array_of<Index>(parts[4], "weights of steps", rows_));
    for (int64_t i = 0; i < rows_; ++i)
      if (from.data()[i] < 0 || from.data()[i] + targets.sequences.lengths[i] >
                                    static_cast<int64_t>(weights.size()))
        refuse("weights of steps: not one for each step");
    targets.weights = weights.data();
    targets.weights_from = from.data();
  }

  Data<T> data_;
  std::deque<AnyArray> held_;  // references to their elements stay
  std::deque<Index> numbers_;
  std::deque<RowWeights> weights_of_steps_;
  std::deque<std::vector<int64_t>> offsets_;
  std::vector<Labels> labels_;
  RowWeights weights_;
  int64_t rows_ = 0;
};

// Are these rows of the data?
inline void check_index(const int64_t* index, Range range, int64_t rows) {
  for (int64_t i = range.begin; i < range.end; ++i)
    if (index[i] < 0 || index[i] >= rows)
      throw std::out_of_range("[engine] row index outside of the data");
}

}  // namespace nervure
