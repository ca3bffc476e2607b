// SPDX-License-Identifier: Apache-2.0
// Arrays of doubles, and graphs evaluated on them in two forms: as they are, so that the reference device's own kernels
// run, and with every composite op taken apart until only scalar, view, assemble and primitive ops are left.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "backplane/graph/autodiff.h"
#include "backplane/graph/graph.h"
#include "backplane/graph/ops.h"

namespace backplane::graph::nn_test {

using Ints = std::vector<int64_t>;

struct Array {
  Shape shape;
  std::vector<double> v;

  Array() = default;
  explicit Array(Shape s, double fill = 0) : shape(s), v(static_cast<size_t>(s.elements()), fill) {}
  Array(Shape s, std::vector<double> values) : shape(s), v(std::move(values)) {}
  /// Row-major element.
  double& at(std::initializer_list<int64_t> index) { return v[flat(index)]; }
  double at(std::initializer_list<int64_t> index) const { return v[flat(index)]; }

 private:
  size_t flat(std::initializer_list<int64_t> index) const;
};

/// Uniform in [low, high), the same for the same seed.
Array random_array(Shape shape, uint64_t seed, double low = -1, double high = 1);

enum class Form { native, decomposed };
std::ostream& operator<<(std::ostream& out, Form form);

/// A graph under construction with the values of its inputs.
class Program {
 public:
  Graph graph;
  Sym input(const Array& value, DType dtype = DType::f64);
  /// Values of `outputs` on the reference device. Adds a failure when the decomposed form still has a composite op.
  std::vector<Array> run(std::span<const Sym> outputs, Form form);
  Array run1(Sym output, Form form) { return run(std::span(&output, 1), form).front(); }

 private:
  std::vector<Array> values_;
  std::vector<DType> dtypes_;
};

/// |a - b| <= tolerance * (1 + |b|) for each element; infinities and NaN have to agree.
void expect_close(const Array& actual, const Array& expected, double tolerance, const std::string& what);

/// Gradients of random projections of f's outputs against central differences in f64, and once more for the gradients
/// themselves when `second`.
using Function = std::function<std::vector<Sym>(Graph& graph, std::span<const Sym> in)>;
void expect_derivatives(const Function& f, const std::vector<Array>& in, Form form, bool second = true,
                        double tolerance = 1e-6);

inline const Form kForms[] = {Form::native, Form::decomposed};

}  // namespace backplane::graph::nn_test
