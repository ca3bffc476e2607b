// SPDX-License-Identifier: Apache-2.0
// The interpreter of scalar programs: every opcode on every dtype it takes, over values that include the awkward ones,
// against expectations computed another way (long double, __int128), and the edge cases of plugin.h by hand.
#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <map>
#include <vector>
#include <string>
#include <limits>

#include "backplane/sdk/program.hpp"
#include "backplane/sdk/walk.h"

namespace backplane::testing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
const double kNaN = std::nan("");

using Wide = long double;  // 64 bits of mantissa: holds every i64 and every double

void put(uint32_t dtype, bp_sdk_block& block, int i, Wide value) {
  switch (dtype) {
    case BP_F64: block.f64[i] = static_cast<double>(value); break;
    case BP_I32: block.i32[i] = static_cast<int32_t>(value); break;
    case BP_I64: block.i64[i] = static_cast<int64_t>(value); break;
    case BP_BOOL: block.u8[i] = value != 0; break;
    default: block.f32[i] = bp_sdk_round_to(dtype, static_cast<float>(value)); break;
  }
}
Wide get(uint32_t dtype, const bp_sdk_block& block, int i) {
  switch (dtype) {
    case BP_F64: return block.f64[i];
    case BP_I32: return block.i32[i];
    case BP_I64: return static_cast<Wide>(block.i64[i]);
    case BP_BOOL: return block.u8[i];
    default: return block.f32[i];
  }
}

/// One instruction on one element.
Wide run_one(uint16_t code, uint32_t dtype, uint32_t result, Wide a, Wide b = 0, Wide c = 0) {
  bp_instr instr{};
  instr.code = code;
  instr.dtype = static_cast<uint16_t>(result);
  instr.b = 1;
  instr.c = 2;
  const uint16_t output = 3;
  const bp_program program{sizeof(program), 3, 1, 1, &instr, &output};
  const bool select = code == BP_S_SELECT;
  const uint32_t inputs[3] = {select ? static_cast<uint32_t>(BP_BOOL) : dtype, dtype, dtype};
  uint32_t dtypes[BP_SDK_MAX_VALUES];
  static bp_sdk_block values[4];
  put(inputs[0], values[0], 0, a);
  put(dtype, values[1], 0, b);
  put(dtype, values[2], 0, c);
  bp_sdk_value_dtypes(&program, inputs, dtypes);
  bp_sdk_run(&program, dtypes, values, 1);
  return get(result, values[3], 0);
}

std::vector<Wide> samples(uint32_t dtype) {
  if (dtype == BP_BOOL) return {0, 1};
  if (dtype == BP_I32) return {0, 1, -1, 2, 7, -7, 31, 32, 33, -33, 65536, 2147483647, -2147483648.0L};
  if (dtype == BP_I64) {
    return {0, 1, -1, 3, 63, 64, 65, -65, 4294967296.0L, 9223372036854775807.0L, -9223372036854775808.0L};
  }
  return {0, -0.0L, 1, -1, 0.5L, -0.75L, 2.5L, -3.25L, 10, -20, 80, -90, 1e-5L, 1e30L, -1e30L, kInf, -kInf, kNaN};
}

