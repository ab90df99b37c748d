// SPDX-License-Identifier: BSD-3-Clause
// Kernels over maps: up-sampling, local response normalization, masks that are shared.
#include "../kernels/dropout.h"
#include "../kernels/local_response_norm.h"
#include "../kernels/up_sampling.h"
#include "kernel_check.h"

namespace {

using namespace nervure;
using Values = std::vector<double>;

Attributes up_sampling(std::vector<int64_t> size, bool linear) {
  Attributes attributes;
  attributes.set("size", std::move(size));
  attributes.set("linear", int64_t(linear));
  return attributes;
}

Attributes response(int64_t size, double alpha, double beta, double k) {
  Attributes attributes;
  attributes.set("size", size);
  attributes.set("alpha", alpha);
  attributes.set("beta", beta);
  attributes.set("k", k);
  return attributes;
}

Attributes silencing(double rate, int64_t channels) {
  Attributes attributes;
  attributes.set("rate", rate);
  attributes.set("threshold", int64_t(std::lround(rate * (1 << 24))));
  attributes.set("channels", channels);
  return attributes;
}

// Lines between the centres of two pixels, and what each of them gets back.
void up_sampling_values() {
  check::Bench<UpSampling, double> bench(up_sampling({2}, true), {{{2, 1}}, {4, 1}}, 1);
  bench.x[0] = {0, 4};
  bench.dy = {1, 10, 100, 1000};
  bench.forward();
  bench.backward();
  CHECK((bench.y == Values{0, 1, 3, 4}));
  CHECK((bench.dx[0] == Values{1 + 7.5 + 25, 2.5 + 75 + 1000}));
}

void response_values() {
  check::Bench<LocalResponseNorm, double> bench(response(3, 3, 0.5, 1), {{{3}}, {3}}, 1);
  bench.x[0] = {2, 2, 4};
  bench.forward();
  const Values expected = {2.0 / 3, 2.0 / 5, 4 / std::sqrt(21.0)};
  for (size_t i = 0; i < 3; ++i) CHECK_CLOSE(bench.y[i], expected[i], 1e-15);
}

// One element of the mask for all pixels of a channel of a row.
void shared_masks() {
  constexpr int64_t rows = 70, pixels = 6, channels = 25;
  check::Bench<SharedDropout, double> bench(
      silencing(0.25, channels), {{{pixels, channels}}, {pixels, channels}}, rows);
  bench.forward();
  CHECK(bench.y == bench.x[0]);
  bench.training = true;
  bench.x[0][0] = INFINITY;
  bench.forward();
  std::vector<uint32_t> words(rows * channels);
  random::words({5, 11, 3}, 0, rows * channels, words.data());
  bool holds = true;
  for (size_t i = 0; i < bench.y.size(); ++i) {
    const size_t row = i / (pixels * channels), element = row * channels + i % channels;
    const bool keep = random::uniform(words[element]) >= 0.25f;
    holds &= bench.y[i] == (keep ? bench.x[0][i] * (1 / 0.75) : 0);
  }
  CHECK(holds);
}

}  // namespace

int main() {
  up_sampling_values();
  response_values();
  shared_masks();
  for (const bool linear : {false, true}) {
    check::kernel<UpSampling>(up_sampling({3}, linear), {{{4, 2}}, {12, 2}});
    check::kernel<UpSampling>(up_sampling({2, 1}, linear), {{{2, 3, 70}}, {4, 3, 70}});
    check::kernel<UpSampling>(up_sampling({1, 2, 3}, linear),
                              {{{2, 1, 2, 3}}, {2, 2, 6, 3}});
  }
  for (const int64_t size : {1, 2, 3, 9})
    check::kernel<LocalResponseNorm>(response(size, 0.4, 0.75, 1), {{{2, 5}}, {2, 5}});
  check::kernel<LocalResponseNorm>(response(5, 0.4, 1.5, 2), {{{130}}, {130}});
  for (const bool training : {false, true}) {
    check::kernel<SharedDropout>(silencing(0.3, 3), {{{5, 3}}, {5, 3}}, training);
    check::kernel<SharedDropout>(silencing(0.3, 1), {{{5, 3}}, {5, 3}}, training);
    check::kernel<SharedDropout>(silencing(0.3, 5000), {{{2, 5000}}, {2, 5000}}, training);
  }
  return check::report();
}
