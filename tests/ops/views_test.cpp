// SPDX-License-Identifier: Apache-2.0
// Views over buffers that are views already: every element of the result is found where the op's meaning puts it, and
// reshape finds a layout whenever one exists.

#include <gtest/gtest.h>

#include <cstdio>
#include <optional>
#include <random>

#include "backplane/graph/ops.h"
#include "ops/cases.h"
#include "ops/devices.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

/// Where each element lies, in row-major order of the tensor.
std::vector<int64_t> positions(const Shape& shape, const Layout& layout) {
  std::vector<int64_t> out;
  for (int64_t flat = 0; flat < shape.elements(); ++flat) {
    int64_t rest = flat, at = layout.offset;
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      at += rest % shape[axis] * layout.strides[static_cast<size_t>(axis)];
      rest /= shape[axis];
    }
    out.push_back(at);
  }
  return out;
}

/// A layout that a chain of views could have given: permuted, with gaps, backwards, repeated.
Layout random_layout(const Shape& shape, std::mt19937& random) {
  const auto pick = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
  std::vector<int> order;
  for (int i = 0; i < shape.rank(); ++i) order.insert(order.begin() + pick(i + 1), i);
  if (pick(2) == 0) std::sort(order.begin(), order.end());
  Layout layout{100000, {}};
  int64_t stride = 1;
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    if (pick(4) == 0) stride *= 2;
    const int kind = pick(6);
    layout.strides[static_cast<size_t>(*axis)] = kind == 0 ? 0 : kind == 1 ? -stride : stride;
    stride *= std::max<int64_t>(shape[*axis], 1);
  }
  return layout;
}

/// Strides with which `to` reads exactly `at` in row-major order, if there are any. Extents 1 need none.
std::optional<Layout> search(const Shape& to, std::span<const int64_t> at) {
  Layout layout{at.empty() ? 0 : at[0], {}};
  int64_t inner = 1;
  for (int axis = to.rank() - 1; axis >= 0; --axis) {
    if (to[axis] > 1) layout.strides[static_cast<size_t>(axis)] = at[static_cast<size_t>(inner)] - at[0];
    inner *= to[axis];
  }
  const std::vector<int64_t> got = positions(to, layout);
  return std::equal(got.begin(), got.end(), at.begin(), at.end()) ? std::optional(layout) : std::nullopt;
}

Shape random_factors(int64_t elements, std::mt19937& random) {
  std::vector<int64_t> out;
  for (const int64_t p : {2, 2, 2, 3, 3, 5}) {
    if (elements % p != 0) continue;
    elements /= p;
    if (!out.empty() && random() % 2 == 0) {
      out[random() % out.size()] *= p;
    } else {
      out.insert(out.begin() + static_cast<long>(random() % (out.size() + 1)), p);
    }
  }
  if (random() % 3 == 0) out.insert(out.begin() + static_cast<long>(random() % (out.size() + 1)), 1);
  return Shape(out);
}

TEST(Views, ReshapeFindsALayoutExactlyWhenThereIsOne) {
  std::mt19937 random(7);
  int possible = 0, impossible = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    const Shape from = random_factors(72, random), to = random_factors(72, random);
    const Layout layout = random_layout(from, random);
    const std::vector<int64_t> at = positions(from, layout);
    const AttrArg arg{"shape", to.vector()};
    const Attrs attrs("reshape", op::reshape.attrs, std::span(&arg, 1));
    const auto got = op::reshape.view(attrs, {f32, from}, layout, {f32, to});
    const bool exists = search(to, at).has_value();
    ASSERT_EQ(got.has_value(), exists) << from.to_string() << " to " << to.to_string();
    if (exists) {
      ASSERT_EQ(positions(to, *got), at) << from.to_string() << " to " << to.to_string();
    }
    (exists ? possible : impossible) += 1;
  }
  EXPECT_GT(possible, 1000);
  EXPECT_GT(impossible, 1000);
}

/// What a view op reads: run on the oracle over the positions themselves.
TEST(Views, LayoutsReadWhatTheOpMeans) {
  std::mt19937 random(11);
  size_t cases = 0;
  constexpr DType dtypes[] = {f32};
  for (const Case& c : all_cases(dtypes)) {
    if (c.op->view == nullptr) continue;
    for (int trial = 0; trial < 20; ++trial) {
      const Type& in = c.inputs[0].type;
      const Layout layout = random_layout(in.shape, random);
      const auto view = c.op->view(c.attrs, in, layout, c.out[0]);
      if (!view) continue;
      const std::vector<int64_t> at = positions(in.shape, layout);
      CaseGraph g = apply_case(c);
      g.values[0] = from_doubles(in, std::vector<double>(at.begin(), at.end()));
      const std::vector<double> want = to_doubles(Evaluator(*g.graph, oracle())(g.values)[0]);
      const std::vector<int64_t> got = positions(c.out[0].shape, *view);
      ASSERT_EQ(std::vector<double>(got.begin(), got.end()), want) << c.name();
      ++cases;
    }
  }
  std::printf("[ ops      ] views of views: %zu cases\n", cases);
  EXPECT_GT(cases, 0u);
}

}  // namespace
}  // namespace backplane::test
