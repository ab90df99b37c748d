// SPDX-License-Identifier: BSD-3-Clause
// Own matrix products for the shapes of training: few hundred rows, operands that lie in
// the second-level cache.
//
// B is used as it lies where few rows would share a copy; else some columns of it are
// packed, one panel at a time, or all of them beforehand for several products. Blocks of a
// transposed A are copied too where many panels use them. What is read only once per copy
// comes from memory: while one panel is multiplied, the rows of the next are fetched.
#include "gemm.h"

#include <vector>

#include "panels.h"
#include "thin.h"

namespace nervure {
namespace {

using namespace tiles;

// Steps of k at a time: A's rows of so many lie in the second-level cache, and a panel of
// narrow registers in the first. Over these an element of C is one chain of sums.
constexpr int64_t most_steps = register_bytes == 64 ? panel_rows : 400;

// ---- B as it lies -------------------------------------------------------------------

// Of a single row: some vectors of columns at a time, so that B is read in long pieces.
// Elements are the same chains of sums as those of tiles.
template <class T, int vectors>
[[gnu::noinline]] void strip(const Operands<T>& o, int64_t column) {
  constexpr int width = widest<T>;
  using V = Vector<T, width>;
  const auto at = [](auto* x, int v) { return reinterpret_cast<const V*>(x + v * width); };
  V sum[vectors] = {};
  const T *a = o.a.data, *b = o.b.data + column;
  for (int64_t p = 0; p < o.steps.length; ++p, b += o.b.distance)
    NERVURE_EACH (v, vectors) sum[v] += a[p] * *at(b, v);
  T* c = o.c.data + (o.c.listed == nullptr ? 0 : o.c.listed[0]) * o.c.distance + column;
  NERVURE_EACH (v, vectors)
    *reinterpret_cast<V*>(c + v * width) =
        o.c.add ? *at(c, v) + o.c.alpha * sum[v] : sum[v];
}

template <class T>
int64_t strips(const blas::Product& p, const Operands<T>& o) {
  constexpr int vectors = 8;
  int64_t column = 0;
  if (p.m > 1 || p.transpose_a || o.b.listed != nullptr) return column;
  for (; column + vectors * widest<T> <= p.n; column += vectors * widest<T>)
    strip<T, vectors>(o, column);
  return column;
}

// Columns from `column` to n: tiles of two vectors, the last two overlapping; what is
// less than a vector is left to narrower ones.
template <class T, int width, bool transposed>
void all_columns(const blas::Product& p, const Operands<T>& o, int64_t column) {
  const auto at = [&](int64_t second) {
    Operands<T> part = o;
    part.b.data += column;
    part.c.data += column;
    part.columns = {second, second + width};
    return part;
  };
  if constexpr (width == widest<T>)
    for (; column + 2 * width <= p.n; column += 2 * width)
      columns<T, width, 2, transposed>(p.m, at(width));
  const int64_t rest = p.n - column;
  if constexpr (width > 1)
    if (rest > width) return columns<T, width, 2, transposed>(p.m, at(rest - width));
  if (rest == width) return columns<T, width, 1, transposed>(p.m, at(0));
  if constexpr (width > 1)
    if (rest > 0) all_columns<T, width / 2, transposed>(p, o, column);
}

// ---- B in packed panels ---------------------------------------------------------------

// One product with a packed panel: `count` columns from `column` on.
template <class T, int width, int vectors, bool transposed>
void panel_product(int64_t rows, Operands<T> o, const T* packed, int64_t column,
                   int64_t count, Next<T>* next = nullptr) {
  o.b = {packed, width * vectors};
  o.c.data += column;
  o.columns = {width * (vectors - 1), count};
  columns<T, width, vectors, transposed>(rows, o, next);
}

// A B that is packed here, panel by panel.
template <class T>
struct Packing {
  bool transpose_b;

