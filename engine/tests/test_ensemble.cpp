// SPDX-License-Identifier: BSD-3-Clause
// Ensembles of members and periodic embeddings, against hand-computed numbers.
#include "../kernels/ensemble.h"
#include "../kernels/periodic.h"
#include "kernel_check.h"

namespace {

using namespace nervure;
using Values = std::vector<double>;

Attributes integer(const char* key, int64_t value) {
  Attributes attributes;
  attributes.set(key, value);
  return attributes;
}

std::vector<Shape> of_dense(int64_t members, int64_t features, int64_t units) {
  return {{features, units}, {members, features}, {members, units}, {members, units}};
}

// One sample (1, 2) of two members with r = (1, 1), (-1, 1): v = (1, 2), (-1, 2).
void dense_values() {
  check::Bench<EnsembleDense, double> bench(integer("begins", 1), {{{2}}, {2, 1}}, 1,
                                            of_dense(2, 2, 1));
  bench.x = {{1, 2}};
  bench.parameter = {{3, 5}, {1, 1, -1, 1}, {1, 2}, {0, 10}};
  bench.dy = {1, 10};
  bench.forward();
  bench.backward();
  CHECK((bench.y == Values{13, 24}));  // u = 13, 7
  // du = 1, 20; dv = (3, 5), (60, 100)
  CHECK((bench.dparameter[0] == Values{1 - 20, 2 + 40}));
  CHECK((bench.dparameter[1] == Values{3, 10, 60, 200}));
  CHECK((bench.dparameter[2] == Values{13, 70}));
  CHECK((bench.dparameter[3] == Values{1, 10}));
  CHECK((bench.dx[0] == Values{3 - 60, 5 + 100}));
}

void mean_values() {
  check::Bench<EnsembleMean, double> bench({}, {{{2, 3}}, {3}}, 1);
  bench.x = {{1, 2, 3, 5, 8, -3}};
  bench.dy = {2, 4, 6};
  bench.forward();
  bench.backward();
  CHECK((bench.y == Values{3, 5, 0}));
  CHECK((bench.dx[0] == Values{1, 2, 3, 1, 2, 3}));
}

// x = 1, f = pi / 2, p = pi / 2: the cosine of half a turn; da = -sin(pi) = 0.
void periodic_values() {
  const double quarter = std::numbers::pi / 2;
  check::Bench<PeriodicEmbedding, double> bench(integer("frequencies", 1), {{{1}}, {1, 2}},
                                                1, {{1, 1}, {1, 1}, {1, 1, 1}, {1, 1}});
  bench.x = {{1}};
  bench.parameter = {{quarter}, {quarter}, {3}, {0.5}};
  bench.dy = {7, 2};
  bench.forward();
  bench.backward();
  CHECK_CLOSE(bench.y[0], 1, 0);
  CHECK_CLOSE(bench.y[1], -2.5, 1e-15);
  CHECK_CLOSE(bench.dparameter[0][0], 0, 1e-15);
  CHECK_CLOSE(bench.dparameter[1][0], 0, 1e-15);
  CHECK_CLOSE(bench.dparameter[2][0], -2, 1e-15);
  CHECK_CLOSE(bench.dparameter[3][0], 2, 0);
  CHECK_CLOSE(bench.dx[0][0], 7, 1e-14);
  bench.parameter[1][0] = 0;  // a quarter turn: da = -6
  bench.forward();
  bench.backward();
  CHECK_CLOSE(bench.y[1], 0.5, 1e-15);
  CHECK_CLOSE(bench.dparameter[0][0], -6, 1e-15);
  CHECK_CLOSE(bench.dx[0][0], 7 - 6 * quarter, 1e-14);
}

}  // namespace

int main() {
  dense_values();
  mean_values();
  periodic_values();
  check::kernel<EnsembleDense>(integer("begins", 1), {{{5}}, {3, 4}}, false,
                               of_dense(3, 5, 4));
  check::kernel<EnsembleDense>(integer("begins", 0), {{{8, 33}}, {8, 20}}, false,
                               of_dense(8, 33, 20));
  check::kernel<EnsembleMean>({}, {{{4, 2, 3}}, {2, 3}});
  check::kernel<PeriodicEmbedding>(integer("frequencies", 5), {{{7}}, {7, 3}}, false,
                                   {{7, 5}, {7, 5}, {7, 2, 5}, {7, 2}});
  return check::report();
}
