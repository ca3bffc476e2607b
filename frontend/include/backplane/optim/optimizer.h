// SPDX-License-Identifier: Apache-2.0
// What optimisers have in common. An update is an expression of tensors and Variables, so it works in all three
// modes, and a compiled step fuses it with everything else.
//
//   optim::Adam adam(nn::parameters(model), {.learning_rate = 1e-3});
//   eager, captured:  adam.zero_grad(); loss.backward(); adam.step();
//   define-then-run:  auto updates = adam.apply(gradients(loss, adam.tensors()));   // give them to Session::run
//
// State is kept in Variables named "<parameter>.adam.m" and so on, f32 for parameters of half types, which are then
// updated in f32 and rounded once.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "backplane/functions.h"
#include "backplane/variable.h"

namespace backplane::optim {

class Optimizer {
 public:
  virtual ~Optimizer() = default;
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  /// Updates every parameter that has a gradient. Throws Error when none has.
  std::vector<Assignment> step(Here here = {});
  /// The same with given gradients, one per parameter; an undefined one leaves its parameter alone.
  std::vector<Assignment> apply(std::span<const Tensor> gradients, Here here = {});
  /// Forgets the gradients of all parameters.
  void zero_grad() const;

  const std::vector<Variable>& parameters() const { return parameters_; }
  /// The parameters read: what gradients() takes.
  std::vector<Tensor> tensors(Here here = {}) const;
  /// A scalar Variable; a new value never retraces.
  const Variable& learning_rate() const { return learning_rate_; }
  void set_learning_rate(double value) const;
  /// All Variables but the parameters: what else to save for going on later.
  std::vector<Variable> state() const { return state_; }

 protected:
  /// One step while it is being said.
  struct Step {
    std::vector<Assignment> done;
    std::vector<Tensor> shared;  ///< what begin() left for all parameters
    Here here;
  };
  Optimizer(std::string name, std::vector<Variable> parameters, double learning_rate, double clip_norm, Here here);

  /// Once per step, before the parameters.
  virtual void begin(Step&) {}
  /// New value of parameter `index`, given its value and gradient in the dtype that state has.
  virtual Tensor update(Step& step, size_t index, const Tensor& value, const Tensor& gradient) = 0;

  /// A Variable of zeros like parameter `index`, "<parameter>.<optimiser>.<what>".
  Variable state_like(size_t index, const std::string& what);
  Variable scalar_state(const std::string& what, double value);
  /// Learning rate in the given dtype.
  Tensor rate(DType dtype, Here here) const;

 private:
  std::string name_;
  std::vector<Variable> parameters_;
  Variable learning_rate_;
  std::vector<Variable> state_;
  double clip_norm_;
};

/// `x` in `dtype`; itself when it has it.
Tensor in_dtype(const Tensor& x, DType dtype, Here here);

/// All gradients scaled by min(1, max_norm / (norm + 1e-6)), where norm is that of all of them together. Undefined
/// ones stay undefined. All must lie on one device.
std::vector<Tensor> clip_by_global_norm(std::span<const Tensor> gradients, double max_norm, Here here = {});

}  // namespace backplane::optim
