// SPDX-License-Identifier: Apache-2.0
// POINTWISE: layouts, dtypes, programs with several outputs, in-place results, large operands.
#include <gtest/gtest.h>

#include <cmath>

#include "cards/compare.h"
#include "support/float8.h"

namespace card_test {
namespace {

using Shape = std::vector<int64_t>;
using Pointwise = CardTest;

Case pointwise(std::string name, std::vector<bp_tensor_desc> in, std::vector<bp_tensor_desc> out, ProgramSpec program) {
  Case c;
  c.name = std::move(name);
  c.code = BP_OP_POINTWISE;
  c.in = std::move(in), c.out = std::move(out);
  c.program = std::move(program);
  c.has_program = true;
  return c;
}

const Shape kShapes[] = {{},        {1},        {7},          {1000},      {70000},       {3, 5},
                         {64, 300}, {17, 1, 9}, {2, 3, 4, 5}, {600, 3, 3}, {33, 257, 11}, {0, 4}};
const Lay kLays[] = {Lay::dense, Lay::permuted, Lay::padded, Lay::reversed, Lay::stepped, Lay::broadcast_first,
                     Lay::broadcast_last, Lay::scalar};
const Lay kOutLays[] = {Lay::dense, Lay::permuted, Lay::padded, Lay::reversed, Lay::stepped};

TEST_F(Pointwise, EveryLayoutOfOperandsAndResult) {
  for (const Shape& shape : kShapes) {
    for (Lay a : kLays) {
      for (Lay y : kOutLays) {
        Case c = pointwise("a*b+a", {lay_out(BP_F32, shape, a), lay_out(BP_F32, shape)}, {lay_out(BP_F32, shape, y)},
                           {{instr(BP_S_MUL, BP_F32, 0, 1), instr(BP_S_ADD, BP_F32, 2, 0)}, 2, {3}});
        c.name +=
            " rank " + std::to_string(shape.size()) + " lay " + std::to_string(int(a)) + "->" + std::to_string(int(y));
        compare(c);
      }
    }
  }
}

constexpr uint32_t kAllDtypes[] = {BP_F32, BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64, BP_BOOL, BP_F8_E4M3, BP_F8_E5M2};

TEST_F(Pointwise, CopiesOfEveryDtypeAndLayout) {
  for (uint32_t dtype : kAllDtypes) {
    for (const Shape& shape : {Shape{40, 50}, Shape{5, 6, 70}, Shape{130, 129}, Shape{8, 3, 20, 30}}) {
      for (Lay x : kLays) {
        for (Lay y : kOutLays) {
          Case c = pointwise("copy", {lay_out(dtype, shape, x)}, {lay_out(dtype, shape, y)}, {{}, 1, {0}});
          c.bound.exact = true;
          compare(c);
        }
      }
    }
  }
}

TEST_F(Pointwise, CastsBetweenAllDtypes) {
  for (uint32_t from : kAllDtypes) {
    for (uint32_t to : kAllDtypes) {
      for (Lay x : {Lay::dense, Lay::stepped, Lay::broadcast_last}) {
        Case c = pointwise("cast " + std::to_string(from) + "->" + std::to_string(to), {lay_out(from, {9, 300}, x)},
                           {lay_out(to, {9, 300})}, {{instr(BP_S_CAST, to, 0)}, 1, {1}});
        c.bound.exact = true;
        c.low = -300, c.high = 300;
        if (from == BP_BOOL) c.low = -1, c.high = 1;
        compare(c);
      }
    }
  }
}

/// Every code once; then ties, subnormals, what overflows and what is no number.
TEST_F(Pointwise, EightBitFloatsWidenAndNarrow) {
  for (uint32_t small : {BP_F8_E4M3, BP_F8_E5M2}) {
    const backplane::test::Float8& format = small == BP_F8_E4M3 ? backplane::test::kE4M3 : backplane::test::kE5M2;
    Case widen = pointwise("widen", {lay_out(small, {256})}, {lay_out(BP_F32, {256})}, {{instr(BP_S_CAST, BP_F32, 0)}, 1, {1}});
    widen.value = [&](size_t, int64_t e) { return backplane::test::decode(format, static_cast<uint8_t>(e)); };
    widen.bound.exact = true;
    compare(widen);
    Case narrow = pointwise("narrow", {lay_out(BP_F32, {4 * 255})}, {lay_out(small, {4 * 255}), lay_out(BP_F32, {4 * 255})},
                            {{instr(BP_S_CAST, small, 0), instr(BP_S_CAST, BP_F32, 1)}, 1, {1, 2}});
    narrow.value = [&](size_t, int64_t e) {  // quarters of the way from each code to the next, of both signs
      const int code = static_cast<int>(e / 8);
      const double from = backplane::test::magnitude_of(format, code), to = backplane::test::magnitude_of(format, code + 1);
      return (e % 2 != 0 ? -1 : 1) * (from + (to - from) * static_cast<double>(e % 8 / 2) / 4);
    };
    narrow.bound.exact = true;
    compare(narrow);
    const double large[] = {448, 463, 464, 465, 480, 57344, 61439, 61440, 61441, 65536, 1e30, INFINITY, -1e30, -INFINITY, NAN, -0.0};
    Case beyond = pointwise("beyond", {lay_out(BP_F32, {16})}, {lay_out(small, {16})}, {{instr(BP_S_CAST, small, 0)}, 1, {1}});
    beyond.value = [&](size_t, int64_t e) { return large[e]; };
    beyond.bound.exact = true;
    compare(beyond);
  }
}

TEST_F(Pointwise, FloatToIntegerSaturates) {
  const double values[] = {NAN,           INFINITY, -INFINITY, 1e30, -1e30, 2147483647.0, 2147483648.0, -2147483648.0,
                           -2147483904.0, 0.9,      -0.9,      1.5,  -1.5,  9.3e18,       -9.3e18,      9.2e18};
  for (uint32_t from : {BP_F32, BP_F64}) {
    for (uint32_t to : {BP_I32, BP_I64}) {
      Case c = pointwise("saturate", {lay_out(from, {64})}, {lay_out(to, {64})}, {{instr(BP_S_CAST, to, 0)}, 1, {1}});
      c.value = [&](size_t, int64_t e) { return values[e % 16]; };
      compare(c);
    }
  }
}

TEST_F(Pointwise, EveryBinaryOpcodeOnEveryDtype) {
  const uint16_t arithmetic[] = {BP_S_ADD, BP_S_SUB, BP_S_MUL, BP_S_DIV, BP_S_REM, BP_S_MAX, BP_S_MIN};
  for (uint32_t dtype : {BP_F32, BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64}) {
    for (uint16_t code : arithmetic) {
      Case c = pointwise("binary " + std::to_string(code) + " dtype " + std::to_string(dtype),
                         {lay_out(dtype, {1037}), lay_out(dtype, {1037})}, {lay_out(dtype, {1037})},
                         {{instr(code, dtype, 0, 1)}, 2, {2}});
      c.bound.weight = 1;
      if (code == BP_S_REM) c.bound.exact = true;
      compare(c);
    }
    for (uint16_t code : {BP_S_EQ, BP_S_NE, BP_S_LT, BP_S_LE}) {
      Case c = pointwise("compare " + std::to_string(code), {lay_out(dtype, {1037}), lay_out(dtype, {1037})},
                         {lay_out(BP_BOOL, {1037})}, {{instr(code, BP_BOOL, 0, 1)}, 2, {2}});
      c.value = [](size_t i, int64_t e) { return double((e * (i + 3)) % 7) - 3; };
      compare(c);
    }
  }
  for (uint32_t dtype : {BP_I32, BP_I64}) {
    for (uint16_t code : {BP_S_AND, BP_S_OR, BP_S_XOR, BP_S_SHL, BP_S_SHR, BP_S_DIV, BP_S_REM}) {
      Case c = pointwise("integer " + std::to_string(code), {lay_out(dtype, {1037}), lay_out(dtype, {1037})},
                         {lay_out(dtype, {1037})}, {{instr(code, dtype, 0, 1)}, 2, {2}});
      c.value = [](size_t i, int64_t e) {
        return i == 0 ? (e % 5 == 0 ? -2147483648.0 : double(e * 7919 % 100003) - 50000) : double(e % 67) - 33;
      };
      compare(c);
    }
  }
  for (uint16_t code : {BP_S_AND, BP_S_OR, BP_S_XOR, BP_S_MAX, BP_S_MIN, BP_S_EQ, BP_S_NE, BP_S_LT, BP_S_LE}) {
    Case c = pointwise("bool " + std::to_string(code), {lay_out(BP_BOOL, {500}), lay_out(BP_BOOL, {500}, Lay::stepped)},
                       {lay_out(BP_BOOL, {500})}, {{instr(code, BP_BOOL, 0, 1)}, 2, {2}});
    c.value = [](size_t i, int64_t e) { return double((e >> i) % 3); };  // 2 is true as well
    compare(c);
  }
}

TEST_F(Pointwise, SpecialValuesInMinMaxAndComparisons) {
  const double values[] = {NAN, 1, -1, INFINITY, -INFINITY, 0, 2};
  for (uint16_t code : {BP_S_MAX, BP_S_MIN, BP_S_EQ, BP_S_NE, BP_S_LT, BP_S_LE}) {
    const uint32_t to = code < BP_S_EQ ? uint32_t{BP_F32} : uint32_t{BP_BOOL};
    Case c = pointwise("special " + std::to_string(code), {lay_out(BP_F32, {49}), lay_out(BP_F32, {49})},
                       {lay_out(to, {49})}, {{instr(code, to, 0, 1)}, 2, {2}});
    c.value = [&](size_t i, int64_t e) { return values[i == 0 ? e % 7 : e / 7]; };
    c.bound.exact = true;
    compare(c);
  }
}

// An optimiser step: three results in place, each overwriting an operand that others still need.
TEST_F(Pointwise, SeveralResultsInPlace) {
  for (int64_t n : {5, 1000, 100000}) {
    for (Lay lay : {Lay::dense, Lay::stepped}) {
      const bp_tensor_desc d = lay_out(BP_F32, {n}, lay);
      ProgramSpec p;
      p.num_inputs = 4;  // weight, gradient, momentum, square
      p.instrs = {constant(BP_F32, 0.9),               // 4
                  instr(BP_S_MUL, BP_F32, 2, 4),       // 5
                  instr(BP_S_ADD, BP_F32, 5, 1),       // 6 momentum'
                  instr(BP_S_MUL, BP_F32, 1, 1),       // 7
                  instr(BP_S_MUL, BP_F32, 3, 4),       // 8
                  instr(BP_S_ADD, BP_F32, 7, 8),       // 9 square'
                  instr(BP_S_SQRT, BP_F32, 9),         // 10
                  constant(BP_F32, 1e-3),              // 11
                  instr(BP_S_ADD, BP_F32, 10, 11),     // 12
                  instr(BP_S_DIV, BP_F32, 6, 12),      // 13
                  instr(BP_S_SUB, BP_F32, 0, 13),      // 14 weight'
                  instr(BP_S_ADD, BP_F32, 2, 14)};     // 15 still reads the old momentum
      p.outputs = {14, 6, 9, 15};
      Case c = pointwise("adam", {d, d, d, d}, {d, d, d, d}, p);
      c.low = 0.1, c.high = 1;
      c.bound.weight = 16, c.bound.floor = 4;
      c.aliases = {{0, 0}, {1, 2}, {2, 3}};
      compare(c);
    }
  }
}

TEST_F(Pointwise, SwapInPlace) {
  const bp_tensor_desc d = lay_out(BP_F32, {3000});
  Case c = pointwise("swap", {d, d}, {d, d}, {{}, 2, {1, 0}});
  c.aliases = {{0, 0}, {1, 1}};
  c.bound.exact = true;
  compare(c);
}

TEST_F(Pointwise, MixedTypesSelectAndRepeatedOutputs) {
  ProgramSpec p;
  p.num_inputs = 3;  // f32, bool, i64
  p.instrs = {instr(BP_S_CAST, BP_F32, 2), instr(BP_S_SELECT, BP_F32, 1, 0, 3), instr(BP_S_NOT, BP_BOOL, 1),
              instr(BP_S_SELECT, BP_I64, 5, 2, 2), instr(BP_S_CAST, BP_BF16, 4), constant(BP_F32, 3.0)};
  p.outputs = {4, 4, 5, 6, 7, 8, 1};
  for (Lay lay : {Lay::dense, Lay::permuted, Lay::broadcast_last}) {
    const Shape s{37, 65};
    Case c = pointwise("mixed", {lay_out(BP_F32, s, lay), lay_out(BP_BOOL, s, lay), lay_out(BP_I64, s)},
                       {lay_out(BP_F32, s), lay_out(BP_F32, s, Lay::padded), lay_out(BP_BOOL, s), lay_out(BP_I64, s),
                        lay_out(BP_BF16, s), lay_out(BP_F32, s), lay_out(BP_BOOL, s)}, p);
    c.bound.exact = true;
    compare(c);
  }
}

TEST_F(Pointwise, NoInputs) {
  Case c = pointwise("constant", {}, {lay_out(BP_F32, {3000}), lay_out(BP_I32, {3000}, Lay::stepped)},
                     {{constant(BP_F32, 2.5), constant(BP_I32, -7), instr(BP_S_MUL, BP_F32, 0, 0)}, 0, {2, 1}});
  c.bound.exact = true;
  compare(c);
}

TEST_F(Pointwise, LargeOutputsBypassTheCaches) {
  const bp_tensor_desc d = lay_out(BP_F32, {5'000'001});
  Case c = pointwise("large", {d, lay_out(BP_F32, {5'000'001}, Lay::scalar)}, {d},
                     {{instr(BP_S_MUL, BP_F32, 0, 1), instr(BP_S_ADD, BP_F32, 2, 0)}, 2, {3}});
  compare(c);
  c.aliases = {{0, 0}};
  compare(c);
}

TEST_F(Pointwise, LongestProgram) {
  ProgramSpec p;
  p.num_inputs = 24;
  for (uint16_t i = 0; i < 64; ++i) {
    p.instrs.push_back(
        instr(i % 2 == 0 ? BP_S_ADD : BP_S_MAX, BP_F64, static_cast<uint16_t>(i % 24), static_cast<uint16_t>(23 + i)));
  }
  p.outputs = {87, 60, 50, 40, 30, 25, 24, 70};
  std::vector<bp_tensor_desc> in(24, lay_out(BP_F64, {2000})), out(8, lay_out(BP_F64, {2000}));
  in[3] = lay_out(BP_F64, {2000}, Lay::stepped);
  compare(pointwise("long", in, out, p));
}

}  // namespace
}  // namespace card_test
