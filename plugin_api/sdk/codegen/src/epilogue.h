// SPDX-License-Identifier: Apache-2.0
// What becomes of a result of MATMUL, CONVOLUTION or REDUCE: the optional epilogue, then the store into output 0.
#pragma once

#include <vector>

#include "source.h"

namespace backplane::codegen {

/// Declares output 0 as buffer `y` and the epilogue's extra inputs as `bp_e1`, `bp_e2`, ..., and defines the statement
/// macro
///
///   EPILOGUE(v, p0, p1, ...)   runs the program for the result v (float; f64, int or i64 for those operands) at
///                              position (p0, p1, ...) and stores its output in y; without a program v is stored
///
/// `first_axes` says how y's axes are spread over p0, p1, ...: p_g counts, row-major, the positions of axes first_axes[g]
/// up to first_axes[g + 1] (the last group goes to y's end). {0} is one row-major index over all of y;
/// {0, rank - 2, rank - 1} is batch, row and column of a matmul. A group of axes that every operand crosses in one
/// stride costs no division, and the compiler moves what depends on one p only out of the loops over the others.
void declare_epilogue(Source& source, const bp_op& op, const std::vector<uint32_t>& first_axes);

}  // namespace backplane::codegen
