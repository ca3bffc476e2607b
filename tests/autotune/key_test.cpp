// SPDX-License-Identifier: Apache-2.0
// What a measurement belongs to: equal problems have equal keys, different ones do not, and a key can be read.
#include "backplane/autotune/key.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <set>

#include "backplane/autotune/policy.h"
#include "backplane/autotune/recorder.h"
#include "backplane/host/error.h"

namespace backplane::autotune {
namespace {

using ::testing::HasSubstr;
using host::KernelOp;

bp_tensor_desc dense(std::initializer_list<int64_t> shape, uint32_t dtype = BP_F32) {
  bp_tensor_desc desc{};
  desc.dtype = dtype;
  for (const int64_t extent : shape) desc.shape[desc.rank++] = extent;
  int64_t step = 1;
  for (uint32_t axis = desc.rank; axis-- > 0;) desc.strides[axis] = step, step *= desc.shape[axis];
  return desc;
}

KernelOp matmul(int64_t m, int64_t n, int64_t k) {
  KernelOp op;
  op.code = BP_OP_MATMUL;
  op.name = "matmul";
  op.inputs = {dense({m, k}), dense({k, n})};
  op.outputs = {dense({m, n})};
  return op;
}

KernelOp convolution() {
  KernelOp op;
  op.code = BP_OP_CONVOLUTION;
  op.name = "conv2d";
  bp_convolution_attrs attrs{};
  attrs.size = sizeof attrs, attrs.spatial_rank = 2, attrs.groups = 1;
  for (int i = 0; i < 2; ++i) attrs.stride[i] = attrs.dilation[i] = attrs.pad_low[i] = attrs.pad_high[i] = 1;
  op.set_attrs(attrs);
  op.inputs = {dense({8, 3, 32, 32}), dense({16, 3, 3, 3})};
  op.outputs = {dense({8, 16, 32, 32})};
  op.instrs = {{BP_S_CONST, BP_F32, 0, 0, 0, {}, {}}, {BP_S_MAX, BP_F32, 0, 1, 0, {}, {}}};
  op.instrs[0].imm.f = std::numeric_limits<double>::quiet_NaN();
  op.program_inputs = 1;
  op.program_outputs = {2};
  return op;
}

KernelOp softmax(uint32_t axis) {
  KernelOp op;
  op.code = BP_OP_SOFTMAX;
  const bp_axis_attrs attrs{sizeof(bp_axis_attrs), axis};
  op.set_attrs(attrs);
  op.inputs = op.outputs = {dense({64, 1000})};
  return op;
}

Key key_of(const KernelOp& op) {
  return op.with_op([](const bp_op& raw) { return Key::of(raw); });
}

TEST(Key, CanBeRead) {
  const Key key = key_of(matmul(64, 256, 784));
  EXPECT_EQ(key.problem, "matmul f32[2],f32[2]->f32[2]");
  EXPECT_EQ(key.shapes, "64x784,784x256->64x256");
  EXPECT_EQ(key.policy, "strict");
  EXPECT_EQ(key.operation(), "matmul");
  EXPECT_EQ(key.extents, (std::vector<int64_t>{64, 784, 784, 256, 64, 256}));
  EXPECT_EQ(parse_extents(key.shapes), key.extents);
  EXPECT_EQ(key_of(softmax(1)).problem, "softmax{axis=1} f32[2]->f32[2]");
  EXPECT_THAT(key_of(convolution()).problem, HasSubstr("stride=1,1,0"));
  EXPECT_EQ(key_of(convolution()).operation(), "convolution");
}

TEST(Key, NamesAndPointersAreNoPartOfIt) {
  KernelOp a = matmul(3, 4, 5), b = matmul(3, 4, 5);
  b.name = "another word for it";
  EXPECT_EQ(key_of(a), key_of(b));
  EXPECT_EQ(a.signature(), b.signature());
}

TEST(Key, WhateverChangesTheProblemChangesIt) {
  const auto text = [](const KernelOp& op) { return key_of(op).text(); };
  std::set<std::string> texts = {text(matmul(3, 4, 5)), text(matmul(4, 3, 5)), text(softmax(0)), text(softmax(1))};
  EXPECT_EQ(texts.size(), 4u);
  const auto expect_new = [&](const KernelOp& op, const char* what) {
    EXPECT_TRUE(texts.insert(text(op)).second) << what << ": " << text(op);
  };
  KernelOp op = matmul(3, 4, 5);
  op.inputs[0].strides[0] = 1, op.inputs[0].strides[1] = 3;
  expect_new(op, "a transposed operand");
  op = matmul(3, 4, 5), op.inputs[1].dtype = BP_BF16;
  expect_new(op, "a dtype");
  op = matmul(3, 4, 5), op.math_mode = BP_MATH_FAST;
  expect_new(op, "the math mode");
  op = matmul(3, 4, 5), op.deterministic = 1;
  expect_new(op, "determinism");
  op = matmul(3, 4, 5), op.max_workspace = 1 << 20;
  expect_new(op, "a workspace cap");
  op = matmul(3, 4, 5), op.program_inputs = 1, op.program_outputs = {1},
  op.instrs = {{BP_S_EXP, BP_F32, 0, 0, 0, {}, {}}};
  expect_new(op, "an epilogue");
  op.instrs[0].code = BP_S_TANH;
  expect_new(op, "another epilogue");
}

TEST(Key, LayoutClassesAreNotExactStrides) {
  EXPECT_EQ(layout_class(dense({4, 5})), "");
  EXPECT_EQ(layout_class(dense({})), "");
  bp_tensor_desc desc = dense({4, 5});
  desc.strides[0] = 1, desc.strides[1] = 4;
  EXPECT_EQ(layout_class(desc), "t10");
  desc.strides[1] = 0;
  EXPECT_EQ(layout_class(desc), "b2");
  desc = dense({4, 5}), desc.strides[0] = 8;
  EXPECT_EQ(layout_class(desc), "g");
  desc.strides[0] = 16;
  EXPECT_EQ(layout_class(desc), "g") << "gaps of any size are one class";
  desc = dense({4, 5}), desc.strides[1] = -1;
  EXPECT_EQ(layout_class(desc), "n");
  desc = dense({4, 1}), desc.strides[1] = 77;
  EXPECT_EQ(layout_class(desc), "") << "the stride of an axis of one element means nothing";
}

TEST(Key, DistanceIsOfRatios) {
  EXPECT_EQ(distance({64, 64}, {64, 64}), 0);
  EXPECT_DOUBLE_EQ(distance({64, 64}, {128, 64}), 1);
  EXPECT_LT(distance({1000, 64}, {1100, 64}), distance({64, 64}, {80, 64}));
  EXPECT_TRUE(std::isinf(distance({64, 1}, {64, 2}))) << "a vector is no matrix";
  EXPECT_TRUE(std::isinf(distance({64}, {64, 64})));
}

TEST(Policy, ForbidsByNotesBeforeAnythingIsTimed) {
  const struct {
    uint32_t notes, determinism;
    uint64_t workspace;
    uint32_t math_mode, deterministic;
    uint64_t max_workspace;
    const char* why;  // nullptr: allowed
  } cases[] = {
      {0, BP_DETERMINISM_RUN, 0, BP_MATH_STRICT, 1, 0, nullptr},
      {BP_NOTE_WINOGRAD | BP_NOTE_TENSOR_CORE, BP_DETERMINISM_RUN, 0, BP_MATH_STRICT, 0, UINT64_MAX, nullptr},
      {BP_NOTE_TF32, BP_DETERMINISM_RUN, 0, BP_MATH_STRICT, 0, UINT64_MAX, "TF32"},
      {BP_NOTE_TF32, BP_DETERMINISM_RUN, 0, BP_MATH_TF32, 0, UINT64_MAX, nullptr},
      {BP_NOTE_REDUCED_INPUTS, BP_DETERMINISM_RUN, 0, BP_MATH_TF32, 0, UINT64_MAX, "16 bits"},
      {BP_NOTE_REDUCED_INPUTS, BP_DETERMINISM_RUN, 0, BP_MATH_FAST, 0, UINT64_MAX, nullptr},
      {BP_NOTE_REDUCED_ACCUMULATION, BP_DETERMINISM_RUN, 0, BP_MATH_FAST, 0, UINT64_MAX, "accumulates"},
      {BP_NOTE_ATOMICS, BP_DETERMINISM_NONE, 0, BP_MATH_FAST, 0, UINT64_MAX, nullptr},
      {0, BP_DETERMINISM_NONE, 0, BP_MATH_FAST, 1, UINT64_MAX, "same bits"},
      {BP_NOTE_ATOMICS, BP_DETERMINISM_RUN, 0, BP_MATH_STRICT, 1, UINT64_MAX, "timing"},
      {0, BP_DETERMINISM_RUN, 4097, BP_MATH_STRICT, 0, 4096, "4097"},
      {0, BP_DETERMINISM_RUN, 4096, BP_MATH_STRICT, 0, 4096, nullptr},
  };
  for (const auto& c : cases) {
    KernelOp op = matmul(3, 4, 5);
    op.math_mode = c.math_mode, op.deterministic = c.deterministic, op.max_workspace = c.max_workspace;
    const host::Variant variant{"v", 0, c.notes, c.determinism, c.workspace, 0};
    const std::string why = op.with_op([&](const bp_op& raw) { return forbidden(raw, variant); });
    if (c.why == nullptr) {
      EXPECT_EQ(why, "");
    } else {
      EXPECT_THAT(why, HasSubstr(c.why));
    }
  }
}

TEST(Policy, ComesFromTheEnvironment) {
  EXPECT_TRUE(Policy::from_environment().is_default());
  ::setenv("BACKPLANE_MATH", "tf32", 1);
  ::setenv("BACKPLANE_DETERMINISTIC", "1", 1);
  ::setenv("BACKPLANE_MAX_WORKSPACE_MB", "3", 1);
  const Policy policy = Policy::from_environment();
  EXPECT_EQ(key_of(policy.rule(matmul(1, 2, 3))).policy, "tf32 deterministic workspace<=3145728");
  for (const auto& [name, value] : {std::pair{"BACKPLANE_MATH", "loose"}, {"BACKPLANE_DETERMINISTIC", "yes"},
                                    {"BACKPLANE_MAX_WORKSPACE_MB", "many"}}) {
    ::setenv(name, value, 1);
    EXPECT_THROW(Policy::from_environment(), host::Error) << name;
    ::unsetenv(name);
  }
}

TEST(OpJson, GivesTheSameOperationBack) {
  KernelOp ruled = matmul(7, 8, 9);
  ruled.math_mode = BP_MATH_TF32, ruled.deterministic = 1, ruled.max_workspace = 12345;
  ruled.inputs[0].strides[0] = -9;
  for (const KernelOp& op : {matmul(3, 4, 5), convolution(), softmax(1), ruled}) {
    const KernelOp back = op_from_json(op_to_json(op));
    EXPECT_EQ(back.signature(), op.signature()) << op_to_json(op);
    EXPECT_EQ(key_of(back), key_of(op));
  }
}

TEST(OpJson, RefusesWhatWouldNotReachADeviceWhole) {
  const std::string good = op_to_json(convolution());
  const auto with = [&](const std::string& part, const std::string& instead) {
    std::string text = good;
    const size_t at = text.find(part);
    EXPECT_NE(at, std::string::npos) << part;
    return text.replace(at, part.size(), instead);
  };
  for (const std::string& text :
       {std::string("{"), std::string("[]"), std::string("{\"op\":\"fly\"}"), with("\"f32\"", "\"f31\""),
        with("[8,3,32,32]", "[8,3,32]"), with("[8,3,32,32]", "[8,-3,32,32]"),
        with("[8,3,32,32]", "[8,3,32,9000000000000000000]"), with("\"groups\":1,", ""),
        with("\"stride\":[1,1,0]", "\"stride\":[1,1]"), with("\"outputs\":[2]", "\"outputs\":[3]"),
        with("\"outputs\":[2]", "\"outputs\":[]"), with("[38,1,0,1,0", "[38,1,0,7,0")}) {
    EXPECT_THROW(op_from_json(text), host::Error) << text;
  }
}

}  // namespace
}  // namespace backplane::autotune
