// SPDX-License-Identifier: BSD-3-Clause
#include "rules.h"

#include <algorithm>
#include <utility>

#include "../kernels/window.h"
#include "sizes.h"

namespace nervure::c {
namespace {

// Of pixels on one axis, and of what is counted in them, as in Python.
constexpr int64_t most_pixels = int64_t{1} << 24;

const Attributes& of(const NodePlan& node) { return node.attributes; }
const Shape& x(const NodePlan& node, size_t which = 0) {
  need(which < node.shapes.inputs.size(), "another number of inputs");
  return node.shapes.inputs[which];
}
const Shape& y(const NodePlan& node) { return node.shapes.output; }
int64_t size(const Shape& shape) { return elements(shape); }

void inputs(const NodePlan& node, size_t count) {
  need(node.shapes.inputs.size() == count, "another number of inputs");
}
void parameters(const NodePlan& node, const std::vector<int64_t>& sizes) {
  need(std::ranges::equal(node.parameters, sizes, {}, &ParameterPlan::size),
       "parameters of other sizes");
}
void flag(const NodePlan& node, std::string_view name) {
  const int64_t value = of(node).integer(name);
  need(value == 0 || value == 1, "a choice that is neither 0 nor 1");
}
int64_t within(int64_t value, int64_t least, int64_t most) {
  need(value >= least && value <= most, "an attribute that is too small or too large");
  return value;
}
int64_t attribute(const NodePlan& node, std::string_view name, int64_t least = 1,
                  int64_t most = most_numbers) {
  return within(of(node).integer(name), least, most);
}
void divides(int64_t part, int64_t whole) {
  need(part >= 1 && whole % part == 0, "parts that do not divide a whole");
}
// The weights of a layer with or without a bias.
void affine(const NodePlan& node, int64_t weights, int64_t units) {
  flag(node, "bias");
  parameters(node,
             of(node).flag("bias") ? std::vector{weights, units} : std::vector{weights});
}

// ---- element by element -----------------------------------------------------------------

int64_t alike(const NodePlan& node) {  // any number of inputs of the output's size
  need(!node.shapes.inputs.empty(), "no inputs");
  for (const Shape& shape : node.shapes.inputs)
    need(size(shape) == size(y(node)), "inputs of another size than the output");
  return 0;
}
void single(const NodePlan& node) {
  inputs(node, 1);
  alike(node);
}
int64_t plain(const NodePlan& node) {  // one input, nothing else
  single(node);
  parameters(node, {});
  return 0;
}
int64_t several(const NodePlan& node) {
  parameters(node, {});
  return alike(node);
}
template <size_t count>
int64_t exactly(const NodePlan& node) {
  inputs(node, count);
  return several(node);
}
int64_t silencing(const NodePlan& node) {
  need(of(node).integer("threshold") == 0 && of(node).number("rate") == 0,
       "something that is random");
  return plain(node);
}
int64_t shared_dropout(const NodePlan& node) {
  divides(attribute(node, "channels"), size(y(node)));
  return silencing(node);
}
int64_t constant(const NodePlan& node) {
  inputs(node, 0);
  parameters(node, {});
  return 0;
}
int64_t learned(const NodePlan& node) {
  inputs(node, 0);
  parameters(node, {size(y(node))});
  return 0;
}
int64_t prelu(const NodePlan& node) {
  single(node);
  const int64_t slopes = attribute(node, "slopes");
  divides(slopes, size(y(node)));
  parameters(node, {slopes});
  return 0;
}

// ---- norms ----------------------------------------------------------------------------

int64_t normalize(const NodePlan& node) {
  single(node);
  parameters(node, {y(node).back(), y(node).back()});
  return 0;
}
int64_t batch_norm(const NodePlan& node) {
  single(node);
  parameters(node, std::vector<int64_t>(4, y(node).back()));
  return 0;
}
int64_t group_norm(const NodePlan& node) {
  single(node);
  flag(node, "each_pixel");
  flag(node, "centred");
  divides(attribute(node, "groups"), y(node).back());
  parameters(node, std::vector<int64_t>(of(node).flag("centred") ? 2 : 1, y(node).back()));
  return 0;
}
int64_t local_response_norm(const NodePlan& node) {
  attribute(node, "size");
  return plain(node);
}

// ---- other places -----------------------------------------------------------------------

int64_t slice(const NodePlan& node) {
  inputs(node, 1);
  parameters(node, {});
  const auto axis =
      static_cast<size_t>(attribute(node, "axis", 0, std::ssize(y(node)) - 1));
  Shape rest = x(node);
  need(rest.size() == y(node).size(), "an output of other axes");
  rest[axis] = y(node)[axis];
  need(rest == y(node), "an output of other axes");
  const int64_t last = x(node)[axis] - 1, begin = attribute(node, "begin", 0, last);
  const int64_t step = attribute(node, "step", -most_numbers);
  within(begin + step * (y(node)[axis] - 1), 0, last);
  return 0;
}
int64_t concatenate(const NodePlan& node) {
  parameters(node, {});
  const int64_t axis = attribute(node, "axis", 0, std::ssize(y(node)) - 1);
  int64_t extent = 0;
  for (Shape shape : node.shapes.inputs) {
    need(shape.size() == y(node).size(), "inputs of other axes");
    int64_t& own = shape[static_cast<size_t>(axis)];
    extent += std::exchange(own, y(node)[static_cast<size_t>(axis)]);
    need(shape == y(node), "inputs of other extents");
  }
  need(extent == y(node)[static_cast<size_t>(axis)], "inputs that do not fill the output");
  return 0;
}
// The least and the largest place of a list, `apart` numbers from one to the next.
Range reach(const std::vector<int64_t>& places, int64_t apart) {
  const auto [least, most] = std::ranges::minmax(places);
  within(least, 0, most_numbers);
  within(most, 0, most_numbers);
  const auto [low, high] = std::minmax({least * apart, most * apart});
  return {within(low, -most_numbers, most_numbers),
          within(high, -most_numbers, most_numbers)};
}
int64_t arrange(const NodePlan& node) {
  inputs(node, 1);
  parameters(node, {});
  const std::vector<int64_t> strides = of(node).integers("strides");
  need(strides.size() == y(node).size(), "not one distance for each axis");
  const int64_t taken = attribute(node, "taken", -1, std::ssize(y(node)) - 1);
  Range all{0, 0};
  for (size_t axis = 0; axis < strides.size(); ++axis) {
    within(strides[axis], -most_numbers, most_numbers);
    std::vector<int64_t> places = {0, y(node)[axis] - 1};
    if (static_cast<int64_t>(axis) == taken) {
      places = of(node).integers("indices");
      need(std::ssize(places) == y(node)[axis], "not one index for each place");
    }
    const Range own = reach(places, strides[axis]);
    all = {all.begin + own.begin, all.end + own.end};
  }
  need(all.begin >= 0 && all.end < size(x(node)), "places outside of the input");
  return size(x(node)) + 4 * size(y(node));
}
int64_t reduce(const NodePlan& node) {
  inputs(node, 1);
  parameters(node, {});
  const std::vector<int64_t> reduced = of(node).integers("reduced");
  need(reduced.size() == x(node).size(), "not one choice for each axis");
  (void)of(node).word("function");
  int64_t kept = 1;
  for (size_t axis = 0; axis < reduced.size(); ++axis)
    if (reduced[axis] == 0) kept *= x(node)[axis];
  need(kept == size(y(node)), "an output of another size");
  return 4 * size(x(node)) + 4;
}
int64_t embedding(const NodePlan& node) {
  inputs(node, 1);
  const std::vector<int64_t> categories = of(node).integers("categories");
  need(!categories.empty(), "no categories");
  divides(std::ssize(categories), size(x(node)));
  int64_t rows = 0;
  for (const int64_t count : categories)
    rows = within(rows + within(count, 1, most_numbers), 1, most_numbers);
  const int64_t dim = attribute(node, "dim");
  parameters(node, {product({rows, dim})});
  need(size(y(node)) == product({size(x(node)), dim}), "an output of another size");
  return 2 * std::ssize(categories);
}
int64_t embedding_bag(const NodePlan& node) {
  inputs(node, 1);
  const Shape& codes = x(node);
  need(!codes.empty() && codes.back() > 0, "no codes");
  const std::vector<int64_t> categories = of(node).integers("categories");
  need(categories.size() == 1, "no categories");
  const std::string pooling = of(node).word("pooling");
  need(pooling == "mean" || pooling == "root" || pooling == "sum", "a pooling of no kind");
  need(of(node).integer("threshold") == 0 && of(node).number("rate") == 0,
       "something that is random");
  const int64_t rows = within(categories[0], 1, most_numbers);
  const int64_t dim = attribute(node, "dim");
  parameters(node, {product({rows, dim})});
  need(size(y(node)) == product({size(codes) / codes.back(), dim}),
       "an output of another size");
  return 2;
}

// ---- products ---------------------------------------------------------------------------

int64_t dense(const NodePlan& node) {
  inputs(node, 1);
  affine(node, product({size(x(node)), size(y(node))}), size(y(node)));
  return 0;
}
int64_t matmul(const NodePlan& node) {
  inputs(node, 2);
  parameters(node, {});
  const Shape &a = x(node), &c = y(node);
  need(c.size() >= 2, "no matrices");
  const int64_t m = c[c.size() - 2], n = c.back(), k = a.back(), pairs = size(c) / (m * n);
  need(size(a) == product({pairs, m, k}) && size(x(node, 1)) == product({pairs, k, n}),
       "matrices that do not fit");
  return 0;
}
int64_t ensemble_dense(const NodePlan& node) {
  inputs(node, 1);
  need(y(node).size() == 2, "an output that is no (members, units)");
  const int64_t members = y(node)[0], units = y(node)[1], features = x(node).back();
  flag(node, "begins");
  const Shape wanted = of(node).flag("begins") ? Shape{features} : Shape{members, features};
  need(x(node) == wanted, "an input of another shape");
  const int64_t own = product({members, units});
  parameters(node, {product({features, units}), product({members, features}), own, own});
  return 0;
}
int64_t ensemble_mean(const NodePlan& node) {
  inputs(node, 1);
  parameters(node, {});
  need(product({x(node)[0], size(y(node))}) == size(x(node)), "an output of another size");
  return 0;
}
int64_t periodic(const NodePlan& node) {
  inputs(node, 1);
  need(y(node).size() == 2 && y(node)[1] >= 2, "an output that is no (features, numbers)");
  const int64_t features = y(node)[0], rest = y(node)[1] - 1;
  need(size(x(node)) == features, "an input of another size");
  const int64_t waves = product({features, attribute(node, "frequencies")});
  parameters(node, {waves, waves, product({waves, rest}), features * rest});
  return 0;
}

// ---- windows ----------------------------------------------------------------------------

// Both have one to three axes of pixels, and channels.
int64_t pixel_axes(const Shape& wide, const Shape& narrow) {
  const int64_t axes = std::ssize(wide) - 1;
  need(axes >= 1 && axes <= 3 && wide.size() == narrow.size(), "no maps");
  return axes;
}
std::vector<int64_t> axis_list(const NodePlan& node, std::string_view name, int64_t axes,
                               int64_t least) {
  std::vector<int64_t> list = of(node).integers(name);
  need(std::ssize(list) == axes, "not one number for each axis");
  for (const int64_t each : list) within(each, least, most_pixels);
  return list;
}
// Windows of `wide` at the pixels of `narrow`: all that they see, margins included, can be
// counted. Returns the places of a window.
int64_t windows(const NodePlan& node, const Shape& wide, const Shape& narrow) {
  const int64_t axes = pixel_axes(wide, narrow);
  const auto list = [&](std::string_view name, int64_t least) {
    return axis_list(node, name, axes, least);
  };
  const auto kernel = list("kernel", 1), stride = list("stride", 1),
             dilation = list("dilation", 1), before = list("before", 0);
  std::vector<int64_t> seen = {std::max(wide.back(), narrow.back())};
  for (size_t k = 0; k < kernel.size(); ++k) {
    within(wide[k], 1, most_pixels);
    within(narrow[k], 1, most_pixels);
    seen.push_back(
        std::max(wide[k], (narrow[k] - 1) * stride[k] + (kernel[k] - 1) * dilation[k] + 1) +
        before[k]);
  }
  product_of(seen, most_numbers, "windows that reach too far");
  return product_of(kernel, most_pixels, "a window of too many places");
}
int64_t correlation(const NodePlan& node, const Shape& wide, const Shape& narrow) {
  inputs(node, 1);
  const int64_t places = windows(node, wide, narrow), groups = attribute(node, "groups");
  divides(groups, wide.back());
  divides(groups, narrow.back());
  const int64_t weights = product({places, wide.back() / groups, narrow.back()});
  affine(node, weights, y(node).back());
  return 32 * places + weights / narrow.back();
}
int64_t convolution(const NodePlan& node) { return correlation(node, x(node), y(node)); }
int64_t transposed(const NodePlan& node) { return correlation(node, y(node), x(node)); }
int64_t depthwise(const NodePlan& node) {
  inputs(node, 1);
  divides(x(node).back(), y(node).back());
  affine(node, product({windows(node, x(node), y(node)), y(node).back()}), y(node).back());
  return 0;
}
int64_t pooling(const NodePlan& node) {
  inputs(node, 1);
  parameters(node, {});
  const int64_t axes = std::ssize(x(node)) - 1;
  need(axes >= 1 && axes <= 3, "no maps");
  const auto counts = axis_list(node, "counts", axes, 1),
             sizes = axis_list(node, "sizes", axes, 0),
             strides = axis_list(node, "strides", axes, 0),
             before = axis_list(node, "before", axes, 0);
  int64_t held = 0, all = y(node).back();
  need(x(node).back() == all, "an output of other channels");
  for (size_t k = 0; k < counts.size(); ++k) {
    all = product({all, counts[k]});
    held += 4 * counts[k];
    if (sizes[k] == 0) continue;  // parts of the axis
    const int64_t extent = x(node)[k], last = (counts[k] - 1) * strides[k] - before[k];
    need(sizes[k] > before[k] && last < extent, "a window that sees nothing");
  }
  need(all == size(y(node)), "an output of another size");
  return held;
}
int64_t frame(const NodePlan& node) {
  inputs(node, 1);
  parameters(node, {});
  const int64_t axes = pixel_axes(x(node), y(node));
  axis_list(node, "before", axes, -most_pixels);
  need(x(node).back() == y(node).back(), "an output of other channels");
  return 0;
}
int64_t up_sampling(const NodePlan& node) {
  inputs(node, 1);
  parameters(node, {});
  const int64_t axes = pixel_axes(x(node), y(node));
  const auto scale = axis_list(node, "size", axes, 1);
  flag(node, "linear");
  int64_t held = 0;
  for (size_t k = 0; k < scale.size(); ++k) {
    need(product({x(node)[k], scale[k]}) == y(node)[k], "an output of another size");
    held += 64 * y(node)[k];
  }
  need(x(node).back() == y(node).back(), "an output of other channels");
  return held;
}

// ---- along time -------------------------------------------------------------------------

int64_t recurrent(const NodePlan& node, int64_t states, int64_t gates,
                  std::vector<int64_t> further) {
  const int64_t features = attribute(node, "features"), units = attribute(node, "units");
  need(node.shapes.inputs.size() == 1 || std::ssize(node.shapes.inputs) == 1 + states,
       "another number of inputs");
  need(x(node) == Shape{features}, "steps of another shape");
  for (size_t i = 1; i < node.shapes.inputs.size(); ++i)
    need(x(node, i) == Shape{units}, "a state of another shape");
  need(y(node) == Shape{units}, "an output of another shape");
  need(of(node).integer("states") == states && std::ssize(node.ports) == states,
       "another number of states");
  need(of(node).integer("stateful") == 0 && of(node).integer("threshold") == 0 &&
           of(node).number("rate") == 0,
       "something that training alone does");
  flag(node, "return_sequences");
  flag(node, "reverse");
  product({node.times[0], units});
  const int64_t width = product({gates, units});
  std::vector<int64_t> sizes = {product({features, width}), product({units, width}), width};
  for (const int64_t each : further) sizes.push_back(each * units);
  parameters(node, sizes);
  return 0;
}
int64_t simple_rnn(const NodePlan& node) {
  flag(node, "relu");
  return recurrent(node, 1, 1, {});
}
std::vector<int64_t> peepholes(const NodePlan& node) {
  flag(node, "peepholes");
  return of(node).flag("peepholes") ? std::vector<int64_t>{3} : std::vector<int64_t>{};
}
int64_t lstm(const NodePlan& node) { return recurrent(node, 2, 4, peepholes(node)); }
int64_t normalized_lstm(const NodePlan& node) {
  std::vector<int64_t> further = peepholes(node);
  further.insert(further.end(), {4, 4, 1, 1});
  return recurrent(node, 2, 4, further);
}
int64_t gru(const NodePlan& node) {
  flag(node, "reset_after");
  return recurrent(
      node, 1, 3,
      of(node).flag("reset_after") ? std::vector<int64_t>{3} : std::vector<int64_t>{});
}
int64_t attention(const NodePlan& node) {
  inputs(node, 3);
  parameters(node, {});
  flag(node, "causal");
  const int64_t heads = attribute(node, "heads");
  for (const Shape& shape : node.shapes.inputs) {
    need(shape.size() == 1, "steps that are no vectors");
    divides(heads, shape[0]);
  }
  need(x(node, 0) == x(node, 1) && x(node, 2) == y(node), "vectors of another size");
  need(node.times[1] == node.times[2], "keys and values of other steps");
  return 0;
}
int64_t positions(const NodePlan& node) {
  inputs(node, 1);
  need(x(node).size() == 1 && x(node) == y(node), "steps of another shape");
  const int64_t length = attribute(node, "length");
  need(node.times[0] <= length, "a sequence that is too long");
  parameters(node, {product({length, x(node)[0]})});
  return 0;
}
int64_t rotary(const NodePlan& node) {
  inputs(node, 1);
  parameters(node, {});
  need(x(node).size() == 1 && x(node) == y(node), "steps of another shape");
  divides(product({attribute(node, "heads"), 2}), x(node)[0]);
  return 0;
}

// ---- the table --------------------------------------------------------------------------

struct Rule {
  std::string_view kernel;
  int64_t (*check)(const NodePlan&);
  int sequences = 0;
  bool chooses = false;  // whether it gives a value for each step
};

constexpr Rule rules[] = {
    {"activation", plain},
    {"add", several},
    {"arrange", arrange},
    {"average_pool", pooling},
    {"batch_norm", batch_norm},
    {"clip", plain},
    {"concatenate", concatenate},
    {"constant", constant},
    {"convolution", convolution},
    {"dense", dense},
    {"depthwise_convolution", depthwise},
    {"dot_product_attention", attention, 3},
    {"dropout", silencing},
    {"embedding", embedding},
    {"embedding_bag", embedding_bag},
    {"ensemble_dense", ensemble_dense},
    {"ensemble_mean", ensemble_mean},
    {"extreme", several},
    {"flatten", plain},
    {"frame", frame},
    {"group_norm", group_norm},
    {"gaussian_noise", plain},
    {"gaussian_sample", exactly<2>},
    {"gru", gru, 1, true},
    {"l2_pool", pooling},
    {"learned", learned},
    {"local_response_norm", local_response_norm},
    {"log_softmax", plain},
    {"lstm", lstm, 1, true},
    {"matmul", matmul},
    {"max_pool", pooling},
    {"multiply", several},
    {"normalize", normalize},
    {"normalized_lstm", normalized_lstm, 1, true},
    {"pair", exactly<2>},
    {"periodic_embedding", periodic},
    {"position_embedding", positions, 1},
    {"prelu", prelu},
    {"reduce", reduce},
    {"reshape", plain},
    {"rotary_positions", rotary, 1},
    {"shared_dropout", shared_dropout},
    {"simple_rnn", simple_rnn, 1, true},
    {"slice", slice},
    {"softmax", plain},
    {"transposed_convolution", transposed},
    {"transposed_dense", dense},
    {"up_sampling", up_sampling},
    {"where", exactly<3>},
};

const Rule& rule_of(const std::string& kernel) {
  const Rule* found = std::ranges::find(rules, kernel, &Rule::kernel);
  need(found != std::end(rules), "a kernel that is not known");
  return *found;
}

}  // namespace

int64_t check_node(const NodePlan& node, int64_t rows) {
  const Rule& rule = rule_of(node.kernel);
  need(!y(node).empty(), "an output without axes");
  for (const Shape& shape : node.shapes.inputs) need(!shape.empty(), "inputs without axes");
  need(node.sequences == rule.sequences, "another number of sequences");
  const bool along = rule.sequences > 0;
  need(along || node.ports.empty(), "outputs that the kernel does not have");
  need(!along || node.spread == 1, "rows for each value of a sequence");
  product({rows, node.spread, size(y(node))});
  return rule.check(node);
}

bool gives_steps(const NodePlan& node) {
  return !rule_of(node.kernel).chooses || of(node).flag("return_sequences");
}

std::vector<std::string> ruled_kernels() {
  std::vector<std::string> names;
  for (const Rule& rule : rules) names.emplace_back(rule.kernel);
  return names;
}

}  // namespace nervure::c
