// SPDX-License-Identifier: BSD-3-Clause
// Every sum over rows, pixels or features is right to 1e-6 of the sum in double, however
// long it is. Products of matrices add up to 1024 steps in one chain: of equal numbers,
// whose roundings are of one sign, they lose up to 2e-5, over any length.
#include <cmath>
#include <numeric>
#include <vector>

#include "../kernels/batch_norm.h"
#include "../kernels/convolution.h"
#include "../kernels/dense.h"
#include "../kernels/depthwise.h"
#include "../kernels/embedding.h"
#include "../kernels/ensemble.h"
#include "../kernels/group_norm.h"
#include "../kernels/local_response_norm.h"
#include "../kernels/periodic.h"
#include "../kernels/pooling.h"
#include "../kernels/softmax.h"
#include "../kernels/up_sampling.h"
#include "../losses/regression.h"
#include "../sums.h"
#include "check.h"

namespace {

using namespace nervure;

constexpr int64_t lengths[] = {1, 7, 33, 1000, 4097, 100'000, 10'000'000};
constexpr double tolerance = 1e-6, of_equal_products = 2e-5;

// Of one sign, so that the sum is no smaller than its terms: either all the same, which
// makes roundings of one sign, or between 0.5 and 1.5.
template <class T>
std::vector<T> numbers(int64_t size, bool equal, uint32_t seed = 1) {
  std::vector<T> values(static_cast<size_t>(size), T(0.1));
  if (equal) return values;
  for (T& value : values) {
    seed = seed * 1664525 + 1013904223;
    value = T(0.5) + static_cast<T>(seed >> 8) / (1 << 24);
  }
  return values;
}

void near(double found, double expected, const char* what, int64_t length,
          double most = tolerance) {
  const double error = std::abs(found - expected) / std::abs(expected);
  if (!(error <= most))
    std::fprintf(stderr, "%s over %lld: %.3g\n", what, static_cast<long long>(length),
                 error);
  check::that(error <= most, what, __FILE__, __LINE__);
}

// The sum of f(i), in double.
double exactly(int64_t count, auto f) {
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) sum += static_cast<double>(f(i));
  return sum;
}

Attributes with(std::initializer_list<std::pair<const char*, Attributes::Value>> fields) {
  Attributes attributes;
  for (const auto& [key, value] : fields) attributes.set(key, value);
  return attributes;
}

// One kernel, its arrays, and what its passes leave.
template <class K, class T>
struct Run {
  K kernel;
  int64_t rows;
  std::vector<T> x, y, dx, dy;
  std::vector<std::vector<T>> parameters, gradients;
  std::vector<T> saved, scratch;

  Run(const Attributes& attributes, const Shapes& shapes, int64_t batch,
      std::vector<T> input, std::vector<T> output_gradient, std::vector<int64_t> sizes)
      : kernel(K::read(attributes, shapes)),
        rows(batch),
        x(std::move(input)),
        y(static_cast<size_t>(batch * size_of(shapes.output))),
        dx(x.size()),
        dy(std::move(output_gradient)) {
    for (const int64_t size : sizes) {
      parameters.emplace_back(static_cast<size_t>(size), T(0.5));
      gradients.emplace_back(static_cast<size_t>(size), T(0));
    }
    const Buffers buffers = kernel.buffers(rows);
    saved.resize(static_cast<size_t>(buffers.saved));
    scratch.resize(static_cast<size_t>(buffers.scratch));
  }

  void forward() { pass(kernel.forward_work(rows), true); }
  void backward() { pass(kernel.backward_work(rows), false); }

