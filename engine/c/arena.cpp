// SPDX-License-Identifier: BSD-3-Clause
#include "arena.h"

#include <algorithm>
#include <map>
#include <stdexcept>

#include "../kernels/list.h"

namespace nervure::c {
namespace {

constexpr int64_t grain = 16;  // numbers of a cache line

// Gaps between what is in use, by where they begin; neighbours are one.
class Room {
 public:
  explicit Room(int64_t most) : most_(most) {}

  int64_t take(int64_t size) {
    for (auto gap = gaps_.begin(); gap != gaps_.end(); ++gap) {
      const auto [begin, free] = *gap;
      if (free < size) continue;
      gaps_.erase(gap);
      if (free > size) gaps_.emplace(begin + size, free - size);
      return begin;
    }
    return grow(size);
  }
  void give_back(int64_t begin, int64_t size) {
    auto next = gaps_.lower_bound(begin);
    if (next != gaps_.end() && begin + size == next->first) {
      size += next->second;
      next = gaps_.erase(next);
    }
    if (next != gaps_.begin()) {
      const auto before = std::prev(next);
      if (before->first + before->second == begin) {
        before->second += size;
        return;
      }
    }
    gaps_.emplace(begin, size);
  }
  [[nodiscard]] int64_t size() const { return end_; }

 private:
  // Takes what is missing from the end on, behind a last gap or into it.
  int64_t grow(int64_t size) {
    int64_t begin = end_;
    if (!gaps_.empty()) {
      const auto last = std::prev(gaps_.end());
      if (last->first + last->second == end_) {
        begin = last->first;
        gaps_.erase(last);
      }
    }
    if (size > most_ - begin) throw std::length_error("buffers");
    end_ = begin + size;
    return begin;
  }

  std::map<int64_t, int64_t> gaps_;
  int64_t most_, end_ = 0;
};

class Placing {
 public:
  Placing(Plan& plan, int64_t most) : plan_(plan), most_(most), room_(most) {
    const size_t count = plan.nodes.size();
    last_.resize(count);
    buffer_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      last_[i] = i;
      buffer_[i] = i;
      for (const EdgePlan& edge : plan.nodes[i].inputs) last_[at(edge.node)] = i;
    }
    for (const int node : plan.outputs) last_[at(node)] = count;
  }

  // Inputs are written before the first node runs.
  void run() {
    for (const int input : plan_.inputs)
      plan_.nodes[at(input)].value = room_.take(size(at(input)));
    for (size_t i = 0; i < plan_.nodes.size(); ++i) {
      place(i);
      for (const EdgePlan& edge : plan_.nodes[i].inputs) release(at(edge.node), i);
      release(i, i);
    }
    plan_.arena = room_.size();
  }

 private:
  static size_t at(int node) { return static_cast<size_t>(node); }

  [[nodiscard]] int64_t rounded(int64_t size) const {
    if (size > most_) throw std::length_error("buffers");
    return (size + grain - 1) / grain * grain;
  }
  [[nodiscard]] int64_t size(size_t node) const {
    return rounded(plan_.rows * size_of(plan_.nodes[node].value_shape));
  }

  void place(size_t i) {
    NodePlan& node = plan_.nodes[i];
    if (node.kernel.empty()) return;  // an input, or a port, which its owner has placed
    const auto step = make_step<float>(node.kernel, node.attributes, node.shapes);
    if (step->in_place() && may_lie_over(node, i)) {
      const size_t under = buffer_[at(node.inputs[0].node)];
      buffer_[i] = under;
      last_[under] = std::max(last_[under], last_[i]);
      node.value = plan_.nodes[under].value;
    } else {
      node.value = room_.take(size(i));
    }
    for (const int port : node.ports)
      if (port != nowhere) plan_.nodes[at(port)].value = room_.take(size(at(port)));
    place_own(node, *step);
  }

  // Is the only input's value read here for the last time, and no input of the network?
  [[nodiscard]] bool may_lie_over(const NodePlan& node, size_t i) const {
    if (node.inputs.size() != 1) return false;
    const size_t feed = at(node.inputs[0].node), under = buffer_[feed];
    return !plan_.nodes[feed].kernel.empty() && last_[under] <= i && size(feed) == size(i);
  }

  void place_own(NodePlan& node, const Step<float>& step) {
    const auto steps = [&](size_t which) {
      return which < node.times.size() ? plan_.rows * node.times[which] : 0;
    };
    const Buffers wanted = step.buffers({plan_.rows * node.spread, steps(0), steps(1)});
    const int64_t saved = rounded(wanted.saved), scratch = rounded(wanted.scratch);
    if (saved > 0) node.saved = room_.take(saved);
    if (scratch > 0) node.scratch = room_.take(scratch);
    if (saved > 0) room_.give_back(node.saved, saved);
    if (scratch > 0) room_.give_back(node.scratch, scratch);
  }

  // Gives back the memory of a value that nobody reads after node `now`.
  void release(size_t node, size_t now) {
    const size_t buffer = buffer_[node];
    if (last_[buffer] != now || plan_.nodes[buffer].value == nowhere) return;
    room_.give_back(plan_.nodes[buffer].value, size(buffer));
    last_[buffer] = plan_.nodes.size() + 1;  // once
  }

  Plan& plan_;
  int64_t most_;
  Room room_;
  std::vector<size_t> last_;    // reader of each node's value, or of what lies in its place
  std::vector<size_t> buffer_;  // the node in whose place its value lies
};

}  // namespace

void place_buffers(Plan& plan, int64_t most) { Placing(plan, most).run(); }

}  // namespace nervure::c
