// SPDX-License-Identifier: Apache-2.0
// Answers worked out here by plain loops or by hand, for ops where the oracle and the decomposition could be wrong
// together.

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>

#include "backplane/graph/autodiff.h"
#include "backplane/graph/ops.h"
#include "ops/devices.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

using Numbers = std::vector<double>;
using Ints = std::vector<int64_t>;
using Build = std::function<Sym(std::span<const Sym>)>;
constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

Literal tensor(const Shape& shape, const Numbers& values, DType dtype = f32) {
  return from_doubles({dtype, shape}, values);
}
Literal indices(const Shape& shape, const Numbers& values) { return tensor(shape, values, DType::i32); }

/// Expects build(inputs) to have `shape` and `values` on every device under test.
void expect(const std::vector<Literal>& inputs, const Build& build, const Shape& shape, const Numbers& values,
            double tolerance = 0) {
  Graph graph;
  std::vector<Sym> in;
  for (const Literal& literal : inputs)
    in.push_back(graph.sym(graph.add_input(Input::Kind::placeholder, literal.type, "x")));
  const Sym out = build(in);
  graph.set_outputs({graph.value(out)});
  const Literal want = from_doubles({out.dtype(), shape}, values);
  for (const StreamPtr& stream : devices_under_test()) {
    EXPECT_EQ(difference(want, Evaluator(graph, stream, PassConfig{})(inputs)[0], tolerance), "")
        << "on " << stream->device()->name();
  }
}

/// Gradient of the sum of build(inputs) for input `which`.
Build gradient_of(const Build& build, size_t which) {
  return [=](std::span<const Sym> in) {
    Graph& graph = static_cast<Graph&>(*in[0].builder);
    const Sym loss = apply1(op::sum, {}, {build(in)});
    const auto tape = tape_of(graph, static_cast<NodeId>(graph.size()));
    return gradients(graph, tape, std::span(&loss, 1), in.subspan(which, 1))[0];
  };
}

Numbers counted(int64_t n, double start = 0, double step = 1) {
  Numbers out;
  for (int64_t i = 0; i < n; ++i) out.push_back(start + step * static_cast<double>(i));
  return out;
}

TEST(KnownAnswers, MatmulBroadcastsBatches) {
  const Numbers a = counted(2 * 1 * 3 * 4, -5, 0.5), b = counted(3 * 4 * 2, 2, -0.25);
  Numbers c;
  for (int p = 0; p < 2; ++p)
    for (int q = 0; q < 3; ++q)
      for (int m = 0; m < 3; ++m)
        for (int n = 0; n < 2; ++n) {
          double sum = 0;
          for (int k = 0; k < 4; ++k) {
            sum += a[static_cast<size_t>(p * 12 + m * 4 + k)] * b[static_cast<size_t>(q * 8 + k * 2 + n)];
          }
          c.push_back(sum);
        }
  expect(
      {tensor({2, 1, 3, 4}, a), tensor({3, 4, 2}, b)}, [](auto in) { return matmul(in[0], in[1]); }, {2, 3, 3, 2}, c,
      1e-4);
}

TEST(KnownAnswers, MatmulOfVectorsDropsTheirAxes) {
  const auto product = [](auto in) { return matmul(in[0], in[1]); };
  expect({tensor({3}, {1, 2, 3}), tensor({3}, {4, 5, 6})}, product, {}, {32});
  expect({tensor({2, 2}, {1, 2, 3, 4}), tensor({2}, {10, 100})}, product, {2}, {210, 430});
  expect({tensor({2}, {10, 100}), tensor({2, 2}, {1, 2, 3, 4})}, product, {2}, {310, 420});
}

TEST(KnownAnswers, Reductions) {
  const Literal x = tensor({2, 3}, {1, 5, 5, -2, 0, kNaN});
  const auto along = [](const OpDef& op, Ints axes) {
    return [&op, axes](auto in) { return apply1(op, {{"axes", axes}}, {in[0]}); };
  };
  expect({x}, along(op::sum, Ints{0}), {3}, {-1, 5, kNaN});
  expect({x}, along(op::max, Ints{1}), {2}, {5, kNaN});
  expect({x}, along(op::min, Ints{-1}), {2}, {1, kNaN});
  expect({tensor({2, 0}, {})}, along(op::max, Ints{1}), {2}, {-kInf, -kInf});
  expect({tensor({2, 0}, {})}, along(op::prod, Ints{1}), {2}, {1, 1});
  const auto arg = [](const OpDef& op) { return [&op](auto in) { return unary(op, in[0]); }; };
  expect({x}, arg(op::argmax), {2}, {1, 2});
  expect({x}, arg(op::argmin), {2}, {0, 2});
  expect({indices({4}, {7, -3, -3, 7})}, arg(op::argmin), {}, {1});
  const Numbers lowest = {-2147483648.0, 5};
  expect({indices({2}, lowest)}, arg(op::min), {}, {lowest[0]});
  expect(
      {tensor({4}, {2, 4, 4, 6})},
      [](auto in) {
        return apply1(op::variance, {{"correction", int64_t{1}}}, {in[0]});
      },
      {}, {8.0 / 3}, 1e-6);
  expect({tensor({3}, {60000, 60000, 60000}, f16)}, arg(op::mean), {}, {60000});  // their sum is no f16
}

