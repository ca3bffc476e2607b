// SPDX-License-Identifier: Apache-2.0
#include "peers/peer.h"

namespace backplane::bench {

bool Product::is_one(const Case& c) {
  return c.op == &graph::op::batch_matmul && c.dtype == DType::f32 && c.operands[0].type.shape.rank() == 2;
}

std::optional<Product> Product::of(const Case& c, const Values& values) {
  if (!is_one(c)) return std::nullopt;
  const Shape &a = c.operands[0].type.shape, &b = c.operands[1].type.shape;
  return Product{a[0], b[1], a[1], reinterpret_cast<const float*>(values[0].data()),
                 reinterpret_cast<const float*>(values[1].data())};
}

}  // namespace backplane::bench