/// What a unary float opcode should give, in long double.
const std::map<uint16_t, std::function<Wide(Wide)>> kUnary = {
    {BP_S_NEG, [](Wide x) { return -x; }},
    {BP_S_ABS, [](Wide x) { return std::fabs(x); }},
    {BP_S_EXP, [](Wide x) { return std::exp(x); }},
    {BP_S_LOG, [](Wide x) { return std::log(x); }},
    {BP_S_SQRT, [](Wide x) { return std::sqrt(x); }},
    {BP_S_RSQRT, [](Wide x) { return 1 / std::sqrt(x); }},
    {BP_S_SIN, [](Wide x) { return std::sin(x); }},
    {BP_S_COS, [](Wide x) { return std::cos(x); }},
    {BP_S_TANH, [](Wide x) { return std::tanh(x); }},
    {BP_S_ERF, [](Wide x) { return std::erf(x); }},
    {BP_S_EXPM1, [](Wide x) { return std::expm1(x); }},
    {BP_S_LOG1P, [](Wide x) { return std::log1p(x); }},
    {BP_S_FLOOR, [](Wide x) { return std::floor(x); }},
    {BP_S_CEIL, [](Wide x) { return std::ceil(x); }},
};
const std::map<uint16_t, std::function<Wide(Wide, Wide)>> kBinary = {
    {BP_S_ADD, [](Wide x, Wide y) { return x + y; }},
    {BP_S_SUB, [](Wide x, Wide y) { return x - y; }},
    {BP_S_MUL, [](Wide x, Wide y) { return x * y; }},
    {BP_S_DIV, [](Wide x, Wide y) { return x / y; }},
    {BP_S_REM, [](Wide x, Wide y) { return std::fmod(x, y); }},
    {BP_S_POW, [](Wide x, Wide y) { return std::pow(x, y); }},
    {BP_S_MAX, [](Wide x, Wide y) { return std::isnan(x) || std::isnan(y) ? Wide(kNaN) : std::max(x, y); }},
    {BP_S_MIN, [](Wide x, Wide y) { return std::isnan(x) || std::isnan(y) ? Wide(kNaN) : std::min(x, y); }},
    {BP_S_EQ, [](Wide x, Wide y) { return x == y; }},
    {BP_S_NE, [](Wide x, Wide y) { return x != y; }},
    {BP_S_LT, [](Wide x, Wide y) { return x < y; }},
    {BP_S_LE, [](Wide x, Wide y) { return x <= y; }},
};

/// Rounded as a value of that dtype is.
Wide rounded(uint32_t dtype, Wide value) {
  return dtype == BP_F64 ? static_cast<double>(value) : bp_sdk_round_to(dtype, static_cast<float>(value));
}
void expect_float(uint32_t dtype, Wide actual, Wide exact, const std::string& what) {
  const Wide expected = rounded(dtype, exact);
  if (std::isnan(expected)) {
    EXPECT_TRUE(std::isnan(actual)) << what << " gave " << actual;
    return;
  }
  if (actual == expected) return;
  // One unit in the last place of slack: libm's double functions are not always correctly rounded.
  const int digits = dtype == BP_F64 ? 52 : dtype == BP_F32 ? 23 : dtype == BP_F16 ? 10 : 7;
  const Wide slack = std::fabs(expected) * std::ldexp(Wide(1), -digits) + (dtype == BP_F16 ? 6e-8L : 1e-45L);
  EXPECT_LE(std::fabs(actual - expected), slack) << what << " gave " << actual << ", not " << expected;
}

TEST(Interpreter, FloatOpcodesOnEveryFloatDtype) {
  int checked = 0;
  for (const sdk::ScalarOp& op : sdk::kScalarOps) {
    for (uint32_t dtype : {BP_F32, BP_F64, BP_F16, BP_BF16}) {
      if ((op.takes & sdk::kTakesFloat) == 0) continue;
      for (Wide x : samples(dtype)) {
        x = rounded(dtype, x);
        const std::string what = std::string(op.name) + " " + sdk::dtype_name(dtype) + " " + std::to_string(x);
        if (kUnary.count(op.code) != 0) {
          expect_float(dtype, run_one(op.code, dtype, dtype, x), kUnary.at(op.code)(x), what);
          ++checked;
        }
        for (Wide y : samples(dtype)) {
          if (kBinary.count(op.code) == 0) continue;
          y = rounded(dtype, y);
          const Wide exact = kBinary.at(op.code)(x, y);
          const uint32_t result = op.gives_bool ? static_cast<uint32_t>(BP_BOOL) : dtype;
          const Wide actual = run_one(op.code, dtype, result, x, y);
          if (op.gives_bool) EXPECT_EQ(actual, exact) << what << " " << y;
          else expect_float(dtype, actual, exact, what + " " + std::to_string(y));
          ++checked;
        }
      }
    }
  }
  EXPECT_GT(checked, 14000);
}

using Int = __int128;

