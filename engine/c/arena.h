// SPDX-License-Identifier: BSD-3-Clause
// Where the buffers of a plan for inference lie: each is alive from the node that writes it
// to the last that reads it, and whatever is not alive at once may share memory.
#pragma once

#include "../execution/plan.h"

namespace nervure::c {

// Places values, saved numbers and scratch of all nodes, and sets `plan.arena`. Throws
// std::length_error where they need more than `most` numbers.
void place_buffers(Plan& plan, int64_t most);

}  // namespace nervure::c
