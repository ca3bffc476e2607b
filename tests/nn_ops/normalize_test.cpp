// SPDX-License-Identifier: Apache-2.0
// Normalisation against loops: any axes, parameters of any broadcast shape, statistics that are used as results, too.
#include <cmath>

#include "nn_ops/arrays.h"

namespace backplane::graph::nn_test {
namespace {

struct Case {
  const char* name;
  Shape x;
  Ints axes;
  Shape scale, shift;
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"layer", {4, 7}, {1}, {7}, {7}},
      {"layer over two axes", {2, 3, 5}, {-2, -1}, {3, 5}, {3, 5}},
      {"batch", {3, 4, 2, 5}, {0, 2, 3}, {4, 1, 1}, {4, 1, 1}},
      {"instance, parameters of different shapes", {2, 3, 4}, {2}, {3, 1}, {1, 1, 4}},
      {"scalar scale", {3, 5}, {0}, {}, {5}},
      {"one element a group", {3, 1}, {1}, {1}, {1}},
  };
  return list;
}

constexpr double kEpsilon = 0.01;

/// Strides that see an array of `from` as one of `to`.
Ints broadcast_strides(const Shape& from, const Shape& to) {
  Ints strides(static_cast<size_t>(to.rank()), 0);
  int64_t step = 1;
  for (int axis = from.rank() - 1; axis >= 0; --axis) {
    if (from[axis] != 1) strides[static_cast<size_t>(axis + to.rank() - from.rank())] = step;
    step *= from[axis];
  }
  return strides;
}

/// Calls use(i, at...) for each flat element i of `shape` with its position in arrays of the given strides.
template <class F>
void for_each_element(const Shape& shape, const std::vector<Ints>& strides, F&& use) {
  for (int64_t i = 0; i < shape.elements(); ++i) {
    int64_t rest = i;
    std::vector<size_t> at(strides.size(), 0);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      const int64_t index = rest % shape[axis];
      rest /= shape[axis];
      for (size_t k = 0; k < strides.size(); ++k)
        at[k] += static_cast<size_t>(index * strides[k][static_cast<size_t>(axis)]);
    }
    use(static_cast<size_t>(i), at);
  }
}

struct Expected {
  Array y, mean, rstd;
};

Expected normalised(const Case& c, const Array& x, const Array& scale, const Array& shift, bool rms) {
  Shape stats = c.x;
  for (int64_t axis : c.axes) stats[static_cast<int>(axis < 0 ? axis + c.x.rank() : axis)] = 1;
  Expected e{Array(c.x), Array(stats), Array(stats)};
  const double count = static_cast<double>(c.x.elements()) / static_cast<double>(stats.elements());
  const std::vector<Ints> strides = {broadcast_strides(stats, c.x), broadcast_strides(scale.shape, c.x),
                                     broadcast_strides(shift.shape, c.x)};
  if (!rms) for_each_element(c.x, strides, [&](size_t i, const auto& at) { e.mean.v[at[0]] += x.v[i] / count; });
  for_each_element(c.x, strides, [&](size_t i, const auto& at) {
    const double d = x.v[i] - e.mean.v[at[0]];
    e.rstd.v[at[0]] += d * d / count;
  });
  for (double& v : e.rstd.v) v = 1 / std::sqrt(v + kEpsilon);
  for_each_element(c.x, strides, [&](size_t i, const auto& at) {
    e.y.v[i] = (x.v[i] - e.mean.v[at[0]]) * e.rstd.v[at[0]] * scale.v[at[1]] + shift.v[at[2]];
  });
  return e;
}

class Normalize : public testing::TestWithParam<std::tuple<size_t, Form>> {
 protected:
  const Case& c = cases()[std::get<0>(GetParam())];
  Form form = std::get<1>(GetParam());
  std::vector<AttrArg> attrs = {{"axes", c.axes}, {"epsilon", kEpsilon}};
  Array x = random_array(c.x, 1, -1, 3), scale = random_array(c.scale, 2), shift = random_array(c.shift, 3);