/// What an integer opcode gives before it wraps; `bits` is the width.
Int integer(uint16_t code, Int x, Int y, int bits) {
  const unsigned __int128 mask = (static_cast<unsigned __int128>(1) << bits) - 1;
  switch (code) {
    case BP_S_NEG: return -x;
    case BP_S_ABS: return x < 0 ? -x : x;
    case BP_S_NOT: return -x - 1;
    case BP_S_ADD: return x + y;
    case BP_S_SUB: return x - y;
    case BP_S_MUL: return x * y;
    case BP_S_DIV: return y == 0 ? 0 : x / y;
    case BP_S_REM: return y == 0 ? 0 : x % y;
    case BP_S_MAX: return x > y ? x : y;
    case BP_S_MIN: return x < y ? x : y;
    case BP_S_EQ: return x == y;
    case BP_S_NE: return x != y;
    case BP_S_LT: return x < y;
    case BP_S_LE: return x <= y;
    case BP_S_AND: return x & y;
    case BP_S_OR: return x | y;
    case BP_S_XOR: return x ^ y;
    case BP_S_SHL: return static_cast<Int>((static_cast<unsigned __int128>(x) & mask) << (y & (bits - 1)));
    case BP_S_SHR: return static_cast<Int>((static_cast<unsigned __int128>(x) & mask) >> (y & (bits - 1)));
    default: ADD_FAILURE() << "no expectation for opcode " << code; return 0;
  }
}
int64_t wrapped(Int value, int bits) {
  const auto low = static_cast<uint64_t>(value);
  return bits == 32 ? static_cast<int32_t>(static_cast<uint32_t>(low)) : static_cast<int64_t>(low);
}

TEST(Interpreter, IntegerOpcodesWrapAndHaveNoUndefinedCase) {
  int checked = 0;
  for (const sdk::ScalarOp& op : sdk::kScalarOps) {
    if ((op.takes & sdk::kTakesInt) == 0 || op.code == BP_S_CONST || op.code == BP_S_CAST || op.arity == 3) continue;
    for (uint32_t dtype : {BP_I32, BP_I64}) {
      const int bits = dtype == BP_I32 ? 32 : 64;
      for (Wide x : samples(dtype)) {
        for (Wide y : samples(dtype)) {
          const int64_t expected = wrapped(integer(op.code, static_cast<int64_t>(x), static_cast<int64_t>(y), bits), bits);
          const uint32_t result = op.gives_bool ? static_cast<uint32_t>(BP_BOOL) : dtype;
          EXPECT_EQ(static_cast<int64_t>(run_one(op.code, dtype, result, x, y)), expected)
              << op.name << " " << sdk::dtype_name(dtype) << " " << x << " " << y;
          ++checked;
        }
      }
    }
  }
  EXPECT_GT(checked, 5000);
}

TEST(Interpreter, BoolOpcodes) {
  for (int x = 0; x < 2; ++x) {
    EXPECT_EQ(run_one(BP_S_NOT, BP_BOOL, BP_BOOL, x), !x);
    for (int y = 0; y < 2; ++y) {
      EXPECT_EQ(run_one(BP_S_AND, BP_BOOL, BP_BOOL, x, y), x && y);
      EXPECT_EQ(run_one(BP_S_MIN, BP_BOOL, BP_BOOL, x, y), x && y);
      EXPECT_EQ(run_one(BP_S_OR, BP_BOOL, BP_BOOL, x, y), x || y);
      EXPECT_EQ(run_one(BP_S_MAX, BP_BOOL, BP_BOOL, x, y), x || y);
      EXPECT_EQ(run_one(BP_S_XOR, BP_BOOL, BP_BOOL, x, y), x != y);
      EXPECT_EQ(run_one(BP_S_EQ, BP_BOOL, BP_BOOL, x, y), x == y);
      EXPECT_EQ(run_one(BP_S_NE, BP_BOOL, BP_BOOL, x, y), x != y);
      EXPECT_EQ(run_one(BP_S_LT, BP_BOOL, BP_BOOL, x, y), x < y);
      EXPECT_EQ(run_one(BP_S_LE, BP_BOOL, BP_BOOL, x, y), x <= y);
    }
  }
}

