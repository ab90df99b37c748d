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

constexpr int64_t nowhere = -1;

struct ParameterPlan {
  int64_t offset = 0;  // into the flat array of all parameters
  int64_t size = 0;
  bool trainable = true;
};

struct EdgePlan {
  int node = 0;             // where the input comes from
  bool gradient = false;    // is dC/dinput wanted?
  bool accumulate = false;  // has another node written it before?
};

struct NodePlan {
  std::string kernel;  // empty for an input of the network
  Attributes attributes;
  Shapes shapes;
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
  int64_t rows = 0;   // largest batch
  int64_t arena = 0;  // elements
  std::vector<NodePlan> nodes;
  std::vector<int> inputs, outputs;
};

}  // namespace nervure
