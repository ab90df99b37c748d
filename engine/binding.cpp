// SPDX-License-Identifier: BSD-3-Clause
// The only file of the engine that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <deque>

#include "executor.h"
#include "kernels/list.h"
#include "measure.h"

namespace nb = nanobind;

namespace nervure {
namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw std::invalid_argument("[engine] " + why);
}

// ---- Python's arrays --------------------------------------------------------------
// The engine reads and writes the caller's own memory. An array is taken as it is, never
// converted (the engine would go on with a copy that nobody holds), and held while it is
// used.

template <class E>
using Vector = nb::ndarray<E, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Index = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using RowWeights = nb::ndarray<const double, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

template <class Array>
Array array_of(nb::handle given, const std::string& what) {
  Array array;
  if (!nb::try_cast(given, array, false))
    refuse(what + ": no contiguous array of the type that is read there");
  const auto address = reinterpret_cast<uintptr_t>(array.data());
  const auto bytes = static_cast<uintptr_t>(array.itemsize());
  if (array.size() > 0 && address % bytes != 0) refuse(what + ": an array not aligned");
  return array;
}

template <class Array>
Array array_of(nb::handle given, const std::string& what, int64_t least) {
  Array array = array_of<Array>(given, what);
  if (static_cast<int64_t>(array.size()) < least)
    refuse(what + ": " + std::to_string(array.size()) + " elements; at least " +
           std::to_string(least) + " are used");
  return array;
}

template <class T>
std::vector<Vector<T>> vectors_of(const nb::list& given, const std::string& what) {
  std::vector<Vector<T>> arrays;
  for (nb::handle one : given) arrays.push_back(array_of<Vector<T>>(one, what));
  return arrays;
}

int64_t columns_of(const AnyArray& array) {
  int64_t columns = 1;
  for (size_t i = 1; i < array.ndim(); ++i) columns *= static_cast<int64_t>(array.shape(i));
  return columns;
}

Element element_of(const AnyArray& array) {
  const nb::dlpack::dtype type = array.dtype();
  if (type == nb::dtype<float>()) return Element::float32;
  if (type == nb::dtype<double>()) return Element::float64;
  if (type == nb::dtype<uint8_t>()) return Element::uint8;
  if (type == nb::dtype<int32_t>()) return Element::int32;
  if (type == nb::dtype<int64_t>()) return Element::int64;
  refuse("input: an array of a type the engine does not read");
}

// ---- reading Python's plain data --------------------------------------------------

Attributes::Value attribute(nb::handle value) {
  if (nb::isinstance<nb::bool_>(value)) return static_cast<int64_t>(nb::cast<bool>(value));
  if (nb::isinstance<nb::int_>(value)) return nb::cast<int64_t>(value);
  if (nb::isinstance<nb::float_>(value)) return nb::cast<double>(value);
  if (nb::isinstance<nb::str>(value)) return nb::cast<std::string>(value);
  std::vector<int64_t> integers;
  if (nb::try_cast(value, integers)) return integers;
  return nb::cast<std::vector<double>>(value);
}

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

Shapes shapes(const std::vector<Shape>& inputs, const Shape& output) {
  return {inputs, output};
}

NodePlan node_plan(const nb::dict& fields) {
  NodePlan node;
  node.kernel = nb::cast<std::string>(fields["kernel"]);
  node.attributes = attributes(nb::cast<nb::dict>(fields["attributes"]));
  node.shapes = shapes(nb::cast<std::vector<Shape>>(fields["input_shapes"]),
                       nb::cast<Shape>(fields["shape"]));
  for (nb::handle edge : nb::cast<nb::list>(fields["inputs"]))
    node.inputs.push_back(
        {nb::cast<int>(edge[0]), nb::cast<bool>(edge[1]), nb::cast<bool>(edge[2])});
  for (nb::handle p : nb::cast<nb::list>(fields["parameters"]))
    node.parameters.push_back(
        {nb::cast<int64_t>(p[0]), nb::cast<int64_t>(p[1]), nb::cast<bool>(p[2])});
  node.value = nb::cast<int64_t>(fields["value"]);
  node.gradient = nb::cast<int64_t>(fields["gradient"]);
  node.saved = nb::cast<int64_t>(fields["saved"]);
  node.scratch = nb::cast<int64_t>(fields["scratch"]);
  node.backward = nb::cast<bool>(fields["backward"]);
  node.random_key = nb::cast<uint32_t>(fields["random_key"]);
  node.still = nb::cast<bool>(fields["still"]);
  return node;
}

