// SPDX-License-Identifier: BSD-3-Clause
// Changes of images: exact ones by hand, and the edges of every buffer, for the
// sanitizers. The formulas are tested from Python.
#include <vector>

#include "../augment/augmenter.h"
#include "check.h"

namespace {

using namespace nervure;

using Fields = std::vector<std::pair<const char*, Attributes::Value>>;

Attributes change(const char* type, const Fields& fields, int64_t key = 7) {
  Attributes one;
  one.set("type", std::string(type));
  one.set("probability", 1.0);
  one.set("fill", 0.0);
  one.set("key", key);
  one.set("field_key", key + 1);
  for (const auto& [name, value] : fields) one.set(name, value);
  return one;
}

struct Made {
  std::vector<float> x;
  double share = 1;
};

// Two images 1, 2, 3, ... and the same from 1001 on; all buffers just as large as said.
Made made(const std::vector<Attributes>& changes, const Shape& shape, uint64_t step,
          int64_t count = 2) {
  const augment::Augmenter<float> augmenter(changes, shape);
  const int64_t size = size_of(shape);
  std::vector<float> scratch(static_cast<size_t>(augmenter.scratch()));
  Made found{.x = std::vector<float>(static_cast<size_t>(count * size)), .share = 1};
  std::vector<float> images(static_cast<size_t>(2 * size));
  for (int64_t j = 0; j < size; ++j) {
    images[static_cast<size_t>(j)] = static_cast<float>(j + 1);
    images[static_cast<size_t>(size + j)] = static_cast<float>(1000 + j + 1);
  }
  const Source source{images.data(), Element::float32, size, 1};
  found.share =
      augmenter.rows(source, {nullptr, 0, count}, {.seed = 3, .step = step, .row = 4},
                     found.x.data(), scratch.data());
  return found;
}

void nothing_is_changed() {
  const Made found = made({}, {2, 3, 1}, 0);
  CHECK(found.x ==
        (std::vector<float>{1, 2, 3, 4, 5, 6, 1001, 1002, 1003, 1004, 1005, 1006}));
  CHECK(found.share == 1);
  const Attributes never = [] {
    Attributes one = change("rotate", {{"degrees", 90.0}});
    one.set("probability", 0.0);
    return one;
  }();
  CHECK(made({never}, {2, 3, 1}, 0).x == found.x);
}

void shifts_and_flips_are_exact() {
  bool moved = false, mirrored = false;
  const std::vector<float> right{0, 1, 2, 0, 4, 5}, mirror{3, 2, 1, 6, 5, 4};
  const auto first = [](const Made& found) {
    return std::vector<float>(found.x.begin(), found.x.begin() + 6);
  };
  for (uint64_t step = 0; step < 50; ++step) {
    const Fields by{{"down", int64_t{0}}, {"across", int64_t{1}}};
    moved |= first(made({change("shift", by)}, {2, 3, 1}, step)) == right;
    const Fields how{{"horizontal", int64_t{1}}, {"vertical", int64_t{0}}};
    mirrored |= first(made({change("flip", how)}, {2, 3, 1}, step)) == mirror;
  }
  CHECK(moved);
  CHECK(mirrored);
}

// Places far outside of the image, images of one pixel, noise that reaches past them.
void buffers_suffice() {
  const std::vector<Attributes> moves{
      change("scale", {{"smallest", 0.01}, {"largest", 0.02}}, 1),
      change("shear", {{"degrees", 80.0}}, 3),
      change("elastic", {{"alpha", 1000.0}, {"sigma", 9.0}}, 5),
      change("rotate", {{"degrees", 180.0}}, 7),
      change("scale", {{"smallest", 0.01}, {"largest", 9.0}, {"border", "reflect"}}, 17),
      change("elastic", {{"alpha", 1000.0}, {"sigma", 9.0}, {"border", "edge"}}, 19),
      change("cutout", {{"size", int64_t{50}}}, 9),
      change("jitter",
             {{"brightness", 1.0}, {"contrast", 1.0}, {"saturation", 1.0}, {"hue", 180.0}},
             11),
      change("mixup", {{"alpha", 0.01}}, 13),
      change("cutmix", {{"alpha", 9.0}}, 15)};
  const std::vector<Shape> shapes{{1, 1, 1}, {1, 7, 3}, {5, 1, 2}, {3, 70, 1}, {65, 3, 4}};
  for (const Shape& shape : shapes)
    for (uint64_t step = 0; step < 20; ++step)
      for (const int64_t count : {1, 2})
        for (const float x : made(moves, shape, step, count).x) CHECK(std::isfinite(x));
}

// x_1 + x_2 stays, and each is a mixture of the two.
void pairs_are_mixed() {
  for (uint64_t step = 0; step < 20; ++step) {
    const Made found = made({change("mixup", {{"alpha", 1.0}})}, {2, 2, 1}, step);
    CHECK(found.share >= 0 && found.share <= 1);
    for (size_t i = 0; i < 4; ++i) {
      const double own = static_cast<double>(i + 1);
      CHECK_CLOSE(static_cast<double>(found.x[i] + found.x[i + 4]), 2 * own + 1000, 1e-6);
      CHECK_CLOSE(static_cast<double>(found.x[i]),
                  found.share * own + (1 - found.share) * (own + 1000), 1e-5);
    }
    const Made cut = made({change("cutmix", {{"alpha", 1.0}})}, {4, 4, 1}, step);
    int64_t foreign = 0;
    for (size_t i = 0; i < 16; ++i) foreign += cut.x[i] > 1000;
    CHECK_CLOSE(cut.share, 1 - static_cast<double>(foreign) / 16, 1e-12);
  }
}

void unknown_changes_are_refused() {
  bool refused = false;
  try {
    made({change("turn", {})}, {2, 2, 1}, 0);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  CHECK(refused);
}

}  // namespace

int main() {
  nothing_is_changed();
  shifts_and_flips_are_exact();
  buffers_suffice();
  pairs_are_mixed();
  unknown_changes_are_refused();
  return check::report();
}
