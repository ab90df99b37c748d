// SPDX-License-Identifier: BSD-3-Clause
#include "gathering.h"

namespace nervure {

template <class T>
void Gathering<T>::set_changes(const std::vector<Attributes>& changes, const Shape& shape) {
  augmenter_.reset();
  if (!changes.empty()) augmenter_.emplace(changes, shape);
}

template <class T>
void Gathering<T>::prepare(int workers, int64_t rows) {
  if (!augmenter_) return;
  scratch_.resize(static_cast<size_t>(workers * augmenter_->scratch()));
  shares_.resize(static_cast<size_t>(rows));
}

template <class T>
void Gathering<T>::run(Worker& worker, const Data<T>& data, const Batch& batch,
                       std::span<T* const> inputs) {
  if (batch.key.augmented) return augment(worker, data.inputs[0], batch, inputs[0]);
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Source& source = data.inputs[i];
    T* x = inputs[i];
    if (source.sequences) {
      sequences(worker, source, batch, x);
      continue;
    }
    worker.each_row(batch.rows.count, rows_per_part(source.columns), [&](int64_t row) {
      read_row(source, batch.rows[row], {0, source.columns}, x + row * source.columns);
    });
  }
}

// The steps of every row, side by side with those of the rows before it. A part counts the
// steps before its own rows: adding some lengths is less than reading the steps.
template <class T>
void Gathering<T>::sequences(Worker& worker, const Source& source, const Batch& batch,
                             T* x) {
  constexpr int64_t rows_at_once = 4;
  worker.each_of(parts_of(batch.rows.count, rows_at_once), [&](int64_t part) {
    const Range range = range_of(batch.rows.count, rows_at_once, part);
    T* to = x;
    for (int64_t i = 0; i < range.end; ++i) {
      const int64_t row = batch.rows[i];
      const int64_t elements = source.sequences.lengths[row] * source.columns;
      if (i >= range.begin)
        read_row(source, source.sequences.starts[row], {0, elements}, to);
      to += elements;
    }
  });
}

// Pairs of rows, which may be mixed: a pass begins on an even row of its batch.
template <class T>
void Gathering<T>::augment(Worker& worker, const Source& source, const Batch& batch, T* x) {
  T* scratch = scratch_.data() + worker.number() * augmenter_->scratch();
  worker.each_of(parts_of(batch.rows.count, 2), [&](int64_t part) {
    const Range pair = range_of(batch.rows.count, 2, part);
    const augment::Moment first{batch.key.seed, batch.key.step,
                                batch.first_row + pair.begin};
    const double share = augmenter_->rows(source, batch.rows.part(pair.begin, pair.size()),
                                          first, x + pair.begin * source.columns, scratch);
    for (int64_t i = pair.begin; i < pair.end; ++i) shares_[static_cast<size_t>(i)] = share;
  });
}

template class Gathering<float>;
template class Gathering<double>;

}  // namespace nervure
