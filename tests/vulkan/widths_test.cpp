// SPDX-License-Identifier: Apache-2.0
// llvmpipe takes its vector width, and with it the subgroup size, from LP_NATIVE_VECTOR_WIDTH: three devices on one
// machine. On each, the operations whose kernels know the subgroup size give what the reference card gives.
#include <gtest/gtest.h>

#include <cstdlib>

#include "cards/compare.h"

namespace card_test {

const CardFacts& card_facts() {
  static const CardFacts facts{"vulkan", CARD_PLUGIN, {}, false, 1};
  return facts;
}

namespace {

TEST(VulkanWidths, TheSubgroupHasTheWidthAskedFor) {
  bp_device_info info{};
  info.size = sizeof(info);
  uint32_t count = 0;
  bp_error error = make_error();
  ASSERT_GE(card_under_test().api->devices(card_under_test().plugin, &info, sizeof(info), 1, &count, &error), 0);
  const char* bits = std::getenv("LP_NATIVE_VECTOR_WIDTH");
  ASSERT_NE(bits, nullptr);
  if (std::string(info.name).find("llvmpipe") == std::string::npos) GTEST_SKIP() << info.name << " is not llvmpipe";
  const std::string expected = "subgroup " + std::to_string(std::atoi(bits) / 32);
  EXPECT_NE(std::string(info.architecture).find(expected), std::string::npos) << info.architecture;
}

Case make_case(const char* name, uint32_t code, const void* attrs, std::vector<bp_tensor_desc> in,
               std::vector<bp_tensor_desc> out) {
  Case c;
  c.name = name, c.code = code, c.attrs = attrs, c.in = std::move(in), c.out = std::move(out);
  c.bound.floor = 300, c.bound.terms = 300, c.bound.weight = 16;
  return c;
}

TEST(VulkanWidths, Reductions) {
  for (const uint32_t kind : {BP_REDUCE_SUM, BP_REDUCE_MAX}) {
    for (const uint32_t axes : {1u, 2u, 3u}) {
      const bp_reduce_attrs attrs{sizeof(attrs), kind, axes, 0};
      const std::vector<int64_t> kept{(axes & 1) != 0 ? 1 : 37, (axes & 2) != 0 ? 1 : 301};
      compare(make_case("reduce", BP_OP_REDUCE, &attrs, {lay_out(BP_F32, {37, 301})}, {lay_out(BP_F32, kept)}));
    }
  }
}

TEST(VulkanWidths, Rows) {
  const bp_axis_attrs axis{sizeof(axis), 1};
  const bp_tensor_desc x = lay_out(BP_F32, {19, 301});
  compare(make_case("softmax", BP_OP_SOFTMAX, &axis, {x}, {x}));
  const bp_normalize_attrs layer{sizeof(layer), BP_NORMALIZE_MEAN_VARIANCE, 2, 0, 1e-5};
  bp_tensor_desc row = x;
  row.strides[0] = 0;
  const bp_tensor_desc one = lay_out(BP_F32, {19, 1});
  compare(make_case("layer norm", BP_OP_NORMALIZE, &layer, {x, row, row}, {x, one, one}));
}

// Subgroups share what their lanes load.
TEST(VulkanWidths, Products) {
  Case c = make_case("matmul", BP_OP_MATMUL, nullptr, {lay_out(BP_F32, {37, 50}), lay_out(BP_F32, {50, 101})},
                     {lay_out(BP_F32, {37, 101})});
  c.bound.linear = true;
  compare(c);
  bp_convolution_attrs attrs{};
  attrs.size = sizeof(attrs);
  attrs.spatial_rank = 2;
  attrs.groups = 1;
  for (int axis = 0; axis < 2; ++axis) {
    attrs.stride[axis] = attrs.dilation[axis] = 1;
    attrs.pad_low[axis] = attrs.pad_high[axis] = 1;
  }
  const bp_tensor_desc x = lay_out(BP_F32, {2, 3, 9, 11}), w = lay_out(BP_F32, {19, 3, 3, 3}), y = lay_out(BP_F32, {2, 19, 9, 11});
  c = make_case("convolution", BP_OP_CONVOLUTION, &attrs, {x, w}, {y});
  c.bound.linear = true;
  compare(c);
  c = make_case("convolution_grad_data", BP_OP_CONVOLUTION_GRAD_DATA, &attrs, {y, w}, {x});
  c.bound.linear = true;
  compare(c);
  c = make_case("convolution_grad_filter", BP_OP_CONVOLUTION_GRAD_FILTER, &attrs, {x, y}, {w});
  c.bound.linear = true;
  compare(c);
}

}  // namespace
}  // namespace card_test
