// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <algorithm>

#include "../optimizers/list.h"
#include "../optimizers/update.h"
#include "arrays.h"
#include "plain.h"

namespace nervure {

template <class T>
Update<T> read_update(const std::string& kind, const nb::dict& fields,
                      const Vector<T>& weights, const Vector<T>& gradients,
                      const std::vector<Vector<T>>& slots, const nb::list& entries) {
  std::vector<T*> arrays;
  auto least = static_cast<int64_t>(std::min(weights.size(), gradients.size()));
  for (const Vector<T>& slot : slots) {
    arrays.push_back(slot.data());
    least = std::min(least, static_cast<int64_t>(slot.size()));
  }
  std::vector<Segment> all = segments(entries);
  for (const Segment& segment : all)
    if (segment.offset < 0 || segment.size < 0 || segment.columns < 1 ||
        segment.size > least - segment.offset)
      refuse("update: a segment outside of the arrays");
  auto rule = make_updater<T>(kind, attributes(fields));
  if (static_cast<size_t>(rule->slots()) != slots.size())
    refuse("the optimizer has another number of slots");
  return Update<T>(std::move(rule), weights.data(), gradients.data(), std::move(arrays),
                   std::move(all));
}

}  // namespace nervure
