// SPDX-License-Identifier: BSD-3-Clause
#include "reading.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <new>
#include <stdexcept>
#include <utility>

#include "arena.h"
#include "json.h"
#include "rules.h"
#include "sizes.h"

namespace nervure::c {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers are read as they lie");

constexpr int64_t format = 1;
constexpr int64_t most_header = int64_t{16} << 20;  // bytes
constexpr int64_t most_nodes = 20'000, most_edges = 100'000, most_rows = 4096;
constexpr int64_t always = int64_t{256} << 20, times_file = 100;
constexpr int64_t largest = std::numeric_limits<int64_t>::max();

int64_t integer(const Json& from, std::string_view key, int64_t least, int64_t most) {
  const int64_t value = from.at(key).integer(key);
  if (value < least || value > most)
    throw std::invalid_argument("'" + std::string(key) + "' is too small or too large");
  return value;
}

std::vector<int64_t> integers(const Json& from, std::string_view what) {
  std::vector<int64_t> found;
  for (const Json& each : from.list(what)) found.push_back(each.integer(what));
  return found;
}
Shape shape(const Json& from, std::string_view what) {
  Shape found = integers(from, what);
  (void)elements(found);
  return found;
}
// A node, by its number, that stands before `end`.
int node_number(const Json& from, int64_t end, std::string_view what) {
  const int64_t node = from.integer(what);
  need(node >= 0 && node < end, "a node that is not there, or not yet");
  return static_cast<int>(node);
}

// A number with a fraction stands as the 16 hexadecimal digits of its bits.
double number(const Json& from) {
  const std::string& digits = from.text("number");
  uint64_t bits = 0;
  const auto [last, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), bits, 16);
  need(error == std::errc{} && digits.size() == 16 && last == digits.data() + 16,
       "a number that is not 16 hexadecimal digits");
  return std::bit_cast<double>(bits);
}

Attributes::Value attribute(const Json& from) {
  if (const auto* value = std::get_if<int64_t>(&from.value())) return *value;
  if (const auto* word = std::get_if<std::string>(&from.value())) return *word;
  if (std::holds_alternative<Json::List>(from.value())) return integers(from, "attribute");
  const Json& held = from.at("float64");
  if (!std::holds_alternative<Json::List>(held.value())) return number(held);
  std::vector<double> numbers;
  for (const Json& each : held.list("float64")) numbers.push_back(number(each));
  return numbers;
}

class Header {
 public:
  Header(const Json& from, int64_t parameters, int64_t most)
      : from_(from), parameters_(parameters), most_(most) {}

  PlanFile read() {
    check_format();
    const Json::List& nodes = from_.at("nodes").list("nodes");
    count_ = static_cast<int64_t>(nodes.size());
    need(count_ >= 1 && count_ <= most_nodes, "no nodes, or too many");
    plan_.rows = integer(from_, "rows", 1, most_rows);
    for (const Json& each : nodes) named(each, [&] { add(each); });
    read_ends("inputs", plan_.inputs, file_.inputs);
    read_ends("outputs", plan_.outputs, file_.outputs);
    check_sources();
    place();
    file_.work = integer(from_, "work", 0, largest);
    file_.plan = std::move(plan_);
    return std::move(file_);
  }

 private:
  void check_format() const {
    need(from_.at("format").text("format") == "nervure plan", "another format");
    if (const int64_t version = integer(from_, "version", 1, largest); version > format)
      throw std::invalid_argument("version " + std::to_string(version) +
                                  " of the format, which is newer than this library");
    need(integer(from_, "parameters", 0, largest) == parameters_,
         "another number of parameters than the file has");
  }

  // Errors say of which node they are.
  template <class Call>
  static void named(const Json& node, Call&& call) {
    const std::string& name = node.at("name").text("name");
    try {
      call();
    } catch (const std::invalid_argument& error) {
      throw std::invalid_argument("node '" + name.substr(0, 80) + "': " + error.what());
    }
  }

