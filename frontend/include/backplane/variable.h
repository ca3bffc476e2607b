// SPDX-License-Identifier: Apache-2.0
// Variable: a named cell that holds a tensor; the only mutable thing. Weights, optimiser state, the learning rate.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/tensor.h"

namespace backplane {

struct VariableCell;  // frontend/src/variable_cell.h

/// What assign() gives back: inside a Graph it is run by Session::run, elsewhere the assignment is already done.
struct Assignment {
  Tensor value;
  std::shared_ptr<VariableCell> cell;
};

class Variable {
 public:
  Variable() = default;
  explicit Variable(const Tensor& initial, std::string name = "", bool trainable = true, Here here = {});
  Variable(double initial, std::string name);

  /// The current value: outside graphs a computed tensor (a leaf for gradients when trainable); in a graph an input that
  /// stands for the cell; in a trace after an assign(), the value assigned.
  Tensor read(Here here = {}) const;
  operator Tensor() const;  // NOLINT: a variable is used like a tensor

  /// Gives the cell a new value of the same type. Outside graphs at once, in a trace when the compiled call ends, in a
  /// Graph when Session::run is given the result.
  Assignment assign(const Tensor& value, Here here = {}) const;

  bool defined() const { return cell_ != nullptr; }
  const Type& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  const std::string& name() const;
  void set_name(std::string name) const;
  bool trainable() const;
  /// Gradient that backward() left here; in a trace the traced one.
  Tensor grad() const;
  void zero_grad() const;

  const std::shared_ptr<VariableCell>& cell() const { return cell_; }

 private:
  std::shared_ptr<VariableCell> cell_;
};

/// For programs written in the define-then-run tradition; variables have their value from the start, so it does nothing.
inline void initialize_all_variables() {}

}  // namespace backplane
