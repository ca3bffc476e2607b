// SPDX-License-Identifier: Apache-2.0
// Attention against loops: grouped heads, causality, both kinds of masks, queries that see nothing.
#include <cmath>
#include <limits>

#include "nn_ops/arrays.h"

namespace backplane::graph::nn_test {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

enum class Mask { none, additive, boolean };

struct Case {
  const char* name;
  int64_t batch, heads, key_heads, queries, keys, depth, values;
  bool causal = false;
  double scale = 0;
  Mask mask = Mask::none;
  bool blind = false;  ///< some queries see nothing
};

const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"plain", 2, 3, 3, 4, 6, 5, 5},
      {"causal, grouped, own scale", 1, 4, 2, 5, 5, 3, 2, true, 0.7},
      {"one key head for all", 2, 3, 1, 2, 4, 3, 3},
      {"causal with more keys", 1, 2, 2, 3, 5, 4, 4, true},
      {"causal with fewer keys", 1, 2, 1, 5, 3, 4, 4, true, 0, Mask::none, true},
      {"additive mask", 1, 2, 2, 3, 5, 4, 3, false, 0, Mask::additive},
      {"boolean mask, causal, grouped", 2, 4, 2, 4, 4, 3, 3, true, 0, Mask::boolean, true},
      {"everything one", 1, 1, 1, 1, 1, 1, 1},
  };
  return list;
}

struct Forward {
  Array o, lse, p;
};

class Attention : public testing::TestWithParam<std::tuple<size_t, Form>> {
 protected:
  const Case& c = cases()[std::get<0>(GetParam())];
  Form form = std::get<1>(GetParam());
  double scale = c.scale != 0 ? c.scale : 1 / std::sqrt(static_cast<double>(c.depth));
  std::vector<AttrArg> attrs = {{"causal", c.causal}, {"scale", c.scale}};
  Array q = random_array({c.batch, c.heads, c.queries, c.depth}, 1, -2, 2);
  Array k = random_array({c.batch, c.key_heads, c.keys, c.depth}, 2, -2, 2);
  Array v = random_array({c.batch, c.key_heads, c.keys, c.values}, 3);
  Array mask = make_mask();

  Array make_mask() const {
    Array m = random_array({c.batch, c.heads, c.queries, c.keys}, 4, -1, 1);
    if (c.mask == Mask::boolean) {
      for (double& value : m.v) value = value < -0.2 ? 0 : 1;
      for (int64_t j = 0; j < c.keys; ++j) m.at({0, 1, 2, j}) = 0;
    }
    return m;
  }

  /// Calls use(b, h, key_head, i, j) for every score.
  template <class F>
  void for_each_score(F&& use) const {
    for (int64_t b = 0; b < c.batch; ++b)
      for (int64_t h = 0; h < c.heads; ++h)
        for (int64_t i = 0; i < c.queries; ++i)
          for (int64_t j = 0; j < c.keys; ++j) use(b, h, h / (c.heads / c.key_heads), i, j);
  }

  Forward forward() const {
    Forward f{Array({c.batch, c.heads, c.queries, c.values}), Array({c.batch, c.heads, c.queries}),
              Array({c.batch, c.heads, c.queries, c.keys})};
    for_each_score([&](int64_t b, int64_t h, int64_t g, int64_t i, int64_t j) {
      double s = 0;
      for (int64_t d = 0; d < c.depth; ++d) s += scale * q.at({b, h, i, d}) * k.at({b, g, j, d});
      if (c.mask == Mask::additive) s += mask.at({b, h, i, j});
      const bool hidden =
          (c.causal && j > i + c.keys - c.queries) || (c.mask == Mask::boolean && mask.at({b, h, i, j}) == 0);
      f.p.at({b, h, i, j}) = hidden ? 0 : std::exp(s);
      f.lse.at({b, h, i}) += f.p.at({b, h, i, j});
    });
    for_each_score([&](int64_t b, int64_t h, int64_t g, int64_t i, int64_t j) {
      double& p = f.p.at({b, h, i, j});
      if (p != 0) p /= f.lse.at({b, h, i});
      for (int64_t d = 0; d < c.values; ++d) f.o.at({b, h, i, d}) += p * v.at({b, g, j, d});
    });
    for (double& sum : f.lse.v) sum = std::log(sum);  // log(0) = -inf where nothing is seen
    return f;
  }

  std::vector<Sym> operands(Program& program, DType dtype = f64) const {
    std::vector<Sym> in = {program.input(q, dtype), program.input(k, dtype), program.input(v, dtype)};
    const DType wide = is_half(dtype) ? f32 : dtype;
    if (c.mask != Mask::none) in.push_back(program.input(mask, c.mask == Mask::boolean ? boolean : wide));
    return in;
  }
};

TEST_P(Attention, IsTheWeightedMeanOfTheValues) {
  const Forward expected = forward();
  for (const auto& [dtype, tolerance] : {std::pair{f64, 1e-13}, std::pair{f32, 2e-6}, std::pair{bf16, 0.05}}) {
    Program program;
    const std::vector<Array> given = program.run(apply(op::attention, attrs, operands(program, dtype)), form);
    expect_close(given[0], expected.o, tolerance, c.name);
    expect_close(given[1], expected.lse, tolerance, c.name);
  }
}

