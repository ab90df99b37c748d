// SPDX-License-Identifier: BSD-3-Clause
#include "list.h"

#include <stdexcept>
#include <utility>

#include "../named.h"
#include "classification.h"
#include "focal.h"
#include "regression.h"

namespace nervure {
namespace {

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

 private:
  L loss_;
};

template <class T, Loss<T>... L>
constexpr std::array<Named<LossStep<T>, Attributes>, sizeof...(L)> losses_of = {
    {{L::name, [](const Attributes& attributes) {
        return std::unique_ptr<LossStep<T>>(new LossStepOf<T, L>(L::read(attributes)));
      }}...}};

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
              Cosine>;

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
