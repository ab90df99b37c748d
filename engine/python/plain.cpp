// SPDX-License-Identifier: BSD-3-Clause
#include "plain.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

namespace nervure {

namespace {

Attributes::Value attribute(nb::handle value) {
  if (nb::isinstance<nb::bool_>(value)) return static_cast<int64_t>(nb::cast<bool>(value));
  if (nb::isinstance<nb::int_>(value)) return nb::cast<int64_t>(value);
  if (nb::isinstance<nb::float_>(value)) return nb::cast<double>(value);
  if (nb::isinstance<nb::str>(value)) return nb::cast<std::string>(value);
  std::vector<int64_t> integers;
  if (nb::try_cast(value, integers)) return integers;
  return nb::cast<std::vector<double>>(value);
}

}  // namespace

Attributes attributes(const nb::dict& fields) {
  Attributes result;
  for (auto [key, value] : fields) result.set(nb::cast<std::string>(key), attribute(value));
  return result;
}

std::vector<Attributes> all_attributes(const nb::list& entries) {
  std::vector<Attributes> result;
  for (nb::handle entry : entries) result.push_back(attributes(nb::cast<nb::dict>(entry)));
  return result;
}

namespace {

NodePlan node_plan(const nb::dict& fields) {
  NodePlan node;
  node.kernel = nb::cast<std::string>(fields["kernel"]);
  node.attributes = attributes(nb::cast<nb::dict>(fields["attributes"]));
  node.shapes = {nb::cast<std::vector<Shape>>(fields["input_shapes"]),
                 nb::cast<Shape>(fields["shape"])};
  node.value_shape = nb::cast<Shape>(fields["values"]);
  node.clock = nb::cast<int>(fields["clock"]);
  node.spread = nb::cast<int64_t>(fields["spread"]);
  node.sequences = nb::cast<int>(fields["sequences"]);
  node.times = nb::cast<std::vector<int64_t>>(fields["times"]);
  node.ports = nb::cast<std::vector<int>>(fields["ports"]);
  for (nb::handle edge : nb::cast<nb::list>(fields["inputs"]))
    node.inputs.push_back(
        {nb::cast<int>(edge[0]), nb::cast<bool>(edge[1]), nb::cast<bool>(edge[2])});
  for (nb::handle p : nb::cast<nb::list>(fields["parameters"]))
    node.parameters.push_back({nb::cast<int64_t>(p[0]), nb::cast<int64_t>(p[1]),
                               nb::cast<bool>(p[2]), nb::cast<bool>(p[3]),
                               nb::cast<bool>(p[4])});
  node.value = nb::cast<int64_t>(fields["value"]);
  node.gradient = nb::cast<int64_t>(fields["gradient"]);
  node.saved = nb::cast<int64_t>(fields["saved"]);
  node.scratch = nb::cast<int64_t>(fields["scratch"]);
  node.backward = nb::cast<bool>(fields["backward"]);
  node.random_key = nb::cast<uint32_t>(fields["random_key"]);
  node.still = nb::cast<bool>(fields["still"]);
  return node;
}

}  // namespace

Plan plan(const nb::dict& fields) {
  Plan result;
  result.rows = nb::cast<int64_t>(fields["rows"]);
  result.steps = nb::cast<std::vector<int64_t>>(fields["steps"]);
  result.clocks = nb::cast<std::vector<int>>(fields["clocks"]);
  result.arena = nb::cast<int64_t>(fields["arena"]);
  for (nb::handle node : nb::cast<nb::list>(fields["nodes"]))
    result.nodes.push_back(node_plan(nb::cast<nb::dict>(node)));
  result.inputs = nb::cast<std::vector<int>>(fields["inputs"]);
  result.outputs = nb::cast<std::vector<int>>(fields["outputs"]);
  return result;
}

int64_t used_by(const Plan& plan) {
  int64_t end = 0;
  for (const NodePlan& node : plan.nodes)
    for (const ParameterPlan& p : node.parameters) end = std::max(end, p.offset + p.size);
  return end;
}

std::vector<Segment> segments(const nb::list& entries) {
  std::vector<Segment> result;
  for (const Attributes& fields : all_attributes(entries))
    result.push_back({.offset = fields.integer("offset"),
                      .size = fields.integer("size"),
                      .columns = fields.integer("columns"),
                      .trainable = fields.flag("trainable"),
                      .decays = fields.flag("decays"),
                      .learning_rate_multiplier = fields.number("learning_rate_multiplier"),
                      .l1 = fields.number("l1"),
                      .l2 = fields.number("l2"),
                      .max_norm = fields.number("max_norm")});
  return result;
}

}  // namespace nervure
