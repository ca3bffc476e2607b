// SPDX-License-Identifier: Apache-2.0
#include "lanes.h"

#include <algorithm>
#include <string>

#include "backplane/sdk/program.hpp"
#include "vectors.h"

namespace backplane::codegen {
namespace {

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
  }
  declare_functions(source, width, dtype);
}

void declare_lane_access(Source& source, std::string_view name, uint32_t dtype, uint32_t width, int64_t step,
                         bool written, bool vectors) {
  const std::string x(name);
  if (width == 1) {
    source.text("#define GET_" + x + "(i, left, fill) LOAD_" + x + "(i)");
    if (written) source.text("#define PUT_" + x + "(i, v, left) STORE_" + x + "(i, v)");
    return;
  }
  const bool glsl = source.facts().dialect == Dialect::glsl;
  std::string distance = number(step);
  if (step != 0 && step != 1) source.param(distance = x + "_step", step);
  std::string all, part, stores;
  for (uint32_t lane = 0; lane < width; ++lane) {
    const std::string at = "(i)" + (lane == 0 ? "" : " + " + number(lane) + " * " + distance),
                      load = "LOAD_" + x + "(" + at + ")";
    const std::string value =
        glsl ? std::string("bp_v.") + "xyzw"[lane] : std::string("bp_v.s") + "0123456789abcdef"[lane];
    all += (lane == 0 ? "" : ", ") + load;
    part += lane == 0 ? load : ", " + number(lane) + " < (left) ? " + load + " : (fill)";
    stores += "if (" + number(lane) + " < (left)) { STORE_" + x + "(" + at + ", " + value + "); } ";
  }
  const std::string open = glsl ? "vec4(" : "(LANES)(";
  std::string whole = open + all + ")", store;
  if (step == 0) {
    whole = "LANES_OF(LOAD_" + x + "(i))";
  } else if (step == 1 && sdk::is_float(dtype)) {
    declare_vector_access(source, name, width, dtype, written, vectors);
    whole = "VLOAD_" + x + "(i)";
    store = "VSTORE_" + x + "(i, v)";
  }
  source.text("#define GET_" + x + "(i, left, fill) ((left) >= WIDTH ? " + whole + " : " +
              (step == 0 ? whole : open + part + ")") + ")");
  if (!written) return;
  const std::string some = "{ LANES bp_v = v; " + stores + "}";
  source.text("#define PUT_" + x + "(i, v, left) { " +
              (store.empty() ? some : "if ((left) >= WIDTH) { " + store + "; } else " + some) + " }");
}

}  // namespace backplane::codegen
