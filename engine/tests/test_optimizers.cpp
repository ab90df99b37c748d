// SPDX-License-Identifier: BSD-3-Clause
// Update rules against numbers of an independent computation (the published updates in
// Python numbers, tests/test_optimizers.py), and the sweep's clips, penalties and cuts.
#include <cstring>
#include <type_traits>
#include <utility>

#include "../optimizers/list.h"
#include "check.h"

using namespace nervure;

namespace {

constexpr double start[4] = {1.0, -2.0, 0.5, 0.0};
constexpr double gradients[7][4] = {{0.5, -1.25, 2.0, 0.0},   {-0.3, -1.0, 2.5, 1e-4},
                                    {0.1, 0.75, -4.0, -1e-4}, {0.9, 0.5, 0.25, 0.0},
                                    {-2.0, 0.0, 1.5, 3.0},    {0.6, -0.2, 0.1, -1.0},
                                    {0.5, 0.3, -0.7, 0.25}};

struct Field {
  const char* key;
  Attributes::Value value;
};

Attributes attributes(std::initializer_list<Field> fields) {
  Attributes result;
  result.set("weight_decay", 0.0);
  result.set("clip_value", 0.0);
  result.set("clip_norm", 0.0);
  for (const Field& field : fields) result.set(field.key, field.value);
  return result;
}

Attributes sgd(double momentum, bool nesterov) {
  return attributes({{"momentum", momentum}, {"nesterov", int64_t{nesterov}}});
}
Attributes adam(double beta1, double beta2, double epsilon, bool amsgrad,
                bool epsilon_hat = false) {
  return attributes({{"beta1", beta1},
                     {"beta2", beta2},
                     {"epsilon", epsilon},
                     {"amsgrad", int64_t{amsgrad}},
                     {"epsilon_hat", int64_t{epsilon_hat}}});
}
Attributes rmsprop(double rho, double momentum, double epsilon, bool centered) {
  return attributes({{"rho", rho},
                     {"momentum", momentum},
                     {"epsilon", epsilon},
                     {"centered", int64_t{centered}}});
}
Attributes with(Attributes base, const char* key, double value) {
  base.set(key, value);
  return base;
}

// One network of repeated weights under one rule: what an executor does, by one thread.
template <class T>
struct Run {
  Run(std::string_view rule, const Attributes& fields, std::vector<Segment> all)
      : updater(make_updater<T>(rule, fields)), segments(std::move(all)) {
    for (const Segment& segment : segments)
      size = std::max(size, segment.offset + segment.size);
    weight.resize(size);
    gradient.resize(size);
    state.assign(updater->slots(), std::vector<T>(size));
    for (auto& slot : state) slots.push_back(slot.data());
    fill(weight, start);
  }

  void fill(std::vector<T>& array, const double* pattern) {
    for (int64_t i = 0; i < size; ++i) array[i] = static_cast<T>(pattern[i % 4]);
  }
  Arena<T> arena() { return {weight.data(), gradient.data(), slots.data()}; }
  void enter() {
    for (const Part& part : cut(segments)) updater->enter(arena(), part);
  }
  void leave() {
    for (const Part& part : cut(segments)) updater->leave(arena(), part);
  }
  void step(const double* pattern, double rate, bool backward = false) {
    fill(gradient, pattern);
    std::vector<Part> parts = cut(segments);
    StepNow now{rate, ++steps, 1};
    const double limit = updater->settings().clip_norm;
    if (limit > 0) {
      std::vector<double> sums;
      for (const Part& part : parts) sums.push_back(updater->squares(arena(), part));
      now.gradient_scale = norm_scale(sums, limit);
    }
    if (backward) std::reverse(parts.begin(), parts.end());
    for (const Part& part : parts)
      updater->sweep(arena(), segments[part.segment], part, arena().gradient + part.begin,
                     now);
    for (const Part& part : cut_columns(segments))
      updater->limit(arena(), segments[part.segment], part);
  }
  void all_steps(double rate, bool backward = false) {
    for (const double* pattern : gradients) step(pattern, rate, backward);
  }