 private:
  void pass(const Work& work, bool ahead) {
    std::vector<Operand<T>> operands, inputs{{x.data(), dx.data(), 0, false}};
    for (size_t p = 0; p < parameters.size(); ++p)
      operands.push_back({parameters[p].data(), gradients[p].data(), 0, false});
    Context<T> c;
    c.rows = rows, c.inputs = inputs, c.parameters = operands;
    c.output = {y.data(), dy.data(), 0, false};
    c.saved = saved.data(), c.scratch = scratch.data(), c.training = true;
    for (int phase = 0; phase < 4; ++phase)
      for (int64_t part = 0; part < work[static_cast<size_t>(phase)]; ++part)
        ahead ? kernel.forward(c, {phase, part}) : kernel.backward(c, {phase, part});
  }
};

template <class T>
void registers(int64_t n, bool equal) {
  const std::vector<T> x = numbers<T>(n, equal), y = numbers<T>(n, equal, 5);
  near(simd::sum(x.data(), n), exactly(n, [&](auto i) { return x[i]; }), "sum", n);
  near(simd::dot(x.data(), y.data(), n),
       exactly(n, [&](auto i) { return double(x[i]) * double(y[i]); }), "dot", n);
}

template <class T>
void columns(int64_t n, bool equal) {
  for (const int64_t channels : {1, 3, 16, 18}) {
    const int64_t pixels = std::max<int64_t>(1, n / channels);
    const std::vector<T> dy = numbers<T>(pixels * channels, equal);
    std::vector<T> bias(static_cast<size_t>(channels));
    for (int64_t part = 0; part < channel_parts(channels); ++part)
      add_pixels(Operand<T>{.gradient = bias.data()}, dy.data(), pixels, channels, part);
    const int64_t last = channels - 1;
    near(bias.back(), exactly(pixels, [&](auto i) { return dy[i * channels + last]; }),
         "add_pixels", pixels);
  }
}

template <class T>
void dense(int64_t n, bool equal) {
  Run<Dense, T> run(with({{"bias", 1L}}), {{{1}}, {1}}, n, numbers<T>(n, equal),
                    numbers<T>(n, equal, 3), {1, 1});
  run.forward();
  run.backward();
  near(run.gradients[1][0], exactly(n, [&](auto i) { return run.dy[i]; }), "dense bias", n);
  near(run.gradients[0][0],
       exactly(n, [&](auto i) { return double(run.x[i]) * double(run.dy[i]); }),
       "dense weight", n, equal ? of_equal_products : tolerance);
}

// Units enough for tiles, panels and OpenBLAS.
template <class T>
void wide_dense(int64_t rows, int64_t features, int64_t units) {
  Run<Dense, T> run(with({{"bias", 1L}}), {{{features}}, {units}}, rows,
                    numbers<T>(rows * features, false), numbers<T>(rows * units, false, 3),
                    {features * units, units});
  run.forward();
  run.backward();
  near(run.gradients[1][1], exactly(rows, [&](auto i) { return run.dy[i * units + 1]; }),
       "wide dense bias", rows);
  near(run.gradients[0][static_cast<size_t>(units)],
       exactly(rows,
               [&](auto i) {
                 return double(run.x[i * features + 1]) * double(run.dy[i * units]);
               }),
       "wide dense weight", rows);
}

Attributes convolving(int64_t kernel, bool bias = true) {
  return with({{"kernel", std::vector<int64_t>{kernel, kernel}},
               {"stride", std::vector<int64_t>{1, 1}},
               {"dilation", std::vector<int64_t>{1, 1}},
               {"before", std::vector<int64_t>{kernel / 2, kernel / 2}},
               {"groups", 1L},
               {"exact", 0L},
               {"bias", int64_t{bias}}});
}

// Images of some pixels that have `n` in all.
template <class K, class T>
void convolution(int64_t n, bool equal, int64_t channels, int64_t filters, int64_t extent,
                 const char* what) {
  const int64_t images = std::max<int64_t>(1, n / (extent * extent));
  const int64_t pixels = images * extent * extent;
  const Shape x{extent, extent, channels}, y{extent, extent, filters};
  Run<K, T> run(convolving(3), {{x}, y}, images, numbers<T>(pixels * channels, equal),
                numbers<T>(pixels * filters, equal, 3), {9 * channels * filters, filters});
  run.backward();
  near(run.gradients[1][0], exactly(pixels, [&](auto i) { return run.dy[i * filters]; }),
       what, pixels);
}

template <class T>
void depthwise(int64_t n, bool equal) {
  const int64_t extent = n < 10'000 ? 1 : 100, images = std::max<int64_t>(1, n / 10'000);
  const int64_t pixels = images * extent * extent;
  Run<DepthwiseConvolution, T> run(
      convolving(1), {{{extent, extent, 1}}, {extent, extent, 1}}, images,
      numbers<T>(pixels, equal), numbers<T>(pixels, equal, 3), {1, 1});
  run.backward();
  near(run.gradients[1][0], exactly(pixels, [&](auto i) { return run.dy[i]; }),
       "depthwise bias", pixels);
  near(run.gradients[0][0],
       exactly(pixels, [&](auto i) { return double(run.x[i]) * double(run.dy[i]); }),
       "depthwise weight", pixels);
}

template <class K, class T>
void pool(int64_t n, bool equal, int64_t channels, const char* what) {
  const int64_t pixels = std::max<int64_t>(1, n / channels);
  const Attributes attributes = with({{"counts", std::vector<int64_t>{1, 1}},
                                      {"sizes", std::vector<int64_t>{pixels, 1}},
                                      {"strides", std::vector<int64_t>{1, 1}},
                                      {"before", std::vector<int64_t>{0, 0}}});
  Run<K, T> run(attributes, {{{pixels, 1, channels}}, {1, 1, channels}}, 1,
                numbers<T>(pixels * channels, equal),
                std::vector<T>(static_cast<size_t>(channels)), {});
  run.forward();
  const bool squares = std::is_same_v<K, L2Pool>;
  const double mean = exactly(pixels,
                              [&](auto i) {
                                const double x = run.x[i * channels];
                                return squares ? x * x : x;
                              }) /
                      double(pixels);
  near(run.y[0], squares ? std::sqrt(mean) : mean, what, pixels);
}

