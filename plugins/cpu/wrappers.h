// SPDX-License-Identifier: Apache-2.0
// Works made of other works: operands of narrow dtypes by way of f32, and epilogues as a pass over the result.
#pragma once

#include "work.h"

namespace backplane::cpu {

/// Candidates of `op`, whose f16 / bf16 operands are copied to dense f32 and back, from those of the f32 operation.
/// Operands of other dtypes (indices) are passed through.
void list_via_f32(const Op& op, void (*list)(const Op&, Candidates&), Candidates& out);

/// Candidates of `op` from those of `inner`, the same operation on other descriptors: wherever the two differ in dtype
/// or strides, the operand is copied. `prefix` goes before the names.
void list_via_copies(const Op& op, const Op& inner, const char* prefix, void (*list)(const Op&, Candidates&),
                     Candidates& out);

/// Candidates of an op with an epilogue from those of the op without: the pointwise engine runs over the result. The
/// program's input 0 is the result in f32 (f64 for f64). "+pass" is appended to the names.
void list_with_epilogue(const Op& op, uint32_t own_inputs, void (*list)(const Op&, Candidates&), Candidates& out);
/// Empty when list_with_epilogue can serve it.
std::string refuse_epilogue(const Op& op, uint32_t own_inputs);

}  // namespace backplane::cpu