Plan plan(const nb::dict& fields) {
  Plan result;
  result.rows = nb::cast<int64_t>(fields["rows"]);
  result.arena = nb::cast<int64_t>(fields["arena"]);
  for (nb::handle node : nb::cast<nb::list>(fields["nodes"]))
    result.nodes.push_back(node_plan(nb::cast<nb::dict>(node)));
  result.inputs = nb::cast<std::vector<int>>(fields["inputs"]);
  result.outputs = nb::cast<std::vector<int>>(fields["outputs"]);
  return result;
}

// A data set as the engine reads it; keeps the arrays alive.
template <class T>
class HeldData {
 public:
  HeldData(const nb::list& inputs, const nb::list& targets, const nb::object& weights) {
    for (nb::handle given : inputs) {
      const auto pair = nb::cast<nb::tuple>(given);
      const AnyArray& array = hold(pair[0], "input");
      data_.inputs.push_back(
          {array.data(), element_of(array), columns_of(array), nb::cast<double>(pair[1])});
    }
    for (nb::handle given : targets) data_.targets.push_back(targets_of(given));
    if (weights.is_none()) return;
    weights_ = array_of<RowWeights>(weights, "weights of rows", rows_);
    data_.weights = weights_.data();
  }

  [[nodiscard]] const Data<T>& data() const { return data_; }
  [[nodiscard]] int64_t rows() const { return rows_; }

  // The classes of a target that hold a row each lie in [least, most].
  struct Labels {
    int64_t least, most;
  };
  [[nodiscard]] const Labels& labels(size_t target) const { return labels_.at(target); }

 private:
  const AnyArray& hold(nb::handle given, const std::string& what) {
    const auto array = array_of<AnyArray>(given, what);
    const int64_t rows = array.ndim() == 0 ? 0 : static_cast<int64_t>(array.shape(0));
    if (!held_.empty() && rows != rows_) refuse("arrays have different numbers of rows");
    rows_ = rows;
    return held_.emplace_back(array);
  }
  Targets<T> targets_of(nb::handle given) {
    const AnyArray& array = hold(given, "targets");
    Targets<T> targets;
    targets.columns = columns_of(array);
    Labels& known = labels_.emplace_back(Labels{0, 0});
    if (array.dtype() == nb::dtype<int32_t>()) {
      if (targets.columns != 1) refuse("targets: classes in several columns");
      targets.labels = static_cast<const int32_t*>(array.data());
      const auto [least, most] =
          std::minmax_element(targets.labels, targets.labels + rows_);
      if (rows_ > 0) known = {*least, *most};
    } else if (array.dtype() == nb::dtype<T>()) {
      targets.values = static_cast<const T*>(array.data());
    } else {
      refuse("targets: neither int32 nor of the net's type");
    }
    return targets;
  }

  Data<T> data_;
  std::deque<AnyArray> held_;  // references to its elements stay
  std::vector<Labels> labels_;
  RowWeights weights_;
  int64_t rows_ = 0;
};

Segment read_segment(const Attributes& fields) {
  return {.offset = fields.integer("offset"),
          .size = fields.integer("size"),
          .columns = fields.integer("columns"),
          .trainable = fields.flag("trainable"),
          .decays = fields.flag("decays"),
          .learning_rate_multiplier = fields.number("learning_rate_multiplier"),
          .l1 = fields.number("l1"),
          .l2 = fields.number("l2"),
          .max_norm = fields.number("max_norm")};
}

