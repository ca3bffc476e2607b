// SPDX-License-Identifier: Apache-2.0
// Malformed programs and operations are refused with a reason, well-formed ones are not.
#include <gmock/gmock.h>

#include "backplane/sdk/sdk.hpp"
#include "backplane/sdk/walk.h"
#include "sdk/card.hpp"

namespace backplane::testing {
namespace {

using ::testing::HasSubstr;

/// What validation says of a program with two f32 inputs and one output of `output_dtype`.
std::string judge(Program& p, const std::vector<uint16_t>& outputs, uint32_t output_dtype = BP_F32) {
  const uint32_t inputs[2] = {BP_F32, BP_F32};
  return sdk::validate_program(*p.done(outputs), inputs, 2, &output_dtype, 1);
}

TEST(ValidateProgram, AcceptsAndRefuses) {
  {
    Program p(2);
    const uint16_t less = p.add(BP_S_LT, BP_BOOL, 0, 1), pick = p.add(BP_S_SELECT, BP_F32, less, 0, 1);
    EXPECT_EQ(judge(p, {pick}), "");
    EXPECT_EQ(judge(p, {1}), "") << "an output may name an input";
    EXPECT_THAT(judge(p, {less}), HasSubstr("bool"));
    EXPECT_THAT(judge(p, {9}), HasSubstr("does not exist"));
    EXPECT_THAT(judge(p, {}), HasSubstr("1 to 8 outputs"));
    EXPECT_THAT(judge(p, {pick, pick}), HasSubstr("not as many"));
  }
  struct Row {
    uint16_t code;
    uint32_t dtype;
    int a, b, c;
    const char* reason;
  };
  const Row rows[] = {
      {0, BP_F32, 0, 1, 0, "unknown opcode"},
      {18, BP_F32, 0, 1, 0, "unknown opcode"},
      {999, BP_F32, 0, 1, 0, "unknown opcode"},
      {BP_S_ADD, 0, 0, 1, 0, "unknown dtype"},
      {BP_S_ADD, 10, 0, 1, 0, "unknown dtype"},
      {BP_S_ADD, BP_F32, 0, 2, 0, "not defined yet"},
      {BP_S_NEG, BP_F32, 60000, 0, 0, "not defined yet"},
      {BP_S_ADD, BP_F64, 0, 1, 0, "wrong dtype"},
      {BP_S_LT, BP_F32, 0, 1, 0, "wrong dtype"},
      {BP_S_AND, BP_F32, 0, 1, 0, "does not take"},
      {BP_S_NOT, BP_F32, 0, 0, 0, "does not take"},
      {BP_S_SELECT, BP_F32, 0, 0, 1, "condition"},
  };
  for (const Row& row : rows) {
    Program p(2);
    p.add(row.code, row.dtype, row.a, row.b, row.c);
    EXPECT_THAT(judge(p, {0}), HasSubstr(row.reason)) << row.code;
  }
  Program eight(2);
  const uint16_t small = eight.add(BP_S_CAST, BP_F8_E4M3, 0), other = eight.constant(BP_F8_E4M3, 2);
  const uint16_t less = eight.add(BP_S_LT, BP_BOOL, 0, 1), pick = eight.add(BP_S_SELECT, BP_F8_E4M3, less, small, other);
  EXPECT_EQ(judge(eight, {pick}, BP_F8_E4M3), "") << "8-bit floats are cast, chosen and constant";
  eight.add(BP_S_ADD, BP_F8_E4M3, small, other);
  EXPECT_THAT(judge(eight, {pick}, BP_F8_E4M3), HasSubstr("does not take"));
  Program mixed(2);
  mixed.add(BP_S_ADD, BP_F32, 0, mixed.constant(BP_F64, 1));
  EXPECT_THAT(judge(mixed, {0}), HasSubstr("differ"));
  Program reserved(2);
  reserved.add(BP_S_NEG, BP_F32, 0);
  reserved.instrs[0].reserved[1] = 1;
  EXPECT_THAT(judge(reserved, {0}), HasSubstr("reserved"));
  Program wrong_choice(2);
  const uint16_t flag = wrong_choice.constant(BP_BOOL, 1);
  wrong_choice.add(BP_S_SELECT, BP_F64, flag, 0, 1);
  EXPECT_THAT(judge(wrong_choice, {0}), HasSubstr("choices"));
  Program longest(2);
  for (int i = 0; i < BP_PROGRAM_MAX_INSTRS; ++i) longest.add(BP_S_NEG, BP_F32, i);
  EXPECT_EQ(judge(longest, {0}), "");
  longest.add(BP_S_NEG, BP_F32, 0);
  EXPECT_THAT(judge(longest, {0}), HasSubstr("64"));
  Program missing(2);
  missing.add(BP_S_NEG, BP_F32, 0);
  missing.done({2});
  missing.value.instrs = nullptr;
  const uint32_t dtypes[2] = {BP_F32, BP_F32};
  EXPECT_THAT(sdk::validate_program(missing.value, dtypes, 2, dtypes, 1), HasSubstr("missing"));
}

std::string judge(Case c) { return sdk::validate_op(c.op()); }
Tensor t(const Shape& shape, uint32_t dtype = BP_F32) { return Tensor(dtype, shape); }

TEST(ValidateOp, NamesTheOperationAndItsOperands) {
  EXPECT_EQ(judge({BP_OP_MATMUL, {t({2, 3}), t({3, 4})}, {t({2, 4})}}), "");
  EXPECT_EQ(judge({BP_OP_MATMUL, {t({2, 3}), t({4, 4})}, {t({2, 4})}}),
            "[matmul] the columns of a are not the rows of b (f32[2, 3], f32[4, 4] -> f32[2, 4])");
}

TEST(ValidateOp, RefusesTheUnreadable) {
  EXPECT_THAT(judge({4711, {t({2})}, {t({2})}}), HasSubstr("4711 is unknown"));
  EXPECT_EQ(judge({BP_OP_CUSTOM, {t({2})}, {t({2})}}), "") << "only its author can judge it";
  Case bad{BP_OP_MATMUL, {t({2, 2}), t({2, 2})}, {t({2, 2})}};
  bad.inputs[0].desc.dtype = 10;
  EXPECT_THAT(judge(bad), HasSubstr("unknown dtype"));
  bad.inputs[0].desc.dtype = BP_F32;
  bad.inputs[0].desc.rank = 9;
  EXPECT_THAT(judge(bad), HasSubstr("above 8"));
  bad.inputs[0].desc.rank = 2;
  bad.inputs[0].desc.shape[0] = -1;
  EXPECT_THAT(judge(bad), HasSubstr("negative"));
  bad.inputs[0].desc.shape[0] = 2;
  bad.outputs[0].desc.strides[1] = 0;
  EXPECT_THAT(judge(bad), HasSubstr("stride 0"));
  bp_op op = bad.op();
  op.inputs = nullptr;
  EXPECT_THAT(sdk::validate_op(op), HasSubstr("missing"));
  op.num_inputs = 1u << 30;
  EXPECT_THAT(sdk::validate_op(op), HasSubstr("number of inputs"));
  EXPECT_THAT(judge({BP_OP_SOFTMAX, {t({2})}, {t({2})}}), HasSubstr("attributes are missing"));
  EXPECT_THAT(judge({BP_OP_POINTWISE, {t({2})}, {t({2})}}), HasSubstr("program is missing"));
}

TEST(ValidateOp, ShapeRules) {
  const bp_reduce_attrs sum{sizeof(sum), BP_REDUCE_SUM, 1, 0}, argmax{sizeof(sum), BP_REDUCE_ARGMAX, 1, 0};
  const bp_axis_attrs axis{sizeof(axis), 2};
  const bp_sort_attrs sort{sizeof(sort), 0, 0, 0};
  bp_convolution_attrs conv{};
  conv.size = sizeof(conv);
  conv.spatial_rank = 1;
  conv.groups = 2;
  conv.stride[0] = conv.dilation[0] = 1;
  bp_convolution_attrs huge = conv;
  huge.dilation[0] = INT64_MAX;
  const struct {
    Case op;
    const char* reason;  // "" = well formed
  } rows[] = {
      {{BP_OP_REDUCE, {t({2, 3})}, {t({1, 3})}, &sum}, ""},
      {{BP_OP_REDUCE, {t({2, 3})}, {t({2, 3})}, &sum}, "extent 1"},
      {{BP_OP_REDUCE, {t({2}, BP_BOOL)}, {t({1}, BP_BOOL)}, &sum}, "need numbers"},
      {{BP_OP_REDUCE, {t({2})}, {t({1})}, &argmax}, "give i32"},
      {{BP_OP_REDUCE, {t({0})}, {t({1}, BP_I32)}, &argmax}, "empty extent"},
      {{BP_OP_REDUCE, {t({0, 0})}, {t({1, 0}, BP_I32)}, &argmax}, ""},
      {{BP_OP_MATMUL, {t({2}), t({2})}, {t({})}}, "at least 2"},
      {{BP_OP_MATMUL, {t({2, 1, 1}), t({3, 1, 1})}, {t({2, 1, 1})}}, "batch"},
      {{BP_OP_MATMUL, {t({1, 1}), t({1, 1}, BP_F64)}, {t({1, 1})}}, "dtype"},
      {{BP_OP_MATMUL, {t({2, 3}, BP_F8_E4M3), t({3, 2}, BP_F8_E4M3)}, {t({2, 2})}}, ""},
      {{BP_OP_MATMUL, {t({2, 3}, BP_F8_E5M2), t({3, 2}, BP_F8_E5M2)}, {t({2, 2}, BP_BF16)}}, "are f32"},
      {{BP_OP_MATMUL, {t({2, 3}, BP_F8_E4M3), t({3, 2}, BP_F8_E5M2)}, {t({2, 2})}}, "dtype"},
      {{BP_OP_REDUCE, {t({2}, BP_F8_E4M3)}, {t({1}, BP_F8_E4M3)}, &sum}, "8-bit floats"},
      {{BP_OP_GATHER, {t({1, 2, 3}, BP_F8_E5M2), t({4}, BP_I64)}, {t({1, 4, 3}, BP_F8_E5M2)}}, ""},
      {{BP_OP_GATHER, {t({1, 2, 3}), t({4}, BP_I64)}, {t({1, 4, 3})}}, ""},
      {{BP_OP_GATHER, {t({1, 2, 3}), t({4})}, {t({1, 4, 3})}}, "i32 or i64"},
      {{BP_OP_SCATTER_ADD, {t({1, 2, 3}), t({4}, BP_I32), t({1, 5, 3})}, {t({1, 2, 3})}}, "updates"},
      {{BP_OP_CONVOLUTION, {t({1, 4, 9}), t({6, 2, 3})}, {t({1, 6, 7})}, &conv}, ""},
      {{BP_OP_CONVOLUTION, {t({1, 4, 9}), t({6, 2, 3})}, {t({1, 6, 8})}, &conv}, "spatial extents"},
      {{BP_OP_CONVOLUTION, {t({1, 4, 9}), t({5, 2, 3})}, {t({1, 5, 7})}, &conv}, "groups"},
      {{BP_OP_CONVOLUTION, {t({1, 4, 9}), t({6, 2, 3})}, {t({1, 6, 7})}, &huge}, "too large"},
      {{BP_OP_SOFTMAX, {t({2, 2})}, {t({2, 2})}, &axis}, "not an axis"},
      {{BP_OP_SORT, {t({3})}, {t({3}), t({3}, BP_I32)}, &sort}, ""},
      {{BP_OP_TOP_K, {t({3})}, {t({4}), t({4}, BP_I32)}, &sort}, "larger than"},
  };
  for (const auto& row : rows) {
    const std::string wrong = judge(row.op);
    if (row.reason[0] == '\0') EXPECT_EQ(wrong, "");
    else EXPECT_THAT(wrong, HasSubstr(row.reason));
  }
}

TEST(ValidateOp, Epilogues) {
  Program p(2);
  const uint16_t sum = p.add(BP_S_ADD, BP_F32, 0, 1), half = p.add(BP_S_CAST, BP_F16, sum);
  const Tensor a = t({2, 2}, BP_BF16);
  EXPECT_EQ(judge({BP_OP_MATMUL, {a, a, t({2, 2})}, {t({2, 2}, BP_F16)}, nullptr, p.done({half})}), "");
  EXPECT_THAT(judge({BP_OP_MATMUL, {a, a, t({2, 2})}, {t({2, 2}, BP_BF16)}, nullptr, &p.value}), HasSubstr("f16"));
  EXPECT_THAT(judge({BP_OP_MATMUL, {a, a, t({2})}, {t({2, 2}, BP_F16)}, nullptr, &p.value}), HasSubstr("output 0"));
  EXPECT_THAT(judge({BP_OP_MATMUL, {a, a}, {t({2, 2}, BP_F16)}, nullptr, &p.value}), HasSubstr("takes 2 inputs"));
  const Tensor whole = t({2, 2}, BP_I32);
  EXPECT_THAT(judge({BP_OP_MATMUL, {whole, whole, whole}, {whole}, nullptr, &p.value}), HasSubstr("float operands"));
  const Tensor x = t({2, 3, 4});
  EXPECT_THAT(judge({BP_OP_GATHER, {x, t({1}, BP_I32)}, {t({2, 1, 4})}, nullptr, &p.value}), HasSubstr("no program"));
}

TEST(OpCopy, OwnsEverythingItPointsAt) {
  auto c = std::make_unique<Case>();
  Program p(1);
  const uint16_t neg = p.add(BP_S_NEG, BP_F32, 0);
  const bp_reduce_attrs attrs{sizeof(attrs), BP_REDUCE_SUM, 1, 0};
  *c = {BP_OP_REDUCE, {t({2})}, {t({1})}, &attrs, p.done({neg})};
  const sdk::OpCopy copy(c->op());
  p.instrs[0].code = BP_S_ABS;
  p.outputs[0] = 0;
  c.reset();
  EXPECT_EQ(copy.op().program->instrs[0].code, BP_S_NEG);
  EXPECT_EQ(copy.op().program->outputs[0], neg);
  EXPECT_NE(copy.op().attrs, &attrs);
  EXPECT_EQ(sdk::attrs<bp_reduce_attrs>(copy.op()).axes, 1u);
  EXPECT_EQ(copy.in(0).shape[0], 2);
}

TEST(Walk, MergesAxesWithoutGaps) {
  const Tensor x = t({4, 1, 5, 6});
  bp_sdk_walk walk;
  bp_sdk_walk_begin(&walk, &x.desc);
  bp_sdk_walk_add(&walk, &x.desc);
  bp_sdk_walk_collapse(&walk);
  EXPECT_EQ(walk.rank, 1u);
  EXPECT_EQ(walk.shape[0], 120);
  // A second operand that is broadcast along the first axis keeps that one apart.
  const Tensor row = t({5, 6}).broadcast({4, 1, 5, 6});
  bp_sdk_walk_begin(&walk, &x.desc);
  bp_sdk_walk_add(&walk, &x.desc);
  bp_sdk_walk_add(&walk, &row.desc);
  bp_sdk_walk_collapse(&walk);
  EXPECT_EQ(walk.rank, 2u);
  EXPECT_EQ(walk.shape[1], 30);
  EXPECT_EQ(walk.strides[1][0], 0);
  EXPECT_EQ(walk.strides[1][1], 1);
  const Tensor scalar = t({});
  bp_sdk_walk_begin(&walk, &scalar.desc);
  bp_sdk_walk_add(&walk, &scalar.desc);
  bp_sdk_walk_collapse(&walk);
  EXPECT_EQ(walk.rank, 1u);
  EXPECT_EQ(walk.count, 1);
}

TEST(Walk, VisitsEveryElementInRowMajorOrder) {
  const Tensor x = random_tensor(BP_I32, {3, 5, 7}, 1, -100, 100).scrambled();
  bp_sdk_walk walk;
  bp_sdk_walk_begin(&walk, &x.desc);
  bp_sdk_walk_add(&walk, &x.desc);
  bp_sdk_walk_collapse(&walk);
  int64_t index[BP_MAX_RANK] = {};
  bp_sdk_block block;
  bp_sdk_walk_block(&walk, 0, BP_I32, const_cast<unsigned char*>(x.bytes.data()) + x.first * 4, index, 105, &block, 0);
  for (int i = 0; i < 105; ++i) ASSERT_EQ(block.i32[i], x.at(i)) << i;
}

}  // namespace
}  // namespace backplane::testing
