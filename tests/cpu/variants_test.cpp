// SPDX-License-Identifier: Apache-2.0
// The lists of variants: oneDNN's implementations beside our own, names that are unique and stay the same, limits that
// choose among them and change nothing else.
#include <set>

#include "cards/compare.h"

namespace card_test {
namespace {

/// One operation of each family that keeps a choice of implementations; the attributes live as long as the program.
std::vector<Case> one_of_each() {
  static const bp_axis_attrs axis{sizeof(axis), 1};
  static const bp_normalize_attrs normalize{sizeof(normalize), BP_NORMALIZE_MEAN_VARIANCE, 2, 0, 1e-5};
  static const bp_reduce_attrs rows{sizeof(rows), BP_REDUCE_SUM, 1, 0};
  static bp_pool_attrs pools[2];
  static bp_convolution_attrs convolution;
  convolution.size = sizeof(convolution), convolution.spatial_rank = 2, convolution.groups = 1;
  for (int i = 0; i < 2; ++i) {
    convolution.stride[i] = convolution.dilation[i] = convolution.pad_low[i] = convolution.pad_high[i] = 1;
  }
  std::vector<Case> cases;
  const auto add = [&](const char* name, uint32_t code, const void* attrs, std::vector<bp_tensor_desc> in,
                       std::vector<bp_tensor_desc> out) {
    Case c;
    c.name = name, c.code = code, c.attrs = attrs, c.in = std::move(in), c.out = std::move(out);
    c.bound.floor = 300, c.bound.terms = 300, c.bound.weight = 16;
    cases.push_back(c);
  };
  const bp_tensor_desc x = lay_out(BP_F32, {300, 257}), image = lay_out(BP_F32, {4, 32, 20, 20});
  const bp_tensor_desc half = lay_out(BP_F32, {4, 32, 10, 10}), turned = lay_out(BP_F16, {300, 257}, Lay::permuted);
  bp_tensor_desc row = x;
  row.strides[0] = 0;
  for (bp_pool_attrs& a : pools) {
    a = {};
    a.size = sizeof(a), a.kind = &a == pools ? BP_POOL_MAX : BP_POOL_AVERAGE, a.spatial_rank = 2;
    for (int i = 0; i < 2; ++i) a.window[i] = a.stride[i] = 2, a.dilation[i] = 1;
  }
  add("matmul", BP_OP_MATMUL, nullptr, {lay_out(BP_F32, {211, 123}), lay_out(BP_F32, {123, 77})},
      {lay_out(BP_F32, {211, 77})});
  add("vector by matrix", BP_OP_MATMUL, nullptr, {lay_out(BP_F32, {1, 300}), lay_out(BP_F32, {300, 500})},
      {lay_out(BP_F32, {1, 500})});
  add("convolution", BP_OP_CONVOLUTION, &convolution,
      {lay_out(BP_F32, {4, 16, 17, 19}), lay_out(BP_F32, {32, 16, 3, 3})}, {lay_out(BP_F32, {4, 32, 17, 19})});
  add("softmax", BP_OP_SOFTMAX, &axis, {x}, {x});
  add("softmax gradient", BP_OP_SOFTMAX_GRAD, &axis, {x, x}, {x});
  add("log softmax", BP_OP_LOG_SOFTMAX, &axis, {x}, {x});
  add("log softmax gradient", BP_OP_LOG_SOFTMAX_GRAD, &axis, {x, x}, {x});
  add("maximum pool", BP_OP_POOL, &pools[0], {image}, {half});
  add("average pool", BP_OP_POOL, &pools[1], {image}, {half});
  add("average pool gradient", BP_OP_POOL_GRAD, &pools[1], {image, half, half}, {image});
  add("layer norm", BP_OP_NORMALIZE, &normalize, {x, row, row}, {x});
  add("softmax of halves", BP_OP_SOFTMAX, &axis, {turned}, {turned});  // from here on: no implementation of oneDNN
  add("columns", BP_OP_REDUCE, &rows, {x}, {lay_out(BP_F32, {1, 257})});
  add("gather", BP_OP_GATHER, nullptr, {lay_out(BP_F32, {3, 40, 5}), lay_out(BP_I32, {7}, Lay::stepped)},
      {lay_out(BP_F32, {3, 7, 5})});
  return cases;
}

TEST(CpuVariants, OneDnnStandsBesideOurOwn) {
  bp_device_info info{};
  info.size = sizeof(info);
  uint32_t count = 0;
  bp_error error = make_error();
  ASSERT_EQ(card_under_test().api->devices(card_under_test().plugin, &info, sizeof(info), 1, &count, &error), BP_OK) << error.message;
  const bool onednn = std::string(info.driver).find("oneDNN") == 0;
  for (const Case& c : one_of_each()) {
    if (c.name == "softmax of halves") break;
    bp_program program;
    int own = 0, theirs = 0;
    for (const bp_variant& v : card_under_test().variants(make_op(c, program))) {
      const std::string name = v.name;
      ++(name.find("onednn") == 0 || name.find("sgemm") == 0 ? theirs : own);
      const bool last = name.find("ref") == std::string::npos || v.prior > 100;
      EXPECT_TRUE(last) << c.name << " " << name << " has prior " << v.prior;
    }
    EXPECT_GE(own, 1) << c.name;
    EXPECT_GE(theirs, onednn ? 2 : 0) << c.name;
    EXPECT_LE(theirs, onednn ? 100 : 0) << c.name;
  }
}

TEST(CpuVariants, LimitsChooseAmongTheVariantsAndChangeNothingElse) {
  for (Case c : one_of_each()) {
    bp_program program;
    const std::vector<bp_variant> all = card_under_test().variants(make_op(c, program));
    std::set<uint64_t> sizes;
    for (const bp_variant& v : all) sizes.insert(v.workspace);
    for (uint64_t limit : sizes) {
      c.max_workspace = limit;
      std::set<std::string> expected, listed;
      for (const bp_variant& v : all) {
        if (v.workspace <= limit) expected.insert(v.name);
      }
      for (const bp_variant& v : card_under_test().variants(make_op(c, program))) {
        listed.insert(v.name);
        EXPECT_GE(v.prior, 1) << c.name << " " << v.name << " under " << limit;
      }
      EXPECT_EQ(listed, expected) << c.name << " under " << limit;
    }
  }
}

TEST(CpuVariants, NoVariantGivesUpPrecisionThatWasNotOffered) {
  // The card computes f32 in f32 whatever is allowed: the lists are the same, and no note says otherwise.
  constexpr uint32_t kLessPrecise =
      BP_NOTE_TF32 | BP_NOTE_REDUCED_INPUTS | BP_NOTE_REDUCED_ACCUMULATION | BP_NOTE_FAST_MATH;
  for (const Case& c : one_of_each()) {
    bp_program program;
    bp_op op = make_op(c, program);
    std::set<std::string> names[3];
    for (uint32_t mode : {BP_MATH_STRICT, BP_MATH_TF32, BP_MATH_FAST}) {
      op.math_mode = mode;
      for (const bp_variant& v : card_under_test().variants(op)) {
        names[mode].insert(v.name);
        EXPECT_EQ(v.numeric_notes & kLessPrecise, 0u) << c.name << " " << v.name;
      }
    }
    EXPECT_EQ(names[0], names[1]) << c.name;
    EXPECT_EQ(names[0], names[2]) << c.name;
  }
}

TEST(CpuVariants, NamesAreUniqueAndStable) {
  for (const Case& c : one_of_each()) {
    bp_program program;
    const bp_op op = make_op(c, program);
    std::set<std::string> names;
    for (const bp_variant& v : card_under_test().variants(op)) EXPECT_TRUE(names.insert(v.name).second) << v.name;
    std::set<std::string> again;
    for (const bp_variant& v : card_under_test().variants(op)) again.insert(v.name);
    EXPECT_EQ(names, again);
  }
}

TEST(CpuVariants, WorkspaceLimitsAreKept) {
  for (Case c : one_of_each()) {
    bp_program program;
    uint64_t least = UINT64_MAX;
    for (const bp_variant& v : card_under_test().variants(make_op(c, program))) least = std::min(least, v.workspace);
    c.max_workspace = least;
    compare(c);
    if (least == 0) continue;
    c.max_workspace = least - 1;
    const bp_support support = card_under_test().query(make_op(c, program));
    EXPECT_EQ(support.verdict, uint32_t{BP_SUPPORT_NO});
    EXPECT_NE(std::string(support.reason).find("workspace"), std::string::npos) << support.reason;
  }
}

}  // namespace
}  // namespace card_test