  std::unique_ptr<Updater<T>> updater;
  std::vector<Segment> segments;
  std::vector<T> weight, gradient;
  std::vector<std::vector<T>> state;
  std::vector<T*> slots;
  int64_t size = 0, steps = 0;
};

template <class T>
bool same(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0;
}

// Some longer than a part, one shorter than a vector; a gap that nobody may touch.
std::vector<Segment> several() {
  return {{.offset = 0, .size = 40000},
          {.offset = 40000, .size = 3},
          {.offset = 40016, .size = 2050}};
}

struct Case {
  const char* rule;
  Attributes fields;
  double rate;
  double expected[4];  // after seven steps
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {"sgd", sgd(0, false), 0.1, {0.97, -1.91, 0.335, -0.225}},
      {"sgd", sgd(0.9, false), 0.1, {0.90725515, -1.350394625, -0.5182387, -0.6480059049}},
      {"sgd", sgd(0.9, true), 0.1, {0.90725515, -1.350394625, -0.5182387, -0.6480059049}},
      {"adam",
       adam(0.9, 0.999, 1e-8, false),
       0.01,
       {0.982127142947989, -1.97014992000753, 0.476174950881734, -0.0177255974914103}},
      {"adam",
       adam(0.5, 0.7, 1e-3, false),
       0.3,
       {0.577447459622002, -1.60338707624779, -0.0171104275486927, -0.371071854345231}},
      {"adam",
       adam(0.5, 0.7, 0.1, false, true),
       0.3,
       {0.691679514909095, -1.64502616156599, 0.0222892338802503, -0.342201686732914}},
      {"adam",
       adam(0.9, 0.6, 1e-8, true),
       0.1,
       {0.824356147350722, -1.70411058276958, 0.274132550776453, -0.132908692755968}},
      {"adam",
       with(adam(0.9, 0.999, 1e-8, false), "weight_decay", 0.05),
       0.1,
       {0.791355576894927, -1.63927838706982, 0.250178442525143, -0.174874784194114}},
      {"nadam",
       adam(0.9, 0.999, 1e-8, false),
       0.05,
       {0.933213536008697, -1.94604136744035, 0.429186700717485, -0.0728742804367744}},
      {"rmsprop",
       rmsprop(0.9, 0, 1e-8, false),
       0.1,
       {0.643537356229891, -1.74278939479737, 0.112918412033144, -0.325683887620582}},
      {"rmsprop",
       rmsprop(0.8, 0.5, 1e-4, true),
       0.1,
       {0.445579725344896, -1.50402271303739, -0.213553383224692, -0.359232118219714}},
      {"rmsprop",
       rmsprop(0.9, 0.5, 1e-8, false),
       0.1,
       {0.370671302251902, -1.43157577457911, -0.297787170682061, -0.601661352421718}},
      {"rmsprop",
       rmsprop(0.9, 0, 1e-6, true),
       0.1,
       {0.611960475667936, -1.70731275540144, 0.0676617264337254, -0.353115404428061}},
      {"adagrad",
       attributes({{"epsilon", 1e-10}}),
       0.1,
       {0.892675710642088, -1.91237501192524, 0.378158502391073, -0.105547599252215}},
      {"adadelta",
       attributes({{"rho", 0.95}, {"epsilon", 1e-6}}),
       1.0,
       {0.993818804941293, -1.9975513824469, 0.494638383808909, -0.00297052763354967}},
      {"lion", attributes({{"beta1", 0.9}, {"beta2", 0.99}}), 0.1, {0.7, -1.9, 0.2, 0}},
      {"lion",
       attributes({{"beta1", 0.6}, {"beta2", 0.99}, {"weight_decay", 0.2}}),
       0.1,
       {0.58161735884032, -1.64959076472704, 0.15916406485696, -0.00207606367999996}},
  };
  return all;
}

template <class T>
void published_updates() {
  const double tolerance = std::is_same_v<T, float> ? 2e-6 : 1e-13;
  for (const Case& row : cases()) {
    Run<T> run(row.rule, row.fields, several());
    run.enter();
    run.all_steps(row.rate);
    run.leave();
    for (int64_t i : {0, 1, 2, 3, 16382, 16383, 16384, 39999, 40001, 42065})
      CHECK_CLOSE(static_cast<double>(run.weight[i]), row.expected[i % 4], tolerance);
    CHECK(run.weight[40003] == 0 && run.weight[40015] == 0);  // start[3], never moved
    CHECK(run.weight[40005] == -2);
    Run<T> backward(row.rule, row.fields, several());
    backward.enter();
    backward.all_steps(row.rate, true);
    backward.leave();
    CHECK(same(run.weight, backward.weight));
    CHECK(run.state == backward.state);
  }
}