  template <bool transposed>
  void multiply(const blas::Product& p, const Operands<T>& o) const {
    const int64_t steps = o.steps.length;
    each_panel<T>(p.n, [&]<int width, int vectors>(int64_t column, int64_t count) {
      constexpr int64_t wide = width * vectors;
      Right<T> b = o.b;
      if (transpose_b) {
        b.data += column * b.distance;
        pack_transposed(panel<T>(), b.data, b.distance, steps, count, wide);
        return panel_product<T, width, vectors, transposed>(p.m, o, panel<T>(), column,
                                                            count);
      }
      b.data += column;
      pack(panel<T>(), b, steps, count, wide);
      b.data += wide;
      Next<T> next(b, steps, parts_of(p.m, most_rows<T>));
      panel_product<T, width, vectors, transposed>(p.m, o, panel<T>(), column, count,
                                                   &next);
    });
  }
};

// A B whose panels lie one after the other.
template <class T>
struct Packed {
  template <bool transposed>
  void multiply(const blas::Product& p, const Operands<T>& o) const {
    each_panel<T>(p.n, [&]<int width, int vectors>(int64_t column, int64_t count) {
      panel_product<T, width, vectors, transposed>(
          p.m, o, o.b.data + column * o.steps.length, column, count);
    });
  }
};

// A transposed A: its blocks are copied where some panels use them, as many rows at a time
// as there is room for.
template <class T>
void by_blocks(const blas::Product& p, const Operands<T>& o, const auto& panels) {
  if (p.n <= 8 * panel_columns<T>) return panels.template multiply<true>(p, o);
  const int64_t steps = std::max<int64_t>(1, o.steps.length);
  const int64_t room = blocks_bytes / static_cast<int64_t>(sizeof(T)) / steps;
  const int64_t stretches = parts_of(p.m, room);
  for (int64_t stretch = 0; stretch < stretches; ++stretch) {
    const Range rows = share_of(p.m, stretches, stretch);
    blas::Product part = p;
    part.m = rows.size();
    Operands<T> some = o;
    some.a.data += rows.begin;
    skip_rows(some.c.data, some.c.listed, rows.begin, o.c.distance);
    some.a = in_blocks(some.a, o.steps.length, part.m);
    panels.template multiply<true>(part, some);
  }
}

// Calls stretch(steps) for all steps of k, in stretches of nearly equal length.
void each_stretch(int64_t k, auto&& stretch) {
  const int64_t stretches = parts_of(k, most_steps);
  for (int64_t i = 0; i < stretches; ++i) stretch(share_of(k, stretches, i));
}
// Some steps of k, but for those of B; those before them have been multiplied.
template <class T>
Operands<T> stretch_of(const blas::Product& p, Operands<T> o, Range steps) {
  o.steps.length = steps.size();
  o.a.data += steps.begin * (p.transpose_a ? o.a.distance : 1);
  o.c.add = o.c.add || steps.begin > 0;
  return o;
}

// ---- the choice -------------------------------------------------------------------------

// How many columns at the end would fill less than half a vector, where the axis along
// which thin products go is long enough for them.
template <class T>
int64_t thin_columns(const blas::Product& p) {
  constexpr int64_t width = widest<T>;
  const int64_t rest = p.n % (2 * width), along = p.transpose_a ? p.m : p.k;
  if (along < 4 * width || (p.transpose_a && p.transpose_b)) return 0;
  return rest <= (p.n < width ? 3 * thin::most_columns : width / 2) ? rest : 0;
}
// A copy of B pays where many rows use it, and B does not lie in the nearest cache.
template <class T>
bool as_it_lies(const blas::Product& p) {
  return !p.transpose_b && (p.m <= 2 * most_rows<T> || p.k * p.n <= 4096);
}

template <class T>
void multiply(const blas::Product& p, const Operands<T>& o) {
  if (as_it_lies<T>(p))
    return p.transpose_a ? all_columns<T, widest<T>, true>(p, o, 0)
                         : all_columns<T, widest<T>, false>(p, o, strips(p, o));
  const Packing<T> panels{p.transpose_b};
  p.transpose_a ? by_blocks(p, o, panels) : panels.template multiply<false>(p, o);
}

template <class T>
Operands<T> operands(const blas::Product& p, const T* a, int64_t lda, const Right<T>& b,
                     T* c, int64_t ldc, const int64_t* listed) {
  return {.steps = {p.k},
          .a = {a, lda},
          .b = b,
          .c = {c, ldc, listed, p.beta != 0, static_cast<T>(p.alpha)}};
}

template <class T>
void own(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb, T* c,
         int64_t ldc, Listed rows) {
  if (p.m == 0) return;
  const Operands<T> o = operands(p, a, lda, {b, ldb, rows.of_b}, c, ldc, rows.of_c);
  const int64_t rest = thin_columns<T>(p);
  blas::Product wide = p;
  wide.n -= rest;
  if (wide.n > 0)
    each_stretch(p.k, [&](Range steps) {
      Operands<T> some = stretch_of(p, o, steps);
      skip_rows(some.b.data, some.b.listed, steps.begin, p.transpose_b ? 1 : ldb);
      multiply(wide, some);
    });
  if (rest > 0)
    thin::multiply<T>({p.m, rest, p.k, a, lda, b + wide.n * (p.transpose_b ? ldb : 1), ldb,
                       c + wide.n, ldc, o.c.add, o.c.alpha, rows},
                      p.transpose_a, p.transpose_b, panel<T>(), panel_rows);
}

// ---- long sums --------------------------------------------------------------------------

// Steps of k whose sums are simply added; of more, as in a gradient over a very long batch,
// each addition would lose more.
constexpr int64_t most_added = 1 << 13;

// C from so many parts of the sum over k: multiply(product, part, c, ldc) gives one.
template <class T>
void by_long_sums(const blas::Product& p, T* c, int64_t ldc, const int64_t* listed,
                  int64_t parts, const auto& multiply) {
  static thread_local std::vector<T> memory;
  const int64_t size = p.m * p.n;
  memory.assign(static_cast<size_t>(2 * size), T(0));
  T *some = memory.data(), *low = some + size;
  const auto each = [&](const auto& call) {
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < p.n; ++j)
        call(c[(listed == nullptr ? i : listed[i]) * ldc + j], i * p.n + j);
  };
  if (p.beta == 0) each([](T& sum, int64_t) { sum = 0; });
  blas::Product plain = p;
  plain.beta = 0;
  plain.alpha = 1;
  const T alpha = static_cast<T>(p.alpha);
  for (int64_t part = 0; part < parts; ++part) {
    multiply(plain, part, some, p.n);
    each([&](T& sum, int64_t at) {
      simd::add_exactly(sum, low[at], static_cast<T>(alpha * some[at]));
    });
  }
  each([&](T& sum, int64_t at) { sum += low[at] == low[at] ? low[at] : 0; });
}

// multiply(product, a, b, c, ldc, listed) makes a product of some steps of k.
template <class T>
void any_length(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb,
                T* c, int64_t ldc, Listed rows, const auto& multiply) {
  if (p.k <= most_added) return multiply(p, a, b, c, ldc, rows);
  const int64_t parts = parts_of(p.k, most_added);
  by_long_sums(p, c, ldc, rows.of_c, parts,
               [&](blas::Product part, int64_t i, T* to, int64_t distance) {
                 const Range k = share_of(p.k, parts, i);
                 part.k = k.size();
                 const T* from = b;
                 const int64_t* listed = rows.of_b;
                 skip_rows(from, listed, k.begin, p.transpose_b ? 1 : ldb);
                 multiply(part, a + k.begin * (p.transpose_a ? lda : 1), from, to, distance,
                          Listed{listed});
               });
}

template <class T>
void own_of_any_length(const blas::Product& p, const T* a, int64_t lda, const T* b,
                       int64_t ldb, T* c, int64_t ldc, Listed rows) {
  any_length(p, a, lda, b, ldb, c, ldc, rows,
             [&](const blas::Product& part, const T* from_a, const T* from_b, T* to,
                 int64_t distance,
                 Listed some) { own(part, from_a, lda, from_b, ldb, to, distance, some); });
}
template <class T>
void large(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb, T* c,
           int64_t ldc) {
  any_length(p, a, lda, b, ldb, c, ldc, {},
             [&](const blas::Product& part, const T* from_a, const T* from_b, T* to,
                 int64_t distance,
                 Listed) { blas::gemm(part, from_a, lda, from_b, ldb, to, distance); });
}

// ---- panels that several products share
// ---------------------------------------------------

// The panels of one half of the columns.
template <class T>
void pack_half(T* panels, const T* b, int64_t ldb, int64_t k, int64_t columns,
               int64_t which, bool transposed) {
  const Range half = half_of(columns, which);
  each_stretch(k, [&](Range steps) {
    T* to = panels + panels_room<T>(steps.begin, columns);
    each_panel<T>(columns, [&]<int width, int vectors>(int64_t column, int64_t count) {
      if (column < half.begin || half.end <= column) return;
      if (transposed)
        pack_transposed(to + column * steps.size(), b + column * ldb + steps.begin, ldb,
                        steps.size(), count, width * vectors);
      else
        pack(to + column * steps.size(), Right<T>{b + steps.begin * ldb + column, ldb},
             steps.size(), count, width * vectors);
    });
  });
}

template <class T>
void by_panels(const blas::Product& p, const T* a, int64_t lda, const T* panels, T* c,
               int64_t ldc, Listed rows) {
  if (p.m == 0) return;
  const int64_t stretches = parts_of(p.k, most_steps);
  const auto multiply = [&](const blas::Product& part, Range some, T* to, int64_t distance,
                            const int64_t* listed) {
    Operands<T> o = operands(part, a, lda, {panels, 0}, to, distance, listed);
    for (int64_t i = some.begin; i < some.end; ++i, o.c.add = true) {
      const Range steps = share_of(p.k, stretches, i);
      o.steps.length = steps.size();
      o.a.data = a + steps.begin * (p.transpose_a ? lda : 1);
      o.b.data = panels + panels_room<T>(steps.begin, p.n);
      p.transpose_a ? by_blocks(part, o, Packed<T>{})
                    : Packed<T>{}.template multiply<false>(part, o);
    }
  };
  const int64_t parts = parts_of(p.k, most_added);
  if (parts == 1) return multiply(p, {0, stretches}, c, ldc, rows.of_c);
  by_long_sums(p, c, ldc, rows.of_c, parts,
               [&](const blas::Product& part, int64_t i, T* to, int64_t distance) {
                 multiply(part, share_of(stretches, parts, i), to, distance, nullptr);
               });
}

template <class T>
void in_chains(const blas::Product& p, const T* a, int64_t lda, const T* b, int64_t ldb,
               T* c, int64_t ldc) {
  if (p.m == 0) return;
  const Operands<T> o = operands(p, a, lda, {b, ldb}, c, ldc, nullptr);
  each_stretch(p.k, [&](Range steps) {
    Operands<T> some = stretch_of(p, o, steps);
    some.b.data += steps.begin * (p.transpose_b ? 1 : ldb);
    multiply(p, some);
  });
}

// ---- A as a window sees it ------------------------------------------------------------

template <class T, int width, int vectors>
void slide_columns(const Sliding<T>& s) {
  const Operands<T> o{
      .steps = {s.length, s.runs, s.offsets, s.places},
      .a = {s.a, s.distance},
      .b = {s.panel, width * vectors},
      .c = {s.c, s.ldc, nullptr, s.add && s.start == nullptr, T(1), s.start},
      .columns = {width * (vectors - 1), s.columns}};
  s.transposed ? columns<T, width, vectors, true>(s.rows, o)
               : columns<T, width, vectors, false>(s.rows, o);
}

template <class T>
void slide(const Sliding<T>& s) {
  constexpr int width = widest<T>;
  if (s.columns > width) return slide_columns<T, width, 2>(s);
  if (s.columns > width / 2) return slide_columns<T, width, 1>(s);
  slide_columns<T, width / 2, 1>(s);
}

}  // namespace

