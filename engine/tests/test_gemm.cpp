// SPDX-License-Identifier: BSD-3-Clause
// Own products against the plain triple loop, around every edge of tiles and panels.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "../products/gemm.h"
#include "check.h"

using namespace nervure;

namespace {

template <class T>
std::vector<T> numbers(int64_t size, uint32_t seed) {
  std::vector<T> values(static_cast<size_t>(size));
  for (T& value : values) {
    seed = seed * 1664525 + 1013904223;
    value = static_cast<T>(seed >> 8) / (1 << 24) - T(0.5);
  }
  return values;
}

template <class T>
struct Case {
  blas::Product p;
  int64_t pad;  // of the leading dimensions: operands are parts of larger arrays
  std::vector<T> a, b, c;

  Case(blas::Product product, int64_t padding) : p(product), pad(padding) {
    a = numbers<T>((p.transpose_a ? p.k : p.m) * lda(), 1);
    b = numbers<T>((p.transpose_b ? p.n : p.k) * ldb(), 2);
    c = numbers<T>(p.m * ldc(), 3);
  }
  [[nodiscard]] int64_t lda() const { return (p.transpose_a ? p.m : p.k) + pad; }
  [[nodiscard]] int64_t ldb() const { return (p.transpose_b ? p.k : p.n) + pad; }
  [[nodiscard]] int64_t ldc() const { return p.n + pad; }

  [[nodiscard]] double expected(int64_t i, int64_t j) const {
    return p.beta * at(c, i * ldc() + j) + product(i, j);
  }
  [[nodiscard]] double product(int64_t i, int64_t j) const {
    double sum = 0;
    for (int64_t s = 0; s < p.k; ++s)
      sum += at(a, p.transpose_a ? s * lda() + i : i * lda() + s) *
             at(b, p.transpose_b ? j * ldb() + s : s * ldb() + j);
    return sum;
  }
  static double at(const std::vector<T>& v, int64_t i) { return v[static_cast<size_t>(i)]; }

  // Largest error; elements beside the columns must stay as they were.
  [[nodiscard]] double error() const {
    std::vector<T> found = c;
    own_gemm(p, a.data(), lda(), b.data(), ldb(), found.data(), ldc());
    double worst = 0;
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < ldc(); ++j) {
        const double wanted = j < p.n ? expected(i, j) : at(c, i * ldc() + j);
        worst = std::max(worst, std::abs(at(found, i * ldc() + j) - wanted));
      }
    return worst;
  }
};

template <class T>
void check_shapes(double tolerance) {
  for (const int64_t m : {1, 5, 14, 15, 28, 29, 43})
    for (const int64_t n : {1, 3, 8, 10, 16, 17, 30, 32, 33, 64, 100})
      for (const int64_t k : {1, 7, 40})
        for (const int transposes : {0, 1, 2, 3})
          for (const double beta : {0.0, 1.0}) {
            const blas::Product p{
                (transposes & 1) != 0, (transposes & 2) != 0, m, n, k, beta};
            CHECK(Case<T>(p, 0).error() < tolerance);
            CHECK(Case<T>(p, 3).error() < tolerance);
          }
}

// More steps of k than a panel holds, rows of B at a distance that crowds the cache, and
// blocks of A that are copied.
template <class T>
void check_panels(double tolerance) {
  for (const int transposes : {0, 1, 2, 3})
    for (const double beta : {0.0, 1.0}) {
      const bool ta = (transposes & 1) != 0, tb = (transposes & 2) != 0;
      CHECK(Case<T>({ta, tb, 30, 40, 2100, beta}, 0).error() < tolerance);
      CHECK(Case<T>({ta, tb, 30, 128, 130, beta}, 0).error() < tolerance);
      CHECK(Case<T>({ta, tb, 130, 270, 600, beta}, 1).error() < tolerance);
      CHECK(Case<T>({ta, tb, 3, 20, 1500, beta}, 1).error() < tolerance);
    }
}

// So many numbers in increasing order: runs of unequal length, with gaps between them.
std::vector<int64_t> some_rows(int64_t count) {
  std::vector<int64_t> rows;
  for (int64_t i = 0, row = 1; std::ssize(rows) < count; ++i, row += 2 + i % 3)
    for (int64_t j = 0; j <= i * 7 % 19 && std::ssize(rows) < count; ++j)
      rows.push_back(row++);
  return rows;
}

// Listed rows of B, as if they alone stood there.
template <class T>
void check_rows_of_b(double tolerance) {
  for (const int64_t k : {0, 1, 5, 40, 70, 784, 2500})
    for (const int64_t m : {1, 10, 40})
      for (const int64_t n : {2, 8, 17, 30, 100})
        for (const double beta : {0.0, 1.0}) {
          const Case<T> one({false, false, m, n, k, beta}, 2);
          const std::vector<int64_t> rows = some_rows(k);
          const auto size = static_cast<size_t>(one.ldb());
          std::vector<T> all(k == 0 ? 0 : static_cast<size_t>(rows.back() + 1) * size);
          for (size_t s = 0; s < rows.size(); ++s)
            std::copy_n(one.b.begin() + static_cast<std::ptrdiff_t>(s * size), size,
                        all.begin() + rows[s] * one.ldb());
          std::vector<T> found = one.c;
          own_gemm(one.p, one.a.data(), one.lda(), all.data(), one.ldb(), found.data(),
                   one.ldc(), {.of_b = rows.data()});
          double worst = 0;
          for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j)
              worst = std::max(worst, std::abs(Case<T>::at(found, i * one.ldc() + j) -
                                               one.expected(i, j)));
          CHECK(worst < tolerance);
        }
}