template <class T>
void leaving_and_entering_is_exact() {
  Run<T> whole("sgd", with(sgd(0.9, true), "weight_decay", 0.1), several());
  Run<T> cut_up("sgd", with(sgd(0.9, true), "weight_decay", 0.1), several());
  CHECK(whole.updater->looks_ahead());
  CHECK(!Run<T>("sgd", sgd(0.9, false), several()).updater->looks_ahead());
  whole.enter();
  for (const double* pattern : gradients) {
    whole.step(pattern, 0.1);
    cut_up.enter();
    cut_up.step(pattern, 0.1);
    cut_up.leave();
  }
  CHECK_CLOSE(static_cast<double>(whole.weight[0]),
              static_cast<double>(whole.state[1][0] + T(0.9) * whole.state[0][0]), 1e-6);
  whole.leave();
  CHECK(same(whole.weight, cut_up.weight));
  CHECK(whole.state == cut_up.state);
}

void segments_have_settings_of_their_own() {
  std::vector<Segment> segments = several();
  segments[0].learning_rate_multiplier = 0.5;
  segments[0].l1 = 0.25;
  segments[0].l2 = 0.125;
  segments[1].trainable = false;
  segments[2].decays = false;
  segments[2].l1 = segments[2].l2 = 9;
  Run<double> run("sgd", with(sgd(0, false), "weight_decay", 0.5), segments);
  run.step(gradients[0], 0.1);
  // rate 0.05: w - 0.05 (g + 0.25 sign w + (0.125 + 0.5) w)
  CHECK_CLOSE(run.weight[0], 1 - 0.05 * (0.5 + 0.25 + 0.625), 1e-15);
  CHECK_CLOSE(run.weight[1], -2 - 0.05 * (-1.25 - 0.25 - 1.25), 1e-15);
  CHECK_CLOSE(run.weight[39999], 0.0, 1e-15);  // sign of 0 is 0
  CHECK(run.weight[40000] == 1 && run.weight[40001] == -2);
  CHECK_CLOSE(run.weight[40016], 1 - 0.1 * 0.5, 1e-15);
}

template <class T>
void clips() {
  const double tolerance = std::is_same_v<T, float> ? 1e-6 : 1e-14;
  Run<T> by_value("sgd", with(sgd(0, false), "clip_value", 1), {{.offset = 0, .size = 8}});
  by_value.step(gradients[0], 1);
  const double clipped[4] = {0.5, -1, -0.5, 0};
  for (int i = 0; i < 8; ++i)
    CHECK_CLOSE(static_cast<double>(by_value.weight[i]), clipped[i % 4], tolerance);

  // Norm over both trainable segments: 3 * 0.25 + ... by hand below.
  std::vector<Segment> segments = several();
  segments[1].trainable = false;
  Run<T> by_norm("sgd", with(sgd(0, false), "clip_norm", 2), segments);
  by_norm.step(gradients[0], 1);
  // 10512 times (0.5, -1.25, 2, 0) and once (0.5, -1.25): 42050 = 4 * 10512 + 2.
  const double norm = std::sqrt(10512 * (0.25 + 1.5625 + 4) + 0.25 + 1.5625);
  CHECK_CLOSE(static_cast<double>(by_norm.weight[0]), 1 - 0.5 * 2 / norm, tolerance);
  CHECK_CLOSE(static_cast<double>(by_norm.weight[42064]), 1 - 0.5 * 2 / norm, tolerance);
  CHECK(by_norm.weight[40001] == -2);

  Run<T> both("sgd", with(with(sgd(0, false), "clip_value", 1), "clip_norm", 1),
              {{.offset = 0, .size = 4}});
  both.step(gradients[0], 1);  // (0.5, -1, 1, 0) has norm 1.5
  CHECK_CLOSE(static_cast<double>(both.weight[1]), -2 + 1 / 1.5, tolerance);

  Run<T> loose("sgd", with(sgd(0, false), "clip_norm", 1e6), several());
  Run<T> none("sgd", sgd(0, false), several());
  loose.step(gradients[0], 1);
  none.step(gradients[0], 1);
  CHECK(same(loose.weight, none.weight));
}

// A gradient that is not a number must reach the weights, not vanish in a clip.
void not_a_number_is_not_hidden() {
  const double bad[4] = {NAN, 1, 1, 1};
  for (const Case& row : cases()) {
    Run<double> run(row.rule, with(row.fields, "clip_value", 1),
                    {{.offset = 0, .size = 4}});
    run.enter();
    run.step(bad, 0.1);
    run.leave();
    CHECK(std::isnan(run.weight[0]));
    CHECK(std::isfinite(run.weight[1]));
  }
}

