// SPDX-License-Identifier: BSD-3-Clause
// What Python planned for one graph, one largest batch and one dtype: the order of the
// nodes, where their buffers lie in the arena, and which gradients are wanted.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "../attributes.h"
#include "../kernels/kernel.h"

namespace nervure {

constexpr int nowhere = -1;

struct ParameterPlan {
  int64_t offset = 0;  // into the flat array of all parameters
  int64_t size = 0;
  bool trainable = true;
  bool accumulate = false;  // has a later node, tied to this, written its gradient before?
  bool shared = false;      // have several nodes this parameter?
};

struct EdgePlan {
  int node = 0;             // where the input comes from
  bool gradient = false;    // is dC/dinput wanted?
  bool accumulate = false;  // has another node written it before?
};

struct NodePlan {
  std::string kernel;  // empty for an input of the network
  Attributes attributes;
  Shapes shapes;        // as the kernel sees them
  Shape value_shape;    // of the value: of a row, or of a step where there is a clock
  int clock = nowhere;  // which of the plan's clocks says how many steps a row has
  int64_t spread = 1;   // rows of the kernel for each value
  int sequences = 0;    // so many of the inputs are sequences that the kernel goes along,
  std::vector<int64_t> times;  // of so many steps each; 0 where a clock tells
  std::vector<int> ports;      // nodes of further outputs in their order, or `nowhere`
  std::vector<EdgePlan> inputs;
  std::vector<ParameterPlan> parameters;
  int64_t value = nowhere;     // offsets into the arena, in elements
  int64_t gradient = nowhere;  //
  int64_t saved = nowhere;     //
  int64_t scratch = nowhere;   //
  bool backward = false;       // does it take part in the backward pass?
  uint32_t random_key = 0;     // key of its random numbers
  bool still = false;          // does it do in training what it does in inference?
};

struct Plan {
  int64_t rows = 0;            // largest batch
  std::vector<int64_t> steps;  // most steps of so many rows, by clock
  std::vector<int> clocks;     // of which of the inputs the lengths count
  int64_t arena = 0;           // elements
  std::vector<NodePlan> nodes;
  std::vector<int> inputs, outputs;
};

}  // namespace nervure
