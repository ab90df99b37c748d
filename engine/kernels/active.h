// SPDX-License-Identifier: BSD-3-Clause
// The features of a batch that are not 0 in all of its rows, as a product reads them.
//
// Pixels at the edge, rare categories, words and dead units are 0 in many rows: what they
// add to z = x W, and their rows of dW, are 0. Of MNIST's 784 pixels half are 0 in all of
// ten rows, and a third in all of a hundred. The others are listed and moved side by side.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <type_traits>

#include "../simd.h"
#include "kernel.h"

namespace nervure {

// Some features of all rows.
template <class T>
struct Features {
  const T* x;
  int64_t stride, size;
  const int64_t* numbers;  // counted from `first` on; null: one after the other
  int64_t first;
};

// Two halves of the features, each found by one worker. A half lies as it was given; or in
// a block of its own, where the kernel reads the data by itself (see by_halves) or where
// features are left out.
class Active {
 public:
  // `lists`: are features that are 0 looked for?
  Active(int64_t features, bool lists) : features_(features), lists_(lists) {}

  // Elements that are kept from forward to backward, of float or double.
  [[nodiscard]] int64_t saved(int64_t rows) const {
    return lists_ ? lists_room<float>() + rows * features_ : 0;
  }

  // Reads one half of the features where that is left to the kernel, lists those that are
  // not 0, and moves them side by side if there are others.
  template <class T>
  void find(const Context<T>& c, int64_t which) const {
    if (c.source == nullptr)
      return find(
          c, which, [&](int64_t i) { return c.inputs[0].value + i * features_; },
          [](T element) { return element; });
    with_elements(*c.source, [&](const auto* data) {
      const T scale = static_cast<T>(c.source->scale);
      find(
          c, which, [&](int64_t i) { return data + c.source_rows[i] * features_; },
          [=](auto element) { return static_cast<T>(element) * scale; });
    });
  }

  // Calls call(view, features) for the features in `of`, which lie in one or two views.
  template <class T>
  void each_view(const Context<T>& c, Range of, auto&& call) const {
    const auto among = [&](int64_t which) { return half_of(features_, which).within(of); };
    const auto given = [&](int64_t which) {  // of a half that is not used nothing is read
      return among(which).size() <= 0 || (c.source == nullptr && !leaves_out(c, which));
    };
    if (given(0) && given(1)) return call(as_given(c, of), of);
    for (int64_t which = 0; which < 2; ++which)
      if (among(which).size() > 0) call(view(c, which, among(which)), among(which));
  }

 private:
  using Numbers = std::span<const int64_t>;
  static constexpr int64_t stretch = 512;  // columns that lie in the nearest cache

  // ---- where things lie ---------------------------------------------------------------

  // A list has its length first.
  [[nodiscard]] int64_t capacity() const { return 1 + half_of(features_, 0).size(); }
  template <class T>
  [[nodiscard]] int64_t lists_room() const {
    return 2 * capacity() * static_cast<int64_t>(sizeof(int64_t) / sizeof(T));
  }
  template <class T>
  [[nodiscard]] int64_t* list(const Context<T>& c, int64_t which) const {
    return reinterpret_cast<int64_t*>(c.saved) + which * capacity();
  }
  // In increasing order. Where hardly any feature is 0, all are listed.
  template <class T>
  [[nodiscard]] Numbers listed(const Context<T>& c, int64_t which) const {
    const int64_t* numbers = list(c, which);
    return {numbers + 1, static_cast<size_t>(numbers[0])};
  }
  template <class T>
  [[nodiscard]] bool leaves_out(const Context<T>& c, int64_t which) const {
    return lists_ && list(c, which)[0] < half_of(features_, which).size();
  }
  // The block of one half.
  template <class T>
  [[nodiscard]] T* block(const Context<T>& c, int64_t which) const {
    T* both = c.source != nullptr ? c.inputs[0].value : c.saved + lists_room<T>();
    return both + c.rows * half_of(features_, which).begin;
  }

  template <class T>
  [[nodiscard]] Features<T> as_given(const Context<T>& c, Range of) const {
    return {c.inputs[0].value + of.begin, features_, of.size(), nullptr, of.begin};
  }
  // Of one half, the features in `of`.
  template <class T>
  [[nodiscard]] Features<T> view(const Context<T>& c, int64_t which, Range of) const {
    const Range half = half_of(features_, which);
    const T* x = block(c, which);
    if (leaves_out(c, which)) {
      const Numbers all = listed(c, which);
      const int64_t* begin =
          std::lower_bound(all.data(), all.data() + all.size(), of.begin);
      const int64_t* end = std::lower_bound(begin, all.data() + all.size(), of.end);
      return {x + (begin - all.data()), std::ssize(all), end - begin, begin, 0};
    }
    if (c.source == nullptr) return as_given(c, of);
    return {x + of.begin - half.begin, half.size(), of.size(), nullptr, of.begin};
  }

  // ---- finding ------------------------------------------------------------------------

