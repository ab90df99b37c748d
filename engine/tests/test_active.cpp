// SPDX-License-Identifier: BSD-3-Clause
// Features as a product reads them, against a look at each of them: given as an array, or
// read from a data set whose elements have any type.
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "../kernels/active.h"
#include "check.h"

using namespace nervure;

namespace {

constexpr int64_t rows = 21, rows_of_data = 30;

template <class E>
constexpr Element element = std::is_same_v<E, float>     ? Element::float32
                            : std::is_same_v<E, double>  ? Element::float64
                            : std::is_same_v<E, uint8_t> ? Element::uint8
                            : std::is_same_v<E, int32_t> ? Element::int32
                                                         : Element::int64;

// A batch as an executor hands it over: rows of a data set, or all of an array.
template <class T, class E>
struct Batch {
  int64_t features;
  std::vector<E> data;
  std::vector<int64_t> index;
  std::vector<T> x, saved;
  Source source;
  Operand<T> input;
  Context<T> context;

  Batch(int64_t columns, bool reads)
      : features(columns),
        data(static_cast<size_t>(rows_of_data * columns)),
        x(static_cast<size_t>(rows * columns), T(5)),
        saved(static_cast<size_t>(Active(columns, true).saved(rows))),
        source{data.data(), element<E>, columns, reads ? 0.5 : 1} {
    for (int64_t i = 0; i < rows; ++i) index.push_back((i * 7 + 3) % rows_of_data);
    input.value = x.data();
    context.rows = rows;
    context.inputs = {&input, 1};
    context.saved = saved.data();
    if (!reads) return;
    context.source = &source;
    context.source_rows = {index.data(), 0, rows};
  }

  [[nodiscard]] E& at(int64_t row, int64_t column) {
    return data[static_cast<size_t>(index[static_cast<size_t>(row)] * features + column)];
  }
  [[nodiscard]] T number(int64_t row, int64_t column) {
    return static_cast<T>(at(row, column)) * static_cast<T>(source.scale);
  }
  void find(bool lists) {
    if (context.source == nullptr)
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < features; ++j)
          x[static_cast<size_t>(i * features + j)] = number(i, j);
    for (int64_t which = 1; which >= 0; --which)
      Active(features, lists).find(context, which);
  }

  // Of some features, those that the views hold; false where their numbers are wrong.
  bool holds(bool lists, Range of, std::vector<bool>& found) {
    bool right = true;
    int64_t next = of.begin;
    found.assign(static_cast<size_t>(features), false);
    const auto look = [&](const Features<T>& view, Range some) {
      right = right && some.begin == next && some.size() > 0;
      for (int64_t s = 0; s < view.size; ++s) {
        const int64_t j = view.first + (view.numbers == nullptr ? s : view.numbers[s]);
        right = right && next <= j && j < some.end;
        next = j + 1;
        found[static_cast<size_t>(j)] = true;
        for (int64_t i = 0; i < rows; ++i) {
          const T is = view.x[i * view.stride + s], wanted = number(i, j);
          right = right && (is == wanted || (is != is && wanted != wanted));
        }
      }
      next = some.end;
    };
    Active(features, lists).each_view(context, of, look);
    return right && next == of.end;
  }
};

template <class E>
E value(int64_t j) {
  if constexpr (std::is_floating_point_v<E>) {
    if (j % 4 == 0) return std::numeric_limits<E>::denorm_min();
    if (j % 4 == 1) return std::numeric_limits<E>::quiet_NaN();
  } else {
    if (j % 4 == 0)
      return std::numeric_limits<E>::min() == 0 ? E(128) : E(1) << (sizeof(E) * 8 - 1);
  }
  return E(3);
}

bool is_wanted(int64_t j, int64_t every) {
  if (every == 0) return false;
  if (every == 1) return j * j * 7 % 31 < 12;  // runs of many lengths
  return j % every > every / 2;
}

// Some features are not 0, in one row; the zeros have a sign where they can.
template <class T, class E>
void check_lists(int64_t features, int64_t every, bool reads) {
  Batch<T, E> batch(features, reads);
  std::fill(batch.data.begin(), batch.data.end(), static_cast<E>(-0.0));
  std::vector<bool> wanted(static_cast<size_t>(features));
  for (int64_t j = 0; j < features; ++j) {
    if (!is_wanted(j, every)) continue;
    batch.at(j * 3 % rows, j) = value<E>(j);
    wanted[static_cast<size_t>(j)] = reads || batch.number(j * 3 % rows, j) != 0;
  }
  batch.find(true);
  std::vector<bool> found;
  CHECK(batch.holds(true, {0, features}, found));
  CHECK(found == wanted);
  const Range some{features / 5, features - features / 7};
  CHECK(batch.holds(true, some, found));
  bool same = true;
  for (int64_t j = some.begin; j < some.end; ++j)
    same = same && found[static_cast<size_t>(j)] == wanted[static_cast<size_t>(j)];
  CHECK(same);
}

// Where hardly any feature is 0, or nobody looks for them, all are taken.
template <class T, class E>
void check_full(int64_t features, bool lists, bool reads) {
  Batch<T, E> batch(features, reads);
  for (size_t i = 0; i < batch.data.size(); ++i) batch.data[i] = static_cast<E>(1 + i % 50);
  for (int64_t i = 0; i < rows; ++i) batch.at(i, 3) = 0;
  batch.find(lists);
  std::vector<bool> found;
  CHECK(batch.holds(lists, {0, features}, found));
  CHECK(found == std::vector<bool>(found.size(), true));
}

template <class T, class E>
void check_elements() {
  for (const int64_t features : {64, 65, 95, 96, 100, 127, 784, 801, 1100, 2100})
    for (const bool reads : {false, true}) {
      for (const int64_t every : {0, 1, 2, 3, 16, 40, 1000})
        check_lists<T, E>(features, every, reads);
      for (const bool lists : {false, true}) check_full<T, E>(features, lists, reads);
    }
}

}  // namespace

int main() {
  check_elements<float, float>();
  check_elements<float, double>();
  check_elements<float, uint8_t>();
  check_elements<float, int32_t>();
  check_elements<float, int64_t>();
  check_elements<double, float>();
  check_elements<double, double>();
  check_elements<double, uint8_t>();
  return check::report();
}