struct Moments {
  double mean, inverse;
};
template <class T>
Moments moments(const std::vector<T>& x, double epsilon) {
  const auto n = static_cast<double>(x.size());
  const double mean = exactly(std::ssize(x), [&](auto i) { return x[i]; }) / n;
  const double square = exactly(
      std::ssize(x), [&](auto i) { return (double(x[i]) - mean) * (double(x[i]) - mean); });
  return {mean, 1 / std::sqrt(square / n + epsilon)};
}

// Of one sample with many features, and with many pixels.
template <class T>
void group_norm(int64_t n) {
  for (const bool pixels : {false, true}) {
    const Shape shape = pixels ? Shape{n, 1, 1} : Shape{n};
    const Attributes attributes = with({{"each_pixel", int64_t{!pixels}},
                                        {"groups", 1L},
                                        {"centred", 1L},
                                        {"epsilon", 1e-3}});
    const int64_t channels = shape.back();
    Run<GroupNorm, T> run(attributes, {{shape}, shape}, 1, numbers<T>(n, false),
                          numbers<T>(n, false, 3), {channels, channels});
    run.forward();
    const Moments wanted = moments(run.x, 1e-3);
    near(run.saved[0], wanted.mean, "group norm mean", n);
    near(run.saved[1], wanted.inverse, "group norm deviation", n);
    if (!pixels) continue;
    run.backward();
    near(run.gradients[1][0], exactly(n, [&](auto i) { return run.dy[i]; }),
         "group norm shift", n);
  }
}

// Many samples of two features: their statistics do not matter, only what is summed.
template <class T>
void layer_norm_gradients(int64_t n) {
  const int64_t rows = std::max<int64_t>(1, n / 2);
  const Attributes attributes =
      with({{"each_pixel", 1L}, {"groups", 1L}, {"centred", 1L}, {"epsilon", 1e-3}});
  std::vector<T> x(static_cast<size_t>(2 * rows));
  for (size_t i = 0; i < x.size(); i += 2) x[i] = T(1) + T(i % 7), x[i + 1] = -x[i];
  Run<GroupNorm, T> run(attributes, {{{2}}, {2}}, rows, x, numbers<T>(2 * rows, false, 3),
                        {2, 2});
  run.forward();
  run.backward();
  near(run.gradients[1][0], exactly(rows, [&](auto i) { return run.dy[2 * i]; }),
       "layer norm shift", rows);
  near(run.gradients[0][0],
       exactly(rows,
               [&](auto i) {
                 const double mean = run.saved[2 * i], inverse = run.saved[2 * i + 1];
                 return run.dy[2 * i] * ((run.x[2 * i] - mean) * inverse);
               }),
       "layer norm scale", rows);
}

template <class T>
void batch_norm(int64_t n) {
  Run<BatchNorm, T> run(with({{"epsilon", 1e-3}, {"momentum", 0.5}}), {{{1}}, {1}}, n,
                        numbers<T>(n, false), numbers<T>(n, false, 3), {1, 1, 1, 1});
  run.forward();
  const Moments wanted = moments(run.x, 1e-3);
  near(run.saved[0], wanted.mean, "batch norm mean", n);
  near(run.saved[1], wanted.inverse, "batch norm deviation", n);
  run.backward();
  near(run.gradients[1][0], exactly(n, [&](auto i) { return run.dy[i]; }),
       "batch norm shift", n);
}

template <class T>
void embedding(int64_t n, bool equal) {
  std::vector<T> codes(static_cast<size_t>(n));
  for (size_t i = 0; i < codes.size(); ++i) codes[i] = static_cast<T>(i % 7 == 3);
  Run<Embedding, T> run(with({{"categories", std::vector<int64_t>{2}}, {"dim", 1L}}),
                        {{{1}}, {1}}, n, codes, numbers<T>(n, equal), {2});
  run.backward();
  near(run.gradients[0][0],
       exactly(n, [&](auto i) { return i % 7 == 3 ? T(0) : run.dy[i]; }), "embedding", n);
}

template <class T>
void ensemble(int64_t n, bool equal) {
  const int64_t rows = std::max<int64_t>(1, n / 2);
  Run<EnsembleDense, T> run(with({{"begins", 0L}}), {{{2, 1}}, {2, 1}}, rows,
                            numbers<T>(2 * rows, equal), numbers<T>(2 * rows, equal, 3),
                            {1, 2, 2, 2});
  run.forward();
  run.backward();
  const auto sum = [&](auto f) { return exactly(rows, f); };
  near(run.gradients[3][1], sum([&](auto i) { return run.dy[2 * i + 1]; }), "ensemble bias",
       rows);
  near(run.gradients[2][1],
       sum([&](auto i) { return 0.25 * double(run.x[2 * i + 1]) * run.dy[2 * i + 1]; }),
       "ensemble units", rows);
  near(run.gradients[1][1],
       sum([&](auto i) { return 0.25 * double(run.x[2 * i + 1]) * run.dy[2 * i + 1]; }),
       "ensemble features", rows);
}

