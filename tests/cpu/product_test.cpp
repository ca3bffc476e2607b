// SPDX-License-Identifier: Apache-2.0
// Convolutions with filters of one tap, which are matrix products as the data lies (plugins/cpu/onednn_product.cpp):
// every direction and variant, more and fewer images than threads, layouts that flatten and layouts that do not.
#include "cards/compare.h"

namespace card_test {
namespace {

TEST(CpuProduct, OneTapInEveryDirection) {
  bp_convolution_attrs a{};
  a.size = sizeof(a), a.spatial_rank = 2, a.groups = 1;
  for (int i = 0; i < 2; ++i) a.stride[i] = a.dilation[i] = 1;
  int products = 0, flat = 0;
  for (int64_t images : {1, 2, 5}) {
    for (Lay lay : {Lay::dense, Lay::permuted, Lay::padded}) {
      for (uint32_t code : {BP_OP_CONVOLUTION, BP_OP_CONVOLUTION_GRAD_DATA, BP_OP_CONVOLUTION_GRAD_FILTER}) {
        const bp_tensor_desc x = lay_out(BP_F32, {images, 37, 23, 27}, lay), w = lay_out(BP_F32, {66, 37, 1, 1});
        const bp_tensor_desc y = lay_out(BP_F32, {images, 66, 23, 27});
        const bool data = code == BP_OP_CONVOLUTION_GRAD_DATA, filter = code == BP_OP_CONVOLUTION_GRAD_FILTER;
        Case c;
        c.name = "one tap, code " + std::to_string(code) + " images " + std::to_string(images) + " lay " +
                 std::to_string(static_cast<int>(lay));
        c.code = code, c.attrs = &a;
        c.in = {data ? y : x, filter ? y : w}, c.out = {data ? x : filter ? w : y};
        c.bound.linear = true, c.bound.terms = data ? 66 : filter ? static_cast<double>(images * 23 * 27) : 37;
        compare(c);
        bp_program program;
        const bool may = lay == Lay::dense && !(filter && images > 1);
        bool has = false;
        for (const bp_variant& v : card_under_test().variants(make_op(c, program))) {
          has = has || std::string(v.name).find("as=product") != std::string::npos;
        }
        flat += may, products += may && has;
      }
    }
  }
  EXPECT_TRUE(products == 0 || products == flat) << products << " of " << flat;  // 0: a build without oneDNN
}

}  // namespace
}  // namespace card_test