TEST(KnownAnswers, LogsumexpAtTheEdges) {
  const auto f = [](auto in) { return apply1(op::logsumexp, {{"axes", Ints{1}}}, {in[0]}); };
  expect({tensor({4, 2}, {1e4, 1e4, -kInf, -kInf, -1e4, 0, kInf, 1})}, f, {4}, {1e4 + std::log(2.0), -kInf, 0, kInf},
         1e-3);
  expect({tensor({2, 2}, {0, 0, -kInf, -kInf})}, gradient_of(f, 0), {2, 2}, {0.5, 0.5, 0, 0}, 1e-6);
}

TEST(KnownAnswers, GradientOfAProductWithZeros) {
  const auto prod = [](auto in) { return apply1(op::prod, {{"axes", Ints{1}}}, {in[0]}); };
  expect({tensor({3, 3}, {2, 0, 5, 0, 0, 7, 2, 3, 4})}, gradient_of(prod, 0), {3, 3}, {0, 10, 0, 0, 0, 0, 12, 8, 6});
}

TEST(KnownAnswers, EqualExtremaShareTheGradient) {
  const auto max = [](auto in) { return apply1(op::max, {}, {in[0]}); };
  expect({tensor({4}, {3, 1, 3, 3})}, gradient_of(max, 0), {4}, {1.0 / 3, 0, 1.0 / 3, 1.0 / 3}, 1e-7);
  const auto maximum2 = [](auto in) { return maximum(in[0], in[1]); };
  expect({tensor({3}, {1, 2, 3}), tensor({3}, {1, 0, 4})}, gradient_of(maximum2, 0), {3}, {0.5, 1, 0});
  const auto relu = [](auto in) { return unary(op::relu, in[0]); };
  expect({tensor({3}, {-1, 0, 2})}, gradient_of(relu, 0), {3}, {0, 0, 1});
}

TEST(KnownAnswers, ActivationsFarOut) {
  const Literal x = tensor({5}, {-200, -20, 0, 20, 200});
  const auto f = [](const OpDef& op) { return [&op](auto in) { return unary(op, in[0]); }; };
  const double tiny = std::exp(-20.0);
  expect({x}, f(op::sigmoid), {5}, {0, tiny / (1 + tiny), 0.5, 1 / (1 + tiny), 1}, 1e-7);
  expect({x}, f(op::softplus), {5}, {0, std::log1p(tiny), std::log(2.0), 20 + std::log1p(tiny), 200}, 1e-5);
  expect({x}, f(op::elu), {5}, {-1, std::expm1(-20.0), 0, 20, 200}, 1e-6);
  expect({x}, gradient_of(f(op::elu), 0), {5}, {0, tiny, 1, 1, 1}, 1e-6);
  expect({x}, gradient_of(f(op::softplus), 0), {5}, {0, tiny, 0.5, 1, 1}, 1e-6);
  expect({x}, f(op::gelu), {5}, {0, 0, 0, 20, 200}, 1e-6);
  expect({tensor({4}, {-3, -0.0, 0, kNaN})}, f(op::sign), {4}, {-1, 0, 0, kNaN});
}

TEST(KnownAnswers, PowersAtZero) {
  const auto power = [](auto in) { return binary(op::pow, in[0], in[1]); };
  const Literal a = tensor({4}, {0, 0, 2, -3}), b = tensor({4}, {0, 2, 3, 2});
  expect({a, b}, power, {4}, {1, 0, 8, 9}, 1e-5);
  expect({a, b}, gradient_of(power, 0), {4}, {0, 0, 12, -6}, 1e-5);
  expect({a, b}, gradient_of(power, 1), {4}, {0, 0, 8 * std::log(2.0), kNaN}, 1e-5);
}

