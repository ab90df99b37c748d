// SPDX-License-Identifier: BSD-3-Clause
// Philox against the known answers of Random123 and in pieces against itself.
#include <vector>

#include "../random.h"
#include "check.h"

namespace {

using namespace nervure::random;

// Lines "philox4x32 10" of tests/kat_vectors in Random123.
void known_answers() {
  CHECK((philox({0, 0, 0, 0}, {0, 0}) ==
         Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t ones = 0xffffffff;
  CHECK((philox({ones, ones, ones, ones}, {ones, ones}) ==
         Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  CHECK(
      (philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
       Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// The last known answer, through the layout of seed, step, node and element.
void layout() {
  const Stream stream = {0x299f31d0a4093822, 0x0370734413198a2e, 0x85a308d3};
  std::array<uint32_t, 4> four;
  words(stream, int64_t(0x243f6a88) * 4, 4, four.data());
  CHECK((four == std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

void any_cut_gives_the_same_words() {
  const Stream stream = {123456789012345, 6000000000, 17};
  constexpr int64_t size = 403;
  std::vector<uint32_t> whole(size + 1), pieces(size + 1);
  words(stream, 0, size, whole.data());
  for (int64_t i = 0; i + 4 <= size; i += 4) {
    const Counter block = philox(
        {uint32_t(i / 4), stream.node, low_word(stream.step), high_word(stream.step)},
        {low_word(stream.seed), high_word(stream.seed)});
    CHECK(std::equal(block.begin(), block.end(), whole.begin() + i));
  }
  for (int64_t piece = 4; piece <= 100; piece += 12) {
    for (int64_t i = 0; i < size; i += piece)
      words(stream, i, i + piece < size ? piece : size - i, pieces.data() + i);
    CHECK(pieces == whole);
  }
}

// Where the distribution function is 0.5, 0.975 and 0.001 (tables: 0, 1.959964, -3.090232).
void normal_numbers() {
  const auto at = [](double p) {
    return normal(static_cast<uint32_t>(p * (1 << 23)) << 9);
  };
  CHECK_CLOSE(at(0.5), 0, 2e-7);
  CHECK_CLOSE(at(0.975), 1.959964, 3e-6);
  CHECK_CLOSE(at(0.001), -3.090232, 1e-4);
  CHECK(normal(0) == -normal(0xffffffff));
  CHECK_CLOSE(normal(0), -5.294704, 1e-5);
}

void uniform_numbers() {
  CHECK(uniform(0) == 0.0f);
  CHECK(uniform(0xffffffff) == 1.0f - 0x1p-24f);
  CHECK(uniform(0x80000000) == 0.5f);
  std::vector<uint32_t> many(1 << 16);
  words({7, 0, 0}, 0, static_cast<int64_t>(many.size()), many.data());
  double sum = 0, squares = 0;
  for (uint32_t word : many) sum += uniform(word), squares += uniform(word) * uniform(word);
  CHECK_CLOSE(sum / double(many.size()), 0.5, 5e-3);
  CHECK_CLOSE(squares / double(many.size()), 1.0 / 3, 5e-3);
}

}  // namespace

int main() {
  known_answers();
  layout();
  any_cut_gives_the_same_words();
  uniform_numbers();
  normal_numbers();
  return check::report();
}
