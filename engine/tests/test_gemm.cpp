// SPDX-License-Identifier: BSD-3-Clause
// Own matrix products against the definition, in arrays of just the size they need (the
// address sanitizer sees a step too far), and that no cut changes a bit.
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "../gemm.h"
#include "check.h"

namespace {

using namespace nervure;
using blas::Product;

// -1 .. 1, different in neighbouring places.
template <class T>
std::vector<T> numbers(int64_t size, int64_t seed) {
  std::vector<T> x(static_cast<size_t>(size));
  for (size_t i = 0; i < x.size(); ++i)
    x[i] =
        static_cast<T>(std::sin(static_cast<double>(i) * 1.7 + static_cast<double>(seed)));
  return x;
}

template <class T>
struct Matrices {
  explicit Matrices(const Product& p, int64_t padding)
      : lda((p.transpose_a ? p.m : p.k) + padding),
        ldb((p.transpose_b ? p.k : p.n) + padding),
        ldc(p.n + padding),
        a(numbers<T>(extent(p.transpose_a ? p.k : p.m, lda, padding), 1)),
        b(numbers<T>(extent(p.transpose_b ? p.n : p.k, ldb, padding), 2)),
        c(numbers<T>(extent(p.m, ldc, padding), 3)) {}

  // The last row ends with its last element.
  static int64_t extent(int64_t rows, int64_t ld, int64_t padding) {
    return rows * ld - padding;
  }

  int64_t lda, ldb, ldc;
  std::vector<T> a, b, c;
};

// Largest error of an element, in units of k epsilon.
template <class T>
double error(const Product& p, int64_t padding) {
  const Matrices<T> before(p, padding);
  Matrices<T> x(before);
  own_gemm(p, x.a.data(), x.lda, x.b.data(), x.ldb, x.c.data(), x.ldc);
  const auto at = [](const std::vector<T>& v, int64_t i) {
    return static_cast<double>(v[static_cast<size_t>(i)]);
  };
  double worst = 0;
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      double sum = p.beta * at(before.c, i * x.ldc + j);
      for (int64_t l = 0; l < p.k; ++l)
        sum += at(x.a, p.transpose_a ? l * x.lda + i : i * x.lda + l) *
               at(x.b, p.transpose_b ? j * x.ldb + l : l * x.ldb + j);
      worst = std::max(worst, std::abs(sum - at(x.c, i * x.ldc + j)));
    }
    for (int64_t j = p.n; j < x.ldc && i * x.ldc + j < static_cast<int64_t>(x.c.size());
         ++j)
      if (at(x.c, i * x.ldc + j) != at(before.c, i * x.ldc + j)) return INFINITY;
  }
  const double epsilon = static_cast<double>(std::numeric_limits<T>::epsilon());
  return worst / (epsilon * static_cast<double>(p.k + 1));
}

constexpr int64_t shapes[][3] = {{1, 1, 1},     {10, 30, 784}, {30, 10, 10},
                                 {13, 17, 5},   {14, 32, 33},  {29, 100, 50},
                                 {100, 10, 64}, {128, 33, 20}, {200, 47, 31},
                                 {3, 65, 1030}, {40, 8, 1100}, {64, 129, 64}};

template <class T, class Call>
void each_product(Call&& call) {
  for (const auto& [m, n, k] : shapes)
    for (int form = 0; form < 8; ++form)
      call(Product{.transpose_a = (form & 1) != 0,
                   .transpose_b = (form & 2) != 0,
                   .m = m,
                   .n = n,
                   .k = k,
                   .beta = (form & 4) != 0 ? 1.0 : 0.0});
}

template <class T>
void products_are_right() {
  each_product<T>([](const Product& p) {
    CHECK(error<T>(p, 0) < 1);
    CHECK(error<T>(p, 3) < 1);
  });
}

// Columns [first, last) alone have the bits that they have in the whole.
template <class T>
bool same_alone(const Product& p, int64_t first, int64_t last) {
  Matrices<T> whole(p, 0), part(p, 0);
  own_gemm(p, whole.a.data(), whole.lda, whole.b.data(), whole.ldb, whole.c.data(),
           whole.ldc);
  Product some = p;
  some.n = last - first;
  own_gemm(some, part.a.data(), part.lda,
           part.b.data() + first * (p.transpose_b ? part.ldb : 1), part.ldb,
           part.c.data() + first, part.ldc);
  for (int64_t i = 0; i < p.m; ++i)
    if (std::memcmp(&whole.c[static_cast<size_t>(i * p.n + first)],
                    &part.c[static_cast<size_t>(i * p.n + first)],
                    static_cast<size_t>(some.n) * sizeof(T)) != 0)
      return false;
  return true;
}

template <class T>
void parts_have_the_same_bits() {
  each_product<T>([](const Product& p) {
    const Cut cut = Cut::of(200, p.n, 4096);
    const int64_t grain = cut.by_columns ? cut.grain : 32;
    for (int64_t first = 0; first < p.n; first += grain)
      CHECK(same_alone<T>(p, first, std::min(first + grain, p.n)));
  });
}

// A cut covers everything once, whatever the shape.
void cuts_cover_all() {
  for (const int64_t m : {1, 10, 128, 1000})
    for (const int64_t n : {1, 10, 100, 512, 4000})
      for (const int64_t k : {1, 30, 784, 5000}) {
        const Cut cut = Cut::of(m, n, k);
        const int64_t total = cut.by_columns ? n : m;
        CHECK(cut.parts >= 1 && cut.grain * cut.parts >= total &&
              cut.grain * (cut.parts - 1) < total);
      }
}

}  // namespace

int main() {
  products_are_right<float>();
  products_are_right<double>();
  parts_have_the_same_bits<float>();
  parts_have_the_same_bits<double>();
  cuts_cover_all();
  return check::report();
}