template <class T>
Update<T> read_update(const std::string& kind, const nb::dict& fields,
                      const Vector<T>& weights, const Vector<T>& gradients,
                      const std::vector<Vector<T>>& slots, const nb::list& segments) {
  std::vector<T*> arrays;
  auto least = static_cast<int64_t>(std::min(weights.size(), gradients.size()));
  for (const Vector<T>& slot : slots) {
    arrays.push_back(slot.data());
    least = std::min(least, static_cast<int64_t>(slot.size()));
  }
  std::vector<Segment> all;
  for (const Attributes& one : all_attributes(segments)) {
    const Segment& segment = all.emplace_back(read_segment(one));
    if (segment.offset < 0 || segment.size < 0 || segment.columns < 1 ||
        segment.size > least - segment.offset)
      refuse("update: a segment outside of the arrays");
  }
  auto rule = make_updater<T>(kind, attributes(fields));
  if (static_cast<size_t>(rule->slots()) != slots.size())
    refuse("the optimizer has another number of slots");
  return Update<T>(std::move(rule), weights.data(), gradients.data(), std::move(arrays),
                   std::move(all));
}

// ---- the executor -------------------------------------------------------------------

void check_index(const int64_t* index, Range range, int64_t rows) {
  for (int64_t i = range.begin; i < range.end; ++i)
    if (index[i] < 0 || index[i] >= rows)
      throw std::out_of_range("[engine] row index outside of the data");
}

template <class T>
Callback<T> callback(nb::callable function, int64_t columns) {
  return [function, columns](const T* output, Rows rows, T* gradient) {
    const nb::gil_scoped_acquire gil;
    const auto count = static_cast<size_t>(rows.count);
    const auto width = static_cast<size_t>(columns);
    std::vector<int64_t> index(count);
    for (size_t i = 0; i < count; ++i) index[i] = rows[static_cast<int64_t>(i)];
    using Matrix = nb::ndarray<nb::numpy, const T, nb::ndim<2>>;
    using Numbers = nb::ndarray<nb::numpy, const int64_t, nb::ndim<1>>;
    const nb::object result =
        function(Matrix(output, {count, width}).cast(nb::rv_policy::copy),
                 Numbers(index.data(), {count}).cast(nb::rv_policy::copy));
    const auto slope = array_of<nb::ndarray<const T, nb::ndim<2>, nb::c_contig>>(
        nb::object(result[1]), "gradient of the loss", rows.count * columns);
    if (gradient != nullptr) std::copy_n(slope.data(), count * width, gradient);
    return nb::cast<double>(nb::object(result[0]));
  };
}

template <class T>
class HeldExecutor {
 public:
  HeldExecutor(const nb::dict& fields, nb::object values, nb::object gradients)
      : HeldExecutor(plan(fields), values, gradients) {}

  void set_losses(const nb::list& entries) {
    std::vector<LossPlan<T>> losses;
    widths_.clear();
    for (nb::handle entry : entries) {
      LossPlan<T>& loss = losses.emplace_back();
      loss.node = nb::cast<int>(entry["node"]);
      loss.weight = nb::cast<double>(entry["weight"]);
      loss.members = nb::cast<int64_t>(entry["members"]);
      const nb::object function = entry["callback"];
      const NodePlan& node = executor_.plan().nodes.at(static_cast<size_t>(loss.node));
      const int64_t size = size_of(node.shapes.output);
      if (loss.members < 1 || size % loss.members != 0)
        refuse("loss: members that do not share the outputs evenly");
      if (function.is_none()) {
        loss.loss = LossKinds::make<T>(nb::cast<std::string>(entry["kind"]),
                                       attributes(nb::cast<nb::dict>(entry["attributes"])));
        widths_.push_back({size / loss.members, loss.loss->takes_classes()});
      } else {
        loss.callback = callback<T>(nb::cast<nb::callable>(function), size);
        widths_.push_back({nowhere, true});
      }
    }
    executor_.set_losses(std::move(losses));
  }

  void set_update(const std::string& kind, const nb::dict& fields, const nb::list& slots,
                  const nb::list& segments) {
    slots_ = vectors_of<T>(slots, "slots");
    executor_.set_update(
        read_update<T>(kind, fields, values_, gradients_, slots_, segments));
  }

  void set_augmentation(const nb::list& entries) {
    executor_.set_augmentation(all_attributes(entries));
  }

  void forward(int workers, const HeldData<T>& data, nb::object index, int64_t begin,
               int64_t count, bool training, uint64_t seed, uint64_t step,
               const nb::list& outputs, nb::object costs) {
    const Rows rows = read_rows(data, index, begin, count);
    const HeldResults held(outputs, costs);
    const Results<T> results = held.checked(executor_.plan(), data.rows());
    const nb::gil_scoped_release free;
    executor_.forward(workers, data.data(), rows, {training, seed, step}, results);
  }

