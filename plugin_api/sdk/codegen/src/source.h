// SPDX-License-Identifier: Apache-2.0
// Puts the text of one launch together: the dialect's prelude, arguments, constants, local arrays, then a kernel text.
//
// Kernel texts (kernels/*.kernel) are written once in the language that OpenCL C, GLSL and CUDA have in common; what
// differs is hidden behind the names below, which the prelude defines per dialect:
//
//   KERNEL_BEGIN ... KERNEL_END       the kernel's body; functions stand before it, marked FN
//   GROUP_ID(d) LOCAL_ID(d)           int; GROUP_X GROUP_Y GROUP_Z are the group's extents, compile-time constants
//   LINEAR_ID()                       int: this work-item's number in a linear_grid
//   BARRIER()                         all work-items of the group, local memory made visible
//   int uint float bool float2 float4; i64 u64 f64 where the device has them; make_float2(a,b) make_float4(a,b,c,d)
//   TO_INT(x) TO_UINT(x) TO_FLOAT(x)  conversions (neither C's nor GLSL's spelling works everywhere)
//   TO_I64 TO_U64 TO_F64              the same, where the device has the type
//   AS_INT(f) AS_FLOAT(i) AS_U64(f64) FMA(a,b,c) ABS(f) RINT(f) MUL_HI(u,u) IS_NAN(f) UNROLL   INF NAN_VALUE LOWEST
//   QUOTIENT(a, b)                    of ints, a >= 0, b > 0: the fastest way to a / b
//   INDEPENDENT_ITERATIONS            before a loop: no iteration reads what another writes, so it may become vector code (a
//                                     driver complains where it cannot: a nested loop or a library function)
//   NO_CONTRACT                       first in a block: products there are not fused with sums; with it, variables whose
//                                     rounding matters are declared PRECISE, and MUL(a,b) is never fused
//
// A buffer declared as `x` is read and written in its compute type (float for f32, f16, bf16; int; bool; f64; i64):
//
//   LOAD_x(i)  STORE_x(i, v)          element i counted from the view's offset
//   LOAD4_x(i) STORE4_x(i, v)         float4 of elements i ... i + 3 after vectors("x"); in the aligned text i + offset
//                                     has to be a multiple of 4, which the family makes sure of by its strides
//
// Buffers, parameters and local arrays are visible inside KERNEL_BEGIN ... KERNEL_END only (OpenCL has no globals), so
// helpers that touch them are macros. Integer division and % are for operands that are not negative.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/codegen/device_facts.h"
#include "backplane/codegen/recipe.h"

namespace backplane::codegen {

class Source {
 public:
  Source(const DeviceFacts& facts, std::string name) : facts_(facts) { launch_.name = std::move(name); }

  const DeviceFacts& facts() const { return facts_; }

  /// Buffer arguments. A descriptor tells which elements are touched; an output may be read too.
  void input(std::string_view name, uint32_t index, const bp_tensor_desc& desc);
  void output(std::string_view name, uint32_t index, const bp_tensor_desc& desc);
  /// `count` elements of the workspace from byte `offset`, a multiple of 64.
  void workspace(std::string_view name, uint32_t dtype, uint64_t offset, int64_t count, bool written);
  /// LOAD4_ and STORE4_ for a buffer of f32, f16 or bf16 declared before.
  void vectors(std::string_view name);

  /// An int argument; its value is not part of the text, so that shapes share a compiled kernel.
  void param(std::string_view name, int64_t value);
  /// A constant of the text.
  void define(std::string_view name, int64_t value);
  void define(std::string_view name, std::string_view value);
  /// `type name[count]` in local memory; `count` may use defined names.
  void local_array(std::string_view type, std::string_view name, std::string_view count);
  /// For launches of few loads: binding texel buffers costs more than they save.
  void without_texel_buffers() { facts_.max_texel_buffers = 0; }
  /// GLSL: an extension that few kernels need, so that it is not in the prelude.
  void extension(std::string_view name);
  /// Text before the kernel's body: functions and macros.
  void text(std::string_view text);
  /// A text of kernels/ with functions, once: "scalar_exp" for s_exp and s_expm1, ... (accurate to a few units in the last
  /// place, which GLSL's own functions are not). A line `#include "other.kernel"` in it is resolved the same way.
  void include(std::string_view kernel);

  /// The finished launch of `kernel_text` in `grid` groups of `group` work-items.
  Launch finish(std::string_view kernel_text, std::array<uint32_t, 3> group, std::array<uint32_t, 3> grid);

 private:
  struct Buffer {
    std::string name;
    uint32_t dtype;
    bool vectors;
    bool texels;  ///< read through texel buffers
  };
  void choose_texel_buffers();
  std::string texel_declarations() const;
  std::string glsl_words() const;
  std::string c_signature(const std::string& buffers) const;
  std::string render(std::string_view kernel_text, bool aligned) const;
  void add_buffer(std::string_view name, uint32_t dtype, Slot slot);

  DeviceFacts facts_;
  Launch launch_;
  std::vector<Buffer> buffers_;
  std::vector<std::string> words_;
  std::vector<std::array<std::string, 3>> local_arrays_;
  std::vector<std::string> included_;
  bool precise_functions_ = false;  ///< an included function has PRECISE variables
  std::string extensions_;
  std::string text_;
};

/// Work-groups for `items` work-items in one line (folded into a second dimension where the device's limit asks for it);
/// the kernel compares LINEAR_ID() with the number of items, since the last groups may be partly idle.
struct LinearGrid {
  std::array<uint32_t, 3> group{1, 1, 1}, grid{1, 1, 1};
};
LinearGrid linear_grid(int64_t items, const DeviceFacts& facts, uint32_t group_size = 0);

/// A text of kernels/, by its file name without the ending.
std::string_view kernel_text(std::string_view name);

}  // namespace backplane::codegen
