// SPDX-License-Identifier: Apache-2.0
#include "vectors.h"

#include <algorithm>
#include <string>

#include "backplane/sdk/program.hpp"
#include "dialect.h"

namespace backplane::codegen {
namespace {

constexpr const char* kLaneNames = "0123456789abcdef";

std::string number(int64_t n) { return std::to_string(n); }

std::string single_stores(const std::string& x, uint32_t width) {
  std::string stores;
  for (uint32_t lane = 0; lane < width; ++lane) {
    const std::string value = width == 4 ? std::string(1, "xyzw"[lane]) : std::string("s") + kLaneNames[lane];
    stores += "STORE_" + x + "((i) + " + number(lane) + ", bp_v." + value + "); ";
  }
  return stores;
}

/// OpenCL: a vector from a pointer.
std::string vector_load(uint32_t dtype, uint32_t width, const std::string& from) {
  const std::string w = number(width), load = "vload" + w + "(0, " + from + ")";
  if (dtype == BP_F16) return "vload_half" + w + "(0, " + from + ")";
  return dtype == BP_BF16 ? "as_float" + w + "(convert_uint" + w + "(" + load + ") << 16)" : load;
}

}  // namespace

uint32_t vector_width(const DeviceFacts& facts, uint32_t dtype) {
  if (facts.dialect != Dialect::opencl_c) return sdk::is_float(dtype) && dtype != BP_F64 ? 4 : 1;
  const uint32_t floats = facts.cpu_like ? std::clamp<uint32_t>(facts.vector_width, 4, 16) : 4;
  return std::max<uint32_t>(2, dtype == BP_F64 || dtype == BP_I64 ? floats / 2 : floats);
}

void declare_vectors(Source& source, uint32_t width, uint32_t dtype) {
  const Dialect dialect = source.facts().dialect;
  const std::string real(compute_type(dtype)), w = number(width);
  const bool floats = sdk::is_float(dtype) || sdk::is_f8(dtype);
  source.define("WIDTH", width);
  source.define("REAL", real);
  source.define("DISTANCE", dialect == Dialect::opencl_c && source.facts().cpu_like ? "long" : "int");
  source.define("ZERO", !floats ? "0" : dtype == BP_F64 ? "TO_F64(0)" : "0.0f");
  // GLSL has fma for double too; CUDA's FMA is fmaf.
  const bool fused = floats && !(dtype == BP_F64 && dialect == Dialect::cuda);
  source.define("MULADD(a, b, c)", fused ? "FMA(a, b, c)" : "((a) * (b) + (c))");
  if (width == 1) {
    source.text("#define VEC REAL\n#define VEC_OF(x) (x)\n#define VMULADD(a, b, c) MULADD(a, b, c)");
    return source.text("#define SPILL(v, array, i) (array)[i] = (v)");
  }
  if (dialect == Dialect::opencl_c) {
    const std::string_view type = dtype == BP_F64 ? "double" : dtype == BP_I64 ? "long" : std::string_view(real);
    source.define("VEC", std::string(type) + w);
    // PoCL's vstore16 stores four elements at a time.
    if (dtype != BP_F64 && floats && source.facts().cpu_like) source.text("typedef VEC bp_unaligned __attribute__((aligned(4)));");
    source.text("#define VEC_OF(x) ((VEC)(x))\n#define VMULADD(a, b, c) MULADD(a, b, c)");
    return source.text("#define SPILL(v, array, i) vstore" + w + "(v, 0, (array) + (i))");
  }
  source.text("#define VEC float4");
  source.text(
      "#define SPILL(v, array, i) { float4 bp_v = (v); (array)[i] = bp_v.x; (array)[(i) + 1] = bp_v.y; "
      "(array)[(i) + 2] = bp_v.z; (array)[(i) + 3] = bp_v.w; }");
  if (dialect == Dialect::glsl) return source.text("#define VEC_OF(x) vec4(x)\n#define VMULADD(a, b, c) fma(a, b, c)");
  source.text("#define VEC_OF(x) make_float4(x, x, x, x)");
  source.text(
      "FN float4 bp_muladd4(float4 a, float4 b, float4 c) { return make_float4(fmaf(a.x, b.x, c.x), "
      "fmaf(a.y, b.y, c.y), fmaf(a.z, b.z, c.z), fmaf(a.w, b.w, c.w)); }\n#define VMULADD(a, b, c) bp_muladd4(a, b, "
      "c)");
}

void declare_vector_access(Source& source, std::string_view name, uint32_t width, uint32_t dtype, bool written,
                           bool aligned) {
  const std::string x(name), w = number(width);
  const Dialect dialect = source.facts().dialect;
  if (width == 1) {
    source.text("#define VLOAD_" + x + "(i) LOAD_" + x + "(i)");
    if (written) source.text("#define VSTORE_" + x + "(i, v) STORE_" + x + "(i, v)");
    return;
  }
  if (dialect != Dialect::opencl_c) {
    if (!aligned) {
      const std::string at = "#define VLOAD_" + x + "(i) make_float4(";
      source.text(at + "LOAD_" + x + "(i), LOAD_" + x + "((i) + 1), LOAD_" + x + "((i) + 2), LOAD_" + x + "((i) + 3))");
      if (written) source.text("#define VSTORE_" + x + "(i, v) { VEC bp_v = (v); " + single_stores(x, width) + "}");
      return;
    }
    source.vectors(name);
    source.text("#define VLOAD_" + x + "(i) LOAD4_" + x + "(i)");
    if (written) source.text("#define VSTORE_" + x + "(i, v) STORE4_" + x + "(i, v)");
    return;
  }
  const std::string here = x + " + (" + x + "_at + (i))";
  source.text("#define VLOAD_" + x + "(i) " + vector_load(dtype, width, here));
  if (!written) return;
  if (dtype == BP_BF16)
    return source.text("#define VSTORE_" + x + "(i, v) { VEC bp_v = (v); " + single_stores(x, width) + "}");
  if (dtype == BP_F32 && source.facts().cpu_like)
    return source.text("#define VSTORE_" + x + "(i, v) *(__global bp_unaligned*)(" + here + ") = (v)");
  source.text("#define VSTORE_" + x + "(i, v) " + (dtype == BP_F16 ? "vstore_half" + w + "_rte" : "vstore" + w) +
              "(v, 0, " + here + ")");
}

void declare_cursor(Source& source, std::string_view name, uint32_t width, uint32_t dtype) {
  const std::string x(name);
  const DeviceFacts& facts = source.facts();
  if (facts.dialect != Dialect::opencl_c) {
    source.text("#define CURSOR_" + x + " int\n#define CURSOR_AT_" + x + "(i) (i)");
    return source.text("#define AT_" + x + "(c, i) LOAD_" + x + "((c) + (i))\n#define VAT_" + x + "(c, i) VLOAD_" + x +
                       "((c) + (i))");
  }
  source.text("#define CURSOR_" + x + " __global const " + std::string(storage_type(facts.dialect, dtype)) + "*");
  source.text("#define CURSOR_AT_" + x + "(i) (" + x + " + (" + x + "_at + (i)))");
  source.text("#define AT_" + x + "(c, i) " + load_expression(facts.dialect, dtype, "(c)", "(i)"));
  source.text("#define VAT_" + x + "(c, i) " +
              (width == 1 ? "AT_" + x + "(c, i)" : vector_load(dtype, width, "(c) + (i)")));
}

}  // namespace backplane::codegen