  double gradient(int workers, const HeldData<T>& data, nb::object index, int64_t begin,
                  int64_t count, bool training, uint64_t seed, uint64_t step,
                  const nb::list& outputs, nb::object costs) {
    const Rows rows = read_rows(data, index, begin, count);
    const HeldResults held(outputs, costs);
    const Results<T> results = held.checked(executor_.plan(), data.rows());
    const nb::gil_scoped_release free;
    return executor_.gradient(workers, data.data(), rows, {training, seed, step}, results);
  }

  int64_t train(int fewest, int most, const HeldData<T>& data, nb::object index,
                int64_t begin, int64_t count, int64_t batch_size,
                const std::vector<double>& learning_rates, int64_t first_step,
                uint64_t seed, nb::object costs, nb::object weights,
                const nb::list& outputs) {
    const auto steps = static_cast<int64_t>(learning_rates.size());
    const auto step_costs = array_of<Vector<double>>(costs, "costs", steps);
    const auto step_weights = array_of<Vector<double>>(weights, "weights", steps);
    TrainRequest request{.rows = read_rows(data, index, begin, count),
                         .batch_size = batch_size,
                         .learning_rates = learning_rates,
                         .first_step = first_step,
                         .seed = seed,
                         .costs = step_costs.data(),
                         .weights = step_weights.data()};
    if (batch_size < 1 || steps != parts_of(count, batch_size))
      refuse("steps, batch size and rows do not agree");
    const HeldResults held(outputs, nb::none());
    const Results<T> results = held.checked(executor_.plan(), data.rows());
    const nb::gil_scoped_release free;
    return executor_.train({fewest, most}, data.data(), request, results);
  }

  nb::object value(int node, int64_t rows) const {
    return copy_of(executor_.value(node), node, rows);
  }
  nb::object gradient_of(int node, int64_t rows) const {
    return copy_of(executor_.gradient(node), node, rows);
  }

 private:
  HeldExecutor(Plan plan, nb::handle values, nb::handle gradients)
      : values_(array_of<Vector<T>>(values, "parameters", used_by(plan))),
        gradients_(array_of<Vector<T>>(gradients, "gradients", used_by(plan))),
        executor_(std::move(plan), values_.data(), gradients_.data()) {}

  static int64_t used_by(const Plan& plan) {
    int64_t end = 0;
    for (const NodePlan& node : plan.nodes)
      for (const ParameterPlan& p : node.parameters) end = std::max(end, p.offset + p.size);
    return end;
  }

  // What a call's results are written to.
  class HeldResults {
   public:
    HeldResults(const nb::list& outputs, const nb::object& costs)
        : outputs_(vectors_of<T>(outputs, "outputs")) {
      if (!costs.is_none()) costs_ = array_of<Vector<double>>(costs, "costs");
    }
    [[nodiscard]] Results<T> checked(const Plan& plan, int64_t rows) const {
      Results<T> results;
      if (outputs_.size() > plan.outputs.size()) refuse("outputs: more than the net has");
      for (size_t i = 0; i < outputs_.size(); ++i) {
        const auto node = static_cast<size_t>(plan.outputs[i]);
        const auto size = static_cast<int64_t>(outputs_[i].size());
        if (size != 0 && size < rows * size_of(plan.nodes.at(node).shapes.output))
          refuse("outputs: an array too small for the rows");
        results.outputs.push_back(size == 0 ? nullptr : outputs_[i].data());
      }
      if (!costs_.is_valid()) return results;
      if (static_cast<int64_t>(costs_.size()) < rows)
        refuse("costs: an array too small for the rows");
      results.costs = costs_.data();
      return results;
    }

   private:
    std::vector<Vector<T>> outputs_;
    Vector<double> costs_;
  };

  Rows read_rows(const HeldData<T>& data, const nb::object& index, int64_t begin,
                 int64_t count) {
    Rows rows{nullptr, begin, count};
    int64_t known = data.rows();
    if (!index.is_none()) {
      index_ = array_of<Index>(index, "index");
      rows.index = index_.data();
      known = static_cast<int64_t>(index_.size());
    }
    if (begin < 0 || count < 1 || begin > known || count > known - begin)
      throw std::out_of_range("[engine] rows outside of the data");
    if (rows.index != nullptr) check_index(rows.index, {begin, begin + count}, data.rows());
    check_inputs(data.data());
    check_targets(data);
    return rows;
  }