  void add(const Json& from) {
    NodePlan node;
    node.kernel = from.at("kernel").text("kernel");
    node.value_shape = shape(from.at("values"), "values");
    for (const Json& each : from.at("inputs").list("inputs"))
      node.inputs.push_back({node_number(each, std::ssize(plan_.nodes), "inputs")});
    need((edges_ += std::ssize(node.inputs)) <= most_edges, "too many inputs");
    product({plan_.rows, size_of(node.value_shape)});
    if (!node.kernel.empty()) read_kernel(from, node);
    plan_.nodes.push_back(std::move(node));
  }

  void read_kernel(const Json& from, NodePlan& node) {
    for (const Member& each : from.at("attributes").table("attributes"))
      node.attributes.set(each.key, attribute(each.value));
    for (const Json& each : from.at("input_shapes").list("input_shapes"))
      node.shapes.inputs.push_back(shape(each, "input_shapes"));
    node.shapes.output = shape(from.at("shape"), "shape");
    node.spread = integer(from, "spread", 1, most_numbers);
    node.times = integers(from.at("times"), "times");
    node.sequences = static_cast<int>(std::min<size_t>(node.times.size(), 8));
    for (const Json& each : from.at("ports").list("ports"))
      node.ports.push_back(each.integer("ports") < 0 ? nowhere
                                                     : node_number(each, count_, "ports"));
    for (const Json& each : from.at("parameters").list("parameters"))
      node.parameters.push_back(parameter(each));
    check_shapes(node);
    held_ += check_node(node, plan_.rows);
    need(held_ <= most_ / 4, "kernels that keep too much");
  }

  [[nodiscard]] ParameterPlan parameter(const Json& from) const {
    const std::vector<int64_t> place = integers(from, "parameters");
    need(place.size() == 2, "a parameter without offset and size");
    const auto [offset, size] = std::pair(place[0], place[1]);
    need(offset >= 0 && size >= 1 && offset <= parameters_ && size <= parameters_ - offset,
         "a parameter outside of the file");
    return {.offset = offset, .size = size, .trainable = false};
  }

  // Do the shapes that the kernel sees make up the values that there are?
  void check_shapes(const NodePlan& node) const {
    const size_t along = node.times.size();
    need(node.inputs.size() == node.shapes.inputs.size() && along <= node.inputs.size(),
         "not one shape for each input");
    for (const int64_t time : node.times) need(time >= 1, "a sequence of open length");
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      const NodePlan& feed = plan_.nodes[static_cast<size_t>(node.inputs[i].node)];
      const int64_t times = i < along ? node.times[i] : node.spread;
      need(size_of(feed.value_shape) == product({times, elements(node.shapes.inputs[i])}),
           "an input of another size than what feeds it");
    }
    const int64_t out = along > 0 && gives_steps(node) ? node.times[0] : node.spread;
    need(size_of(node.value_shape) == product({out, elements(node.shapes.output)}),
         "an output of another size than its values");
  }
  void read_ends(std::string_view key, std::vector<int>& nodes, std::vector<End>& ends) {
    const Json::List& list = from_.at(key).list(key);
    need(!list.empty() && std::ssize(list) <= count_, "no inputs or outputs, or too many");
    for (const Json& each : list) {
      nodes.push_back(node_number(each.at("node"), count_, key));
      const Shape& shape = plan_.nodes[static_cast<size_t>(nodes.back())].value_shape;
      ends.push_back({each.at("name").text("name"), shape, size_of(shape)});
      need(ends.back().name.find('\0') == std::string::npos, "a name with a zero in it");
    }
    std::vector<std::string> names;
    for (const End& end : ends) names.push_back(end.name);
    std::ranges::sort(names);
    need(std::ranges::adjacent_find(names) == names.end(), "a name that stands twice");
  }

  // A node without a kernel is an input of the network, or a further output of the only
  // node that feeds it, which has it among its ports, once.
  void check_sources() const {
    std::vector<int> owners(plan_.nodes.size(), nowhere);
    for (const int input : plan_.inputs) {
      const NodePlan& node = plan_.nodes[static_cast<size_t>(input)];
      need(node.kernel.empty() && node.inputs.empty(), "an input that is computed");
      need(std::exchange(owners[static_cast<size_t>(input)], input) == nowhere,
           "an input that stands twice");
    }
    for (size_t i = 0; i < plan_.nodes.size(); ++i)
      for (const int port : plan_.nodes[i].ports)
        if (port != nowhere) {
          check_port(static_cast<int>(i), plan_.nodes[static_cast<size_t>(port)]);
          need(std::exchange(owners[static_cast<size_t>(port)], static_cast<int>(i)) ==
                   nowhere,
               "a further output that stands twice");
        }
    for (size_t i = 0; i < plan_.nodes.size(); ++i)
      need(!plan_.nodes[i].kernel.empty() || owners[i] != nowhere,
           "a node that nothing computes");
  }
  void check_port(int owner, const NodePlan& port) const {
    const NodePlan& node = plan_.nodes[static_cast<size_t>(owner)];
    need(port.kernel.empty() && port.inputs.size() == 1 && port.inputs[0].node == owner,
         "a further output that is something else");
    need(size_of(port.value_shape) == elements(node.shapes.output),
         "a further output of another size");
  }

  void place() {
    try {
      place_buffers(plan_, most_ / static_cast<int64_t>(sizeof(float)) - held_);
    } catch (const std::length_error&) {
      throw std::invalid_argument("values that take more than the " +
                                  std::to_string(most_ >> 20) +
                                  " MiB of memory that it may (nervure_load_within)");
    }
  }

  const Json& from_;
  int64_t parameters_, most_;
  Plan plan_;
  PlanFile file_;
  int64_t count_ = 0, edges_ = 0, held_ = 0;
};

