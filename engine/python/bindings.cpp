// SPDX-License-Identifier: BSD-3-Clause
// What Python sees of the engine.
#include "bindings.h"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include "../kernels/list.h"
#include "../measure.h"
#include "../products/blas.h"
#include "executor.h"
#include "stepper.h"

namespace nervure {
namespace {

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
  const Released free;
  for (int64_t first = 0; first < rows; first += 2) {
    const Rows pair{index.data(), first, std::min<int64_t>(2, rows - first)};
    const double share =
        augmenter.rows(source, pair, {seed, step, first},
                       out.data() + first * source.columns, scratch.data());
    for (int64_t i = 0; i < pair.count; ++i) shares.data()[first + i] = share;
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
      nb::init<const nb::list&, const nb::list&, const nb::object&, bool>(),
      nb::arg("inputs"), nb::arg("targets"), nb::arg("weights").none(),
      nb::arg("by_rows") = false);
  nb::class_<HeldExecutor<T>>(m, executor)
      .def(nb::init<const nb::dict&, nb::object, nb::object>())
      .def("set_losses", &HeldExecutor<T>::set_losses)
      .def("set_update", &HeldExecutor<T>::set_update, nb::arg("kind"),
           nb::arg("attributes"), nb::arg("slots"), nb::arg("segments"))
      .def("set_formula", &HeldExecutor<T>::set_formula)
      .def("set_augmentation", &HeldExecutor<T>::set_augmentation)
      .def("forward", &HeldExecutor<T>::forward, nb::arg("workers"), nb::arg("data"),
           nb::arg("index").none(), nb::arg("begin"), nb::arg("count"), nb::arg("training"),
           nb::arg("seed"), nb::arg("step"), nb::arg("outputs"), nb::arg("costs").none(),
           nb::arg("look") = nb::none())
      .def("gradient", &HeldExecutor<T>::gradient, nb::arg("workers"), nb::arg("data"),
           nb::arg("index").none(), nb::arg("begin"), nb::arg("count"), nb::arg("training"),
           nb::arg("seed"), nb::arg("step"), nb::arg("outputs"), nb::arg("costs").none(),
           nb::arg("look") = nb::none())
      .def("train", &HeldExecutor<T>::train, nb::arg("fewest"), nb::arg("most"),
           nb::arg("data"), nb::arg("index").none(), nb::arg("begin"), nb::arg("count"),
           nb::arg("batch_size"), nb::arg("learning_rates"), nb::arg("first_step"),
           nb::arg("seed"), nb::arg("costs"), nb::arg("weights"), nb::arg("outputs"),
           nb::arg("look") = nb::none())
      .def("value", &HeldExecutor<T>::value)
      .def("gradient_of", &HeldExecutor<T>::gradient_of);
}

template <class T>
void bind_stepper(nb::module_& m, const char* stepper) {
  nb::class_<HeldStepper<T>>(m, stepper)
      .def(nb::init<const nb::dict&, const std::vector<std::string>&, nb::object>())
      .def("write", &HeldStepper<T>::write, nb::arg("codes"), nb::arg("count"),
           nb::arg("temperature"), nb::arg("top_k"), nb::arg("top_p"), nb::arg("seed"),
           nb::arg("first"), nb::arg("shares"))
      .def("restart", &HeldStepper<T>::restart)
      .def("output", &HeldStepper<T>::output);
}

nb::dict describe(const std::string& kernel, const nb::dict& fields,
                  const std::vector<Shape>& inputs, const Shape& output, int64_t rows,
                  const std::vector<int64_t>& steps) {
  const auto step = make_step<float>(kernel, attributes(fields), {inputs, output});
  const auto of = [&](size_t i) { return i < steps.size() ? steps[i] : 0; };
  const Buffers buffers = step->buffers({rows, of(0), of(1)});
  nb::dict result;
  result["saved"] = buffers.saved;
  result["scratch"] = buffers.scratch;
  result["reads_input"] = step->reads_input();
  result["reads_output"] = step->reads_output();
  result["in_place"] = step->in_place();
  return result;
}

}  // namespace

void bind(nb::module_& m) {
  nb::module_::import_("atexit").attr("register")(nb::cpp_function(&let_none_back));
  m.def("kernels", &kernel_names);
  m.def("describe", &describe);
  m.def("blas_core", [] { return std::string(blas::core_name()); });
  m.def("losses", &loss_names);
  m.def("rules", &rule_names);
  m.def("default_threads", &default_threads);
  m.def("gemm_gflops", &gemm_gflops, nb::call_guard<Released>());
  m.def("gemm_seconds", &gemm_seconds, nb::call_guard<Released>());
  bind_executor<float>(m, "Data32", "Executor32");
  bind_executor<double>(m, "Data64", "Executor64");
  bind_stepper<float>(m, "Stepper32");
  bind_stepper<double>(m, "Stepper64");
}

}  // namespace nervure
