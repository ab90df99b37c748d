// SPDX-License-Identifier: BSD-3-Clause
// The rows of a batch, read into the inputs of a network as they are or augmented.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "../augment/augmenter.h"
#include "data.h"
#include "worker.h"

namespace nervure {

template <class T>
class Gathering {
 public:
  // Images are changed in batches that are to be augmented; an empty list ends that.
  void set_changes(const std::vector<Attributes>& changes, const Shape& shape);
  // Makes room for what so many workers change in a batch of so many rows.
  void prepare(int workers, int64_t rows);

  [[nodiscard]] bool changes() const { return augmenter_.has_value(); }
  // Are rows mixed with each other, and with them their targets?
  [[nodiscard]] bool mixes() const { return augmenter_ && augmenter_->mixes(); }
  // Of the latest augmented batch: how much each row has of itself, and not of the other
  // of its pair.
  [[nodiscard]] double share(int64_t row) const {
    return shares_[static_cast<size_t>(row)];
  }

  // A phase for each input; `inputs` is where the network has them.
  void run(Worker& worker, const Data<T>& data, const Batch& batch,
           std::span<T* const> inputs);

 private:
  void sequences(Worker& worker, const Source& source, const Batch& batch, T* x);

  void augment(Worker& worker, const Source& source, const Batch& batch, T* x);

  std::optional<augment::Augmenter<T>> augmenter_;
  std::vector<T> scratch_;  // of each worker
  std::vector<double> shares_;
};

}  // namespace nervure
