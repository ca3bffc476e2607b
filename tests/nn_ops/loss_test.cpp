// SPDX-License-Identifier: Apache-2.0
// Softmax, its logarithm and the losses, with logits that overflow any formula written down without care.
#include <cmath>
#include <limits>

#include "nn_ops/arrays.h"

namespace backplane::graph::nn_test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Calls row(first, step, count) for each row of `shape` along `axis`.
template <class F>
void for_each_row(const Shape& shape, int axis, F&& row) {
  int64_t inner = 1, outer = 1;
  for (int i = 0; i < shape.rank(); ++i) (i < axis ? outer : i > axis ? inner : outer) *= i == axis ? 1 : shape[i];
  for (int64_t o = 0; o < outer; ++o) {
    for (int64_t i = 0; i < inner; ++i)
      row(static_cast<size_t>(o * shape[axis] * inner + i), static_cast<size_t>(inner));
  }
}

/// log(sum(exp(row))) in long double.
double log_sum_exp(const Array& x, size_t first, size_t step, int64_t count) {
  long double top = -kInfinity, sum = 0;
  for (int64_t i = 0; i < count; ++i) top = std::max<long double>(top, x.v[first + static_cast<size_t>(i) * step]);
  for (int64_t i = 0; i < count; ++i)
    sum += std::exp(static_cast<long double>(x.v[first + static_cast<size_t>(i) * step]) - top);
  return static_cast<double>(top + std::log(sum));
}

Array log_softmax_of(const Array& x, int axis) {
  Array y(x.shape);
  for_each_row(x.shape, axis, [&](size_t first, size_t step) {
    const double lse = log_sum_exp(x, first, step, x.shape[axis]);
    for (int64_t i = 0; i < x.shape[axis]; ++i)
      y.v[first + static_cast<size_t>(i) * step] = x.v[first + static_cast<size_t>(i) * step] - lse;
  });
  return y;
}

Array exp_of(Array x) {
  for (double& v : x.v) v = std::exp(v);
  return x;
}

class Losses : public testing::TestWithParam<Form> {
 protected:
  Form form = GetParam();

  Array run(const OpDef& op, std::vector<AttrArg> attrs, const std::vector<std::pair<Array, DType>>& in) {
    Program program;
    std::vector<Sym> syms;
    for (const auto& [value, dtype] : in) syms.push_back(program.input(value, dtype));
    return program.run1(apply(op, attrs, syms).front(), form);
  }
  /// Gradient of the sum of the result in operand 0.
  Array gradient(const OpDef& op, std::vector<AttrArg> attrs, const std::vector<std::pair<Array, DType>>& in) {
    Program program;
    std::vector<Sym> syms;
    for (const auto& [value, dtype] : in) syms.push_back(program.input(value, dtype));
    const Sym y = apply(op, attrs, syms).front();
    const Sym ones = full(program.graph, 1, y.dtype(), y.shape());
    const auto tape = tape_of(program.graph, static_cast<NodeId>(program.graph.size()));
    return program.run1(
        gradients(program.graph, tape, std::span(&y, 1), std::span(syms.data(), 1), std::span(&ones, 1))[0], form);
  }
};

TEST_P(Losses, SoftmaxAlongEveryAxisOfExtremeLogits) {
  for (double size : {1.0, 1e4}) {
    const Array x = random_array({3, 4, 5}, 1, -size, size);
    for (int axis = 0; axis < 3; ++axis) {
      for (int64_t written : {int64_t{axis}, int64_t{axis - 3}}) {
        const Array log_p = log_softmax_of(x, axis);
        expect_close(run(op::log_softmax, {{"axis", written}}, {{x, f64}}), log_p, 1e-13, "log_softmax");
        expect_close(run(op::softmax, {{"axis", written}}, {{x, f64}}), exp_of(log_p), 1e-12, "softmax");
        if (size == 1.0) expect_close(run(op::softmax, {{"axis", written}}, {{x, bf16}}), exp_of(log_p), 1e-2, "bf16");
      }
    }
  }
}

TEST_P(Losses, SoftmaxOfInfinities) {
  const double nan = std::nan("");
  expect_close(run(op::softmax, {}, {{Array({2, 3}, {-kInfinity, 0, 0, -kInfinity, -kInfinity, -kInfinity}), f64}}),
               Array({2, 3}, {0, 0.5, 0.5, nan, nan, nan}), 1e-15, "softmax");
  expect_close(run(op::log_softmax, {}, {{Array({1, 3}, {-kInfinity, 0, 0}), f64}}),
               Array({1, 3}, {-kInfinity, -std::log(2.0), -std::log(2.0)}), 1e-15, "log_softmax");
}

TEST_P(Losses, SoftmaxDerivativesAgreeWithDifferences) {
  for (const OpDef* op : {&op::softmax, &op::log_softmax}) {
    expect_derivatives(
        [&](Graph&, std::span<const Sym> in) {
          return std::vector<Sym>{apply1(*op, {{"axis", int64_t{1}}}, {in[0]})};
        },
        {random_array({2, 4, 3}, 2, -2, 2)}, form);
  }
}

