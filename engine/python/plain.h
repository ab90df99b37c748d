// SPDX-License-Identifier: BSD-3-Clause
// Python's numbers, words, lists and dicts, read into the engine's own.
#pragma once

#include <nanobind/nanobind.h>

#include <vector>

#include "../execution/plan.h"
#include "../optimizers/segment.h"

namespace nervure {

namespace nb = nanobind;

Attributes attributes(const nb::dict& fields);
std::vector<Attributes> all_attributes(const nb::list& entries);
Plan plan(const nb::dict& fields);
// How many numbers a plan reads of the flat array of all parameters.
int64_t used_by(const Plan& plan);
std::vector<Segment> segments(const nb::list& entries);

}  // namespace nervure