void sliding_gemm(const Sliding<float>& s) { slide(s); }
void sliding_gemm(const Sliding<double>& s) { slide(s); }

template <class T>
T* panel_memory() {
  return panel<T>();
}
template float* panel_memory<float>();
template double* panel_memory<double>();

template <class T>
void pack_panel(T* target, const T* b, int64_t ldb, bool transposed, int64_t rows,
                int64_t columns) {
  const int64_t wide = panel_width<T>(columns);
  transposed ? pack_transposed(target, b, ldb, rows, columns, wide)
             : pack(target, Right<T>{b, ldb}, rows, columns, wide);
}
template void pack_panel(float*, const float*, int64_t, bool, int64_t, int64_t);
template void pack_panel(double*, const double*, int64_t, bool, int64_t, int64_t);

void own_gemm(const blas::Product& p, const float* a, int64_t lda, const float* b,
              int64_t ldb, float* c, int64_t ldc, Listed rows) {
  own_of_any_length(p, a, lda, b, ldb, c, ldc, rows);
}
void own_gemm(const blas::Product& p, const double* a, int64_t lda, const double* b,
              int64_t ldb, double* c, int64_t ldc, Listed rows) {
  own_of_any_length(p, a, lda, b, ldb, c, ldc, rows);
}
void large_gemm(const blas::Product& p, const float* a, int64_t lda, const float* b,
                int64_t ldb, float* c, int64_t ldc) {
  large(p, a, lda, b, ldb, c, ldc);
}
void large_gemm(const blas::Product& p, const double* a, int64_t lda, const double* b,
                int64_t ldb, double* c, int64_t ldc) {
  large(p, a, lda, b, ldb, c, ldc);
}

