// SPDX-License-Identifier: Apache-2.0
// Pooling against loops over every window, in particular where a maximum occurs twice or nothing but padding is there.
#include <cmath>
#include <limits>

#include "nn_ops/arrays.h"

namespace backplane::graph::nn_test {
namespace {

struct Geometry {
  const char* name;
  Shape x;
  Ints window, stride, dilation, low, high;
};

const std::vector<Geometry>& geometries() {
  static const std::vector<Geometry> list = {
      {"side by side", {2, 3, 6, 4}, {2, 2}, {2, 2}, {1, 1}, {0, 0}, {0, 0}},
      {"overlapping, padded", {1, 2, 7, 5}, {3, 2}, {2, 1}, {1, 1}, {1, 0}, {1, 1}},
      {"dilated", {1, 2, 9}, {3}, {1}, {2}, {2}, {1}},
      {"dilated over a short input: windows of padding only", {1, 1, 1}, {2}, {1}, {3}, {3}, {3}},
      {"three dimensions", {1, 2, 4, 5, 3}, {2, 3, 2}, {1, 2, 1}, {1, 1, 1}, {0, 1, 1}, {1, 0, 0}},
      {"one element", {2, 1, 1}, {1}, {1}, {1}, {0}, {0}},
  };
  return list;
}

std::vector<AttrArg> attrs_of(const Geometry& g, int64_t kind, bool count_padding) {
  return {{"kind", kind},     {"window", g.window}, {"stride", g.stride},     {"dilation", g.dilation},
          {"pad_low", g.low}, {"pad_high", g.high}, {"count_padding", count_padding}};
}

Shape y_shape(const Geometry& g) {
  Shape y{g.x[0], g.x[1]};
  for (size_t i = 0; i < g.window.size(); ++i) {
    const int64_t reach = g.dilation[i] * (g.window[i] - 1) + 1;
    y.push_back((g.x[static_cast<int>(i) + 2] + g.low[i] + g.high[i] - reach) / g.stride[i] + 1);
  }
  return y;
}

/// For each element of y the flat positions in x of its window, in row-major window order, padding left out.
std::vector<std::vector<size_t>> windows_of(const Geometry& g) {
  const Shape y = y_shape(g);
  const int rank = static_cast<int>(g.window.size());
  std::vector<std::vector<size_t>> result(static_cast<size_t>(y.elements()));
  const auto extent = [&](const Shape& s, int a) { return a < rank ? s[a + 2] : 1; };
  const auto of = [&](const Ints& list, int a, int64_t otherwise) {
    return a < rank ? list[static_cast<size_t>(a)] : otherwise;
  };
  for (size_t flat = 0; flat < result.size(); ++flat) {
    int64_t rest = static_cast<int64_t>(flat), p[3];
    for (int a = 2; a >= 0; --a) {
      p[a] = rest % extent(y, a);
      rest /= extent(y, a);
    }
    int64_t k[3];
    for (k[0] = 0; k[0] < of(g.window, 0, 1); ++k[0])
      for (k[1] = 0; k[1] < of(g.window, 1, 1); ++k[1])
        for (k[2] = 0; k[2] < of(g.window, 2, 1); ++k[2]) {
          int64_t at = rest;
          bool inside = true;
          for (int a = 0; a < 3; ++a) {
            const int64_t i = p[a] * of(g.stride, a, 1) + k[a] * of(g.dilation, a, 1) - of(g.low, a, 0);
            inside = inside && i >= 0 && i < extent(g.x, a);
            at = at * extent(g.x, a) + i;
          }
          if (inside) result[flat].push_back(static_cast<size_t>(at));
        }
  }
  return result;
}

double window_elements(const Geometry& g) {
  double count = 1;
  for (int64_t extent : g.window) count *= static_cast<double>(extent);
  return count;
}

class Pool : public testing::TestWithParam<std::tuple<size_t, Form>> {
 protected:
  const Geometry& g = geometries()[std::get<0>(GetParam())];
  Form form = std::get<1>(GetParam());

  /// y of x, and dx of dy through the VJP.
  std::vector<Array> run(const Array& x, const Array& dy, int64_t kind, bool count_padding = false, DType dtype = f64) {
    Program program;
    const Sym in = program.input(x, dtype), seed = program.input(dy, dtype);
    const Sym y = apply(op::pool, attrs_of(g, kind, count_padding), std::span(&in, 1)).front();
    const auto tape = tape_of(program.graph, static_cast<NodeId>(program.graph.size()));
    const Sym dx = gradients(program.graph, tape, std::span(&y, 1), std::span(&in, 1), std::span(&seed, 1)).front();
    const Sym both[] = {y, dx};
    return program.run(both, form);
  }

