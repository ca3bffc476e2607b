// SPDX-License-Identifier: Apache-2.0
#include "lanes.h"

#include <algorithm>
#include <string>

#include "backplane/sdk/program.hpp"
#include "vectors.h"

namespace backplane::codegen {
namespace {

constexpr const char* kLaneNames = "0123456789abcdef";

std::string number(int64_t n) { return std::to_string(n); }

constexpr std::string_view kOpenClLanes = R"(
#define BP_JOIN2(a, b) a##b
#define BP_JOIN(a, b) BP_JOIN2(a, b)
#define LANES_INT BP_JOIN(int, WIDTH)
#define AS_LANES(x) BP_JOIN(as_float, WIDTH)(x)
#define AS_LANES_INT(x) BP_JOIN(as_int, WIDTH)(x)
#define LANES_LESS(x, limit, yes, no) ((x) < (limit) ? (LANES)(yes) : (no))
#define LANES_SUM(v) lanes_sum(v)
#define LANES_TOP(v) lanes_top(v)
)";

constexpr std::string_view kGlslLanes = R"(
#define LANES_INT ivec4
#define AS_LANES(x) intBitsToFloat(x)
#define AS_LANES_INT(x) floatBitsToInt(x)
#define LANES_LESS(x, limit, yes, no) mix(no, vec4(yes), lessThan(x, vec4(limit)))
#define LANES_LARGER(a, b) max(a, b)
#define LANES_SUM(v) (((v).x + (v).z) + ((v).y + (v).w))
#define LANES_TOP(v) max(max((v).x, (v).z), max((v).y, (v).w))
)";

constexpr std::string_view kScalarLanes = R"(
#define LANES_INT int
#define AS_LANES(x) AS_FLOAT(x)
#define AS_LANES_INT(x) AS_INT(x)
#define LANES_LESS(x, limit, yes, no) ((x) < (limit) ? (yes) : (no))
#define LANES_LARGER(a, b) ((a) > (b) ? (a) : (b))
#define LANES_SUM(v) (v)
#define LANES_TOP(v) (v)
)";

// e^x = 2^n e^r with |r| <= log(2) / 2, e^r = 1 + r + r^2 P(r) by a minimax fit of our own, within 3e-9. One log(2) is
// enough: its rounding moves x by 3e-9 of itself, a tenth of what the rounding of x does. Rounding to n by adding
// 1.5 * 2^23 leaves n in the low bits; where a compiler may cancel that sum, floor and a conversion do the same.
// For x <= 0 the 127 that 2^n wants is part of that sum, and x = -88, where n becomes -127, makes 2^n zero.
constexpr std::string_view kExp = R"(
#if defined(BP_ROUND_BY_SUM)
#define BP_ROUNDED(shifted, n, exponent, bias) \
  LANES shifted = FMA(x, LANES_OF(1.44269504f), LANES_OF(12582912.0f + TO_FLOAT(bias))); \
  LANES n = shifted - LANES_OF(12582912.0f + TO_FLOAT(bias)); \
  LANES_INT exponent = AS_LANES_INT(shifted) << 23;
#else
#define BP_ROUNDED(shifted, n, exponent, bias) \
  LANES n = floor(FMA(x, LANES_OF(1.44269504f), LANES_OF(0.5f))); \
  LANES_INT exponent = (LANES_INT(n) + bias) << 23;
#endif
FN LANES lanes_exp_rest(LANES x, LANES n) {
  LANES r = FMA(n, LANES_OF(-0.693147181f), x);
  LANES p = FMA(LANES_OF(1.381453871e-3f), r, LANES_OF(8.368745741e-3f));
  p = FMA(p, r, LANES_OF(4.166839085e-2f));
  p = FMA(p, r, LANES_OF(1.666652039e-1f));
  p = FMA(p, r, LANES_OF(4.999999343e-1f));
  p = FMA(p, r, LANES_OF(1.0f));
  return FMA(p, r, LANES_OF(1.0f));
}
FN LANES lanes_exp(LANES x) {
  BP_ROUNDED(shifted, n, exponent, 0)
  LANES e = AS_LANES(AS_LANES_INT(lanes_exp_rest(x, n)) + exponent);
  e = LANES_LESS(x, -87.33654f, 0.0f, e);
  return LANES_LESS(LANES_OF(88.72283f), x, INF, e);
}
FN LANES lanes_exp_down(LANES x) {
  x = LANES_LESS(x, -88.0f, -88.0f, x);
  BP_ROUNDED(shifted, n, power, 127)
  return lanes_exp_rest(x, n) * AS_LANES(power);
}
#define LANES_EXP(v) lanes_exp(v)
#define LANES_EXP_DOWN(v) lanes_exp_down(v)
)";