void pack_panels(float* panels, const float* b, int64_t ldb, int64_t k, int64_t columns,
                 int64_t which, bool transposed) {
  pack_half(panels, b, ldb, k, columns, which, transposed);
}
void pack_panels(double* panels, const double* b, int64_t ldb, int64_t k, int64_t columns,
                 int64_t which, bool transposed) {
  pack_half(panels, b, ldb, k, columns, which, transposed);
}
void gemm_in_chains(const blas::Product& p, const float* a, int64_t lda, const float* b,
                    int64_t ldb, float* c, int64_t ldc) {
  in_chains(p, a, lda, b, ldb, c, ldc);
}
void gemm_in_chains(const blas::Product& p, const double* a, int64_t lda, const double* b,
                    int64_t ldb, double* c, int64_t ldc) {
  in_chains(p, a, lda, b, ldb, c, ldc);
}
void gemm_by_panels(const blas::Product& p, const float* a, int64_t lda,
                    const float* panels, float* c, int64_t ldc, Listed rows) {
  by_panels(p, a, lda, panels, c, ldc, rows);
}
void gemm_by_panels(const blas::Product& p, const double* a, int64_t lda,
                    const double* panels, double* c, int64_t ldc, Listed rows) {
  by_panels(p, a, lda, panels, c, ldc, rows);
}

}  // namespace nervure
