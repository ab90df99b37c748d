// SPDX-License-Identifier: BSD-3-Clause
// The only file of the engine that knows Python.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "executor.h"
#include "kernels/list.h"
#include "measure.h"

namespace nb = nanobind;

namespace nervure {
namespace {

template <class E>
using Vector = nb::ndarray<E, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using AnyArray = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

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

Element element_of(const AnyArray& array) {
  const nb::dlpack::dtype type = array.dtype();
  if (type == nb::dtype<float>()) return Element::float32;
  if (type == nb::dtype<double>()) return Element::float64;
  if (type == nb::dtype<uint8_t>()) return Element::uint8;
  if (type == nb::dtype<int32_t>()) return Element::int32;
  if (type == nb::dtype<int64_t>()) return Element::int64;
  throw std::invalid_argument("[engine] input array of a type the engine does not read");
}

int64_t columns_of(const AnyArray& array) {
  int64_t columns = 1;
  for (size_t i = 1; i < array.ndim(); ++i) columns *= static_cast<int64_t>(array.shape(i));
  return columns;
}

// A data set as the engine reads it; keeps the arrays alive.
template <class T>
class HeldData {
 public:
  HeldData(const std::vector<std::pair<AnyArray, double>>& inputs,
           const std::vector<AnyArray>& targets, const nb::object& weights) {
    for (const auto& [array, scale] : inputs) {
      count_rows(array);
      data_.inputs.push_back({array.data(), element_of(array), columns_of(array), scale});
      held_.push_back(array);
    }
    for (const AnyArray& array : targets) {
      count_rows(array);
      data_.targets.push_back(read_targets(array));
      held_.push_back(array);
    }
    if (weights.is_none()) return;
    const auto array =
        nb::cast<nb::ndarray<double, nb::ro, nb::ndim<1>, nb::c_contig>>(weights);
    data_.weights = array.data();
    weights_ = weights;
  }

  [[nodiscard]] const Data<T>& data() const { return data_; }
  [[nodiscard]] int64_t rows() const { return rows_; }

 private:
  void count_rows(const AnyArray& array) {
    const int64_t rows = array.ndim() == 0 ? 0 : static_cast<int64_t>(array.shape(0));
    if (!held_.empty() && rows != rows_)
      throw std::invalid_argument("[engine] arrays have different numbers of rows");
    rows_ = rows;
  }
  static Targets<T> read_targets(const AnyArray& array) {
    Targets<T> targets;
    targets.columns = columns_of(array);
    if (array.dtype() == nb::dtype<int32_t>())
      targets.labels = static_cast<const int32_t*>(array.data());
    else if (array.dtype() == nb::dtype<T>())
      targets.values = static_cast<const T*>(array.data());
    else
      throw std::invalid_argument("[engine] targets must be int32 or of the net's type");
    return targets;
  }

  Data<T> data_;
  std::vector<AnyArray> held_;
  nb::object weights_;
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
  for (const Vector<T>& slot : slots) arrays.push_back(slot.data());
  std::vector<Segment> all;
  for (const Attributes& one : all_attributes(segments)) all.push_back(read_segment(one));
  auto rule = make_updater<T>(kind, attributes(fields));
  if (static_cast<size_t>(rule->slots()) != slots.size())
    throw std::invalid_argument("[engine] the optimizer has another number of slots");
  return Update<T>(std::move(rule), weights.data(), gradients.data(), std::move(arrays),
                   std::move(all));
}

// ---- the executor -------------------------------------------------------------------

using Index = nb::ndarray<const int64_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

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
    const auto slope =
        nb::cast<nb::ndarray<const T, nb::ndim<2>, nb::c_contig>>(nb::object(result[1]));
    if (gradient != nullptr) std::copy_n(slope.data(), count * width, gradient);
    return nb::cast<double>(nb::object(result[0]));
  };
}

template <class T>
class HeldExecutor {
 public:
  HeldExecutor(const nb::dict& fields, Vector<T> values, Vector<T> gradients)
      : values_(values),
        gradients_(gradients),
        executor_(plan(fields), values.data(), gradients.data()) {}

  void set_losses(const nb::list& entries) {
    std::vector<LossPlan<T>> losses;
    for (nb::handle entry : entries) {
      LossPlan<T>& loss = losses.emplace_back();
      loss.node = nb::cast<int>(entry["node"]);
      loss.weight = nb::cast<double>(entry["weight"]);
      loss.members = nb::cast<int64_t>(entry["members"]);
      const nb::object function = entry["callback"];
      if (function.is_none()) {
        loss.loss = LossKinds::make<T>(nb::cast<std::string>(entry["kind"]),
                                       attributes(nb::cast<nb::dict>(entry["attributes"])));
      } else {
        const NodePlan& node = executor_.plan().nodes.at(static_cast<size_t>(loss.node));
        loss.callback =
            callback<T>(nb::cast<nb::callable>(function), size_of(node.shapes.output));
      }
    }
    executor_.set_losses(std::move(losses));
  }

  void set_update(const std::string& kind, const nb::dict& fields,
                  const std::vector<Vector<T>>& slots, const nb::list& segments) {
    slots_ = slots;
    executor_.set_update(
        read_update<T>(kind, fields, values_, gradients_, slots, segments));
  }