template <class T>
void max_norm(bool nesterov) {
  // 300 rows of 100 columns: columns repeat (1, -2, 0.5, 0) with norms sqrt(300) times.
  const int64_t rows = 300, columns = 100;
  const Attributes fields = nesterov ? sgd(0.5, true) : sgd(0, false);
  Run<T> run("sgd", fields,
             {{.offset = 0, .size = rows * columns, .columns = columns, .max_norm = 10}});
  const double nothing[4] = {0, 0, 0, 0};
  run.enter();
  run.step(nothing, 0.1);
  run.leave();
  const double norms[4] = {10, 10, 0.5 * std::sqrt(300.0), 0};
  for (int64_t k = 0; k < columns; ++k) {
    double sum = 0;
    for (int64_t r = 0; r < rows; ++r) {
      const double w = static_cast<double>(run.weight[r * columns + k]);
      sum += w * w;
    }
    CHECK_CLOSE(std::sqrt(sum), norms[k % 4], 1e-6);
  }
  CHECK(run.weight[2] == T(0.5));  // short columns keep their bits
  run.enter();
  run.step(gradients[0], 0.1);
  if (nesterov) {
    const T w = run.state[1][0], m = run.state[0][0];
    CHECK(m == T(-0.1) * T(0.5));
    CHECK_CLOSE(static_cast<double>(run.weight[0]), static_cast<double>(w + T(0.5) * m),
                1e-6);
  }
}

void cuts_depend_on_the_segments_alone() {
  const std::vector<Part> parts = cut(several(), 16384);
  CHECK(parts.size() == 5);
  CHECK(parts[1].begin == 13328 && parts[1].end == 26656);  // 833 of 2500 units each
  CHECK(parts[2].begin == 26656 && parts[2].end == 40000 && parts[2].segment == 0);
  CHECK(parts[3].begin == 40000 && parts[3].end == 40003 && parts[3].segment == 1);
  const std::vector<Bundle> bundles = bundled(parts, 16384);
  CHECK(bundles.size() == 3);
  CHECK(bundles[0].data() == parts.data() && bundles[1].data() == &parts[1]);
  CHECK(bundles[2].data() == &parts[2] && bundles[2].size() == 3);
  CHECK(bundled({}, 16384).empty());
  CHECK(cut_columns(several()).empty());
  const std::vector<Segment> one = {
      {.offset = 0, .size = 700, .columns = 70, .max_norm = 1}};
  CHECK(cut_columns(one).size() == 2);
  CHECK(cut_columns(one)[1].begin == 64 && cut_columns(one)[1].end == 70);
}

template <class T>
void squares_of_any_length() {
  const std::vector<T> g(200, T(2));
  const Arena<T> arena{nullptr, g.data(), nullptr};
  const auto free = make_updater<T>("sgd", sgd(0, false));
  for (int64_t size : {0, 1, 63, 64, 65, 128, 199})
    CHECK(free->squares(arena, {0, 1, 1 + size}) == 4.0 * static_cast<double>(size));
  const auto clipped = make_updater<T>("sgd", with(sgd(0, false), "clip_value", 0.5));
  CHECK(clipped->squares(arena, {0, 0, 10}) == 2.5);
}

void unknown_rules_are_named() {
  std::string message;
  try {
    make_updater<float>("adma", sgd(0, false));
  } catch (const std::invalid_argument& error) {
    message = error.what();
  }
  CHECK(message ==
        "[engine] unknown update rule 'adma'; known: sgd, adam, nadam, rmsprop, adagrad, "
        "adadelta, lion");
}

}  // namespace

int main() {
  published_updates<float>();
  published_updates<double>();
  leaving_and_entering_is_exact<float>();
  leaving_and_entering_is_exact<double>();
  segments_have_settings_of_their_own();
  clips<float>();
  clips<double>();
  not_a_number_is_not_hidden();
  for (bool nesterov : {false, true}) {
    max_norm<float>(nesterov);
    max_norm<double>(nesterov);
  }
  cuts_depend_on_the_segments_alone();
  squares_of_any_length<float>();
  squares_of_any_length<double>();
  unknown_rules_are_named();
  return check::report();
}
