// SPDX-License-Identifier: Apache-2.0
// In a define-then-run graph a Variable keeps its old value until Session::run does the assignment, so an update
// never reads back what it has assigned: it goes on with the new tensor.
#include "backplane/optim/optimizer.h"

#include <unordered_set>

namespace backplane::optim {
namespace {

DType state_dtype(DType parameter) { return is_half(parameter) ? f32 : parameter; }

std::vector<std::byte> zero_bytes(const Type& type) {
  return std::vector<std::byte>(static_cast<size_t>(type.bytes()));
}

}  // namespace

Tensor in_dtype(const Tensor& x, DType dtype, Here here) { return x.dtype() == dtype ? x : cast(In(x, here), dtype); }

Optimizer::Optimizer(std::string name, std::vector<Variable> parameters, double learning_rate, double clip_norm,
                     Here here)
    : name_(std::move(name)), parameters_(std::move(parameters)), clip_norm_(clip_norm) {
  if (parameters_.empty()) fail("optim::" + name_, "there are no parameters to train", {}, here.loc);
  std::unordered_set<const VariableCell*> seen;
  for (const Variable& each : parameters_) {
    if (!each.defined()) fail("optim::" + name_, "one of the parameters is undefined", {}, here.loc);
    if (!is_float(each.dtype())) {
      const Type operands[] = {each.type()};
      fail("optim::" + name_, "parameter '" + each.name() + "' is not floating point", operands, here.loc,
           "make it a Variable with trainable = false and leave it out");
    }
    if (!seen.insert(each.cell().get()).second) {
      fail("optim::" + name_, "parameter '" + each.name() + "' is given twice", {}, here.loc);
    }
  }
  learning_rate_ = scalar_state("learning_rate", learning_rate);
}

Variable Optimizer::state_like(size_t index, const std::string& what) {
  const Variable& parameter = parameters_[index];
  const Type type{state_dtype(parameter.dtype()), parameter.shape()};
  const Tensor zeros = Tensor::from_bytes(zero_bytes(type), type, parameter.read().device());
  state_.emplace_back(zeros, parameter.name() + "." + name_ + "." + what, false);
  return state_.back();
}

Variable Optimizer::scalar_state(const std::string& what, double value) {
  const float narrow = static_cast<float>(value);
  const Tensor initial = Tensor::from(std::span(&narrow, 1), {}, parameters_.front().read().device());
  state_.emplace_back(initial, name_ + "." + what, false);
  return state_.back();
}

void Optimizer::set_learning_rate(double value) const {
  const float narrow = static_cast<float>(value);
  learning_rate_.assign(Tensor::from(std::span(&narrow, 1), {}, learning_rate_.read().device()));
}

Tensor Optimizer::rate(DType dtype, Here here) const { return in_dtype(learning_rate_.read(here), dtype, here); }

std::vector<Tensor> Optimizer::tensors(Here here) const {
  std::vector<Tensor> all;
  for (const Variable& each : parameters_) all.push_back(each.read(here));
  return all;
}

void Optimizer::zero_grad() const {
  for (const Variable& each : parameters_) each.zero_grad();
}

std::vector<Assignment> Optimizer::step(Here here) {
  std::vector<Tensor> gradients;
  bool any = false;
  for (const Variable& each : parameters_) {
    gradients.push_back(each.grad());
    any = any || gradients.back().defined();
  }
  if (!any) {
    fail("optim::" + name_, "no parameter has a gradient", {}, here.loc, "call backward() on the loss before step()");
  }
  return apply(gradients, here);
}

std::vector<Assignment> Optimizer::apply(std::span<const Tensor> gradients, Here here) {
  if (gradients.size() != parameters_.size()) {
    fail("optim::" + name_,
         std::to_string(gradients.size()) + " gradients for " + std::to_string(parameters_.size()) + " parameters",
         {}, here.loc, "give one gradient per parameter, in their order");
  }
  const NoGrad no_grad;
  std::vector<Tensor> used(gradients.begin(), gradients.end());
  if (clip_norm_ > 0) used = clip_by_global_norm(used, clip_norm_, here);
  Step step{{}, {}, here};
  begin(step);
  for (size_t i = 0; i < parameters_.size(); ++i) {
    if (!used[i].defined()) continue;
    const Variable& parameter = parameters_[i];
    const DType dtype = state_dtype(parameter.dtype());
    const Tensor value = in_dtype(parameter.read(here), dtype, here);
    const Tensor next = update(step, i, value, in_dtype(used[i], dtype, here));
    step.done.push_back(parameter.assign(in_dtype(next, parameter.dtype(), here), here));
  }
  return step.done;
}

std::vector<Tensor> clip_by_global_norm(std::span<const Tensor> gradients, double max_norm, Here here) {
  const NoGrad no_grad;
  Tensor total;
  for (const Tensor& g : gradients) {
    if (!g.defined()) continue;
    const Tensor part = sum(square(in_dtype(g, f32, here)));
    total = total.defined() ? total + part : part;
  }
  std::vector<Tensor> clipped(gradients.begin(), gradients.end());
  if (!total.defined()) return clipped;
  const Tensor factor = minimum(max_norm / (sqrt(total) + 1e-6), 1.0);
  for (Tensor& g : clipped) {
    if (g.defined()) g *= in_dtype(factor, g.dtype(), here);
  }
  return clipped;
}

}  // namespace backplane::optim
