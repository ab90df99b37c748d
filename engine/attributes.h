// SPDX-License-Identifier: BSD-3-Clause
// What a layer, loss or optimizer says about itself: names with numbers, words or lists.
#pragma once

#include <cstdint>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nervure {

using Shape = std::vector<int64_t>;

inline int64_t size_of(const Shape& shape) {
  int64_t size = 1;
  for (int64_t extent : shape) size *= extent;
  return size;
}

class Attributes {
 public:
  using Value =
      std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;

  void set(std::string key, Value value) { values_[std::move(key)] = std::move(value); }

  [[nodiscard]] double number(std::string_view key) const {
    const Value& value = at(key);
    if (const auto* i = std::get_if<int64_t>(&value)) return static_cast<double>(*i);
    return get<double>(key);
  }
  [[nodiscard]] int64_t integer(std::string_view key) const { return get<int64_t>(key); }
  [[nodiscard]] bool flag(std::string_view key) const { return integer(key) != 0; }
  [[nodiscard]] const std::string& word(std::string_view key) const {
    return get<std::string>(key);
  }
  [[nodiscard]] std::vector<int64_t> integers(std::string_view key) const {
    return get<std::vector<int64_t>>(key);
  }
  [[nodiscard]] std::vector<double> numbers(std::string_view key) const {
    const Value& value = at(key);
    if (const auto* list = std::get_if<std::vector<int64_t>>(&value))
      return {list->begin(), list->end()};
    return get<std::vector<double>>(key);
  }
  [[nodiscard]] bool has(std::string_view key) const {
    return values_.find(key) != values_.end();
  }

 private:
  [[nodiscard]] const Value& at(std::string_view key) const {
    const auto found = values_.find(key);
    if (found == values_.end())
      throw std::invalid_argument("[engine] attribute '" + std::string(key) +
                                  "' is missing");
    return found->second;
  }
  template <class V>
  [[nodiscard]] const V& get(std::string_view key) const {
    if (const V* value = std::get_if<V>(&at(key))) return *value;
    throw std::invalid_argument("[engine] attribute '" + std::string(key) +
                                "' has another type than the kernel reads");
  }
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace nervure
