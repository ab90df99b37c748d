// SPDX-License-Identifier: BSD-3-Clause
#include "winograd.h"

#include <algorithm>

#include "../memory.h"

namespace nervure::winograd {
namespace {

using simd::register_bytes;

template <class T>
constexpr int64_t lanes = register_bytes / static_cast<int64_t>(sizeof(T));

template <class T>
struct Lanes {
  typedef T type
      __attribute__((vector_size(register_bytes), aligned(sizeof(T)), may_alias));
};
template <class T>
using Vector = typename Lanes<T>::type;

template <class T>
NERVURE_INLINE Vector<T> load(const T* x) {
  return *reinterpret_cast<const Vector<T>*>(x);
}
template <class T>
NERVURE_INLINE void store(T* x, Vector<T> v) {
  *reinterpret_cast<Vector<T>*>(x) = v;
}

// ---- the transforms along one axis ----------------------------------------------------

// The points beside 0 and infinity are +-near and +-far; the last three divide G.
template <class T>
struct Points {
  static constexpr T near = T(0.75), far = T(1.5), near2 = near * near, far2 = far * far;
  static constexpr T at_zero = 1 / (near2 * far2);
  static constexpr T at_near = 1 / (2 * near2 * (near2 - far2));
  static constexpr T at_far = 1 / (2 * far2 * (far2 - near2));
};

// Bt x.
template <class T, class V>
NERVURE_INLINE void see(const V (&x)[6], V (&y)[6]) {
  using P = Points<T>;
  constexpr T product = P::near2 * P::far2, sum = P::near2 + P::far2;
  const V even_near = x[4] - P::far2 * x[2], odd_near = P::near * (x[3] - P::far2 * x[1]);
  const V even_far = x[4] - P::near2 * x[2], odd_far = P::far * (x[3] - P::near2 * x[1]);
  y[0] = product * x[0] - sum * x[2] + x[4];
  y[1] = even_near + odd_near;
  y[2] = even_near - odd_near;
  y[3] = even_far + odd_far;
  y[4] = even_far - odd_far;
  y[5] = product * x[1] - sum * x[3] + x[5];
}

// At m.
template <class T, class V>
NERVURE_INLINE void gather(const V (&m)[6], V (&y)[4]) {
  using P = Points<T>;
  const V sum_near = m[1] + m[2], difference_near = m[1] - m[2];
  const V sum_far = m[3] + m[4], difference_far = m[3] - m[4];
  y[0] = m[0] + sum_near + sum_far;
  y[1] = P::near * difference_near + P::far * difference_far;
  y[2] = P::near2 * sum_near + P::far2 * sum_far;
  y[3] = P::near * P::near2 * difference_near + P::far * P::far2 * difference_far + m[5];
}

// A y.
template <class T, class V>
NERVURE_INLINE void spread(const V (&y)[4], V (&m)[6]) {
  using P = Points<T>;
  const V even_near = y[0] + P::near2 * y[2], odd_near = P::near * (y[1] + P::near2 * y[3]);
  const V even_far = y[0] + P::far2 * y[2], odd_far = P::far * (y[1] + P::far2 * y[3]);
  m[0] = y[0];
  m[1] = even_near + odd_near;
  m[2] = even_near - odd_near;
  m[3] = even_far + odd_far;
  m[4] = even_far - odd_far;
  m[5] = y[3];
}

// G g.
template <class T, class V>
NERVURE_INLINE void widen(const V (&g)[3], V (&u)[6]) {
  using P = Points<T>;
  const V even_near = P::at_near * (g[0] + P::near2 * g[2]),
          odd_near = P::at_near * P::near * g[1];
  const V even_far = P::at_far * (g[0] + P::far2 * g[2]),
          odd_far = P::at_far * P::far * g[1];
  u[0] = P::at_zero * g[0];
  u[1] = even_near + odd_near;
  u[2] = even_near - odd_near;
  u[3] = even_far + odd_far;
  u[4] = even_far - odd_far;
  u[5] = g[2];
}

// Gt u.
template <class T, class V>
NERVURE_INLINE void narrow(const V (&u)[6], V (&g)[3]) {
  using P = Points<T>;
  const V sum_near = P::at_near * (u[1] + u[2]),
          difference_near = P::at_near * (u[1] - u[2]);
  const V sum_far = P::at_far * (u[3] + u[4]), difference_far = P::at_far * (u[3] - u[4]);
  g[0] = P::at_zero * u[0] + sum_near + sum_far;
  g[1] = P::near * difference_near + P::far * difference_far;
  g[2] = P::near2 * sum_near + P::far2 * sum_far + u[5];
}

// ---- along both axes ------------------------------------------------------------------

// M (count x count) -> (made x made): rows first, then columns. `from(i, j)` loads,
// `to(i, j, v)` stores.
template <class V, int count, int made>
NERVURE_INLINE void both(auto transform, auto from, auto to) {
  V half[count][made];
#pragma GCC unroll 6
  for (int i = 0; i < count; ++i) {
    V line[count];
#pragma GCC unroll 6
    for (int j = 0; j < count; ++j) line[j] = from(i, j);
    transform(line, half[i]);
  }
#pragma GCC unroll 6
  for (int j = 0; j < made; ++j) {
    V line[count], result[made];
#pragma GCC unroll 6
    for (int i = 0; i < count; ++i) line[i] = half[i][j];
    transform(line, result);
#pragma GCC unroll 6
    for (int i = 0; i < made; ++i) to(i, j, result[i]);
  }
}

// Where a tile lies.
struct Place {
  int64_t image, row, column;  // of its first output
};
Place place_of(const Plane& p, int64_t tile) {
  const int64_t each = p.down() * p.across(), within = tile % each;
  return {tile / each, within / p.across() * outputs, within % p.across() * outputs};
}

// What a thread has for itself: room for V of some tiles or U of a panel, and for their
// products.
constexpr int64_t seen_room = 640 * 1024, most_tiles = 48;
template <class T>
constexpr int64_t operand_room =
    std::max(seen_room, places* apart(most_channels* panel_columns<T>));
constexpr int64_t product_room = places * apart(panel * gradient_channels);

template <class T>
struct Room {
  T *operand, *product;
};
template <class T>
Room<T> room() {
  static thread_local const Memory memory((operand_room<T> + product_room) * sizeof(T));
  T* operand = static_cast<T*>(memory.data());
  return {operand, operand + operand_room<T>};
}
static_assert(most_tiles <= gradient_channels);

// Calls with the first filter and the width of each panel of T in a panel of floats.
template <class T, class Call>
void each_panel(const Plane& p, int64_t which, Call call) {
  const int64_t end = std::min(p.filters, (which + 1) * panel);
  for (int64_t first = which * panel; first < end; first += panel_columns<T>)
    call(first, panel_width<T>(std::min(panel_columns<T>, end - first)));
}

// y from M [f][tile][wide], for a tile.
template <class T>
void put_tile(const Plane& p, const Forward<T>& a, const Place& at, int64_t first,
              int64_t wide, const T* m, int64_t step) {
  const int64_t down = std::min(outputs, p.rows - at.row);
  const int64_t right = std::min(outputs, p.columns - at.column);
  T* y = a.y + ((at.image * p.rows + at.row) * p.columns + at.column) * p.filters + first;
  for (int64_t c = 0; c < wide; c += lanes<T>) {
    const Vector<T> start = a.bias != nullptr ? load(a.bias + first + c) : Vector<T>{};
    both<Vector<T>, 6, 4>([](const auto& l, auto& r) { gather<T>(l, r); },
                          [&](int i, int j) { return load(m + (i * 6 + j) * step + c); },
                          [&](int i, int j, Vector<T> r) {
                            if (i >= down || j >= right) return;
                            T* to = y + (i * p.columns + j) * p.filters + c;
                            store(to, (a.add ? load(to) : start) + r);
                          });
  }
}

// V of one tile; `inside`: all 36 pixels lie in the image.
template <class T, bool inside>
void see_tile(const Plane& p, const T* x, int64_t row, int64_t column, T* v, int64_t step) {
  bool has[6][6];
  if (!inside)
    for (int i = 0; i < 6; ++i)
      for (int j = 0; j < 6; ++j)
        has[i][j] =
            row + i >= 0 && row + i < p.height && column + j >= 0 && column + j < p.width;
  const T* pixel = x + (row * p.width + column) * p.channels;
  for (int64_t c = 0; c < p.channels; c += lanes<T>) {
    const auto from = [&](int i, int j) {
      if (!inside && !has[i][j]) return Vector<T>{};
      return load(pixel + (i * p.width + j) * p.channels + c);
    };
    both<Vector<T>, 6, 6>(
        [](const auto& l, auto& r) { see<T>(l, r); }, from,
        [&](int i, int j, Vector<T> r) { store(v + (i * 6 + j) * step + c, r); });
  }
}

// U of the filters of one panel of T and some channels.
template <class T>
void widen_panel(const Plane& p, const T* weight, bool turned, int64_t first, int64_t wide,
                 int64_t first_channel, int64_t end_channel, T* u) {
  constexpr int64_t block = channel_unit;
  alignas(64) T taps[9 * block * panel_columns<T>];
  const int64_t step = apart(p.channels * wide);
  for (int64_t channel = first_channel; channel < end_channel; channel += block) {
    for (int64_t t = 0; t < 9; ++t) {
      const T* from = turned ? weight + ((8 - t) * p.filters + first) * p.channels + channel
                             : weight + (t * p.channels + channel) * p.filters + first;
      pack_panel(taps + t * block * wide, from, turned ? p.channels : p.filters, turned,
                 block, wide);
    }
    for (int64_t i = 0; i < block * wide; i += lanes<T>)
      both<Vector<T>, 3, 6>(
          [](const auto& l, auto& r) { widen<T>(l, r); },
          [&](int r, int s) { return load(taps + (r * 3 + s) * block * wide + i); },
          [&](int r, int s, Vector<T> v) {
            store(u + (r * 6 + s) * step + channel * wide + i, v);
          });
  }
}

// y for some tiles and `wide` filters from M [f][tile][wide] = V U, rows of V [f][tile]
// being `step` apart from place to place.
template <class T>
void filter_tiles(const Plane& p, const Forward<T>& a, const T* v, int64_t step, const T* u,
                  int64_t begin, int64_t end, int64_t first, int64_t wide) {
  const int64_t none = 0, tiles = end - begin;
  T* m = room<T>().product;
  for (int64_t f = 0; f < places; ++f)
    sliding_gemm(Sliding<T>{.rows = tiles,
                            .columns = wide,
                            .a = v + f * step,
                            .distance = p.channels,
                            .transposed = false,
                            .offsets = &none,
                            .places = nullptr,
                            .runs = 1,
                            .length = p.channels,
                            .panel = u + f * apart(wide * p.channels),
                            .c = m + f * apart(tiles * wide),
                            .ldc = wide,
                            .start = nullptr,
                            .add = false});
  for (int64_t tile = 0; tile < tiles; ++tile)
    put_tile(p, a, place_of(p, begin + tile), first, wide, m + tile * wide,
             apart(tiles * wide));
}

}  // namespace

template <class T>
void transform_weights(const Plane& p, const T* weight, bool turned, int64_t which,
                       int64_t first_channel, int64_t end_channel, T* u) {
  each_panel<T>(p, which, [&](int64_t first, int64_t wide) {
    widen_panel(p, weight, turned, first, wide, first_channel, end_channel,
                u + panel_offset<T>(p.channels, first));
  });
}

template <class T>
void transform_seen(const Plane& p, const T* x, int64_t begin, int64_t end, int64_t tiles,
                    T* v) {
  const int64_t step = apart(tiles * p.channels);
  for (int64_t tile = begin; tile < end; ++tile, v += p.channels) {
    const Place at = place_of(p, tile);
    const int64_t row = at.row - p.top, column = at.column - p.left;
    const T* image = x + at.image * p.height * p.width * p.channels;
    const bool inside =
        row >= 0 && row + inputs <= p.height && column >= 0 && column + inputs <= p.width;
    inside ? see_tile<T, true>(p, image, row, column, v, step)
           : see_tile<T, false>(p, image, row, column, v, step);
  }
}

template <class T>
void transform_gradient(const Plane& p, const T* dy, int64_t begin, int64_t end,
                        int64_t tiles, T* d) {
  for (int64_t tile = begin; tile < end; ++tile) {
    const Place at = place_of(p, tile);
    const int64_t down = p.rows - at.row, right = p.columns - at.column;
    const T* from = dy + ((at.image * p.rows + at.row) * p.columns + at.column) * p.filters;
    for (int64_t which = 0; which < p.panels(); ++which)
      each_panel<T>(p, which, [&](int64_t first, int64_t wide) {
        T* to = d + panel_offset<T>(tiles, first) + tile * wide;
        const int64_t step = apart(tiles * wide);
        for (int64_t c = 0; c < wide; c += lanes<T>)
          both<Vector<T>, 4, 6>(
              [](const auto& l, auto& r) { spread<T>(l, r); },
              [&](int i, int j) {
                if (i >= down || j >= right) return Vector<T>{};
                return load(from + (i * p.columns + j) * p.filters + first + c);
              },
              [&](int i, int j, Vector<T> r) { store(to + (i * 6 + j) * step + c, r); });
      });
  }
}

int64_t forward_tiles(const Plane& p, int64_t tiles) {
  constexpr int64_t least = 16, wanted = 8;  // that all threads find work
  const int64_t most = std::min(most_tiles, seen_room / (places * apart(p.channels)));
  return std::clamp((tiles + wanted - 1) / wanted, std::min(least, most), most);
}

template <class T>
void forward(const Plane& p, const Forward<T>& a, const T* u, int64_t begin, int64_t end,
             int64_t first_panel, int64_t end_panel) {
  const int64_t tiles = end - begin;
  T* v = room<T>().operand;
  transform_seen(p, a.x, begin, end, tiles, v);
  for (int64_t which = first_panel; which < end_panel; ++which)
    each_panel<T>(p, which, [&](int64_t first, int64_t wide) {
      filter_tiles(p, a, v, apart(tiles * p.channels),
                   u + panel_offset<T>(p.channels, first), begin, end, first, wide);
    });
}

template <class T>
void forward_panel(const Plane& p, const Forward<T>& a, const T* v, int64_t all,
                   const T* weight, bool turned, int64_t which) {
  T* u = room<T>().operand;
  const int64_t blocks = (all + most_tiles - 1) / most_tiles;
  each_panel<T>(p, which, [&](int64_t first, int64_t wide) {
    widen_panel(p, weight, turned, first, wide, 0, p.channels, u);
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t begin = all * block / blocks, end = all * (block + 1) / blocks;
      filter_tiles(p, a, v + begin * p.channels, apart(all * p.channels), u, begin, end,
                   first, wide);
    }
  });
}

