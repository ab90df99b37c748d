// SPDX-License-Identifier: BSD-3-Clause
// Every update rule, by its name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "updater.h"

namespace nervure {

// The updater of the rule of this name; throws where there is none.
template <class T>
std::unique_ptr<Updater<T>> make_updater(std::string_view name,
                                         const Attributes& attributes);

std::vector<std::string> rule_names();

}  // namespace nervure
