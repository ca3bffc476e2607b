// SPDX-License-Identifier: Apache-2.0
// Drivers that end long loops without a word (DeviceFacts::max_loop_steps): what would not be finished is not offered.
#include <gtest/gtest.h>

#include <algorithm>
#include <initializer_list>
#include <string>

#include "backplane/codegen/codegen.h"

namespace backplane::codegen {
namespace {

DeviceFacts facts_with(uint32_t max_loop_steps) {
  DeviceFacts facts;
  facts.dialect = Dialect::glsl;
  facts.cpu_like = true;
  facts.max_group_size = 1024;
  for (uint32_t& extent : facts.max_group_extent) extent = 1024;
  facts.local_bytes = 32768;
  facts.subgroup_size = 8;
  facts.max_loop_steps = max_loop_steps;
  return facts;
}

bp_tensor_desc dense(std::initializer_list<int64_t> shape) {
  bp_tensor_desc desc{};
  desc.dtype = BP_F32;
  desc.rank = static_cast<uint32_t>(shape.size());
  std::copy(shape.begin(), shape.end(), desc.shape);
  int64_t stride = 1;
  for (uint32_t axis = desc.rank; axis-- > 0; stride *= desc.shape[axis]) desc.strides[axis] = stride;
  return desc;
}

struct Operation {
  bp_tensor_desc inputs[3], outputs[1];
  bp_op op{};
  Operation(uint32_t code, bp_tensor_desc a, bp_tensor_desc b, bp_tensor_desc y, const void* attrs = nullptr)
      : inputs{a, b}, outputs{y} {
    op.size = sizeof(op);
    op.code = code;
    op.inputs = inputs;
    op.outputs = outputs;
    op.num_inputs = code == BP_OP_SOFTMAX ? 1 : 2;
    op.num_outputs = 1;
    op.attrs = attrs;
    op.max_workspace = UINT64_MAX;
  }
};

Operation product(int64_t k) { return {BP_OP_MATMUL, dense({64, k}), dense({k, 64}), dense({64, 64})}; }

TEST(LoopLimits, AProductThatWouldNotBeFinishedIsRefusedByName) {
  const Operation short_one = product(1000), long_one = product(100'000);
  EXPECT_EQ(refuse(short_one.op, facts_with(65535)), "");
  EXPECT_NE(refuse(long_one.op, facts_with(65535)).find("65535 turns"), std::string::npos);
  EXPECT_EQ(refuse(long_one.op, facts_with(UINT32_MAX)), "");
}

TEST(LoopLimits, WhatIsOfferedStaysBelow) {
  bp_convolution_attrs attrs{};
  attrs.size = sizeof(attrs);
  attrs.spatial_rank = 2;
  attrs.groups = 1;
  for (int i = 0; i < 3; ++i) attrs.stride[i] = attrs.dilation[i] = 1, attrs.pad_low[i] = attrs.pad_high[i] = i < 2;
  // 128 x 28 x 28 positions: one by one they are too many, in vectors they are not.
  const Operation filters(BP_OP_CONVOLUTION_GRAD_FILTER, dense({128, 1, 28, 28}), dense({128, 32, 28, 28}),
                          dense({32, 1, 3, 3}), &attrs);
  const DeviceFacts limited = facts_with(65535), unlimited = facts_with(UINT32_MAX);
  ASSERT_EQ(refuse(filters.op, limited), "");
  const auto offered = list_variants(filters.op, limited);
  ASSERT_FALSE(offered.empty());
  for (const Variant& variant : offered) EXPECT_LE(variant.steps, 65535u) << variant.name;
  EXPECT_LT(offered.size(), list_variants(filters.op, unlimited).size()) << "an item for each element takes 100,352";
}

TEST(LoopLimits, RowsInPartsStayPossible) {
  bp_axis_attrs attrs{sizeof(bp_axis_attrs), 1};
  const bp_tensor_desc row = dense({1, 100'000});
  const Operation softmax(BP_OP_SOFTMAX, row, row, row, &attrs);
  const DeviceFacts limited = facts_with(65535);
  ASSERT_EQ(refuse(softmax.op, limited), "");
  const auto offered = list_variants(softmax.op, limited);
  ASSERT_FALSE(offered.empty());
  EXPECT_LT(offered.size(), list_variants(softmax.op, facts_with(UINT32_MAX)).size()) << "a whole row takes 300,000";
  for (const Variant& variant : offered) EXPECT_LE(variant.steps, 65535u) << variant.name;
}

}  // namespace
}  // namespace backplane::codegen