namespace {

// [f][channel][filter]: sums of V D over some tiles, for some channels and one panel of T.
template <class T>
void sum_tiles(const Plane& p, const T* v, const T* d, int64_t all, Range tiles,
               Range channels, int64_t first, int64_t wide, T* sums) {
  constexpr int64_t together = 256;  // tiles whose panel stays in the nearest cache
  const int64_t none = 0;
  for (int64_t f = 0; f < places; ++f)
    for (int64_t begin = tiles.begin; begin < tiles.end; begin += together)
      sliding_gemm(Sliding<T>{
          .rows = channels.size(),
          .columns = wide,
          .a = v + f * apart(all * p.channels) + begin * p.channels + channels.begin,
          .distance = p.channels,
          .transposed = true,
          .offsets = &none,
          .places = nullptr,
          .runs = 1,
          .length = std::min(together, tiles.end - begin),
          .panel = d + panel_offset<T>(all, first) + f * apart(all * wide) + begin * wide,
          .c = sums + f * apart(channels.size() * wide),
          .ldc = wide,
          .start = nullptr,
          .add = begin > tiles.begin});
}

// dW = or += Gt sums G.
template <class T>
void put_gradient(const Plane& p, const T* sums, Range channels, int64_t first,
                  int64_t wide, T* dweight, bool add) {
  const int64_t step = apart(channels.size() * wide), tap = p.channels * p.filters;
  for (int64_t channel = 0; channel < channels.size(); ++channel)
    for (int64_t c = 0; c < wide; c += lanes<T>) {
      const T* from = sums + channel * wide + c;
      T* to = dweight + (channels.begin + channel) * p.filters + first + c;
      both<Vector<T>, 6, 3>([](const auto& l, auto& r) { narrow<T>(l, r); },
                            [&](int i, int j) { return load(from + (i * 6 + j) * step); },
                            [&](int i, int j, Vector<T> r) {
                              T* at = to + (i * 3 + j) * tap;
                              store(at, add ? load(at) + r : r);
                            });
    }
}

}  // namespace

