// SPDX-License-Identifier: BSD-3-Clause
#include "list.h"

#include <limits>
#include <stdexcept>
#include <utility>

#include "../named.h"
#include "classification.h"
#include "ctc.h"
#include "focal.h"
#include "regression.h"

namespace nervure {
namespace {

constexpr double unknown = std::numeric_limits<double>::quiet_NaN();

template <class T, Loss<T> L>
class LossStepOf final : public LossStep<T> {
 public:
  explicit LossStepOf(L loss) : loss_(std::move(loss)) {}
  double row(const T* output, const Target<T>& target, int64_t outputs,
             T* gradient) const override {
    return loss_.row(output, target, outputs, gradient);
  }
  [[nodiscard]] bool takes_classes() const override {
    return requires { L::takes_classes; };
  }
  [[nodiscard]] bool aligns() const override { return false; }
  [[nodiscard]] bool fits(int64_t) const override { return true; }
  [[nodiscard]] int64_t scratch(int64_t, int64_t, int64_t) const override { return 0; }
  double sequence(const Aligned<T>&) const override { return unknown; }

 private:
  L loss_;
};

template <class T, SequenceLoss<T> L>
class SequenceStepOf final : public LossStep<T> {
 public:
  explicit SequenceStepOf(L loss) : loss_(std::move(loss)) {}
  double row(const T*, const Target<T>&, int64_t, T*) const override { return unknown; }
  [[nodiscard]] bool takes_classes() const override { return true; }
  [[nodiscard]] bool aligns() const override { return true; }
  [[nodiscard]] bool fits(int64_t outputs) const override { return loss_.fits(outputs); }
  [[nodiscard]] int64_t scratch(int64_t steps, int64_t outputs,
                                int64_t count) const override {
    return loss_.scratch(steps, outputs, count);
  }
  double sequence(const Aligned<T>& row) const override { return loss_.sequence(row); }

 private:
  L loss_;
};

template <class T, class L>
std::unique_ptr<LossStep<T>> step_of(const Attributes& attributes) {
  if constexpr (SequenceLoss<L, T>)
    return std::make_unique<SequenceStepOf<T, L>>(L::read(attributes));
  else
    return std::make_unique<LossStepOf<T, L>>(L::read(attributes));
}

template <class T, class... L>
constexpr std::array<Named<LossStep<T>, Attributes>, sizeof...(L)> losses_of = {
    {{L::name, step_of<T, L>}...}};

template <class T>
constexpr Table<LossStep<T>, Attributes> all_losses =
    losses_of<T,                           //
              Quadratic,                   //
              MeanSquaredError,            //
              MeanAbsoluteError,           //
              Huber,                       //
              LogCosh,                     //
              CrossEntropy,                //
              SoftmaxCrossEntropy,         //
              BinaryCrossEntropy,          //
              LogisticBinaryCrossEntropy,  //
              GaussianBinaryCrossEntropy,  //
              SoftmaxBinaryCrossEntropy,   //
              Focal,                       //
              SoftmaxFocal,                //
              LogisticFocal,               //
              Hinge,                       //
              Poisson,                     //
              Pinball,                     //
              KullbackLeibler,             //
              SoftmaxKullbackLeibler,      //
              Cosine,                      //
              Ctc,                         //
              SoftmaxCtc>;

}  // namespace

template <class T>
std::unique_ptr<LossStep<T>> make_loss(std::string_view name,
                                       const Attributes& attributes) {
  if (auto loss = make_named(all_losses<T>, name, attributes)) return loss;
  throw std::invalid_argument("[engine] loss '" + std::string(name) +
                              "' has no native form; use executor=\"jax\"");
}
template std::unique_ptr<LossStep<float>> make_loss(std::string_view, const Attributes&);
template std::unique_ptr<LossStep<double>> make_loss(std::string_view, const Attributes&);

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  add_names(all_losses<float>, names);
  return names;
}

}  // namespace nervure
