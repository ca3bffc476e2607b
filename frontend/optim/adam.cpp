// SPDX-License-Identifier: Apache-2.0
#include "backplane/optim/adam.h"

#include <cmath>

#include "backplane/graph/ops.h"

namespace backplane::optim {
namespace {

/// 1 - beta^t without cancellation.
Tensor one_minus_power(double beta, const Tensor& t, Here here) {
  return -apply1(graph::op::expm1, {}, {In(t * std::log(beta), here)}, here);
}

}  // namespace

Adam::Adam(std::string name, bool decoupled, std::vector<Variable> parameters, const AdamOptions& options, Here here)
    : Optimizer(name, std::move(parameters), options.learning_rate, options.clip_norm, here),
      options_(options),
      decoupled_(decoupled) {
  for (const double beta : {options.beta1, options.beta2}) {
    if (!(beta > 0 && beta < 1)) {
      fail("optim::" + name, "beta is " + std::to_string(beta), {}, here.loc, "give betas between 0 and 1");
    }
  }
  for (size_t i = 0; i < this->parameters().size(); ++i) {
    m_.push_back(state_like(i, "m"));
    v_.push_back(state_like(i, "v"));
  }
  steps_ = scalar_state("steps", 0);
}

void Adam::begin(Step& step) {
  const Tensor t = steps_.read(step.here) + 1.0;
  step.done.push_back(steps_.assign(t, step.here));
  // rate / (1 - b1^t) and 1 / (1 - b2^t)
  step.shared = {rate(f32, step.here) / one_minus_power(options_.beta1, t, step.here),
                 1.0 / one_minus_power(options_.beta2, t, step.here)};
}

Tensor Adam::update(Step& step, size_t index, const Tensor& value, const Tensor& gradient) {
  const DType dtype = value.dtype();
  const Here here = step.here;
  Tensor w = value, g = gradient;
  if (options_.weight_decay != 0 && decoupled_) w *= 1.0 - rate(dtype, here) * options_.weight_decay;
  if (options_.weight_decay != 0 && !decoupled_) g += w * options_.weight_decay;
  const Tensor m = m_[index].read(here) * options_.beta1 + g * (1 - options_.beta1);
  const Tensor v = v_[index].read(here) * options_.beta2 + square(g) * (1 - options_.beta2);
  step.done.push_back(m_[index].assign(m, here));
  step.done.push_back(v_[index].assign(v, here));
  const Tensor root = sqrt(v * in_dtype(step.shared[1], dtype, here)) + options_.epsilon;
  return w - in_dtype(step.shared[0], dtype, here) * (m / root);
}

}  // namespace backplane::optim
