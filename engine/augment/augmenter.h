// SPDX-License-Identifier: BSD-3-Clause
// All changes of one training run, in order, for the images of its batches.
//
// A change is one struct with a `name` and `read`; to be listed in augmenter.cpp it says
// where pixels come from (geometry.h), changes them in place (pixels.h) or mixes pairs
// (mixing.h). Its random numbers are keyed by seed, step, row and place in the list, so
// that neither the number of threads nor a resumed run changes a bit.
#pragma once

#include <memory>
#include <vector>

#include "../attributes.h"
#include "../rows.h"
#include "moment.h"

namespace nervure::augment {

template <class T>
class Augmenter {
 public:
  Augmenter(const std::vector<Attributes>& changes, const Shape& shape);
  Augmenter(Augmenter&&) noexcept;
  ~Augmenter();

  // Are pairs of rows mixed?
  [[nodiscard]] bool mixes() const;
  // Elements of T that each worker lends to `rows`.
  [[nodiscard]] int64_t scratch() const;

  // One or two rows of a batch, the first at an even place `first.row`, into x. Returns
  // the share of itself that each of the two keeps.
  double rows(const Source& source, Rows some, const Moment& first, T* x, T* scratch) const;

 private:
  class Changes;
  std::unique_ptr<const Changes> changes_;
};

}  // namespace nervure::augment
