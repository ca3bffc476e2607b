// SPDX-License-Identifier: Apache-2.0
// MATMUL: the problem behind an operation, and which variants are offered in which order.
#include "matmul.h"

#include <algorithm>

#include "backplane/sdk/program.hpp"
#include "epilogue.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

bool constant_over_batch(const bp_tensor_desc& desc) {
  for (uint32_t axis = 0; axis + 2 < desc.rank; ++axis) {
    if (desc.shape[axis] > 1 && desc.strides[axis] != 0) return false;
  }
  return true;
}

}  // namespace

MatmulProblem::MatmulProblem(const bp_op& source) : op(&source) {
  const bp_tensor_desc& c = op->outputs[0];
  const uint32_t row = c.rank - 2, column = c.rank - 1;
  // Kernels store rows of neighbouring columns. Where neither side is dense, the longer one may as well be the columns.
  swapped = c.shape[column] != 1 && c.strides[column] != 1 && c.strides[row] == 1;
  if (c.shape[column] == 1 && c.strides[row] == 1) swapped = true;
  a_index = swapped ? 1 : 0;
  b_index = swapped ? 0 : 1;
  const uint32_t m_axis = swapped ? column : row, n_axis = swapped ? row : column;
  m = c.shape[m_axis], n = c.shape[n_axis], k = op->inputs[0].shape[column];
  y_m = c.strides[m_axis], y_n = c.strides[n_axis];
  a_m = a().strides[m_axis], a_k = a().strides[n_axis];
  b_k = b().strides[m_axis], b_n = b().strides[n_axis];
  dtype = a().dtype;
  batch = 1;
  for (uint32_t axis = 0; axis < row; ++axis) batch *= c.shape[axis];
  a_shared = constant_over_batch(a()), b_shared = constant_over_batch(b());
}

void declare_matmul_result(Source& source, const MatmulProblem& p) {
  const uint32_t rank = p.y().rank;
  declare_epilogue(source, *p.op, {0, rank - 2, rank - 1});
  source.define("PUT(v, m, n)", p.swapped ? "EPILOGUE(v, batch, n, m)" : "EPILOGUE(v, batch, m, n)");
}

Product matmul_product(const MatmulProblem& p) {
  Product product;
  product.batch = p.batch, product.m = p.m, product.n = p.n, product.k = p.k, product.dtype = p.dtype;
  product.a_along_k = p.a_k == 1 && p.a_m != 1;
  product.b_along_k = p.b_k == 1 && p.b_n != 1;
  product.operands = [p](Source& source) {
    source.input("a", p.a_index, p.a());
    source.input("b", p.b_index, p.b());
    declare_walk(source, "BATCH", merge_axes({&p.a(), &p.b()}, 0, p.y().rank - 2));
    source.define("PLACE(i)", "BATCH(i, a_place, b_place)");
    source.param("a_m", p.a_m), source.param("a_k", p.a_k), source.param("b_k", p.b_k), source.param("b_n", p.b_n);
    source.define("GET_A(v, m, k)", "v = LOAD_a(a_place + (m) * a_m + (k) * a_k);");
    source.define("GET_B(v, k, n)", "v = LOAD_b(b_place + (k) * b_k + (n) * b_n);");
  };
  product.result = [p](Source& source) { declare_matmul_result(source, p); };
  return product;
}

bool steps_in_fours(const bp_tensor_desc& desc, uint32_t dense_axis) {
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    if (axis != dense_axis && desc.shape[axis] > 1 && desc.strides[axis] % 4 != 0) return false;
  }
  return desc.shape[dense_axis] % 4 == 0;
}

void list_matmul(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  const MatmulProblem problem(op);
  const Product product = matmul_product(problem);
  if (sdk::is_f8(problem.dtype)) {  // loads of one element each, which is what these have
    list_grouped("", product, facts, out);
    return list_naive("", product, facts, out);
  }
  const bool llvmpipe = facts.cpu_like && facts.dialect == Dialect::glsl;
  // Where a row fills vectors of the tiles, those win: measured at 16 columns on PoCL, 8 on llvmpipe. There, a tile of
  // one row has a row times a matrix in less than half of the time of shared loads, and those a matrix times a column
  // in a sixth of that of dot products.
  const int64_t few = llvmpipe ? 4 : 8;
  const bool one_row = llvmpipe && problem.m == 1;
  const bool one_column = one_row && product.b_along_k;  // the column is the row of the swapped problem
  if (one_column) list_matmul_shuffle(problem, facts, out);
  if (one_row) list_tiles(problem, facts, out);
  if (problem.n <= few) list_small(problem, facts, out);
  list_dots(problem, facts, out);
  if (!facts.cpu_like) list_columns(problem, facts, out);
  list_cooperative("", product, facts, op.math_mode, out);
  if (!one_column) list_matmul_shuffle(problem, facts, out);
  if (!facts.cpu_like) list_grouped("", product, facts, out);
  if (!one_row) list_tiles(problem, facts, out);
  if (facts.cpu_like) list_columns(problem, facts, out);
  if (facts.cpu_like) list_grouped("", product, facts, out);
  if (problem.n > few) list_small(problem, facts, out);
  list_naive("", product, facts, out);
}

namespace {

std::string refuse_matmul(const bp_op& op, const DeviceFacts& facts) {
  const bp_tensor_desc &a = op.inputs[0], &b = op.inputs[1], &c = op.outputs[0];
  if (a.dtype == BP_BOOL) return "bool operands";
  if (a.dtype != b.dtype) return "operands of different dtypes";
  if (sdk::is_f8(a.dtype)) return facts.cpu_like ? "8-bit floats; it decomposes" : "";  // vectors of f32 are faster
  if (op.program == nullptr && c.dtype != a.dtype) return "the result's dtype differs from the operands'";
  return {};
}

}  // namespace

extern const Family kMatmulFamily{BP_OP_MATMUL, refuse_matmul, list_matmul};

}  // namespace backplane::codegen
