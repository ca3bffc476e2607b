// SPDX-License-Identifier: Apache-2.0
// The three convolutions against loops over every index, in 1 to 3 dimensions.
#include "nn_ops/arrays.h"

namespace backplane::graph::nn_test {
namespace {

struct Geometry {
  const char* name;
  Shape x, w;
  Ints stride, dilation, low, high;
  int64_t groups = 1;
};

const std::vector<Geometry>& geometries() {
  static const std::vector<Geometry> list = {
      {"plain", {2, 3, 6, 5}, {4, 3, 3, 2}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
      {"same padding", {1, 2, 5, 5}, {3, 2, 3, 3}, {1, 1}, {1, 1}, {1, 1}, {1, 1}},
      {"one dimension, strided, grouped", {2, 4, 9}, {6, 2, 3}, {2}, {1}, {1}, {0}, 2},
      {"depthwise", {1, 3, 4, 6}, {6, 1, 2, 3}, {1, 2}, {1, 1}, {0, 1}, {1, 0}, 3},
      {"dilated, strided, uneven padding", {2, 2, 7, 8}, {3, 2, 3, 3}, {2, 3}, {2, 1}, {1, 2}, {2, 0}},
      {"stride skips the end", {1, 1, 8, 6}, {2, 1, 3, 1}, {3, 4}, {1, 1}, {0, 0}, {0, 0}},
      {"cropped by negative padding", {1, 2, 6, 6}, {2, 2, 3, 3}, {1, 1}, {1, 1}, {-1, 1}, {0, -2}},
      {"cropped and strided", {1, 2, 8, 7}, {2, 2, 2, 3}, {2, 2}, {1, 1}, {-2, 1}, {1, -1}},
      {"three dimensions", {2, 2, 3, 4, 5}, {2, 1, 2, 2, 3}, {1, 2, 1}, {1, 1, 2}, {1, 0, 1}, {0, 1, 1}, 2},
      {"pointwise", {2, 5, 3, 3}, {4, 5, 1, 1}, {1, 1}, {1, 1}, {0, 0}, {0, 0}},
      {"everything one", {1, 1, 1}, {1, 1, 1}, {1}, {1}, {0}, {0}},
      {"mostly padding", {1, 1, 2}, {1, 1, 2}, {1}, {1}, {4}, {3}},
  };
  return list;
}

std::vector<AttrArg> attrs_of(const Geometry& g) {
  return {
      {"stride", g.stride}, {"dilation", g.dilation}, {"pad_low", g.low}, {"pad_high", g.high}, {"groups", g.groups}};
}

Shape y_shape(const Geometry& g) {
  Shape y{g.x[0], g.w[0]};
  for (size_t i = 0; i < g.stride.size(); ++i) {
    const int axis = static_cast<int>(i) + 2;
    const int64_t reach = g.dilation[i] * (g.w[axis] - 1) + 1;
    y.push_back((g.x[axis] + g.low[i] + g.high[i] - reach) / g.stride[i] + 1);
  }
  return y;
}

/// Calls use(i, j, k) with flat positions in x, w and y for every product of the convolution: the definition itself.
template <class F>
void for_each_product(const Geometry& g, F&& use) {
  const Shape y = y_shape(g);
  const auto extent = [](const Shape& s, int axis) { return axis < s.rank() ? s[axis] : 1; };
  const auto of = [](const Ints& list, size_t i, int64_t otherwise) { return i < list.size() ? list[i] : otherwise; };
  const int64_t channels = g.w[1], filters = g.w[0] / g.groups;
  int64_t p[3], k[3];
  for (int64_t n = 0; n < y[0]; ++n) {
    for (int64_t o = 0; o < y[1]; ++o) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t x_channel = o / filters * channels + c;
        for (p[0] = 0; p[0] < extent(y, 2); ++p[0])
          for (p[1] = 0; p[1] < extent(y, 3); ++p[1])
            for (p[2] = 0; p[2] < extent(y, 4); ++p[2])
              for (k[0] = 0; k[0] < extent(g.w, 2); ++k[0])
                for (k[1] = 0; k[1] < extent(g.w, 3); ++k[1])
                  for (k[2] = 0; k[2] < extent(g.w, 4); ++k[2]) {
                    int64_t i = n * g.x[1] + x_channel, j = o * channels + c, l = n * y[1] + o;
                    bool inside = true;
                    for (size_t a = 0; a < 3; ++a) {
                      const int axis = static_cast<int>(a) + 2;
                      const int64_t at = p[a] * of(g.stride, a, 1) + k[a] * of(g.dilation, a, 1) - of(g.low, a, 0);
                      // Negative padding at the end hides elements, which then are beyond the last placement's reach.
                      inside = inside && at >= 0 && at < extent(g.x, axis);
                      i = i * extent(g.x, axis) + at;
                      j = j * extent(g.w, axis) + k[a];
                      l = l * extent(y, axis) + p[a];
                    }
                    if (inside) use(static_cast<size_t>(i), static_cast<size_t>(j), static_cast<size_t>(l));
                  }
      }
    }
  }
}

std::vector<AttrArg> with_shape(std::vector<AttrArg> attrs, const Shape& operand) {
  attrs.push_back({"shape", Ints(operand.begin() + 2, operand.end())});
  return attrs;
}

class Convolution : public testing::TestWithParam<std::tuple<size_t, Form>> {
 protected:
  const Geometry& g = geometries()[std::get<0>(GetParam())];
  Form form = std::get<1>(GetParam());
  Array x = random_array(g.x, 1), w = random_array(g.w, 2), dy = random_array(y_shape(g), 3);