// Listed rows of C; those between them stay.
template <class T>
void check_rows_of_c(double tolerance) {
  for (const int64_t m : {0, 3, 98, 400})
    for (const int64_t n : {2, 8, 30, 100, 300})
      for (const int64_t k : {10, 200})
        for (const double alpha : {1.0, -0.5}) {
          const Case<T> one({true, false, m, n, k, alpha == 1 ? 0.0 : 1.0, alpha}, 2);
          const std::vector<int64_t> rows = some_rows(m);
          const auto at = [&](int64_t row, int64_t j) {
            return static_cast<size_t>(row * one.ldc() + j);
          };
          const int64_t all = m == 0 ? 1 : rows.back() + 1;
          const std::vector<T> before = numbers<T>(all * one.ldc(), 4);
          std::vector<T> found = before;
          own_gemm(one.p, one.a.data(), one.lda(), one.b.data(), one.ldb(), found.data(),
                   one.ldc(), {.of_c = rows.data()});
          double worst = 0;
          for (int64_t row = 0, i = 0; row < all; ++row) {
            const bool computed = i < m && rows[static_cast<size_t>(i)] == row;
            for (int64_t j = 0; j < one.ldc(); ++j) {
              const double kept = before[at(row, j)];
              double wanted = kept;
              if (computed && j < n) wanted = one.p.beta * kept + alpha * one.product(i, j);
              worst = std::max(worst, std::abs(found[at(row, j)] - wanted));
            }
            i += computed ? 1 : 0;
          }
          CHECK(worst < tolerance);
        }
}

// The bits of a row do not depend on the rows it is computed with.
void check_rows_alone() {
  for (const int64_t k : {300, 1000, 2500}) {
    const Case<float> whole({false, false, 50, 100, k, 0}, 0);
    std::vector<float> all(50 * 100), part(50 * 100);
    own_gemm(whole.p, whole.a.data(), k, whole.b.data(), 100, all.data(), 100);
    for (int64_t row = 0; row < 50; row += 7) {
      blas::Product p = whole.p;
      p.m = std::min<int64_t>(7, 50 - row);
      own_gemm(p, whole.a.data() + row * k, k, whole.b.data(), 100, part.data() + row * 100,
               100);
    }
    CHECK(all == part);
  }
}

// A product with panels that were packed before has the bits of one that packs its own,
// but for a few last columns, less than half a vector, which that sums in another order.
template <class T>
void check_shared_panels(double tolerance) {
  for (const int64_t m : {0, 150})
    for (const int64_t n : {3, 8, 17, 100, 300})
      for (const int64_t k : {10, 200, 1100})
        for (const double alpha : {1.0, -0.5}) {
          const Case<T> one({true, false, m, n, k, alpha == 1 ? 0.0 : 1.0, alpha}, 2);
          const std::vector<int64_t> rows = some_rows(m);
          std::vector<T> panels(static_cast<size_t>(panels_room<T>(k, n)));
          for (const int64_t half : {1, 0})
            pack_panels(panels.data(), one.b.data(), one.ldb(), k, n, half);
          const int64_t all = m == 0 ? 1 : rows.back() + 1;
          std::vector<T> own = numbers<T>(all * one.ldc(), 4), shared = own;
          own_gemm(one.p, one.a.data(), one.lda(), one.b.data(), one.ldb(), own.data(),
                   one.ldc(), {.of_c = rows.data()});
          gemm_by_panels(one.p, one.a.data(), one.lda(), panels.data(), shared.data(),
                         one.ldc(), {.of_c = rows.data()});
          constexpr int64_t vector = panel_columns<T> / 2;
          const int64_t rest = n % panel_columns<T>;
          const int64_t thin = n < vector ? n : 2 * rest <= vector ? rest : 0;
          bool same = true;
          double worst = 0;
          for (size_t i = 0; i < own.size(); ++i) {
            const int64_t j = static_cast<int64_t>(i) % one.ldc();
            same = same && (own[i] == shared[i] || (n - thin <= j && j < n));
            worst = std::max(worst, std::abs(static_cast<double>(own[i]) - shared[i]));
          }
          CHECK(same && worst < tolerance);
        }
}

// Parts of a cut are not empty and cover everything once.
void check_cuts() {
  for (const int64_t m : {1, 10, 200, 784})
    for (const int64_t n : {1, 10, 30, 100, 512})
      for (const int64_t k : {1, 10, 128, 784}) {
        const Cut cut = Cut::of(m, n, k);
        CHECK(cut.begin(0) == 0 && cut.begin(cut.parts) == (cut.by_columns ? n : m));
        for (int64_t part = 0; part < cut.parts; ++part)
          CHECK(cut.begin(part) < cut.begin(part + 1));
      }
}

}  // namespace

int main() {
  check_shapes<float>(1e-4);
  check_shapes<double>(1e-12);
  check_panels<float>(2e-3);
  check_panels<double>(1e-11);
  check_rows_of_b<float>(2e-3);
  check_rows_of_b<double>(1e-11);
  check_rows_of_c<float>(1e-4);
  check_rows_of_c<double>(1e-12);
  check_rows_alone();
  check_shared_panels<float>(2e-4);
  check_shared_panels<double>(1e-12);
  check_cuts();
  return check::report();
}
