// SPDX-License-Identifier: BSD-3-Clause
// Goes along one sequence step by step: reads a code, says what comes next, draws it.
//
// Every kernel runs for one row of one step. What it needs of earlier steps is kept
// between them: the states of a recurrent layer, the keys and values of attention, the
// place of the step. So a step costs the same, or for attention what it looks back at.
#pragma once

#include <span>
#include <vector>

#include "drawing.h"
#include "nodes.h"

namespace nervure {

// What a node keeps from one step to the next.
enum class Kept { nothing, states, steps, place };

template <class T>
class Stepper {
 public:
  // A plan for one row of one step, of one input and one output, and what each node keeps.
  // `values`, the flat array of all parameters, outlives this.
  Stepper(Plan plan, const std::vector<Kept>& kept, T* values);
  Stepper(const Stepper&) = delete;
  Stepper& operator=(const Stepper&) = delete;

  // The next code is the first one of a sequence.
  void restart() { place_ = 0; }
  void read(int64_t code);
  // What the output says after the latest step.
  [[nodiscard]] std::span<const T> output() const;

  // Reads the codes, then draws as many as there is room for and reads each but the last.
  // Returns how many were drawn before time was up, at least one, or before one could not
  // be drawn; then `finite` is false.
  int64_t write(std::span<const int64_t> codes, const Draws& draws,
                std::span<int64_t> drawn);
  [[nodiscard]] bool finite() const { return finite_; }

 private:
  static constexpr double longest_call = 0.05;  // seconds
  struct Stage {                                // a node with a kernel
    size_t node;
    Kept kept;
    Context<T> context;
    std::vector<Operand<T>> inputs, ports;    // that the context shows
    std::vector<std::vector<T>> memory = {};  // states, or keys and values
    std::vector<T> saved = {}, scratch = {};  // of attention, whose room grows
  };

  void add(size_t node, Kept kept);
  void run(Stage& stage);
  void begin_states(Stage& stage);
  void end_states(Stage& stage);
  void keep_step(Stage& stage);
  std::optional<int64_t> draw(const Draws& draws, int64_t number);

  Plan plan_;
  Nodes<T> nodes_;
  std::vector<Stage> stages_;
  Drawing drawing_;
  std::vector<double> scores_;
  int64_t place_ = 0;  // steps so far
  bool finite_ = true;
};

}  // namespace nervure