  void expect_values(DType dtype, double tolerance, DType params) {
    Program program;
    const Sym in[] = {program.input(x, dtype), program.input(scale, params), program.input(shift, params)};
    const Expected layer = normalised(c, x, scale, shift, false), rms = normalised(c, x, scale, Array(Shape{}), true);
    std::vector<Sym> outputs = apply(op::layer_norm, attrs, in);
    for (Sym s : apply(op::rms_norm, attrs, std::span(in, 2))) outputs.push_back(s);
    const std::vector<Array> given = program.run(outputs, form);
    expect_close(given[0], layer.y, tolerance, "layer_norm");
    expect_close(given[1], layer.mean, tolerance, "mean");
    expect_close(given[2], layer.rstd, tolerance, "rstd");
    expect_close(given[3], rms.y, tolerance, "rms_norm");
    expect_close(given[5], rms.rstd, tolerance, "rstd of rms_norm");
  }
};

TEST_P(Normalize, ValuesAndStatistics) {
  expect_values(f64, 1e-13, f64);
  expect_values(f32, 1e-5, f32);
  expect_values(bf16, 0.15, bf16);
  expect_values(f16, 0.02, f32);
}

TEST_P(Normalize, DerivativesAgreeWithDifferences) {
  expect_derivatives(
      [&](Graph&, std::span<const Sym> in) { return std::vector<Sym>{apply(op::layer_norm, attrs, in)[0]}; },
      {x, scale, shift}, form, true, 1e-5);
  expect_derivatives(
      [&](Graph&, std::span<const Sym> in) { return std::vector<Sym>{apply(op::rms_norm, attrs, in)[0]}; }, {x, scale},
      form, true, 1e-5);
}

TEST_P(Normalize, GradientsFlowThroughTheStatistics) {
  expect_derivatives([&](Graph&, std::span<const Sym> in) { return apply(op::layer_norm, attrs, in); },
                     {x, scale, shift}, form, false, 1e-5);
  expect_derivatives(
      [&](Graph&, std::span<const Sym> in) { return std::vector<Sym>{apply(op::layer_norm, attrs, in)[2]}; },
      {x, scale, shift}, form, true, 1e-5);
  expect_derivatives([&](Graph&, std::span<const Sym> in) { return apply(op::rms_norm, attrs, in); }, {x, scale}, form,
                     false, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, Normalize,
                         testing::Combine(testing::Range<size_t>(0, cases().size()), testing::ValuesIn(kForms)));

class NormalizeForms : public testing::TestWithParam<Form> {};

TEST_P(NormalizeForms, LargeMeansDoNotCancelTheVariance) {
  Program program;
  const Array noise = random_array({2, 64}, 4);
  Array x = noise;
  for (double& v : x.v) v = static_cast<double>(static_cast<float>(v + 4096));  // f32 keeps 2^-11 of the noise
  const Sym in[] = {program.input(x, f32), program.input(Array(Shape{}, 1), f32), program.input(Array(Shape{}), f32)};
  const Case c{"", {2, 64}, {1}, {}, {}};
  const Expected e = normalised(c, x, Array(Shape{}, 1), Array(Shape{}), false);
  const std::vector<AttrArg> attrs = {{"axes", Ints{1}}, {"epsilon", kEpsilon}};
  expect_close(program.run1(apply(op::layer_norm, attrs, in)[0], GetParam()), e.y, 2e-3, "layer_norm");
}

TEST_P(NormalizeForms, BatchNormInferenceUsesTheGivenStatistics) {
  const Array x = random_array({2, 3, 4}, 5), scale = random_array({3}, 6), shift = random_array({3}, 7),
              mean = random_array({3}, 8), variance = random_array({3}, 9, 0.5, 2);
  Array y(x.shape);
  for (size_t i = 0; i < x.v.size(); ++i) {
    const size_t ch = i / 4 % 3;
    y.v[i] = (x.v[i] - mean.v[ch]) / std::sqrt(variance.v[ch] + 1e-5) * scale.v[ch] + shift.v[ch];
  }
  Program program;
  const Sym in[] = {program.input(x), program.input(scale), program.input(shift), program.input(mean),
                    program.input(variance)};
  expect_close(program.run1(apply(op::batch_norm_inference, {}, in)[0], GetParam()), y, 1e-14, "batch_norm_inference");
  expect_derivatives([](Graph&, std::span<const Sym> s) { return apply(op::batch_norm_inference, {}, s); },
                     {x, scale, shift, mean, variance}, GetParam());
}

INSTANTIATE_TEST_SUITE_P(All, NormalizeForms, testing::ValuesIn(kForms));

}  // namespace
}  // namespace backplane::graph::nn_test
