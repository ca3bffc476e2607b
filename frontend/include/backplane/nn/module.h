// SPDX-License-Identifier: Apache-2.0
// Module: a struct whose fields are variables and other modules, listed once so that they have names.
//
//   struct Mlp : nn::Module {
//     nn::Linear a{784, 256}, b{256, 10};
//     Tensor operator()(const Tensor& x) const { return b(relu(a(x))); }
//     BP_FIELDS(a, b)                       // parameters "a.weight", "a.bias", "b.weight", "b.bias"
//   };
//
// Modules are values: a copy shares its variables with the original. What a module does not have: hooks, a registry,
// a device of its own (its variables lie where they were made).
#pragma once

#include <concepts>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "backplane/tensor.h"
#include "backplane/variable.h"

namespace backplane::nn {

struct Module;

/// Is shown each field of a module, in the order of BP_FIELDS.
class FieldVisitor {
 public:
  virtual ~FieldVisitor() = default;
  virtual void variable(const std::string& name, Variable& variable) = 0;
  virtual void module(const std::string& name, Module& module) = 0;
};

struct Module {
  /// Dropout drops and batch normalisation uses the batch's statistics only while it is set. Read when a function is
  /// traced: compile training and evaluation apart.
  bool training = true;

  Module() = default;
  Module(const Module&) = default;
  Module& operator=(const Module&) = default;
  virtual ~Module() = default;
  /// Written by BP_FIELDS. Optional: a module without it has no parameters.
  virtual void fields(FieldVisitor&) {}
};

/// A module that maps one tensor to one tensor: what Sequential is made of.
struct Layer : Module {
  virtual Tensor forward(const Tensor& x, Here here) const = 0;
  Tensor operator()(const Tensor& x, Here here = {}) const { return forward(x, here); }
};

/// Lists the fields of a module: variables, modules, and vectors of them (named "field.0", "field.1", ...).
#define BP_FIELDS(...)                                                  \
  void fields(::backplane::nn::FieldVisitor& visitor) override {        \
    std::string_view names = #__VA_ARGS__;                              \
    ::backplane::nn::detail::visit_fields(visitor, names, __VA_ARGS__); \
  }

/// Layers one after another, named "0", "1", ...
struct Sequential : Layer {
  std::vector<std::shared_ptr<Layer>> layers;

  Sequential() = default;
  template <std::derived_from<Layer>... L>
  requires(sizeof...(L) > 1 || !(std::same_as<L, Sequential> && ...)) explicit Sequential(L... each) {
    (add(std::move(each)), ...);
  }
  template <std::derived_from<Layer> L>
  Sequential& add(L layer) {
    layers.push_back(std::make_shared<L>(std::move(layer)));
    return *this;
  }
  Tensor forward(const Tensor& x, Here here) const override;
  void fields(FieldVisitor& visitor) override;
};

struct NamedVariable {
  std::string name;  ///< path of fields: "a.weight"
  Variable variable;
};
/// Variables of a module and of what is inside it, in order of declaration. One that appears twice (tied weights) is
/// listed under its first name; undefined ones (a bias that is not wanted) are left out.
std::vector<NamedVariable> named_variables(Module& module);
/// Only the trainable ones: running statistics are left out.
std::vector<NamedVariable> named_parameters(Module& module);
/// The trainable variables, each renamed to its path: what optimisers take.
std::vector<Variable> parameters(Module& module);
/// Number of trainable scalars.
int64_t count_parameters(Module& module);
/// Sets `training` of a module and of all that are inside it.
void set_training(Module& module, bool training);

/// In a define-then-run graph an assignment is an effect that Session::run is asked for. While it lives, it gathers
/// the ones that layers make (running statistics); give them to run() beside the loss. Eager code and traces need
/// none.
class StateUpdates {
 public:
  StateUpdates();
  ~StateUpdates();
  StateUpdates(const StateUpdates&) = delete;
  StateUpdates& operator=(const StateUpdates&) = delete;
  const std::vector<Assignment>& assignments() const { return assignments_; }
  /// For layers: tells the innermost StateUpdates of this thread, if there is one.
  static void note(const Assignment& assignment);

 private:
  std::vector<Assignment> assignments_;
  StateUpdates* outer_;
};

namespace detail {

/// Takes "a" off "a, b".
std::string next_name(std::string_view& names);

inline void visit_field(FieldVisitor& visitor, const std::string& name, Variable& field) {
  visitor.variable(name, field);
}
inline void visit_field(FieldVisitor& visitor, const std::string& name, Module& field) {
  visitor.module(name, field);
}
template <class T>
void visit_field(FieldVisitor& visitor, const std::string& name, std::vector<T>& field) {
  for (size_t i = 0; i < field.size(); ++i) visit_field(visitor, name + "." + std::to_string(i), field[i]);
}
template <class... Fields>
void visit_fields(FieldVisitor& visitor, std::string_view names, Fields&... fields) {
  (visit_field(visitor, next_name(names), fields), ...);
}

}  // namespace detail
}  // namespace backplane::nn
