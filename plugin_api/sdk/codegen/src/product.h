// SPDX-License-Identifier: Apache-2.0
// Batched products c[b, m, n] = sum over k of a[b, m, k] * b[b, k, n]: the form in which the kernels matmul_*.kernel
// see matmul and the convolutions. What an operand's element is, is text, so that one kernel serves them all:
//
//   PLACE(batch)                     a statement that declares what the others need of the batch entry
//   GET_A(v, m, k)  GET_B(v, k, n)   statements: v = the operand's element
//   PUT(v, m, n)                     a statement where `batch` is declared: the epilogue and the store of result v
//   ROWS_OF_RESULT COLUMNS_OF_RESULT INNER   the extents, parameters
#pragma once

#include <functional>
#include <string>

#include "family.h"
#include "source.h"

namespace backplane::codegen {

struct Product {
  int64_t batch = 1, m = 0, n = 0, k = 0;
  uint32_t dtype = BP_F32;  ///< of both operands
  bool a_along_k = false;   ///< neighbouring k of `a` (of `b`) are neighbours in memory; else neighbouring
  bool b_along_k = false;   ///< m (n) are, as far as any are
  std::function<void(Source&)> operands;  ///< declares the buffers a and b, PLACE, GET_A, GET_B
  std::function<void(Source&)> result;    ///< declares y and PUT
};

/// The extents as parameters.
void declare_extents(Source& source, const Product& product);

/// Variants that need nothing but the macros: one item per element.
void list_naive(const std::string& prefix, const Product& product, const DeviceFacts& facts, Variants& out);
/// Tiles in local memory, k in one piece or split.
void list_grouped(const std::string& prefix, const Product& product, const DeviceFacts& facts, Variants& out);
/// Cooperative matrices (tensor cores) where the device has them and the dtype, or BP_MATH_FAST, allows for 16 bits.
void list_cooperative(const std::string& prefix, const Product& product, const DeviceFacts& facts, uint32_t math_mode,
                      Variants& out);

}  // namespace backplane::codegen
