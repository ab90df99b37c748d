// SPDX-License-Identifier: BSD-3-Clause
// Tables of what is chosen by its name: kernels, losses, update rules.
#pragma once

#include <array>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nervure {

template <class Made, class... Given>
struct Named {
  std::string_view name;
  std::unique_ptr<Made> (*make)(const Given&...);
};
template <class Made, class... Given>
using Table = std::span<const Named<Made, Given...>>;

// What is made of `given` under this name; null where the table has no such name.
template <class Made, class... Given>
std::unique_ptr<Made> make_named(Table<Made, Given...> table, std::string_view name,
                                 const Given&... given) {
  for (const Named<Made, Given...>& entry : table)
    if (entry.name == name) return entry.make(given...);
  return nullptr;
}

template <class Made, class... Given>
void add_names(Table<Made, Given...> table, std::vector<std::string>& names) {
  for (const Named<Made, Given...>& entry : table) names.emplace_back(entry.name);
}

}  // namespace nervure