template <class T>
void periodic(int64_t n, bool equal) {
  Run<PeriodicEmbedding, T> run(with({{"frequencies", 1L}}), {{{1}}, {1, 2}}, n,
                                numbers<T>(n, equal), numbers<T>(2 * n, equal, 3),
                                {1, 1, 1, 1});
  run.backward();
  near(run.gradients[3][0], exactly(n, [&](auto i) { return run.dy[2 * i + 1]; }),
       "periodic bias", n);
}

template <class T>
void up_sampling(int64_t scale, bool equal) {
  const int64_t n = scale * scale;
  Run<UpSampling, T> run(
      with({{"size", std::vector<int64_t>{scale, scale}}, {"linear", 0L}}),
      {{{1, 1, 1}}, {scale, scale, 1}}, 1, std::vector<T>(1), numbers<T>(n, equal), {});
  run.backward();
  near(run.dx[0], exactly(n, [&](auto i) { return run.dy[i]; }), "up sampling", n);
}

template <class T>
void local_response_norm(int64_t channels, bool equal) {
  Run<LocalResponseNorm, T> run(with({{"size", 2 * channels},
                                      {"alpha", double(2 * channels)},
                                      {"beta", 0.5},
                                      {"k", 1.0}}),
                                {{{channels}}, {channels}}, 1, numbers<T>(channels, equal),
                                std::vector<T>(static_cast<size_t>(channels)), {});
  run.forward();
  const double d =
      1 + exactly(channels, [&](auto i) { return double(run.x[i]) * double(run.x[i]); });
  near(run.y[0], run.x[0] / std::sqrt(d), "local response norm", channels);
}

template <class T>
void rows_of_many(int64_t n, bool equal) {
  Run<Softmax, T> run({}, {{{n}}, {n}}, 1, numbers<T>(n, equal),
                      std::vector<T>(static_cast<size_t>(n)), {});
  run.forward();
  near(exactly(n, [&](auto i) { return run.y[i]; }), 1, "softmax", n);
  const std::vector<T> zeros(static_cast<size_t>(n));
  near(MeanSquaredError{}.row<T>(run.x.data(), {zeros.data()}, n, nullptr) * double(n),
       exactly(n, [&](auto i) { return double(run.x[i]) * double(run.x[i]); }), "mse", n);
}

template <class T>
void all() {
  for (const int64_t n : lengths) {
    if (sizeof(T) == 8 && n > 1'000'000) continue;  // far from losing anything
    for (const bool equal : {false, true}) {
      registers<T>(n, equal);
      columns<T>(n, equal);
      dense<T>(n, equal);
      convolution<Convolution, T>(std::min<int64_t>(n, 1'000'000), equal, 1, 2, 10,
                                  "convolution");
      convolution<Convolution, T>(std::min<int64_t>(n, 100'000), equal, 16, 16, 8,
                                  "winograd");
      convolution<TransposedConvolution, T>(std::min<int64_t>(n, 100'000), equal, 2, 3, 10,
                                            "transposed convolution");
      depthwise<T>(n, equal);
      pool<AveragePool, T>(n, equal, 1, "average pool");
      pool<AveragePool, T>(n, equal, 70, "average pool");
      pool<L2Pool, T>(n, equal, 1, "L2 pool");
      embedding<T>(n, equal);
      ensemble<T>(n, equal);
      periodic<T>(std::min<int64_t>(n, 1'000'000), equal);
      rows_of_many<T>(n, equal);
    }
    group_norm<T>(n);
    layer_norm_gradients<T>(n);
    if (n > 1) batch_norm<T>(n);  // one row leaves the running statistics as they are
  }
  // Many filters have weights enough for parts that go over all units.
  convolution<Convolution, T>(4000, true, 130, 140, 20, "large convolution");
  for (const bool equal : {false, true}) {
    for (const int64_t scale : {1, 3, 7, 100, 1000}) up_sampling<T>(scale, equal);
    for (const int64_t channels : {5, 100, 5000}) local_response_norm<T>(channels, equal);
  }
  for (const int64_t rows : {1000, 40'000, 300'000}) {
    wide_dense<T>(rows, 3, 2);
    wide_dense<T>(rows, 70, 3);
    wide_dense<T>(rows, 5, 40);
  }
  wide_dense<T>(70'000, 256, 130);
}

}  // namespace

int main() {
  all<float>();
  all<double>();
  return check::report();
}