TEST_P(Attention, GradientsOfQueriesKeysAndValues) {
  const Forward f = forward();
  const Array dy = random_array(f.o.shape, 5);
  Array dq(q.shape), dk(k.shape), dv(v.shape);
  for_each_score([&](int64_t b, int64_t h, int64_t g, int64_t i, int64_t j) {
    const double p = f.p.at({b, h, i, j});
    double ds = 0;
    for (int64_t d = 0; d < c.values; ++d) {
      ds += dy.at({b, h, i, d}) * (v.at({b, g, j, d}) - f.o.at({b, h, i, d}));
      dv.at({b, g, j, d}) += p * dy.at({b, h, i, d});
    }
    for (int64_t d = 0; d < c.depth; ++d) {
      dq.at({b, h, i, d}) += scale * p * ds * k.at({b, g, j, d});
      dk.at({b, g, j, d}) += scale * p * ds * q.at({b, h, i, d});
    }
  });
  Program program;
  const std::vector<Sym> in = operands(program);
  const Sym o = apply(op::attention, attrs, in)[0], seed = program.input(dy);
  const auto tape = tape_of(program.graph, static_cast<NodeId>(program.graph.size()));
  const std::vector<Sym> g =
      gradients(program.graph, tape, std::span(&o, 1), std::span(in.data(), 3), std::span(&seed, 1));
  const std::vector<Array> given = program.run(g, form);
  expect_close(given[0], dq, 1e-12, "dq");
  expect_close(given[1], dk, 1e-12, "dk");
  expect_close(given[2], dv, 1e-12, "dv");
}

TEST_P(Attention, DerivativesAgreeWithDifferences) {
  // lse of a query that sees nothing is -inf, and has no differences.
  const size_t outputs = c.blind ? 1 : 2;
  const auto f = [&](Graph&, std::span<const Sym> in) {
    std::vector<Sym> operands(in.begin(), in.end());
    if (c.mask == Mask::boolean) {
      std::vector<std::byte> bytes;
      for (double value : mask.v) bytes.push_back(std::byte(value != 0));
      operands.push_back(in[0].builder->constant({boolean, mask.shape}, bytes));
    }
    std::vector<Sym> out = apply(op::attention, attrs, operands);
    out.resize(outputs);
    return out;
  };
  std::vector<Array> in = {q, k, v};
  if (c.mask == Mask::additive) in.push_back(mask);
  expect_derivatives(f, in, form, true, 1e-5);
}

INSTANTIATE_TEST_SUITE_P(All, Attention,
                         testing::Combine(testing::Range<size_t>(0, cases().size()), testing::ValuesIn(kForms)));

class AttentionForms : public testing::TestWithParam<Form> {};

TEST_P(AttentionForms, AMaskOfMinusInfinityHidesKeys) {
  Program program;
  const Array q = random_array({1, 1, 2, 3}, 1), k = random_array({1, 1, 2, 3}, 2), v = random_array({1, 1, 2, 2}, 3);
  const Array mask({1, 1, 2, 2}, {0, -kInfinity, -kInfinity, -kInfinity});
  const Sym in[] = {program.input(q), program.input(k), program.input(v), program.input(mask)};
  const std::vector<Sym> y = apply(op::attention, {}, in);
  const Sym ones = full(program.graph, 1, f64, y[0].shape());
  const auto tape = tape_of(program.graph, static_cast<NodeId>(program.graph.size()));
  std::vector<Sym> all = gradients(program.graph, tape, std::span(&y[0], 1), std::span(in, 4), std::span(&ones, 1));
  all.push_back(y[0]);
  const std::vector<Array> given = program.run(all, GetParam());
  expect_close(given[4], Array({1, 1, 2, 2}, {v.v[0], v.v[1], 0, 0}), 1e-14, "o");
  expect_close(given[0], Array({1, 1, 2, 3}), 1e-14, "dq");
  expect_close(given[1], Array({1, 1, 2, 3}), 1e-14, "dk");
  expect_close(given[2], Array({1, 1, 2, 2}, {1, 1, 0, 0}), 1e-14, "dv");
  expect_close(given[3], Array({1, 1, 2, 2}), 1e-14, "dmask");
}

TEST_P(AttentionForms, LargeScoresDoNotOverflow) {
  Program program;
  const Sym in[] = {program.input(Array({1, 1, 1, 1}, 1e4), f32), program.input(Array({1, 1, 2, 1}, {1, -1}), f32),
                    program.input(Array({1, 1, 2, 1}, {3, 5}), f32)};
  const std::vector<Array> given = program.run(apply(op::attention, {}, in), GetParam());
  expect_close(given[0], Array({1, 1, 1, 1}, 3), 0, "o");
  expect_close(given[1], Array({1, 1, 1}, 1e4), 0, "lse");
}

INSTANTIATE_TEST_SUITE_P(All, AttentionForms, testing::ValuesIn(kForms));

TEST(AttentionErrors, NameTheOperandThatDoesNotFit) {
  Program program;
  const auto tensor = [&](Shape s) { return program.input(Array(s)); };
  const auto refused = [&](std::vector<Sym> in, const char* part) {
    try {
      apply(op::attention, {}, in);
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
      return;
    }
    ADD_FAILURE() << "accepted: " << part;
  };
  refused({tensor({1, 3, 2, 4}), tensor({1, 2, 2, 4}), tensor({1, 2, 2, 4})}, "multiple");
  refused({tensor({1, 2, 2, 4}), tensor({1, 2, 2, 3}), tensor({1, 2, 2, 4})}, "depth");
  refused({tensor({1, 2, 2, 4}), tensor({1, 2, 2, 4}), tensor({1, 2, 3, 4})}, "heads or length");
  refused({tensor({1, 2, 2, 4}), tensor({1, 2, 2, 4}), tensor({1, 2, 2, 4}), tensor({2, 2})}, "expand()");
  refused({tensor({2, 4}), tensor({2, 4}), tensor({2, 4})}, "[batch, heads, length, depth]");
}

}  // namespace
}  // namespace backplane::graph::nn_test
