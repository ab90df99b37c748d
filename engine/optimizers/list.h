// SPDX-License-Identifier: BSD-3-Clause
// All update rules, and one of them behind a virtual interface: the executor chooses a
// rule once and then calls through it part by part.
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <type_traits>
#include <vector>

#include "adam.h"
#include "adaptive.h"
#include "lion.h"
#include "sgd.h"
#include "sweep.h"

namespace nervure {

using Rules = std::tuple<Sgd, Adam, NAdam, RmsProp, Adagrad, Adadelta, Lion>;

template <class T>
class Updater {
 public:
  virtual ~Updater() = default;

  [[nodiscard]] virtual int slots() const = 0;
  [[nodiscard]] virtual bool looks_ahead() const = 0;  // enter and leave do something
  [[nodiscard]] virtual bool descends() const = 0;
  [[nodiscard]] const StepSettings& settings() const { return settings_; }

  virtual void enter(const Arena<T>& arena, const Part& part) const = 0;
  virtual void leave(const Arena<T>& arena, const Part& part) const = 0;
  [[nodiscard]] double squares(const Arena<T>& arena, const Part& part) const {
    return nervure::squares(arena.gradient, part, settings_.clip_value);
  }
  virtual void sweep(const Arena<T>& arena, const Segment& segment, const Part& part,
                     const T* gradient, const StepNow& now) const = 0;
  virtual void limit(const Arena<T>& arena, const Segment& segment,
                     const Part& columns) const = 0;

 protected:
  explicit Updater(StepSettings settings) : settings_(settings) {}
  StepSettings settings_;
};

template <class T, Rule<T> R>
class RuleUpdater final : public Updater<T> {
 public:
  RuleUpdater(R rule, StepSettings settings) : Updater<T>(settings), rule_(rule) {}

  [[nodiscard]] int slots() const override { return rule_.slots(); }
  [[nodiscard]] bool looks_ahead() const override {
    if constexpr (LookingAhead<R, T>) return rule_.ahead();
    return false;
  }
  [[nodiscard]] bool descends() const override {
    if constexpr (requires { rule_.descends(); }) return rule_.descends();
    return false;
  }
  void enter(const Arena<T>& arena, const Part& part) const override {
    nervure::enter(rule_, arena, part.begin, part.end);
  }
  void leave(const Arena<T>& arena, const Part& part) const override {
    nervure::leave(rule_, arena, part.begin, part.end);
  }
  void sweep(const Arena<T>& arena, const Segment& segment, const Part& part,
             const T* gradient, const StepNow& now) const override {
    nervure::sweep(rule_, arena, segment, part, gradient, this->settings_, now);
  }
  void limit(const Arena<T>& arena, const Segment& segment,
             const Part& columns) const override {
    nervure::limit(rule_, arena, segment, columns);
  }

 private:
  R rule_;
};

inline std::vector<std::string> rule_names() {
  return []<class... R>(std::type_identity<std::tuple<R...>>) {
    return std::vector<std::string>{std::string(R::name)...};
  }(std::type_identity<Rules>{});
}

// The updater of the rule of this name; throws where there is none.
template <class T>
std::unique_ptr<Updater<T>> make_updater(std::string_view name,
                                         const Attributes& attributes) {
  std::unique_ptr<Updater<T>> found;
  std::string known;
  const auto consider = [&]<class R>(std::type_identity<R>) {
    known += (known.empty() ? "" : ", ") + std::string(R::name);
    if (R::name != name) return;
    found = std::make_unique<RuleUpdater<T, R>>(R::read(attributes),
                                                StepSettings::read(attributes));
  };
  [&]<class... R>(std::type_identity<std::tuple<R...>>) {
    (consider(std::type_identity<R>{}), ...);
  }(std::type_identity<Rules>{});
  if (found) return found;
  throw std::invalid_argument("[engine] unknown update rule '" + std::string(name) +
                              "'; known: " + known);
}

}  // namespace nervure
