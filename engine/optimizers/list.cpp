// SPDX-License-Identifier: BSD-3-Clause
#include "list.h"

#include <stdexcept>

#include "../named.h"
#include "adam.h"
#include "adaptive.h"
#include "lion.h"
#include "sgd.h"

namespace nervure {
namespace {

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

 private:
  void update(T* weight, const T* gradient, T* const* slots, int64_t size,
              const UpdateStep& now) const override {
    rule_.update(weight, gradient, slots, size, now);
  }
  void enter(T* weight, T* const* slots, int64_t size) const override {
    if constexpr (LookingAhead<R, T>) rule_.enter(weight, slots, size);
  }
  void leave(T* weight, T* const* slots, int64_t size) const override {
    if constexpr (LookingAhead<R, T>) rule_.leave(weight, slots, size);
  }

  R rule_;
};

template <class T, Rule<T>... R>
constexpr std::array<Named<Updater<T>, Attributes>, sizeof...(R)> rules_of = {
    {{R::name, [](const Attributes& attributes) {
        return std::unique_ptr<Updater<T>>(
            new RuleUpdater<T, R>(R::read(attributes), StepSettings::read(attributes)));
      }}...}};

template <class T>
constexpr Table<Updater<T>, Attributes> all_rules =
    rules_of<T, Sgd, Adam, NAdam, RmsProp, Adagrad, Adadelta, Lion>;

}  // namespace

template <class T>
std::unique_ptr<Updater<T>> make_updater(std::string_view name,
                                         const Attributes& attributes) {
  if (auto updater = make_named(all_rules<T>, name, attributes)) return updater;
  std::string known;
  for (const std::string& rule : rule_names()) known += (known.empty() ? "" : ", ") + rule;
  throw std::invalid_argument("[engine] unknown update rule '" + std::string(name) +
                              "'; known: " + known);
}
template std::unique_ptr<Updater<float>> make_updater(std::string_view, const Attributes&);
template std::unique_ptr<Updater<double>> make_updater(std::string_view, const Attributes&);

std::vector<std::string> rule_names() {
  std::vector<std::string> names;
  add_names(all_rules<float>, names);
  return names;
}

}  // namespace nervure
