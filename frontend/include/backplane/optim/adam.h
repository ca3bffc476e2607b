// SPDX-License-Identifier: Apache-2.0
// Adam (Kingma and Ba, arXiv:1412.6980) and AdamW (Loshchilov and Hutter, arXiv:1711.05101):
//   t <- t + 1,  m <- b1 m + (1 - b1) g,  v <- b2 v + (1 - b2) g^2
//   w <- w - rate / (1 - b1^t) * m / (sqrt(v / (1 - b2^t)) + epsilon)
// Weight decay: Adam adds weight_decay w to g; AdamW first shrinks w by the factor 1 - rate weight_decay.
#pragma once

#include "backplane/optim/optimizer.h"

namespace backplane::optim {

struct AdamOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9, beta2 = 0.999;
  double epsilon = 1e-8;
  double weight_decay = 0;
  double clip_norm = 0;  ///< limit for the norm of all gradients together; 0 = none
};

class Adam : public Optimizer {
 public:
  explicit Adam(std::vector<Variable> parameters, const AdamOptions& options = {}, Here here = {})
      : Adam("adam", false, std::move(parameters), options, here) {}

 protected:
  Adam(std::string name, bool decoupled, std::vector<Variable> parameters, const AdamOptions& options, Here here);

 private:
  void begin(Step& step) override;
  Tensor update(Step& step, size_t index, const Tensor& value, const Tensor& gradient) override;

  AdamOptions options_;
  bool decoupled_;
  std::vector<Variable> m_, v_;
  Variable steps_;
};

class AdamW final : public Adam {
 public:
  explicit AdamW(std::vector<Variable> parameters, AdamOptions options = {.weight_decay = 0.01}, Here here = {})
      : Adam("adamw", true, std::move(parameters), options, here) {}
};

}  // namespace backplane::optim
