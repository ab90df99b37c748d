// SPDX-License-Identifier: BSD-3-Clause
// A plan file: eight bytes that say how long its header is, the header (json.h), and all
// parameters as float32, one behind the other. The header lists the nodes in the order in
// which they run, each with its kernel and what feeds it.
//
// Whatever the header says is checked before anything is allocated or multiplied by it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "../execution/plan.h"
#include "../memory.h"

namespace nervure::c {

struct End {  // an input or output of the network
  std::string name;
  Shape shape;
  int64_t size = 0;
};

struct PlanFile {
  Plan plan;
  std::vector<End> inputs, outputs;
  int64_t work = 0;  // floating-point operations of a row
  std::unique_ptr<Memory> parameters;
};

// Throws std::runtime_error, with the whole story, where the file is none or is damaged,
// or would take more than `most` bytes; 0: 256 MiB and 100 times what it is large.
PlanFile read_plan_file(const std::string& path, int64_t most = 0);

// The plan of a header alone, of a file with so many parameters, in at most so many bytes.
PlanFile read_header(std::string_view header, int64_t parameters, int64_t most);

}  // namespace nervure::c
