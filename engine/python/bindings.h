// SPDX-License-Identifier: BSD-3-Clause
#pragma once

#include <nanobind/nanobind.h>

namespace nervure {

namespace nb = nanobind;

// Puts everything that Python sees of the engine into the module.
void bind(nb::module_& m);

}  // namespace nervure
