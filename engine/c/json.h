// SPDX-License-Identifier: BSD-3-Clause
// The part of JSON that plan files are written in: tables, lists, text, whole numbers.
// Depth and count of what is read are bounded; numbers with a fraction are no part of it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace nervure::c {

class Json;
struct Member;

class Json {
 public:
  using List = std::vector<Json>;
  using Table = std::vector<Member>;  // ascending by key
  using Value = std::variant<int64_t, std::string, List, Table>;

  explicit Json(Value value) : value_(std::move(value)) {}

  // Each throws std::invalid_argument, with `what` in it, where the value is another.
  [[nodiscard]] int64_t integer(std::string_view what) const;
  [[nodiscard]] const std::string& text(std::string_view what) const;
  [[nodiscard]] const List& list(std::string_view what) const;
  [[nodiscard]] const Table& table(std::string_view what) const;
  [[nodiscard]] const Json& at(std::string_view key) const;  // of a table
  [[nodiscard]] const Value& value() const { return value_; }

 private:
  Value value_;
};

struct Member {
  std::string key;
  Json value;
};

constexpr int64_t most_values = 1'000'000;
constexpr int most_depth = 16;

// Throws std::invalid_argument where the text is not such a document, and nothing more.
Json parse_json(std::string_view text);

}  // namespace nervure::c
