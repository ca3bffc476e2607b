// SPDX-License-Identifier: Apache-2.0
// Stochastic gradient descent:  g <- g + weight_decay w,  v <- momentum v + g,  w <- w - rate v;
// with Nesterov's momentum (Sutskever et al. 2013)  w <- w - rate (g + momentum v).
#pragma once

#include "backplane/optim/optimizer.h"

namespace backplane::optim {

struct SgdOptions {
  double learning_rate = 0.1;
  double momentum = 0;
  bool nesterov = false;
  double weight_decay = 0;
  double clip_norm = 0;  ///< limit for the norm of all gradients together; 0 = none
};

class SGD final : public Optimizer {
 public:
  explicit SGD(std::vector<Variable> parameters, const SgdOptions& options = {}, Here here = {});

 private:
  Tensor update(Step& step, size_t index, const Tensor& value, const Tensor& gradient) override;

  SgdOptions options_;
  std::vector<Variable> velocity_;  ///< empty without momentum
};

}  // namespace backplane::optim
