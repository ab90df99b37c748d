// SPDX-License-Identifier: BSD-3-Clause
// Python's arrays. The engine reads and writes the caller's own memory: an array is taken
// as it is, never converted (the engine would go on with a copy that nobody holds), and
// held while it is used.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "../rows.h"

namespace nervure {

namespace nb = nanobind;

[[noreturn]] inline void refuse(const std::string& why) {
  throw std::invalid_argument("[engine] " + why);
}

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

inline int64_t columns_of(const AnyArray& array) {
  int64_t columns = 1;
  for (size_t i = 1; i < array.ndim(); ++i) columns *= static_cast<int64_t>(array.shape(i));
  return columns;
}

inline Element element_of(const AnyArray& array) {
  const nb::dlpack::dtype type = array.dtype();
  if (type == nb::dtype<float>()) return Element::float32;
  if (type == nb::dtype<double>()) return Element::float64;
  if (type == nb::dtype<uint8_t>()) return Element::uint8;
  if (type == nb::dtype<int32_t>()) return Element::int32;
  if (type == nb::dtype<int64_t>()) return Element::int64;
  refuse("input: an array of a type the engine does not read");
}

}  // namespace nervure
