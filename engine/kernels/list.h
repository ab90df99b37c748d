// SPDX-License-Identifier: BSD-3-Clause
// Every kernel of the engine, by its name.
#pragma once

#include <string>
#include <vector>

#include "step.h"

namespace nervure {

// Throws where no kernel has this name.
template <class T>
std::unique_ptr<Step<T>> make_step(std::string_view name, const Attributes& attributes,
                                   const Shapes& shapes);

std::vector<std::string> kernel_names();

}  // namespace nervure
