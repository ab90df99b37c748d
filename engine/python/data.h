// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>
#include <deque>
#include <span>
#include <utility>

#include "../execution/data.h"
#include "arrays.h"

namespace nervure {

using SparseColumns =
    nb::ndarray<const int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

// Do sparse rows follow each other, and do the columns of each ascend within the width?
inline void check_sparse(std::span<const int64_t> starts, std::span<const int32_t> at,
                         int64_t width) {
  bool good = starts.front() == 0 && starts.back() == static_cast<int64_t>(at.size());
  for (size_t row = 0; good && row + 1 < starts.size(); ++row) {
    good = starts[row] <= starts[row + 1] && starts[row + 1] <= starts.back();
    int64_t before = -1;
    for (int64_t i = starts[row]; good && i < starts[row + 1]; ++i) {
      const int64_t column = at[static_cast<size_t>(i)];
      good = column > before && column < width;
      before = column;
    }
  }
  if (!good) refuse("sparse rows: starts or columns out of order, or outside of the rows");
}

// A data set as the engine reads it; keeps the arrays alive.
template <class T>
class HeldData {
 public:
  HeldData(const nb::list& inputs, const nb::list& targets, const nb::object& weights,
           bool by_rows) {
    data_.by_rows = by_rows;
    for (nb::handle given : inputs)
      data_.inputs.push_back(source_of(nb::cast<nb::tuple>(given)));
    for (nb::handle given : targets) data_.targets.push_back(targets_of(given));
    if (weights.is_none()) return;
    weights_ = array_of<RowWeights>(weights, "weights of rows", rows_);
    data_.weights = weights_.data();
  }

  [[nodiscard]] const Data<T>& data() const { return data_; }
  [[nodiscard]] int64_t rows() const { return std::max<int64_t>(0, rows_); }

  // The classes of a target that hold a row each lie in [least, most].
  struct Labels {
    int64_t least, most;
  };
  [[nodiscard]] const Labels& labels(size_t target) const { return labels_.at(target); }

 private:
  const AnyArray& hold(nb::handle given, const std::string& what) {
    const auto array = array_of<AnyArray>(given, what);
    note_rows(array.ndim() == 0 ? 0 : static_cast<int64_t>(array.shape(0)));
    return held_.emplace_back(array);
  }
  void note_rows(int64_t rows) {
    if (rows_ >= 0 && rows != rows_) refuse("arrays have different numbers of rows");
    rows_ = rows;
  }
  // (array, scale), or (values, scale, columns, starts, width) of sparse rows.
  Source source_of(const nb::tuple& given) {
    const auto scale = nb::cast<double>(given[1]);
    if (given.size() == 5) return sparse_source(given, scale);
    const AnyArray& array = hold(given[0], "input");
    return {array.data(), element_of(array), columns_of(array), scale};
  }
  Source sparse_source(const nb::tuple& given, double scale) {
    const auto values = array_of<AnyArray>(given[0], "values of sparse rows");
    const auto at = array_of<SparseColumns>(given[2], "columns of sparse rows");
    const auto starts = array_of<Index>(given[3], "starts of sparse rows", 1);
    const auto width = nb::cast<int64_t>(given[4]);
    note_rows(static_cast<int64_t>(starts.size()) - 1);
    check_sparse({starts.data(), starts.size()}, {at.data(), at.size()}, width);
    if (values.size() != at.size()) refuse("sparse rows: not one column for each value");
    held_.push_back(values);
    sparse_.emplace_back(at, starts);
    return {values.data(), element_of(values), width, scale, starts.data(), at.data()};
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
  std::vector<std::pair<SparseColumns, Index>> sparse_;
  int64_t rows_ = -1;  // none known yet
};

// Are these rows of the data?
inline void check_index(const int64_t* index, Range range, int64_t rows) {
  for (int64_t i = range.begin; i < range.end; ++i)
    if (index[i] < 0 || index[i] >= rows)
      throw std::out_of_range("[engine] row index outside of the data");
}

}  // namespace nervure