TEST_P(Losses, CrossEntropyIsTheMeanLogLikelihoodOfTheTargets) {
  for (double size : {1.0, 1e4}) {
    const Array x = random_array({3, 4, 2}, 3, -size, size), t = random_array({3, 4, 2}, 4, 0, 2);
    const Array log_p = log_softmax_of(x, 1);
    Array loss({3, 2}), dx(x.shape);
    for_each_row(x.shape, 1, [&](size_t first, size_t step) {
      double total = 0;
      for (size_t c = 0; c < 4; ++c) total += t.v[first + c * step];
      for (size_t c = 0; c < 4; ++c) {
        loss.v[first / 8 * 2 + first % 2] -= t.v[first + c * step] * log_p.v[first + c * step];
        dx.v[first + c * step] = std::exp(log_p.v[first + c * step]) * total - t.v[first + c * step];
      }
    });
    expect_close(run(op::cross_entropy, {{"axis", int64_t{1}}}, {{x, f64}, {t, f64}}), loss, 1e-13, "loss");
    expect_close(gradient(op::cross_entropy, {{"axis", int64_t{1}}}, {{x, f64}, {t, f64}}), dx, 1e-12, "gradient");
    expect_close(run(op::cross_entropy, {{"axis", int64_t{1}}}, {{x, f32}, {t, f32}}), loss, 1e-6, "loss in f32");
  }
}

TEST_P(Losses, AnImpossibleClassWithoutTargetCostsNothing) {
  const Array x({1, 3}, {-kInfinity, 0, 0}), t({1, 3}, {0, 1, 0});
  expect_close(run(op::cross_entropy, {}, {{x, f64}, {t, f64}}), Array({1}, std::log(2.0)), 1e-15, "loss");
  expect_close(gradient(op::cross_entropy, {}, {{x, f64}, {t, f64}}), Array({1, 3}, {0, -0.5, 0.5}), 1e-15, "gradient");
}

TEST_P(Losses, SparseCrossEntropyPicksTheLabel) {
  for (double size : {1.0, 1e4}) {
    for (DType labels : {i32, i64}) {
      const Array x = random_array({2, 3, 5}, 5, -size, size);
      const Array label({2, 3}, {0, 4, 2, 1, 3, 4});
      const Array log_p = log_softmax_of(x, 2);
      Array loss({2, 3}), dx = exp_of(log_p);
      for (size_t row = 0; row < 6; ++row) {
        const size_t at = row * 5 + static_cast<size_t>(label.v[row]);
        loss.v[row] = -log_p.v[at];
        dx.v[at] -= 1;
      }
      expect_close(run(op::sparse_cross_entropy, {}, {{x, f64}, {label, labels}}), loss, 1e-13, "loss");
      expect_close(gradient(op::sparse_cross_entropy, {}, {{x, f64}, {label, labels}}), dx, 1e-12, "gradient");
      if (size == 1.0) expect_close(run(op::sparse_cross_entropy, {}, {{x, f16}, {label, labels}}), loss, 3e-3, "f16");
    }
  }
}

TEST_P(Losses, LabelsOutOfRangeAreSeen) {
  const double nan = std::nan(""), half = std::log(2.0);
  const Array x({4, 2}), label({4}, {0, 2, -1, 1});
  expect_close(run(op::sparse_cross_entropy, {}, {{x, f64}, {label, i32}}), Array({4}, {half, nan, nan, half}), 1e-15,
               "loss");
  expect_close(gradient(op::sparse_cross_entropy, {}, {{x, f64}, {label, i32}}),
               Array({4, 2}, {-0.5, 0.5, nan, nan, nan, nan, 0.5, -0.5}), 1e-15, "gradient");
}

TEST_P(Losses, MeanSquaredErrorBroadcasts) {
  const Array x = random_array({3, 4}, 6), y = random_array({4}, 7);
  double sum = 0;
  Array dx(x.shape);
  for (size_t i = 0; i < 12; ++i) {
    const double d = x.v[i] - y.v[i % 4];
    sum += d * d / 12;
    dx.v[i] = 2 * d / 12;
  }
  expect_close(run(op::mse_loss, {}, {{x, f64}, {y, f64}}), Array(Shape{}, sum), 1e-14, "loss");
  expect_close(gradient(op::mse_loss, {}, {{x, f64}, {y, f64}}), dx, 1e-14, "gradient");
  expect_close(run(op::mse_loss, {}, {{Array({2}, 300), f16}, {Array({2}, 200), f16}}), Array(Shape{}, 1e4), 1e-3,
               "f16");
}

TEST_P(Losses, LossDerivativesAgreeWithDifferences) {
  expect_derivatives(
      [](Graph&, std::span<const Sym> in) {
        return std::vector<Sym>{apply1(op::cross_entropy, {}, {in[0], in[1]})};
      },
      {random_array({3, 4}, 8), random_array({3, 4}, 9, 0.1, 1)}, form);
  expect_derivatives(
      [](Graph&, std::span<const Sym> in) {
        return std::vector<Sym>{apply1(op::mse_loss, {}, {in[0], in[1]})};
      },
      {random_array({3, 4}, 10), random_array({4}, 11)}, form);
  expect_derivatives(
      [](Graph& graph, std::span<const Sym> in) {
        const int32_t labels[] = {2, 0, 1};
        return std::vector<Sym>{apply1(op::sparse_cross_entropy, {}, {in[0], constant_i32(graph, {3}, labels)})};
      },
      {random_array({3, 4}, 12)}, form);
}

TEST_P(Losses, OneTensorInTwoPlacesCountsOncePerPlace) {
  // softmax_grad has no VJP of its own: its decomposition is differentiated.
  expect_derivatives(
      [](Graph&, std::span<const Sym> in) {
        return std::vector<Sym>{apply1(op::softmax_grad, {}, {in[0], in[0]})};
      },
      {random_array({2, 3}, 13)}, form);
  expect_derivatives(
      [](Graph&, std::span<const Sym> in) {
        return std::vector<Sym>{apply1(op::cross_entropy, {}, {in[0], in[0]})};
      },
      {random_array({2, 3}, 14, 0.1, 1)}, form);
}

INSTANTIATE_TEST_SUITE_P(All, Losses, testing::ValuesIn(kForms));

}  // namespace
}  // namespace backplane::graph::nn_test
