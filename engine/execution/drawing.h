// SPDX-License-Identifier: BSD-3-Clause
// Draws one of several codes from the scores that a network gives them.
//
// p_i = exp(s_i / temperature) / sum over those that are kept. Sources: Fan, Lewis, Dauphin
// (2018) for the likeliest alone; Holtzman et al. (2020) for those with a share together.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

namespace nervure {

// Where `top_k` is 0, or `top_p` 1 or more, all may be drawn.
struct Choice {
  double temperature = 1;
  int64_t top_k = 0;
  double top_p = 1;
};

// How codes are drawn, and where the random numbers begin.
struct Draws {
  Choice choice;
  uint64_t seed = 0;
  int64_t first = 0;    // step
  bool shares = false;  // does the network give shares, not their logarithms?
};

class Drawing {
 public:
  // The code that the share u in [0, 1) falls to; none where a score is no number, or the
  // largest is not finite.
  std::optional<int64_t> draw(std::span<const double> scores, const Choice& choice,
                              double u) {
    if (scores.empty() || !finite(scores)) return {};
    const auto largest = std::ranges::max_element(scores);
    if (choice.temperature == 0) return largest - scores.begin();
    powers_.assign(scores.begin(), scores.end());
    for (double& p : powers_) p = std::exp((p - *largest) / choice.temperature);
    if (choice.top_k > 0 || choice.top_p < 1) leave_out(choice);
    const double end = u * std::accumulate(powers_.begin(), powers_.end(), 0.0);
    double sum = 0;
    int64_t last = 0;  // that can be drawn
    for (size_t i = 0; i < powers_.size(); ++i) {
      if (powers_[i] == 0) continue;
      last = static_cast<int64_t>(i);
      if ((sum += powers_[i]) > end) break;
    }
    return last;
  }

 private:
  static bool finite(std::span<const double> scores) {
    double most = scores[0];
    for (const double s : scores) {
      if (std::isnan(s)) return false;
      most = std::max(most, s);
    }
    return std::isfinite(most);
  }

  // Powers of what is not kept become 0. Of equally likely ones the first are kept.
  void leave_out(const Choice& choice) {
    order_.resize(powers_.size());
    std::iota(order_.begin(), order_.end(), size_t{0});
    std::ranges::stable_sort(order_,
                             [&](size_t a, size_t b) { return powers_[a] > powers_[b]; });
    const double enough =
        (choice.top_p - 1e-12) * std::accumulate(powers_.begin(), powers_.end(), 0.0);
    double sum = 0;
    for (size_t rank = 0; rank < order_.size(); ++rank) {
      const bool few = choice.top_k == 0 || rank < static_cast<size_t>(choice.top_k);
      const bool wanted = choice.top_p >= 1 || rank == 0 || sum < enough;
      sum += powers_[order_[rank]];
      if (!few || !wanted) powers_[order_[rank]] = 0;
    }
  }

  std::vector<double> powers_;
  std::vector<size_t> order_;
};

}  // namespace nervure