// ---- the file ---------------------------------------------------------------------------

struct Closing {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using Stream = std::unique_ptr<std::FILE, Closing>;

Stream open(const std::string& path) {
  std::error_code error;
  const auto kind = std::filesystem::status(path, error).type();
  if (kind == std::filesystem::file_type::not_found)
    throw std::invalid_argument("no such file");
  need(kind == std::filesystem::file_type::regular, "a folder or device, or no access");
  Stream file(std::fopen(path.c_str(), "rb"));
  need(file != nullptr, "a file that cannot be opened");
  return file;
}

void read_bytes(std::FILE* file, void* to, int64_t count) {
  need(std::fread(to, 1, static_cast<size_t>(count), file) == static_cast<size_t>(count),
       "a file that ends early");
}

PlanFile read(const std::string& path, int64_t most) {
  const Stream file = open(path);
  const auto bytes = static_cast<int64_t>(std::filesystem::file_size(path));
  uint64_t length = 0;
  need(bytes >= 10, "a file of a few bytes");
  read_bytes(file.get(), &length, 8);
  need(length >= 2 && length <= static_cast<uint64_t>(bytes - 8),
       "a file that does not begin as plan files do");
  need(length <= static_cast<uint64_t>(most_header), "a header of more than 16 MiB");
  std::string header(static_cast<size_t>(length), ' ');
  read_bytes(file.get(), header.data(), static_cast<int64_t>(length));
  const int64_t rest = bytes - 8 - static_cast<int64_t>(length);
  need(rest % 4 == 0, "parameters that end within a number");
  if (most <= 0) most = always + times_file * std::min(bytes, largest / (2 * times_file));
  PlanFile found = read_header(header, rest / 4, most);
  found.parameters = std::make_unique<Memory>(static_cast<size_t>(rest));
  read_bytes(file.get(), found.parameters->data(), rest);
  return found;
}

}  // namespace

PlanFile read_header(std::string_view header, int64_t parameters, int64_t most) {
  const Json parsed = parse_json(header);
  return Header(parsed, parameters, most).read();
}

PlanFile read_plan_file(const std::string& path, int64_t most) {
  try {
    return read(path, most);
  } catch (const std::bad_alloc&) {
    throw;
  } catch (const std::exception& error) {
    throw std::runtime_error("[" + path + "] " + error.what() +
                             "; expected a file that nv.export(net, \"model.nervure\") "
                             "wrote; export it again");
  }
}

}  // namespace nervure::c