  void expect_maximum(const Array& x, const Array& dy) {
    Array y(y_shape(g), -std::numeric_limits<double>::infinity()), dx(g.x);
    const auto windows = windows_of(g);
    for (size_t p = 0; p < windows.size(); ++p) {
      int64_t best = -1;
      for (size_t i : windows[p]) {
        const bool larger = best < 0 || x.v[i] > x.v[static_cast<size_t>(best)] || std::isnan(x.v[i]);
        if (larger && !(best >= 0 && std::isnan(x.v[static_cast<size_t>(best)]))) best = static_cast<int64_t>(i);
      }
      if (best < 0) continue;
      y.v[p] = x.v[static_cast<size_t>(best)];
      dx.v[static_cast<size_t>(best)] += dy.v[p];
    }
    const std::vector<Array> given = run(x, dy, BP_POOL_MAX);
    expect_close(given[0], y, 0, g.name);
    expect_close(given[1], dx, 1e-14, g.name);
  }
};

TEST_P(Pool, MaximumAndItsGradient) {
  expect_maximum(random_array(g.x, 1), random_array(y_shape(g), 2));
}

TEST_P(Pool, TiesGoToTheFirstMaximumInWindowOrder) {
  Array x = random_array(g.x, 3, 0, 3);
  for (double& v : x.v) v = std::floor(v);  // few values, so many ties
  expect_maximum(x, random_array(y_shape(g), 4));
  expect_maximum(Array(g.x, 1), random_array(y_shape(g), 5));
}

TEST_P(Pool, NaNWinsAndMinusInfinityIsStillAnElement) {
  Array x = random_array(g.x, 6);
  x.v[x.v.size() / 2] = std::nan("");
  expect_maximum(x, random_array(y_shape(g), 7));
  expect_maximum(Array(g.x, -std::numeric_limits<double>::infinity()), random_array(y_shape(g), 8));
}

TEST_P(Pool, AverageAndItsGradient) {
  const Array x = random_array(g.x, 9), dy = random_array(y_shape(g), 10);
  for (bool count_padding : {false, true}) {
    Array y(y_shape(g)), dx(g.x);
    const auto windows = windows_of(g);
    for (size_t p = 0; p < windows.size(); ++p) {
      const double count =
          count_padding ? window_elements(g) : std::max<double>(1, static_cast<double>(windows[p].size()));
      for (size_t i : windows[p]) {
        y.v[p] += x.v[i] / count;
        dx.v[i] += dy.v[p] / count;
      }
    }
    const std::vector<Array> given = run(x, dy, BP_POOL_AVERAGE, count_padding);
    expect_close(given[0], y, 1e-14, g.name);
    expect_close(given[1], dx, 1e-14, g.name);
    expect_close(run(x, dy, BP_POOL_AVERAGE, count_padding, f16)[0], y, 3e-3, g.name);
  }
}

TEST_P(Pool, DerivativesAgreeWithDifferences) {
  for (int64_t kind : {BP_POOL_MAX, BP_POOL_AVERAGE}) {
    const std::vector<AttrArg> attrs = attrs_of(g, kind, false);
    if (kind == BP_POOL_MAX && g.window[0] == 2 && g.x.elements() == 1) continue;  // -inf has no differences
    expect_derivatives(
        [&](Graph&, std::span<const Sym> in) {
          const Sym y = apply(op::pool, attrs, in).front();
          return std::vector<Sym>{y * y};
        },
        {random_array(g.x, 11)}, form);
  }
}

INSTANTIATE_TEST_SUITE_P(All, Pool,
                         testing::Combine(testing::Range<size_t>(0, geometries().size()), testing::ValuesIn(kForms)));

TEST(PoolErrors, RefusePaddingThatHidesAWindowAndUnknownKinds) {
  Program program;
  const Sym x = program.input(Array({1, 1, 4}));
  const auto refused = [&](std::vector<AttrArg> attrs, const char* part) {
    try {
      apply(op::pool, attrs, std::span(&x, 1));
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      return;
    }
    ADD_FAILURE() << "accepted: " << part;
  };
  refused({{"kind", int64_t{1}}, {"window", Ints{2}}, {"pad_low", Ints{2}}}, "smaller than the window");
  refused({{"kind", int64_t{3}}, {"window", Ints{2}}}, "kind");
  refused({{"kind", int64_t{1}}, {"window", Ints{2, 2}}}, "one extent per spatial axis");
  refused({{"kind", int64_t{1}}, {"window", Ints{5}}}, "reaches over 5 elements");
}

}  // namespace
}  // namespace backplane::graph::nn_test
