// SPDX-License-Identifier: BSD-3-Clause
// What Python promises a kernel, asked again of a file: shapes, attributes and parameters
// that fit each other, so that no kernel reads or writes outside of its arrays.
#pragma once

#include "../execution/plan.h"

namespace nervure::c {

// Throws std::invalid_argument where a node does not fit its kernel, or where there is no
// rule for it. Its `shapes` have been compared with what feeds it. Returns how many numbers
// the kernel keeps for itself, beside the buffers of the plan.
int64_t check_node(const NodePlan& node, int64_t rows);

// Does a kernel along time give a value for each step, or one for a row?
bool gives_steps(const NodePlan& node);

// The kernels that there are rules for.
std::vector<std::string> ruled_kernels();

}  // namespace nervure::c