/// Folds halves of an OpenCL vector: "sum" or "top" of `width` lanes.
std::string fold(std::string_view name, uint32_t width, std::string_view open, std::string_view middle) {
  std::string text = "FN float lanes_" + std::string(name) + "(LANES v) {\n";
  std::string last = "v";
  for (uint32_t half = width / 2; half >= 1; half /= 2) {
    const std::string part = "v" + number(half);
    text += "  float" + (half == 1 ? std::string() : number(half)) + " " + part + " = " + std::string(open) + last +
            ".lo" + std::string(middle) + last + ".hi);\n";
    last = part;
  }
  return text + "  return " + last + ";\n}\n";
}

/// Where a lane of a vector that is not full lies. In pieces: halves, quarters, ... of the vector by the bits of
/// `left`, so that 15 lanes are four loads; each piece has its own lanes whether or not those before it are there.
struct Place {
  std::string there, at;  ///< as expressions of `left`
};
Place place_of(uint32_t lane, uint32_t width, bool pieces) {
  if (!pieces) return {number(lane) + " < (left)", number(lane)};
  uint32_t begin = 0, half = width / 2;
  for (; half >= 1 && lane >= begin + half; half /= 2) begin += half;
  if (half == 0) return {"false", "0"};
  const std::string before = begin == 0 ? "" : "((left) & " + number(begin) + ") + ";
  return {"((left) & " + number(half) + ") != 0", "(" + before + number(lane - begin) + ")"};
}

/// Loads and stores of floats in such pieces.
std::string pieces_of_floats(uint32_t width) {
  std::string load, store, all;
  for (uint32_t half = width / 2, begin = 0; half >= 1; begin += half, half /= 2) {
    const bool one = half == 1;
    const std::string h = one ? "" : number(half), v = "v" + number(half);
    const std::string there = "if ((left & " + number(half) + ") != 0) ";
    const std::string at = begin == 0 ? "p" : "p + (left & " + number(begin) + ")";
    std::string lanes = "x.s";
    for (uint32_t lane = begin; lane < begin + half; ++lane) lanes += kLaneNames[lane];
    load += "  float" + h + " " + v + " = (float" + h + ")(fill);\n";
    load += "  " + there + v + " = " + (one ? "*(" + at + ")" : "vload" + h + "(0, " + at + ")") + ";\n";
    store += "  " + there + (one ? "*(" + at + ") = " + lanes : "vstore" + h + "(" + lanes + ", 0, " + at + ")");
    store += ";\n";
    all += v + ", ";
  }
  return "FN LANES lanes_pieces(__global const float* p, int left, float fill) {\n" + load + "  return (LANES)(" + all +
         "fill);\n}\nFN void lanes_put_pieces(__global float* p, LANES x, int left) {\n" + store + "}\n";
}

void declare_functions(Source& source, uint32_t width, uint32_t dtype) {
  if (dtype == BP_F64)
    return source.text(
        "#define LANES_EXP(v) exp(v)\n#define LANES_EXP_DOWN(v) exp(v)\n#define REAL_EXP(v) exp(v)\n"
        "#define REAL_LOG(v) log(v)\n#define LANES_LOG(v) log(v)");
  source.include("scalar_exp");
  source.include("scalar_log");
  source.text("#define REAL_EXP(v) s_exp(v)\n#define REAL_LOG(v) s_log(v)");
  if (width == 1) {
    return source.text(
        "#define LANES_EXP(v) s_exp(v)\n#define LANES_EXP_DOWN(v) s_exp(v)\n#define LANES_LOG(v) s_log(v)");
  }
  if (source.facts().dialect == Dialect::glsl) {
    source.text("#define LANES_LOG(v) vec4(s_log((v).x), s_log((v).y), s_log((v).z), s_log((v).w))");
  } else {
    source.text("#define LANES_LOG(v) log(v)");
  }
  if (source.facts().dialect != Dialect::glsl) source.text("#define BP_ROUND_BY_SUM");
  source.text(kExp);
}

}  // namespace

