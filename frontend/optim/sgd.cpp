// SPDX-License-Identifier: Apache-2.0
#include "backplane/optim/sgd.h"

namespace backplane::optim {

SGD::SGD(std::vector<Variable> parameters, const SgdOptions& options, Here here)
    : Optimizer("sgd", std::move(parameters), options.learning_rate, options.clip_norm, here), options_(options) {
  if (options_.nesterov && options_.momentum == 0) {
    fail("optim::sgd", "nesterov without momentum", {}, here.loc, "set momentum, for example to 0.9");
  }
  if (options_.momentum == 0) return;
  for (size_t i = 0; i < this->parameters().size(); ++i) velocity_.push_back(state_like(i, "velocity"));
}

Tensor SGD::update(Step& step, size_t index, const Tensor& value, const Tensor& gradient) {
  Tensor direction = gradient;
  if (options_.weight_decay != 0) direction += value * options_.weight_decay;
  if (!velocity_.empty()) {
    const Tensor v = velocity_[index].read(step.here) * options_.momentum + direction;
    step.done.push_back(velocity_[index].assign(v, step.here));
    direction = options_.nesterov ? direction + v * options_.momentum : v;
  }
  return value - rate(value.dtype(), step.here) * direction;
}

}  // namespace backplane::optim