  void check_inputs(const Data<T>& data) const {
    const Plan& plan = executor_.plan();
    if (data.inputs.size() != plan.inputs.size())
      refuse("one array is needed for each input");
    for (size_t i = 0; i < data.inputs.size(); ++i) {
      const auto node = static_cast<size_t>(plan.inputs[i]);
      if (data.inputs[i].columns != size_of(plan.nodes.at(node).shapes.output))
        refuse("input: " + std::to_string(data.inputs[i].columns) +
               " numbers in each row, which is not what the net takes");
    }
  }

  void check_targets(const HeldData<T>& data) const {
    const std::vector<Targets<T>>& targets = data.data().targets;
    if (targets.empty() || widths_.empty()) return;
    if (targets.size() != widths_.size()) refuse("targets: not as many as losses");
    for (size_t i = 0; i < targets.size(); ++i) {
      const auto& [width, takes_classes] = widths_[i];
      if (width == nowhere) continue;  // the user's function reads them
      if (targets[i].labels == nullptr) {
        if (targets[i].columns != width) refuse("targets: not one number for each output");
        continue;
      }
      if (!takes_classes) refuse("targets: classes, where the loss takes numbers");
      const auto& [least, most] = data.labels(i);
      if (least < 0 || most >= width)
        refuse("targets: class " + std::to_string(least < 0 ? least : most) + " of " +
               std::to_string(width));
    }
  }

  nb::object copy_of(const T* data, int node, int64_t rows) const {
    if (data == nullptr) return nb::none();
    if (rows < 0 || rows > executor_.plan().rows) refuse("more rows than a batch has");
    const Shape& shape = executor_.plan().nodes.at(static_cast<size_t>(node)).shapes.output;
    std::vector<size_t> extents{static_cast<size_t>(rows)};
    for (int64_t extent : shape) extents.push_back(static_cast<size_t>(extent));
    return nb::ndarray<nb::numpy, const T>(data, extents.size(), extents.data())
        .cast(nb::rv_policy::copy);
  }

  struct Width {  // of what a loss reads of a row; `nowhere`: the user's function
    int64_t outputs;
    bool takes_classes;
  };

  Vector<T> values_, gradients_;
  std::vector<Vector<T>> slots_;
  std::vector<Width> widths_;  // of each loss
  Index index_;
  Executor<T> executor_;
};

// A batch of images as training would see it at a step, into `out`; each row's share of
// its own target goes to `shares`.
template <class T>
void augmented(const HeldData<T>& data, nb::object chosen, const Shape& shape,
               const nb::list& entries, uint64_t seed, uint64_t step, nb::object images,
               nb::object kept) {
  const auto index = array_of<Index>(chosen, "index");
  const auto out = array_of<Vector<T>>(images, "images");
  const auto shares = array_of<Vector<double>>(kept, "shares");
  const augment::Augmenter<T> augmenter(all_attributes(entries), shape);
  const Source& source = data.data().inputs.at(0);
  const auto rows = static_cast<int64_t>(index.size());
  check_index(index.data(), {0, rows}, data.rows());
  if (source.columns != size_of(shape) ||
      static_cast<int64_t>(out.size()) != rows * source.columns ||
      static_cast<int64_t>(shares.size()) != rows)
    refuse("images and their shape do not agree");
  std::vector<T> scratch(static_cast<size_t>(augmenter.scratch()));
  const nb::gil_scoped_release free;
  for (int64_t first = 0; first < rows; first += 2) {
    const int64_t count = std::min<int64_t>(2, rows - first);
    const auto read = [&](int64_t i, Range columns, T* to) {
      read_row(source, index.data()[first + i], columns, to);
    };
    const double share =
        augmenter.rows(count, {seed, step, first}, augment::limits_of<T>(source), read,
                       out.data() + first * source.columns, scratch.data());
    for (int64_t i = 0; i < count; ++i) shares.data()[first + i] = share;
  }
}