  // row(i) is where row i begins, number(element) what the network takes it for.
  template <class T>
  void find(const Context<T>& c, int64_t which, auto&& row, auto&& number) const {
    const Range half = half_of(features_, which);
    if (lists_) write_list(row, c.rows, half, list(c, which));
    if (leaves_out(c, which))
      gather(row, number, c.rows, listed(c, which), block(c, which));
    else if (c.source != nullptr)
      for (int64_t i = 0; i < c.rows; ++i)
        read_row(*c.source, c.source_rows[i], half, block(c, which) + i * half.size());
  }

  static void write_list(auto&& row, int64_t rows, Range half, int64_t* list) {
    using E = std::remove_cvref_t<decltype(*row(0))>;
    int64_t count = 0;
    Bits<E> bits[stretch];
    for (int64_t begin = half.begin; begin < half.end; begin += stretch) {
      const int64_t width = std::min(stretch, half.end - begin);
      join<E>([&](int64_t i) { return row(i) + begin; }, rows, width, bits);
      for (int64_t j = 0; j < width; j += 64) {
        uint64_t found = not_zero<E>(bits + j, std::min<int64_t>(64, width - j));
        for (; found != 0; found &= found - 1)
          list[++count] = begin + j + std::countr_zero(found);
      }
    }
    if (8 * count > 7 * half.size()) {  // little would be saved
      count = half.size();
      std::iota(list + 1, list + 1 + count, half.begin);
    }
    list[0] = count;
  }

  template <class E>
  using Bits = std::conditional_t<sizeof(E) == 1, uint8_t,
                                  std::conditional_t<sizeof(E) == 4, uint32_t, uint64_t>>;

  // The bits that are set in some row of each of `width` columns. Four rows are read at a
  // time, and later ones fetched: rows of a shuffled data set lie apart.
  template <class E>
  static void join(auto&& row, int64_t rows, int64_t width, Bits<E>* __restrict__ bits) {
    constexpr int64_t ahead = 8;
    std::fill_n(bits, width, Bits<E>{0});
    const auto of = [](E element) { return std::bit_cast<Bits<E>>(element); };
    int64_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      for (int64_t next = i + ahead; next < std::min(rows, i + ahead + 4); ++next)
        fetch(row(next), width);
      const E *a = row(i), *b = row(i + 1), *c = row(i + 2), *d = row(i + 3);
      for (int64_t j = 0; j < width; ++j)
        bits[j] |= of(a[j]) | of(b[j]) | of(c[j]) | of(d[j]);
    }
    for (; i < rows; ++i) {
      const E* a = row(i);
      for (int64_t j = 0; j < width; ++j) bits[j] |= of(a[j]);
    }
  }
  static void fetch(const auto* x, int64_t width) {
    constexpr int64_t line = 64 / sizeof(*x);
    for (int64_t j = 0; j < width; j += line) __builtin_prefetch(x + j);
  }
  // One bit for each column; the sign of 0 does not count.
  template <class E>
  [[nodiscard]] static uint64_t not_zero(const Bits<E>* bits, int64_t width) {
    uint64_t found = 0;
    for (int64_t j = 0; j < width; ++j) {
      const Bits<E> some = std::is_floating_point_v<E> ? bits[j] << 1 : bits[j];
      found |= static_cast<uint64_t>(some != 0) << j;
    }
    return found;
  }

  // ---- moving -------------------------------------------------------------------------

  // Writes the listed elements of each row side by side, as numbers of type T.
  template <class T>
  static void gather(auto&& row, auto&& number, int64_t rows, Numbers listed, T* target) {
    const auto stride = std::ssize(listed);
    for (int64_t begin = 0; begin < stride; begin += stretch) {
      const auto size = static_cast<size_t>(std::min(stretch, stride - begin));
      const Moves moves(listed.subspan(static_cast<size_t>(begin), size));
      for (int64_t i = 0; i < rows; ++i)
        moves.make(row(i), number, target + i * stride + begin);
    }
  }

  // Some listed columns of a row: vectors, whose last lanes may not be listed and are
  // written over by the next; and columns one by one where too few follow.
  class Moves {
   public:
    explicit Moves(Numbers listed) : listed_(listed.data()), size_(std::ssize(listed)) {
      while (singles_ + lanes <= size_) {
        const int64_t start = singles_++;
        while (singles_ < start + lanes && listed_[singles_] == listed_[singles_ - 1] + 1)
          ++singles_;
        starts_[vectors_++] = start;
      }
    }
    template <class T>
    void make(const auto* x, auto&& number, T* target) const {
      for (int64_t v = 0; v < vectors_; ++v) {
        const auto* from = x + listed_[starts_[v]];
        T some[lanes];
        for (int64_t j = 0; j < lanes; ++j) some[j] = number(from[j]);
        std::memcpy(target + starts_[v], some, sizeof some);
      }
      for (int64_t i = singles_; i < size_; ++i) target[i] = number(x[listed_[i]]);
    }

   private:
    static constexpr int64_t lanes = simd::register_bytes / 4;
    const int64_t* listed_;
    int64_t size_, vectors_ = 0, singles_ = 0;
    int64_t starts_[stretch];  // of the vectors, in the list
  };

  int64_t features_;
  bool lists_;
};

}  // namespace nervure
