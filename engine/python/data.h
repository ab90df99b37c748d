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
  HeldData(const nb::list& inputs, const nb::list& targets, const nb::object& weights) {
    for (nb::handle given : inputs) {
      const auto pair = nb::cast<nb::tuple>(given);
      const AnyArray& array = hold(pair[0], "input");
      data_.inputs.push_back(
          {array.data(), element_of(array), columns_of(array), nb::cast<double>(pair[1])});
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
  const AnyArray& hold(nb::handle given, const std::string& what) {
    const auto array = array_of<AnyArray>(given, what);
    const int64_t rows = array.ndim() == 0 ? 0 : static_cast<int64_t>(array.shape(0));
    if (!held_.empty() && rows != rows_) refuse("arrays have different numbers of rows");
    rows_ = rows;
    return held_.emplace_back(array);
  }
  Targets<T> targets_of(nb::handle given) {
    const AnyArray& array = hold(given, "targets");
    Targets<T> targets;
    targets.columns = columns_of(array);
    Labels& known = labels_.emplace_back(Labels{0, 0});
    if (array.dtype() == nb::dtype<int32_t>()) {
      if (targets.columns != 1) refuse("targets: classes in several columns");
      targets.labels = static_cast<const int32_t*>(array.data());
      const auto [least, most] =
          std::minmax_element(targets.labels, targets.labels + rows_);
      if (rows_ > 0) known = {*least, *most};
    } else if (array.dtype() == nb::dtype<T>()) {
      targets.values = static_cast<const T*>(array.data());
    } else {
      refuse("targets: neither int32 nor of the net's type");
    }
    return targets;
  }

  Data<T> data_;
  std::deque<AnyArray> held_;  // references to its elements stay
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
