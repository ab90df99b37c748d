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
  struct Held {
    const AnyArray& array;
    Sequences sequences;
  };
  void note_rows(int64_t rows) {
    if (rows_ >= 0 && rows != rows_) refuse("arrays have different numbers of rows");
    rows_ = rows;
  }
  // Values, and where sequences begin in them and how long they are, or None.
  Held hold(nb::handle given, nb::handle starts, nb::handle lengths,
            const std::string& what) {
    const AnyArray& array = held_.emplace_back(array_of<AnyArray>(given, what));
    const int64_t values = array.ndim() == 0 ? 0 : static_cast<int64_t>(array.shape(0));
    const Sequences sequences =
        starts.is_none() ? Sequences{} : sequences_of(starts, lengths, values, what);
    note_rows(sequences ? static_cast<int64_t>(numbers_.back().size()) : values);
    return {array, sequences};
  }
  Sequences sequences_of(nb::handle from, nb::handle how_long, int64_t values,
                         const std::string& what) {
    const Index& starts = numbers_.emplace_back(array_of<Index>(from, what + " starts"));
    const auto rows = static_cast<int64_t>(starts.size());
    const Index& lengths =
        numbers_.emplace_back(array_of<Index>(how_long, what + " lengths", rows));
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
  // (array, scale); (values, scale, starts, lengths) of sequences; or
  // (values, scale, columns, starts, width) of sparse rows.
  Source source_of(const nb::tuple& given) {
    const auto scale = nb::cast<double>(given[1]);
    if (given.size() == 5) return sparse_source(given, scale);
    const bool plain = given.size() == 2;
    const nb::object none = nb::none();
    const auto [array, sequences] =
        plain ? hold(given[0], none, none, "input")
              : hold(given[0], nb::handle(given[2]), nb::handle(given[3]), "input");
    Source source{array.data(), element_of(array), columns_of(array), scale};
    source.sequences = sequences;
    return source;
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
  // Values, starts, lengths, weights of steps and where those begin, their mean in a row.
  Targets<T> targets_of(nb::handle given) {
    const auto parts = nb::cast<nb::tuple>(given);
    const auto [array, sequences] =
        hold(nb::handle(parts[0]), nb::handle(parts[1]), nb::handle(parts[2]), "targets");
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
