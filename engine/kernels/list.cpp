// SPDX-License-Identifier: BSD-3-Clause
#include "list.h"

#include <stdexcept>

#include "group.h"

namespace nervure {

namespace {

std::array<KernelGroup, 7> groups() {
  return {activation_kernels(), array_kernels(),   convolution_kernels(), map_kernels(),
          pointwise_kernels(),  product_kernels(), sequence_kernels()};
}

}  // namespace

template <class T>
std::unique_ptr<Step<T>> make_step(std::string_view name, const Attributes& attributes,
                                   const Shapes& shapes) {
  for (const KernelGroup& group : groups())
    if (auto step = make_named(group.table<T>(), name, attributes, shapes)) return step;
  throw std::invalid_argument("[engine] layer '" + std::string(name) +
                              "' has no native kernel; use executor=\"jax\"");
}
template std::unique_ptr<Step<float>> make_step(std::string_view, const Attributes&,
                                                const Shapes&);
template std::unique_ptr<Step<double>> make_step(std::string_view, const Attributes&,
                                                 const Shapes&);

std::vector<std::string> kernel_names() {
  std::vector<std::string> names;
  for (const KernelGroup& group : groups()) add_names(group.single, names);
  return names;
}

}  // namespace nervure
