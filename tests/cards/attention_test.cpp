// SPDX-License-Identifier: Apache-2.0
// Attention and its gradient: causal and masked, shared key heads, NaN behind hidden keys, queries that see nothing.
#include <gtest/gtest.h>

#include <cmath>

#include "cards/compare.h"

namespace card_test {
namespace {

using Shape = std::vector<int64_t>;

/// Optional even for cards that offer the rest: it has a decomposition.
class Attention : public CardTest {
 protected:
  void SetUp() override {
    CardTest::SetUp();
    bp_attention_attrs attrs{};
    attrs.size = sizeof(attrs), attrs.scale = 1;
    Case c;
    c.name = "attention", c.code = BP_OP_ATTENTION, c.attrs = &attrs;
    c.in.assign(3, lay_out(BP_F32, {1, 1, 4, 4})), c.out = {c.in[0]};
    bp_program program;
    const bp_support support = card_under_test().query(make_op(c, program));
    if (support.verdict != BP_SUPPORT_YES) GTEST_SKIP() << support.reason;
  }
};

struct Heads {
  int64_t batch, heads, key_heads, queries, keys, depth, values;
};
enum class Mask { none, number, boolean };

struct Example {
  Heads h;
  bool causal;
  Mask mask;
  uint32_t dtype;
  Lay lay;
  bool nan;  // the hidden keys hold NaN
  bool owed = false;  // by a card with attention
};

constexpr int64_t kHiddenKey = 2, kBlindQuery = 1;  // of every five keys; sees nothing

double element(const Example& e, size_t input, int64_t at) {
  const double base = std::sin(static_cast<double>(at * 7919 % 10007) + static_cast<double>(input));
  const Heads& h = e.h;
  if (input == 3) {
    const int64_t key = at % h.keys, query = at / h.keys % h.queries;
    const bool hidden = key % 5 == kHiddenKey || query == kBlindQuery;
    return e.mask == Mask::boolean ? (hidden ? 0 : 1) : hidden ? -INFINITY : 0.3 * base;
  }
  const int64_t width = input == 1 ? h.depth : h.values;
  return e.nan && input > 0 && at / width % h.keys == kHiddenKey ? NAN : base;
}

void check(const Example& e) {
  const Heads& h = e.h;
  bp_attention_attrs attrs{};
  attrs.size = sizeof(attrs), attrs.causal = e.causal, attrs.scale = 0.37;
  const Shape q{h.batch, h.heads, h.queries, h.depth}, k{h.batch, h.key_heads, h.keys, h.depth},
      v{h.batch, h.key_heads, h.keys, h.values}, o{h.batch, h.heads, h.queries, h.values};
  Case c;
  c.name = "attention " + std::to_string(h.queries) + " x " + std::to_string(h.keys) + (e.causal ? " causal" : "") +
           " mask " + std::to_string(static_cast<int>(e.mask)) + " dtype " + std::to_string(e.dtype);
  c.code = BP_OP_ATTENTION;
  c.attrs = &attrs;
  c.in = {lay_out(e.dtype, q, e.lay), lay_out(e.dtype, k, e.lay), lay_out(e.dtype, v)};
  c.out = {lay_out(e.dtype, o), lay_out(BP_F32, {h.batch, h.heads, h.queries})};
  if (e.mask != Mask::none) {
    bp_tensor_desc mask = lay_out(e.mask == Mask::boolean ? BP_BOOL : BP_F32, {h.batch, h.heads, h.queries, h.keys});
    mask.strides[0] = mask.strides[1] = 0;
    c.in.push_back(mask);
  }
  c.value = [&](size_t input, int64_t at) { return element(e, input, at); };
  c.bound.weight = 64, c.bound.floor = 2, c.bound.terms = static_cast<double>(h.keys + h.depth);
  const auto expect_offer = [&](const Case& asked) {
    bp_program program;
    const bp_support support = card_under_test().query(make_op(asked, program));
    EXPECT_TRUE(support.verdict == BP_SUPPORT_YES || !e.owed) << asked.name << ": " << support.reason;
  };
  expect_offer(c);
  compare(c);
  const std::vector<std::vector<double>> forward = on_reference(c);
  Case g = c;
  g.name += " gradient";
  g.code = BP_OP_ATTENTION_GRAD;
  g.in = {c.out[0], c.in[0], c.in[1], c.in[2], c.out[0], c.out[1]};
  if (e.mask != Mask::none) g.in.push_back(c.in[3]);
  g.out = {lay_out(e.dtype, q), lay_out(e.dtype, k), lay_out(e.dtype, v)};
  g.value = [&](size_t input, int64_t at) {
    if (input == 0) return std::cos(static_cast<double>(at * 31 % 1009));
    if (input == 4 || input == 5) return forward[input - 4][static_cast<size_t>(at)];
    return element(e, input == 6 ? 3 : input - 1, at);
  };
  // Sums over the queries of all heads that share a key.
  g.bound.floor = static_cast<double>(h.queries);
  g.bound.terms = static_cast<double>(h.queries * h.heads);
  expect_offer(g);
  compare(g);
}

TEST_F(Attention, CausalAndMasked) {
  const Heads heads{2, 4, 2, 37, 45, 8, 6};
  check({heads, false, Mask::none, BP_F32, Lay::dense, false});
  check({heads, true, Mask::none, BP_F32, Lay::dense, false});
  check({heads, true, Mask::number, BP_F32, Lay::dense, false});
  check({heads, false, Mask::boolean, BP_F32, Lay::dense, false});
  check({heads, true, Mask::number, BP_F16, Lay::dense, false});
}
TEST_F(Attention, MoreQueriesThanKeys) {
  check({{2, 4, 2, 9, 3, 8, 6}, true, Mask::none, BP_F32, Lay::permuted, false});
  check({{1, 2, 2, 3, 0, 8, 6}, false, Mask::none, BP_F32, Lay::dense, false});
}
// Near the most turns that llvmpipe's loops make, 65,535 in all, for queries and for keys.
TEST_F(Attention, LongSequences) {
  check({{1, 1, 1, 5, 4700, 64, 64}, false, Mask::none, BP_F32, Lay::dense, false, true});
  check({{1, 1, 1, 3600, 3, 64, 64}, false, Mask::none, BP_F32, Lay::dense, false, true});
}
TEST_F(Attention, NanBehindHiddenKeys) {
  for (Mask mask : {Mask::number, Mask::boolean}) {
    check({{1, 4, 2, 20, 7, 8, 6}, false, mask, BP_F32, Lay::dense, true});
  }
}

}  // namespace
}  // namespace card_test
