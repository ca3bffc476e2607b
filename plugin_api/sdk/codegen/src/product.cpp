// SPDX-License-Identifier: Apache-2.0
#include "product.h"

#include "vectors.h"

namespace backplane::codegen {

void declare_extents(Source& source, const Product& product) {
  source.param("ROWS_OF_RESULT", product.m);
  source.param("COLUMNS_OF_RESULT", product.n);
  source.param("INNER", product.k);
}

namespace {

Recipe build_naive(const std::string& prefix, const Product& product, const DeviceFacts& facts) {
  Source source(facts, prefix + "naive");
  declare_vectors(source, 1, product.dtype);
  declare_extents(source, product);
  product.operands(source);
  product.result(source);
  const int64_t total = product.batch * product.m * product.n;
  source.param("total", total);
  const LinearGrid grid = linear_grid(total, facts);
  return {{source.finish(kernel_text("matmul_naive"), grid.group, grid.grid)}};
}

}  // namespace

void list_naive(const std::string& prefix, const Product& product, const DeviceFacts& facts, Variants& out) {
  out.push_back({.name = prefix + "naive",
                 .prior = facts.cpu_like ? 30.0 : 8.0,  // llvmpipe 28, PoCL up to 200
                 .steps = static_cast<uint64_t>(product.k),
                 .determinism = BP_DETERMINISM_BATCH,
                 .build = [=] { return build_naive(prefix, product, facts); }});
}

}  // namespace backplane::codegen
