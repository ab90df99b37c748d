// SPDX-License-Identifier: BSD-3-Clause
// The contract of a kernel: the native half of a layer.
//
// Work is cut into phases (a barrier lies between two of them) and each phase into
// parts. Where the cuts lie depends on shapes alone, never on the number of threads,
// and no two parts of a phase write the same place: that is what makes results equal
// bit for bit for any number of threads.
//
// Accumulation: a forward pass writes its output (=). A backward pass writes
// gradients of inputs and parameters with `=`, or with `+=` where the operand says
// `accumulate`. A null gradient is not wanted and must not be computed.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "../attributes.h"
#include "../ranges.h"
#include "../rows.h"

namespace nervure {

struct Shapes {  // of one sample, without the batch axis
  std::vector<Shape> inputs;
  Shape output;
};

// Where the steps of each row of a sequence lie: those of row r from begin(r) to
// begin(r + 1).
struct Lengths {
  const int64_t* offsets = nullptr;  // (rows + 1), or null: `length` steps each
  int64_t length = 1;
  [[nodiscard]] int64_t begin(int64_t row) const {
    return offsets != nullptr ? offsets[row] : row * length;
  }
  [[nodiscard]] int64_t of(int64_t row) const { return begin(row + 1) - begin(row); }
};

template <class T>
struct Operand {
  T* value = nullptr;     // (rows, size), of a sequence (steps, size)
  T* gradient = nullptr;  // the same, or null
  int64_t size = 0;       // elements of one sample, or step
  bool accumulate = false;
  Lengths lengths = {};  // of a sequence that a kernel goes along
};

// Rows of a batch and, for a kernel along time, the steps of its first sequences.
struct Extent {
  int64_t rows = 0, steps = 0, other_steps = 0;
};

// Takes gradients while they lie in the nearest cache, and updates what they belong to.
template <class T>
class Learner {
 public:
  virtual ~Learner() = default;
  // Is the parameter updated by this learner? Else its gradient is wanted whole.
  [[nodiscard]] virtual bool takes(size_t parameter) const = 0;
  // Elements of such a parameter whose gradient is complete, and where it lies.
  virtual void take(size_t parameter, Range elements, const T* gradient) const = 0;
  // Where an update is w <- w - rate g and no more: the rate. A kernel may then add
  // -rate g to the parameter by itself, instead of writing g and handing it over.
  [[nodiscard]] virtual std::optional<double> descent(size_t parameter) const = 0;
};

template <class T>
struct Context {
  int64_t rows = 0;                        // samples in this batch
  std::span<const Operand<T>> inputs;      // in the order of the graph's edges
  Operand<T> output;                       // its gradient may be null if there are ports
  std::span<const Operand<T>> ports;       // further outputs, null where nobody reads them
  std::span<const Operand<T>> parameters;  // in the order the layer declares them
  T* saved = nullptr;                      // kept from forward to backward
  T* scratch = nullptr;                    // free for the taking within one call
  bool training = false;                   // dropout and its like are on
  uint64_t seed = 0;                       // keys of the counter-based random numbers
  uint64_t step = 0;
  uint32_t node = 0;
  int64_t first_row = 0;                // of these rows within the batch
  const Learner<T>* learner = nullptr;  // of the first two parameters (see Early)
  const Source* source = nullptr;       // where the kernel reads its input by itself:
  Rows source_rows;                     // these rows (see by_halves)
  int64_t place = 0;                    // of the first step of each sequence in it
};

// What a kernel along time is asked with for its work.
template <class T>
[[nodiscard]] Extent extent_of(const Context<T>& c) {
  const auto steps = [&](size_t i) {
    return i < c.inputs.size() ? c.inputs[i].lengths.begin(c.rows) : 0;
  };
  return {c.rows, steps(0), steps(1)};
}

struct Task {
  int phase = 0;
  int64_t part = 0;
};

constexpr int64_t elementwise_grain = 4096;

// A kernel along time takes the steps of its sequences, its first inputs, row by row
// (Operand::lengths) and is asked for its work and buffers with an Extent, where others
// are with rows:
//   Work forward_work(Extent)   Work backward_work(Extent)   Buffers buffers(Extent)

// Number of parts of each phase; 0 where there is no such phase.
using Work = std::array<int64_t, 4>;

// Elements that a kernel wants for batches of at most `rows`.
struct Buffers {
  int64_t saved = 0;
  int64_t scratch = 0;
};

// For each of the first two parameters: does the backward pass hand over each element to
// the context's learner, if that takes it, once, when no task of the pass will read it any
// more? A kernel that does so has
//   Early early(context)
using Early = std::array<bool, 2>;

// A kernel may say that its first forward phase has two parts, for the features in
// half_of(size, 0) and (size, 1) of all rows, and that no other task reads both halves:
//   bool by_halves(rows)
// In training each part may then have to read its features of the data set by itself, and
// keeps them as it likes in a block of the input of its own: (rows, half_of(size, which)),
// one behind the other. While two cores wrote halves of the same rows, each fetched ahead
// what was the other's, and reading the rows took four times as long.

template <class K, class Size>
concept Sized = requires(const K kernel, Size size) {
  { kernel.buffers(size) } -> std::same_as<Buffers>;
  { kernel.forward_work(size) } -> std::same_as<Work>;
  { kernel.backward_work(size) } -> std::same_as<Work>;
};
template <class K>
concept WithRows = Sized<K, int64_t>;
template <class K>
concept AlongTime = Sized<K, Extent>;

template <class K, class T>
concept Kernel = requires(const K kernel, const Attributes& attributes,
                          const Shapes& shapes, const Context<T>& context, Task task) {
  { K::name } -> std::convertible_to<std::string_view>;
  // Does the backward pass read x or y? May y lie over x, and dx over dy?
  { kernel.reads_input() } -> std::same_as<bool>;
  { kernel.reads_output() } -> std::same_as<bool>;
  { kernel.in_place() } -> std::same_as<bool>;
  { K::read(attributes, shapes) } -> std::same_as<K>;
  requires WithRows<K> || AlongTime<K>;
  { kernel.forward(context, task) };
  { kernel.backward(context, task) };
};

}  // namespace nervure