  Array run(const OpDef& op, const std::vector<AttrArg>& attrs, const Array& a, const Array& b, DType dtype = f64) {
    Program program;
    const Sym in[] = {program.input(a, dtype), program.input(b, dtype)};
    return program.run1(apply(op, attrs, in).front(), form);
  }
};

TEST_P(Convolution, ForwardIsTheSumOverWindows) {
  Array y(y_shape(g));
  for_each_product(g, [&](size_t i, size_t j, size_t l) { y.v[l] += x.v[i] * w.v[j]; });
  expect_close(run(op::convolution, attrs_of(g), x, w), y, 1e-13, g.name);
  expect_close(run(op::convolution, attrs_of(g), x, w, f32), y, 1e-5, g.name);
  expect_close(run(op::convolution, attrs_of(g), x, w, bf16), y, 0.1, g.name);
}

TEST_P(Convolution, GradientToDataIsItsAdjointInX) {
  Array dx(g.x);
  for_each_product(g, [&](size_t i, size_t j, size_t l) { dx.v[i] += dy.v[l] * w.v[j]; });
  expect_close(run(op::convolution_grad_data, with_shape(attrs_of(g), g.x), dy, w), dx, 1e-13, g.name);
}

TEST_P(Convolution, GradientToFilterIsItsAdjointInW) {
  Array dw(g.w);
  for_each_product(g, [&](size_t i, size_t j, size_t l) { dw.v[j] += x.v[i] * dy.v[l]; });
  expect_close(run(op::convolution_grad_filter, with_shape(attrs_of(g), g.w), x, dy), dw, 1e-13, g.name);
}

TEST_P(Convolution, FirstAndSecondDerivativesAgreeWithDifferences) {
  const std::vector<AttrArg> attrs = attrs_of(g);
  const auto square = [](Sym s) { return s * s; };  // so that the second derivative is not zero
  expect_derivatives(
      [&](Graph&, std::span<const Sym> in) { return std::vector<Sym>{square(apply(op::convolution, attrs, in)[0])}; },
      {x, w}, form);
  const std::vector<AttrArg> data = with_shape(attrs, g.x), filter = with_shape(attrs, g.w);
  expect_derivatives([&](Graph&, std::span<const Sym> in) { return apply(op::convolution_grad_data, data, in); },
                     {dy, w}, form);
  expect_derivatives([&](Graph&, std::span<const Sym> in) { return apply(op::convolution_grad_filter, filter, in); },
                     {x, dy}, form);
}

INSTANTIATE_TEST_SUITE_P(All, Convolution,
                         testing::Combine(testing::Range<size_t>(0, geometries().size()), testing::ValuesIn(kForms)));

TEST(TransposedConvolution, HasTheSmallestExtentsThatGiveDyUnlessToldOtherwise) {
  Program program;
  const Sym in[] = {program.input(random_array({1, 2, 4, 4}, 1)), program.input(random_array({2, 3, 3, 3}, 2))};
  const AttrArg stride{"stride", Ints{2, 2}};
  EXPECT_EQ(apply(op::convolution_grad_data, std::vector{stride}, in)[0].shape().to_string(),
            Shape({1, 3, 9, 9}).to_string());
  const std::vector<AttrArg> larger = {stride, {"shape", Ints{10, 9}}};
  EXPECT_EQ(apply(op::convolution_grad_data, larger, in)[0].shape().to_string(), Shape({1, 3, 10, 9}).to_string());
}

/// What an application of the convolution to these shapes says.
std::string refusal(Shape x, Shape w, std::vector<AttrArg> attrs) {
  Program program;
  const Sym in[] = {program.input(Array(x)), program.input(Array(w))};
  try {
    apply(op::convolution, attrs, in);
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

TEST(ConvolutionErrors, SayWhichExtentDoesNotFit) {
  EXPECT_NE(refusal({1, 3, 8, 8}, {4, 2, 3, 3}, {}).find("x has 3 channels, but the filter wants 2"),
            std::string::npos);
  EXPECT_NE(refusal({1, 3, 2, 8}, {4, 3, 3, 3}, {}).find("spatial axis 0"), std::string::npos);
  EXPECT_NE(refusal({1, 3, 8, 8}, {4, 3, 3, 3}, {{"stride", Ints{0, 1}}}).find("stride"), std::string::npos);
  EXPECT_NE(refusal({1, 3, 8, 8}, {4, 3, 3, 3}, {{"stride", Ints{1}}}).find("1 entries for 2"), std::string::npos);
  EXPECT_NE(refusal({1, 4, 8, 8}, {3, 2, 3, 3}, {{"groups", int64_t{2}}}).find("groups"), std::string::npos);
  EXPECT_NE(refusal({1, 3, 4}, {4, 3, 1}, {{"pad_low", Ints{-5}}, {"pad_high", Ints{9}}}).find("negative padding"),
            std::string::npos);
  EXPECT_EQ(refusal({1, 3, 8, 8}, {4, 3, 3, 3}, {}), "accepted");
}

}  // namespace
}  // namespace backplane::graph::nn_test
