// SPDX-License-Identifier: Apache-2.0
#include "backplane/nn/module.h"

#include <functional>
#include <unordered_set>

namespace backplane::nn {
namespace {

/// Walks variables and modules depth first with their paths.
class Walk final : public FieldVisitor {
 public:
  std::function<void(const std::string&, Variable&)> on_variable = [](const std::string&, Variable&) {};
  std::function<void(Module&)> on_module = [](Module&) {};

  void variable(const std::string& name, Variable& v) override { on_variable(prefix_ + name, v); }
  void module(const std::string& name, Module& m) override {
    const std::string outer = prefix_;
    prefix_ += name + ".";
    enter(m);
    prefix_ = outer;
  }
  void enter(Module& m) {
    on_module(m);
    m.fields(*this);
  }

 private:
  std::string prefix_;
};

thread_local StateUpdates* innermost = nullptr;

}  // namespace

Tensor Sequential::forward(const Tensor& x, Here here) const {
  Tensor y = x;
  for (const auto& layer : layers) y = layer->forward(y, here);
  return y;
}

void Sequential::fields(FieldVisitor& visitor) {
  for (size_t i = 0; i < layers.size(); ++i) visitor.module(std::to_string(i), *layers[i]);
}

std::vector<NamedVariable> named_variables(Module& module) {
  std::vector<NamedVariable> found;
  std::unordered_set<const VariableCell*> seen;
  Walk walk;
  walk.on_variable = [&](const std::string& name, Variable& v) {
    if (v.defined() && seen.insert(v.cell().get()).second) found.push_back({name, v});
  };
  walk.enter(module);
  return found;
}

std::vector<NamedVariable> named_parameters(Module& module) {
  std::vector<NamedVariable> found = named_variables(module);
  std::erase_if(found, [](const NamedVariable& each) { return !each.variable.trainable(); });
  return found;
}

std::vector<Variable> parameters(Module& module) {
  std::vector<Variable> found;
  for (const NamedVariable& each : named_parameters(module)) {
    each.variable.set_name(each.name);
    found.push_back(each.variable);
  }
  return found;
}

int64_t count_parameters(Module& module) {
  int64_t count = 0;
  for (const NamedVariable& each : named_parameters(module)) count += each.variable.shape().elements();
  return count;
}

void set_training(Module& module, bool training) {
  Walk walk;
  walk.on_module = [training](Module& m) { m.training = training; };
  walk.enter(module);
}

StateUpdates::StateUpdates() : outer_(innermost) { innermost = this; }
StateUpdates::~StateUpdates() { innermost = outer_; }
void StateUpdates::note(const Assignment& assignment) {
  if (innermost != nullptr) innermost->assignments_.push_back(assignment);
}

std::string detail::next_name(std::string_view& names) {
  const size_t comma = names.find(',');
  std::string_view name = names.substr(0, comma);
  names.remove_prefix(comma == std::string_view::npos ? names.size() : comma + 1);
  const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\n'; };
  while (!name.empty() && blank(name.front())) name.remove_prefix(1);
  while (!name.empty() && (blank(name.back()) || name.back() == '_')) name.remove_suffix(1);
  return std::string(name);
}

}  // namespace backplane::nn