TEST(KnownAnswers, SortingKeepsTheOrderOfEqualElements) {
  const auto part = [](const OpDef& op, std::vector<AttrArg> attrs, size_t which) {
    return [&op, attrs, which](auto in) { return apply(op, attrs, in)[which]; };
  };
  const Literal x = tensor({2, 5}, {3, kNaN, -1, 3, kInf, 0.0, -0.0, -kInf, kNaN, kNaN});
  const std::vector<AttrArg> up, down = {{"descending", true}}, best = {{"k", 2}}, least = {{"k", 3}, {"descending", false}};
  expect({x}, part(op::sort, up, 0), {2, 5}, {-1, 3, 3, kInf, kNaN, -kInf, 0, 0, kNaN, kNaN});
  expect({x}, part(op::sort, up, 1), {2, 5}, {2, 0, 3, 4, 1, 2, 0, 1, 3, 4});
  expect({x}, part(op::sort, down, 1), {2, 5}, {1, 4, 0, 3, 2, 3, 4, 0, 1, 2});
  expect({x}, part(op::top_k, best, 1), {2, 2}, {1, 4, 3, 4});
  expect({x}, part(op::top_k, least, 0), {2, 3}, {-1, 3, 3, -kInf, 0, 0});
  expect({indices({4}, {-2147483648.0, 2147483647.0, 5, 5})}, part(op::sort, down, 1), {4}, {1, 2, 3, 0});
  // Only the places that were taken get a gradient.
  expect({tensor({2, 3}, {5, 7, 6, 1, 1, 0})}, gradient_of(part(op::top_k, best, 0), 0), {2, 3}, {0, 1, 1, 1, 1, 0});
}

TEST(KnownAnswers, IndicesOutsideReadZeroAndAddNowhere) {
  const auto at = [](const OpDef& op, int64_t axis) {
    return [&op, axis](auto in) {
      const AttrArg attr{"axis", axis};
      return apply(op, std::span(&attr, 1), in).front();
    };
  };
  const Literal x = tensor({2, 3}, {1, 2, 3, 4, 5, 6});
  expect({x, indices({4}, {2, -1, 3, 0})}, at(op::gather, 1), {2, 4}, {3, 0, 0, 1, 6, 0, 0, 4});
  expect({x, indices({2, 2}, {2, -1, 3, 0})}, at(op::take_along_axis, 1), {2, 2}, {3, 0, 0, 4});
  expect({x, indices({1, 3}, {1, 0, 2})}, at(op::take_along_axis, 0), {1, 3}, {4, 2, 0});
  expect({tensor({3}, {10, 20, 30}), indices({5}, {1, 1, -1, 7, 2}), tensor({5}, {1, 2, 3, 4, 5})},
         at(op::scatter_add, 0), {3}, {10, 23, 35});
  expect({indices({3}, {0, 2, 5})},
         [](auto in) {
           return apply1(op::one_hot, {{"depth", int64_t{3}}}, {in[0]});
         },
         {3, 3}, {1, 0, 0, 0, 0, 1, 0, 0, 0});
  const auto gather0 = at(op::gather, 0);
  expect({tensor({3}, {7, 8, 9}), indices({4}, {2, 2, 0, -5})}, gradient_of(gather0, 0), {3}, {1, 0, 2});
}

TEST(KnownAnswers, WindowsAndTheirSums) {
  const auto window = [](auto in) {
    return apply1(op::window, {{"axes", Ints{0}}, {"size", Ints{3}}, {"stride", Ints{2}}, {"dilation", Ints{2}}},
                  {in[0]});
  };
  expect({tensor({8}, counted(8))}, window, {2, 3}, {0, 2, 4, 2, 4, 6});
  // Every element counts as often as windows see it; element 7 and the odd ones are seen by none.
  expect({tensor({8}, counted(8))}, gradient_of(window, 0), {8}, {1, 0, 2, 0, 2, 0, 1, 0});
  const auto sum2d = [](auto in) {
    return apply1(op::window_sum,
                  {{"axes", Ints{0, 1}},
                   {"size", Ints{2, 2}},
                   {"stride", Ints{1, 1}},
                   {"dilation", Ints{1, 1}},
                   {"shape", Ints{3, 3}}},
                  {in[0]});
  };
  Numbers sums(9, 0);
  const Numbers x = counted(16, 1);
  for (size_t i = 0; i < 16; ++i) {  // x[p][q][s][t] goes to (p + s, q + t)
    const size_t p = i / 8, q = i / 4 % 2, s = i / 2 % 2, t = i % 2;
    sums[(p + s) * 3 + q + t] += x[i];
  }
  expect({tensor({2, 2, 2, 2}, x)}, sum2d, {3, 3}, sums);
}