uint32_t lane_width(const DeviceFacts& facts, uint32_t dtype, int64_t wish) {
  return dtype == BP_F64 || !facts.cpu_like || wish < 3 ? 1 : vector_width(facts, BP_F32);
}

void declare_lanes(Source& source, uint32_t width, uint32_t dtype) {
  declare_vectors(source, width, dtype);
  source.text("#define LANES VEC\n#define LANES_OF(x) VEC_OF(x)");
  if (width == 1) {
    source.text(kScalarLanes);
  } else if (source.facts().dialect == Dialect::glsl) {
    source.text(kGlslLanes);
  } else {
    source.text("#define LANES_LARGER(a, b) ((a) > (b) ? (a) : (b))");
    source.text(fold("sum", width, "(", " + "));
    source.text(fold("top", width, "LANES_LARGER(", ", "));
    source.text(kOpenClLanes);
    source.text(pieces_of_floats(width));
  }
  declare_functions(source, width, dtype);
}

void declare_lane_access(Source& source, std::string_view name, uint32_t dtype, uint32_t width, int64_t step,
                         bool written, bool vectors, LaneOrder order) {
  const std::string x(name);
  if (width == 1) {
    source.text("#define GET_" + x + "(i, left, fill) LOAD_" + x + "(i)");
    if (written) source.text("#define PUT_" + x + "(i, v, left) STORE_" + x + "(i, v)");
    return;
  }
  const bool glsl = source.facts().dialect == Dialect::glsl;
  std::string distance = number(step);
  if (step != 0 && step != 1) source.param(distance = x + "_step", step);
  std::string all, part, all_stores, stores;
  const bool pieces = order == LaneOrder::any && source.facts().dialect == Dialect::opencl_c;
  for (uint32_t lane = 0; lane < width; ++lane) {
    const Place place = place_of(lane, width, pieces);
    const std::string at = "(i) + " + place.at + " * " + distance;
    const std::string value =
        glsl ? std::string("bp_v.") + "xyzw"[lane] : std::string("bp_v.s") + kLaneNames[lane];
    const std::string full = "(i) + " + number(lane) + " * " + distance;
    all += (lane == 0 ? "" : ", ") + ("LOAD_" + x + "(" + full + ")");
    all_stores += "STORE_" + x + "(" + full + ", " + value + "); ";
    part += (lane == 0 ? "" : ", ") + (place.there + " ? LOAD_" + x + "(" + at + ") : (fill)");
    stores += "if (" + place.there + ") { STORE_" + x + "(" + at + ", " + value + "); } ";
  }
  const std::string open = glsl ? "vec4(" : "(LANES)(";
  std::string whole = open + all + ")", some = open + part + ")", put_some = "{ LANES bp_v = v; " + stores + "}", put;
  if (pieces) put = "{ LANES bp_v = v; " + all_stores + "}";
  if (step == 0) {
    some = whole = "LANES_OF(LOAD_" + x + "(i))";
  } else if (step == 1 && sdk::is_float(dtype)) {
    declare_vector_access(source, name, width, dtype, written, vectors);
    whole = "VLOAD_" + x + "(i)";
    put = "VSTORE_" + x + "(i, v);";
    if (pieces && dtype == BP_F32) {
      const std::string here = "(" + x + " + (" + x + "_at + (i)), ";
      some = "lanes_pieces" + here + "left, fill)";
      put_some = "lanes_put_pieces" + here + "v, left);";
    }
  }
  source.text("#define GET_" + x + "(i, left, fill) ((left) >= WIDTH ? " + whole + " : " + some + ")");
  if (!written) return;
  if (!put.empty()) put_some = "if ((left) >= WIDTH) { " + put + " } else { " + put_some + " }";
  source.text("#define PUT_" + x + "(i, v, left) { " + put_some + " }");
}

}  // namespace backplane::codegen