  void set_augmentation(const nb::list& entries) {
    executor_.set_augmentation(all_attributes(entries));
  }

  void forward(int workers, const HeldData<T>& data, nb::object index, int64_t begin,
               int64_t count, bool training, uint64_t seed, uint64_t step,
               const std::vector<Vector<T>>& outputs, nb::object costs) {
    const Rows rows = read_rows(data, index, begin, count);
    const Results<T> results = read_results(outputs, costs);
    const nb::gil_scoped_release free;
    executor_.forward(workers, data.data(), rows, {training, seed, step}, results);
  }

  double gradient(int workers, const HeldData<T>& data, nb::object index, int64_t begin,
                  int64_t count, bool training, uint64_t seed, uint64_t step,
                  const std::vector<Vector<T>>& outputs, nb::object costs) {
    const Rows rows = read_rows(data, index, begin, count);
    const Results<T> results = read_results(outputs, costs);
    const nb::gil_scoped_release free;
    return executor_.gradient(workers, data.data(), rows, {training, seed, step}, results);
  }

  int64_t train(int fewest, int most, const HeldData<T>& data, nb::object index,
                int64_t begin, int64_t count, int64_t batch_size,
                const std::vector<double>& learning_rates, int64_t first_step,
                uint64_t seed, Vector<double> costs, Vector<double> weights,
                const std::vector<Vector<T>>& outputs) {
    TrainRequest request{.rows = read_rows(data, index, begin, count),
                         .batch_size = batch_size,
                         .learning_rates = learning_rates,
                         .first_step = first_step,
                         .seed = seed,
                         .costs = costs.data(),
                         .weights = weights.data()};
    const auto steps = static_cast<int64_t>(learning_rates.size());
    if (batch_size < 1 || steps * batch_size - count >= batch_size ||
        static_cast<int64_t>(costs.size()) < steps ||
        static_cast<int64_t>(weights.size()) < steps)
      throw std::invalid_argument("[engine] steps, batch size and rows do not agree");
    const Results<T> results = read_results(outputs, nb::none());
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
  Rows read_rows(const HeldData<T>& data, const nb::object& index, int64_t begin,
                 int64_t count) {
    Rows rows{nullptr, begin, count};
    int64_t known = data.rows();
    if (!index.is_none()) {
      index_ = nb::cast<Index>(index);
      rows.index = index_.data();
      known = static_cast<int64_t>(index_.size());
      check_index(rows.index, {begin, std::min(begin + count, known)}, data.rows());
    }
    if (begin < 0 || count < 1 || begin + count > known)
      throw std::out_of_range("[engine] rows outside of the data");
    if (data.data().inputs.size() != executor_.plan().inputs.size())
      throw std::invalid_argument("[engine] one array is needed for each input");
    return rows;
  }

  static Results<T> read_results(const std::vector<Vector<T>>& outputs,
                                 const nb::object& costs) {
    Results<T> results;
    for (const Vector<T>& output : outputs)
      results.outputs.push_back(output.size() == 0 ? nullptr : output.data());
    if (!costs.is_none()) results.costs = nb::cast<Vector<double>>(costs).data();
    return results;
  }

  nb::object copy_of(const T* data, int node, int64_t rows) const {
    if (data == nullptr) return nb::none();
    const Shape& shape = executor_.plan().nodes.at(static_cast<size_t>(node)).shapes.output;
    std::vector<size_t> extents{static_cast<size_t>(rows)};
    for (int64_t extent : shape) extents.push_back(static_cast<size_t>(extent));
    return nb::ndarray<nb::numpy, const T>(data, extents.size(), extents.data())
        .cast(nb::rv_policy::copy);
  }

  Vector<T> values_, gradients_;
  std::vector<Vector<T>> slots_;
  Index index_;
  Executor<T> executor_;
};

// A batch of images as training would see it at a step, into `out`; each row's share of
// its own target goes to `shares`.
template <class T>
void augmented(const HeldData<T>& data, const Index& index, const Shape& shape,
               const nb::list& entries, uint64_t seed, uint64_t step, Vector<T> out,
               Vector<double> shares) {
  const augment::Augmenter<T> augmenter(all_attributes(entries), shape);
  const Source& source = data.data().inputs.at(0);
  const auto rows = static_cast<int64_t>(index.size());
  check_index(index.data(), {0, rows}, data.rows());
  if (source.columns != size_of(shape) ||
      static_cast<int64_t>(out.size()) != rows * source.columns ||
      static_cast<int64_t>(shares.size()) != rows)
    throw std::invalid_argument("[engine] images and their shape do not agree");
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
void update(const std::string& kind, const nb::dict& fields, const Vector<T>& weights,
            const Vector<T>& gradients, const std::vector<Vector<T>>& slots,
            double learning_rate, int64_t step, const nb::list& segments) {
  Update<T> update = read_update<T>(kind, fields, weights, gradients, slots, segments);
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
      nb::init<const std::vector<std::pair<AnyArray, double>>&,
               const std::vector<AnyArray>&, const nb::object&>(),
      nb::arg("inputs"), nb::arg("targets"), nb::arg("weights").none());
  nb::class_<HeldExecutor<T>>(m, executor)
      .def(nb::init<const nb::dict&, Vector<T>, Vector<T>>())
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