TEST(Interpreter, EdgesNamedInTheHeader) {
  const Wide min32 = -2147483648.0L, min64 = -9223372036854775808.0L;
  EXPECT_EQ(run_one(BP_S_DIV, BP_I32, BP_I32, 7, 0), 0);
  EXPECT_EQ(run_one(BP_S_REM, BP_I32, BP_I32, 7, 0), 0);
  EXPECT_EQ(run_one(BP_S_DIV, BP_I32, BP_I32, min32, -1), min32);
  EXPECT_EQ(run_one(BP_S_DIV, BP_I64, BP_I64, min64, -1), min64);
  EXPECT_EQ(run_one(BP_S_REM, BP_I64, BP_I64, min64, -1), 0);
  EXPECT_EQ(run_one(BP_S_DIV, BP_I32, BP_I32, -7, 2), -3);
  EXPECT_EQ(run_one(BP_S_REM, BP_I32, BP_I32, -7, 2), -1);
  EXPECT_EQ(run_one(BP_S_REM, BP_F32, BP_F32, -7, 2), -1);
  EXPECT_EQ(run_one(BP_S_SHR, BP_I32, BP_I32, -1, 28), 15);
  EXPECT_EQ(run_one(BP_S_SHL, BP_I32, BP_I32, 1, 33), 2);
  EXPECT_EQ(run_one(BP_S_SHR, BP_I64, BP_I64, -1, 60), 15);
  EXPECT_TRUE(std::isnan(run_one(BP_S_MAX, BP_F32, BP_F32, kNaN, 1)));
  EXPECT_TRUE(std::isnan(run_one(BP_S_MIN, BP_F32, BP_F32, 1, kNaN)));
  EXPECT_EQ(run_one(BP_S_NE, BP_F32, BP_BOOL, kNaN, kNaN), 1);
  EXPECT_EQ(run_one(BP_S_EQ, BP_F32, BP_BOOL, kNaN, kNaN), 0);
  EXPECT_EQ(run_one(BP_S_SELECT, BP_F32, BP_F32, 1, 5, kNaN), 5);
  EXPECT_EQ(run_one(BP_S_SELECT, BP_I64, BP_I64, 0, 5, 6), 6);
  // f16 is computed in f32 and rounded when defined: 2048 + 1 does not fit, 65504 + 32 is infinite
  EXPECT_EQ(run_one(BP_S_ADD, BP_F16, BP_F16, 2048, 1), 2048);
  EXPECT_EQ(run_one(BP_S_ADD, BP_F16, BP_F16, 65504, 32), kInf);
  EXPECT_EQ(run_one(BP_S_ADD, BP_BF16, BP_BF16, 256, 1), 256);
}

TEST(Interpreter, CastsTruncateSaturateAndWrap) {
  struct Row {
    uint32_t from, to;
    Wide value, expected;
  };
  const Wide max64 = 9223372036854775807.0L, min64 = -9223372036854775808.0L;
  const Row rows[] = {
      {BP_F32, BP_I32, 2.9L, 2}, {BP_F32, BP_I32, -2.9L, -2}, {BP_F32, BP_I32, 3e9L, 2147483647},
      {BP_F32, BP_I32, -3e9L, -2147483648.0L}, {BP_F32, BP_I32, kNaN, 0}, {BP_F32, BP_I32, kInf, 2147483647},
      {BP_F64, BP_I32, -2147483648.9L, -2147483648.0L}, {BP_F64, BP_I32, 2147483647.9L, 2147483647},
      {BP_F64, BP_I64, 1e19L, max64}, {BP_F64, BP_I64, -1e19L, min64}, {BP_F64, BP_I64, kNaN, 0},
      {BP_F16, BP_I32, 65504, 65504}, {BP_BF16, BP_I64, -1.5L, -1}, {BP_F16, BP_I32, kInf, 2147483647},
      {BP_F32, BP_BOOL, 0.25L, 1}, {BP_F32, BP_BOOL, -0.0L, 0}, {BP_F32, BP_BOOL, kNaN, 1},
      {BP_I64, BP_I32, 4294967297.0L, 1}, {BP_I64, BP_BOOL, 4294967296.0L, 1}, {BP_I32, BP_I64, -5, -5},
      {BP_I64, BP_F32, 16777217, 16777216}, {BP_I64, BP_F64, max64, 9223372036854775808.0L},
      {BP_I32, BP_F16, 70000, kInf}, {BP_I32, BP_BF16, 257, 256}, {BP_BOOL, BP_F16, 1, 1}, {BP_BOOL, BP_I64, 1, 1},
      {BP_F64, BP_F32, 1e300L, kInf}, {BP_F32, BP_F16, 65519, 65504}, {BP_F32, BP_F16, 65520, kInf},
      {BP_F32, BP_F16, 5.9604645e-8L, 5.9604645e-8L}, {BP_F32, BP_F16, 2.9802322e-8L, 0},
      {BP_F32, BP_BF16, 1.00390625L, 1}, {BP_F32, BP_BF16, 1.01171875L, 1.015625L}, {BP_BOOL, BP_BOOL, 1, 1},
  };
  for (const Row& row : rows) {
    const Wide actual = run_one(BP_S_CAST, row.from, row.to, row.value);
    EXPECT_EQ(actual, row.to == BP_F32 || row.to == BP_F16 || row.to == BP_BF16 ? rounded(row.to, row.expected) : row.expected)
        << sdk::dtype_name(row.from) << " " << row.value << " to " << sdk::dtype_name(row.to);
  }
}

