// SPDX-License-Identifier: BSD-3-Clause
#include "json.h"

#include <algorithm>
#include <charconv>
#include <stdexcept>

namespace nervure::c {
namespace {

[[noreturn]] void wrong(std::string_view fact) {
  throw std::invalid_argument(std::string(fact));
}

// 'key', or what is wrong with it.
std::string about(std::string_view key, std::string_view fact) {
  std::string words = "'";
  words.append(key.substr(0, 80)).append("'").append(fact);
  return words;
}

template <class T>
const T& held(const Json::Value& value, std::string_view what, const char* kind) {
  if (const T* found = std::get_if<T>(&value)) return *found;
  wrong(about(what, std::string(" is no ").append(kind)));
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Json document() {
    Json found = value(0);
    if (next() != end) fail("something behind its end");
    return found;
  }

 private:
  static constexpr int end = -1;

  [[noreturn]] void fail(const char* fact) const {
    wrong(std::string(fact) + " at byte " + std::to_string(at_) + " of the header");
  }
  int peek() const {
    return at_ < text_.size() ? static_cast<unsigned char>(text_[at_]) : end;
  }
  // The next character that is no blank; it is not taken.
  int next() {
    while (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r') ++at_;
    return peek();
  }
  bool take(char wanted) {
    if (next() != wanted) return false;
    ++at_;
    return true;
  }
  void expect(char wanted, const char* fact) {
    if (!take(wanted)) fail(fact);
  }

  Json value(int depth) {
    if (depth > most_depth) fail("lists and tables nested too deeply");
    if (++values_ > most_values) fail("too many values");
    switch (next()) {
      case '{':
        return Json(table(depth));
      case '[':
        return Json(list(depth));
      case '"':
        return Json(text());
      default:
        return Json(integer());
    }
  }

  Json::List list(int depth) {
    Json::List found;
    ++at_;
    if (take(']')) return found;
    do found.push_back(value(depth + 1));
    while (take(','));
    expect(']', "a list that does not end");
    return found;
  }

  Json::Table table(int depth) {
    Json::Table found;
    ++at_;
    if (take('}')) return found;
    do {
      if (next() != '"') fail("a key that is no text");
      std::string key = text();
      expect(':', "a key without a value");
      found.push_back({std::move(key), value(depth + 1)});
    } while (take(','));
    expect('}', "a table that does not end");
    std::ranges::sort(found, {}, &Member::key);
    if (std::ranges::adjacent_find(found, {}, &Member::key) != found.end())
      fail("a key that stands twice in a table");
    return found;
  }

  int64_t integer() {
    int64_t found = 0;
    const char* first = text_.data() + at_;
    const auto [last, error] = std::from_chars(first, text_.data() + text_.size(), found);
    if (error != std::errc{}) fail("neither table, list, text nor whole number");
    at_ += static_cast<size_t>(last - first);
    if (const int c = peek(); c == '.' || c == 'e' || c == 'E') fail("a fraction");
    return found;
  }

  std::string text() {
    std::string found;
    ++at_;
    for (;;) {
      const int c = peek();
      if (c == end || c < ' ') fail("a text that does not end");
      ++at_;
      if (c == '"') return found;
      if (c == '\\')
        escaped(found);
      else
        found.push_back(static_cast<char>(c));
    }
  }
  void escaped(std::string& to) {
    static constexpr std::string_view names = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
    const int c = peek();
    ++at_;
    if (c == 'u') return add_utf8(to, code_point());
    const size_t which = c == end ? names.npos : names.find(static_cast<char>(c));
    if (which == names.npos) fail("an unknown escape in a text");
    to.push_back(meant[which]);
  }
  uint32_t four_digits() {
    uint32_t found = 0;
    const char* first = text_.data() + std::min(at_, text_.size());
    const char* stop = first + std::min<size_t>(4, text_.size() - (first - text_.data()));
    const auto [last, error] = std::from_chars(first, stop, found, 16);
    if (error != std::errc{} || last != first + 4) fail("an escape without four digits");
    at_ += 4;
    return found;
  }
  // A character outside of the first plane is written as two halves.
  uint32_t code_point() {
    const uint32_t high = four_digits();
    if (high < 0xd800 || high > 0xdfff) return high;
    if (high > 0xdbff || peek() != '\\') fail("half of a character");
    ++at_;
    if (peek() != 'u') fail("half of a character");
    ++at_;
    const uint32_t low = four_digits();
    if (low < 0xdc00 || low > 0xdfff) fail("half of a character");
    return 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
  }
  static void add_utf8(std::string& to, uint32_t code) {
    const int further = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr unsigned char first[] = {0, 0xc0, 0xe0, 0xf0};
    to.push_back(static_cast<char>(first[further] | (code >> (6 * further))));
    for (int i = further; i-- > 0;)
      to.push_back(static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3f)));
  }

  std::string_view text_;
  size_t at_ = 0;
  int64_t values_ = 0;
};

}  // namespace

int64_t Json::integer(std::string_view what) const {
  return held<int64_t>(value_, what, "whole number");
}
const std::string& Json::text(std::string_view what) const {
  return held<std::string>(value_, what, "text");
}
const Json::List& Json::list(std::string_view what) const {
  return held<List>(value_, what, "list");
}
const Json::Table& Json::table(std::string_view what) const {
  return held<Table>(value_, what, "table");
}
const Json& Json::at(std::string_view key) const {
  const Table& members = table(key);
  const auto found = std::ranges::lower_bound(members, key, {}, &Member::key);
  if (found == members.end() || found->key != key) wrong(about(key, " is missing"));
  return found->value;
}

Json parse_json(std::string_view text) { return Reader(text).document(); }

}  // namespace nervure::c
