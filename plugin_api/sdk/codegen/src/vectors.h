// SPDX-License-Identifier: Apache-2.0
// Vectors of one dtype for kernels whose inner loop is products and sums: matmul and convolution.
//
// declare_vectors defines, for vectors of WIDTH elements that are computed as REAL,
//
//   VEC VEC_OF(x) ZERO            the type (REAL when WIDTH is 1), all elements x, the number 0
//   MULADD(a, b, c) VMULADD(...)  a * b + c of REALs, of VECs; fused for f32 and f64
//   SPILL(v, array, i)            the vector's elements to array[i] ... of a private array of REALs
//
// declare_vector_access VLOAD_x(i) and, for a buffer that is written, VSTORE_x(i, v): elements i ... i + WIDTH - 1; and
// declare_cursor, for a buffer that a loop walks through (compilers keep a pointer in a register where sums of 32-bit
// offsets cost an instruction each),
//
//   CURSOR_x c                    the type of a place in x, and a variable (or array) of it
//   CURSOR_AT_x(i)                the place of element i
//   AT_x(c, i) VAT_x(c, i)        the element, the vector, i elements after the place c; c + n is a place too
//   DISTANCE                      an integer type for such i
#pragma once

#include <cstdint>
#include <string_view>

#include "source.h"

namespace backplane::codegen {

/// The widest vector that the dialect has for the dtype and the device likes: OpenCL on CPU cores up to 16, else 4
/// floats.
uint32_t vector_width(const DeviceFacts& facts, uint32_t dtype);

void declare_vectors(Source& source, uint32_t width, uint32_t dtype);

/// `aligned`: positions are multiples of the width, counted from the view's offset (see Source::vectors).
void declare_vector_access(Source& source, std::string_view name, uint32_t width, uint32_t dtype, bool written,
                           bool aligned);

/// After declare_vector_access of the same buffer.
void declare_cursor(Source& source, std::string_view name, uint32_t width, uint32_t dtype);

}  // namespace backplane::codegen