template <class T>
void weight_gradient(const Plane& p, const T* v, const T* d, int64_t tiles,
                     int64_t first_channel, int64_t end_channel, int64_t which, T* dweight,
                     bool add) {
  constexpr int64_t most = 1 << 14;  // tiles in a row: sums of more lose what is added
  const Range channels{first_channel, end_channel};
  T* sums = room<T>().product;
  each_panel<T>(p, which, [&](int64_t first, int64_t wide) {
    for (int64_t begin = 0; begin < tiles; begin += most) {
      const Range some{begin, std::min(tiles, begin + most)};
      sum_tiles(p, v, d, tiles, some, channels, first, wide, sums);
      put_gradient(p, sums, channels, first, wide, dweight, add || begin > 0);
    }
  });
}

#define NERVURE_WINOGRAD(T)                                                                \
  template void transform_weights(const Plane&, const T*, bool, int64_t, int64_t, int64_t, \
                                  T*);                                                     \
  template void transform_seen(const Plane&, const T*, int64_t, int64_t, int64_t, T*);     \
  template void transform_gradient(const Plane&, const T*, int64_t, int64_t, int64_t, T*); \
  template void forward(const Plane&, const Forward<T>&, const T*, int64_t, int64_t,       \
                        int64_t, int64_t);                                                 \
  template void forward_panel(const Plane&, const Forward<T>&, const T*, int64_t,          \
                              const T*, bool, int64_t);                                    \
  template void weight_gradient(const Plane&, const T*, const T*, int64_t, int64_t,        \
                                int64_t, int64_t, T*, bool);
NERVURE_WINOGRAD(float)
NERVURE_WINOGRAD(double)

}  // namespace nervure::winograd