// One update of flat arrays, in place: the sweep of training without the rest.
template <class T>
void update(const std::string& kind, const nb::dict& fields, nb::object weights,
            nb::object gradients, const nb::list& slots, double learning_rate, int64_t step,
            const nb::list& segments) {
  if (!nb::isinstance<Vector<T>>(weights)) throw nb::next_overload();
  const auto all_slots = vectors_of<T>(slots, "slots");
  const auto w = array_of<Vector<T>>(weights, "weights");
  const auto g = array_of<Vector<T>>(gradients, "gradients");
  Update<T> update = read_update<T>(kind, fields, w, g, all_slots, segments);
  const auto each = [](const std::vector<Bundle>& bundles, auto&& call) {
    for (const Bundle& bundle : bundles)
      for (const Part& part : bundle) call(part);
  };
  apply(update, update.sweeps, learning_rate, step, each, [](auto&& call) { call(); });
}

template <class T>
void bind_executor(nb::module_& m, const char* data, const char* executor) {
  m.def("update", &update<T>);
  m.def("augmented", &augmented<T>);
  nb::class_<HeldData<T>>(m, data).def(
      nb::init<const nb::list&, const nb::list&, const nb::object&>(), nb::arg("inputs"),
      nb::arg("targets"), nb::arg("weights").none());
  nb::class_<HeldExecutor<T>>(m, executor)
      .def(nb::init<const nb::dict&, nb::object, nb::object>())
      .def("set_losses", &HeldExecutor<T>::set_losses)
      .def("set_update", &HeldExecutor<T>::set_update, nb::arg("kind"),
           nb::arg("attributes"), nb::arg("slots"), nb::arg("segments"))
      .def("set_augmentation", &HeldExecutor<T>::set_augmentation)
      .def("forward", &HeldExecutor<T>::forward, nb::arg("workers"), nb::arg("data"),
           nb::arg("index").none(), nb::arg("begin"), nb::arg("count"), nb::arg("training"),
           nb::arg("seed"), nb::arg("step"), nb::arg("outputs"), nb::arg("costs").none())
      .def("gradient", &HeldExecutor<T>::gradient, nb::arg("workers"), nb::arg("data"),
           nb::arg("index").none(), nb::arg("begin"), nb::arg("count"), nb::arg("training"),
           nb::arg("seed"), nb::arg("step"), nb::arg("outputs"), nb::arg("costs").none())
      .def("train", &HeldExecutor<T>::train, nb::arg("fewest"), nb::arg("most"),
           nb::arg("data"), nb::arg("index").none(), nb::arg("begin"), nb::arg("count"),
           nb::arg("batch_size"), nb::arg("learning_rates"), nb::arg("first_step"),
           nb::arg("seed"), nb::arg("costs"), nb::arg("weights"), nb::arg("outputs"))
      .def("value", &HeldExecutor<T>::value)
      .def("gradient_of", &HeldExecutor<T>::gradient_of);
}

nb::dict describe(const std::string& kernel, const nb::dict& fields,
                  const std::vector<Shape>& inputs, const Shape& output, int64_t rows) {
  const auto step =
      Kernels::make<float>(kernel, attributes(fields), shapes(inputs, output));
  const Buffers buffers = step->buffers(rows);
  nb::dict result;
  result["saved"] = buffers.saved;
  result["scratch"] = buffers.scratch;
  result["reads_input"] = step->reads_input();
  result["reads_output"] = step->reads_output();
  result["in_place"] = step->in_place();
  return result;
}

}  // namespace
}  // namespace nervure

NB_MODULE(NERVURE_MODULE, m) {
  using namespace nervure;
  // At exit Python frees some objects late; that is no leak of ours.
  nb::set_leak_warnings(false);
  m.attr("level") = NERVURE_LEVEL;
  m.def("kernels", &Kernels::names);
  m.def("describe", &describe);
  m.def("blas_core", [] { return std::string(blas::core_name()); });
  m.def("losses", &LossKinds::names);
  m.def("rules", &rule_names);
  m.def("default_threads", &default_threads);
  m.def("gemm_gflops", &gemm_gflops, nb::call_guard<nb::gil_scoped_release>());
  m.def("gemm_seconds", &gemm_seconds, nb::call_guard<nb::gil_scoped_release>());
  bind_executor<float>(m, "Data32", "Executor32");
  bind_executor<double>(m, "Data64", "Executor64");
}
