// SPDX-License-Identifier: BSD-3-Clause
// The stepper as Python holds it: checked, with the parameters it reads.
#pragma once

#include "../execution/stepper.h"
#include "arrays.h"
#include "plain.h"
#include "released.h"

namespace nervure {

inline Kept kept_of(const std::string& word) {
  if (word.empty()) return Kept::nothing;
  if (word == "states") return Kept::states;
  if (word == "steps") return Kept::steps;
  if (word == "place") return Kept::place;
  refuse("stepper: nothing is kept under the name " + word);
}

template <class T>
class HeldStepper {
 public:
  HeldStepper(const nb::dict& fields, const std::vector<std::string>& kept,
              nb::object values)
      : HeldStepper(plan(fields), kept, values) {}

  // (codes that were drawn, are all scores finite?)
  nb::tuple write(const std::vector<int64_t>& codes, int64_t count, double temperature,
                  int64_t top_k, double top_p, uint64_t seed, int64_t first, bool shares) {
    if (count < 0 || top_k < 0 || first < 0 || temperature < 0 || top_p <= 0)
      refuse("stepper: a negative number");
    std::vector<int64_t> drawn(static_cast<size_t>(count));
    const Draws draws{{temperature, top_k, top_p}, seed, first, shares};
    {
      const Released free;
      drawn.resize(static_cast<size_t>(stepper_.write(codes, draws, drawn)));
    }
    return nb::make_tuple(drawn, stepper_.finite());
  }

  void restart() { stepper_.restart(); }
  nb::object output() const {
    const std::span<const T> said = stepper_.output();
    return nb::ndarray<nb::numpy, const T>(said.data(), {said.size()})
        .cast(nb::rv_policy::copy);
  }

 private:
  HeldStepper(Plan plan, const std::vector<std::string>& kept, nb::handle values)
      : values_(array_of<Vector<T>>(values, "parameters", used_by(plan))),
        stepper_(std::move(plan), all_of(kept), values_.data()) {}

  static std::vector<Kept> all_of(const std::vector<std::string>& kept) {
    std::vector<Kept> all;
    for (const std::string& word : kept) all.push_back(kept_of(word));
    return all;
  }

  Vector<T> values_;
  Stepper<T> stepper_;
};

}  // namespace nervure