TEST(Interpreter, ConstantsOfEveryDtype) {
  for (uint32_t dtype = BP_F32; dtype <= BP_BOOL; ++dtype) {
    bp_instr instr{};
    instr.code = BP_S_CONST;
    instr.dtype = static_cast<uint16_t>(dtype);
    if (sdk::is_float(dtype)) instr.imm.f = 1.00048828125;
    else instr.imm.i = -3;
    const uint16_t output = 0;
    const bp_program program{sizeof(program), 0, 1, 1, &instr, &output};
    bp_sdk_block block;
    uint32_t dtypes[1] = {dtype};
    bp_sdk_run(&program, dtypes, &block, BP_SDK_BLOCK);
    const Wide expected = dtype == BP_BOOL ? 1 : sdk::is_float(dtype) ? rounded(dtype, 1.00048828125L) : -3;
    for (int i = 0; i < BP_SDK_BLOCK; ++i) ASSERT_EQ(get(dtype, block, i), expected) << sdk::dtype_name(dtype);
  }
}

TEST(Convert, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto half = static_cast<uint16_t>(bits);
    const float f = bp_sdk_f16_to_f32(half), b = bp_sdk_bf16_to_f32(half);
    if (std::isnan(f)) ASSERT_TRUE(std::isnan(bp_sdk_f16_to_f32(bp_sdk_f32_to_f16(f)))) << bits;
    else ASSERT_EQ(bp_sdk_f32_to_f16(f), half);
    if (std::isnan(b)) ASSERT_TRUE(std::isnan(bp_sdk_bf16_to_f32(bp_sdk_f32_to_bf16(b)))) << bits;
    else ASSERT_EQ(bp_sdk_f32_to_bf16(b), half);
  }
}

TEST(Convert, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7C00; ++bits) {  // between each pair of neighbouring halves
    const auto low = static_cast<uint16_t>(bits);
    const float a = bp_sdk_f16_to_f32(low), b = bits + 1 == 0x7C00 ? 65536.0f : bp_sdk_f16_to_f32(static_cast<uint16_t>(bits + 1));
    const float middle = a + (b - a) / 2;
    ASSERT_EQ(bp_sdk_f32_to_f16(middle), bits % 2 == 0 ? bits : bits + 1) << bits;
    ASSERT_EQ(bp_sdk_f32_to_f16(std::nextafter(middle, 0.0f)), bits);
    ASSERT_EQ(bp_sdk_f32_to_f16(std::nextafter(middle, 1e9f)), bits + 1);
    ASSERT_EQ(bp_sdk_f32_to_f16(-middle), (bits % 2 == 0 ? bits : bits + 1) | 0x8000u);
  }
}

}  // namespace
}  // namespace backplane::testing