TEST(KnownAnswers, SlicesPadsAndPlaces) {
  const Literal x = tensor({6}, counted(6));
  const auto slice1 = [](int64_t start, int64_t stop, int64_t step) {
    return [=](auto in) { return slice(in[0], Ints{start}, Ints{stop}, Ints{step}); };
  };
  expect({x}, slice1(5, -1, -2), {3}, {5, 3, 1});
  expect({x}, slice1(1, -1, 3), {2}, {1, 4});
  expect({x}, slice1(2, 2, 1), {0}, {});
  expect({x}, gradient_of(slice1(5, -1, -2), 0), {6}, {0, 1, 0, 1, 0, 1});
  expect({tensor({2}, {1, 2})},
         [](auto in) {
           return apply1(op::pad, {{"low", Ints{1}}, {"high", Ints{2}}, {"value", -9.0}}, {in[0]});
         },
         {5}, {-9, 1, 2, -9, -9});
  expect({indices({2}, {1, 2})},
         [](auto in) {
           return apply1(op::pad, {{"low", Ints{1}}, {"high", Ints{0}}, {"value", 3.0}}, {in[0]});
         },
         {3}, {3, 1, 2});
  expect({x, tensor({2}, {40, 50})},
         [](auto in) {
           return apply1(op::slice_update, {{"start", Ints{4}}, {"step", Ints{-3}}}, {in[0], in[1]});
         },
         {6}, {0, 50, 2, 3, 40, 5});
  expect({tensor({1, 2}, {1, 2}), tensor({2, 2}, {3, 4, 5, 6})},
         [](auto in) {
           return apply1(op::concat, {}, {in[0], in[1]});
         },
         {3, 2}, {1, 2, 3, 4, 5, 6});
  expect({tensor({2}, {1, 2}), tensor({2}, {3, 4})},
         [](auto in) {
           return apply1(op::stack, {{"axis", int64_t{-1}}}, {in[0], in[1]});
         },
         {2, 2}, {1, 3, 2, 4});
}

TEST(KnownAnswers, CastsSaturateAndTruncate) {
  const auto to = [](DType dtype) { return [=](auto in) { return cast(in[0], dtype); }; };
  expect({tensor({6}, {1.9, -1.9, 3e9, -3e9, kNaN, 0.5})}, to(DType::i32), {6},
         {1, -1, 2147483647, -2147483648.0, 0, 0});
  expect({tensor({4}, {0, -0.0, 1e-30, kNaN})}, to(boolean), {4}, {0, 0, 1, 1});
  expect({tensor({3}, {2049, 65520, 1e-8})}, to(f16), {3}, {2048, kInf, 0});  // ties to even; overflow; underflow
  expect({tensor({2}, {1.00390625, 1.01171875})}, to(bf16), {2}, {1, 1.015625});
}

TEST(KnownAnswers, ProductsOfEightBitFloats) {
  // 1.3 becomes 1.25 in either format, 0.07 becomes 0.0703125 and 0.0625; 500 is too large for f8_e4m3.
  const auto product = [](std::span<const Sym> in) { return matmul(in[0], in[1]); };
  for (const DType dtype : {f8_e4m3, f8_e5m2}) {
    const double small = dtype == f8_e4m3 ? 0.0703125 : 0.0625;
    const std::vector<Literal> operands = {tensor({2, 3}, {1.3, 2, -3, 0.07, 0, 4}, dtype), tensor({3, 1}, {1, -2, 0.5}, dtype)};
    expect(operands, product, {2, 1}, {1.25 - 4 - 1.5, small + 2});
    const auto scaled = [](std::span<const Sym> in) { return cast(matmul(in[0], in[1]) * in[2], bf16); };
    expect({operands[0], operands[1], tensor({}, {0.25})}, scaled, {2, 1}, {-4.25 / 4, (small + 2) / 4}, 0x1p-8);
  }
  const auto overflow = [](std::span<const Sym> in) { return cast(cast(in[0], f8_e4m3), f32); };
  expect({tensor({3}, {500, -448, 464})}, overflow, {3}, {kNaN, -448, 448});
}

TEST(KnownAnswers, GradientsPassThroughEightBitFloats) {
  const auto through = [](std::span<const Sym> in) {
    return matmul(cast(in[0], f8_e4m3), cast(in[1], f8_e4m3));
  };
  const std::vector<Literal> operands = {tensor({2, 2}, {1.3, 2, -3, 0.5}), tensor({2, 2}, {1, -2, 0.07, 4})};
  // The gradient of one operand is made of the other one's rounded values, and is not rounded itself.
  expect(operands, gradient_of(through, 0), {2, 2}, {-1, 4.0703125, -1, 4.0703125});
  expect(operands, gradient_of(through, 1), {2, 2}, {-1.75, -1.75, 2.5, 2.5});
}

}  // namespace
}  // namespace backplane::test
