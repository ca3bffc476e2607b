// SPDX-License-Identifier: Apache-2.0
#include "program_text.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "backplane/sdk/program.hpp"
#include "backplane/sdk/scalar.h"
#include "dialect.h"

namespace backplane::codegen {
namespace {

/// One opcode on one class of dtypes. In an expression $a, $b, $c are the operands, $t is i32 or i64 and $i, $u are the
/// signed and unsigned types.
struct Row {
  uint16_t code;
  std::string_view text;        ///< file of kernels/ that it needs, or empty
  std::string_view expression;
};

constexpr Row kF32[] = {
    {BP_S_NEG, "", "-$a"},
    {BP_S_ABS, "", "ABS($a)"},
    {BP_S_EXP, "scalar_exp", "s_exp($a)"},
    {BP_S_LOG, "scalar_log", "s_log($a)"},
    {BP_S_SQRT, "", "sqrt($a)"},
    {BP_S_RSQRT, "", "1.0f / sqrt($a)"},
    {BP_S_SIN, "scalar_sincos", "s_sin($a)"},
    {BP_S_COS, "scalar_sincos", "s_cos($a)"},
    {BP_S_TANH, "scalar_tanh", "s_tanh($a)"},
    {BP_S_ERF, "scalar_erf", "s_erf($a)"},
    {BP_S_EXPM1, "scalar_exp", "s_expm1($a)"},
    {BP_S_LOG1P, "scalar_log", "s_log1p($a)"},
    {BP_S_FLOOR, "", "floor($a)"},
    {BP_S_CEIL, "", "ceil($a)"},
    {BP_S_ADD, "", "$a + $b"},
    {BP_S_SUB, "", "$a - $b"},
    {BP_S_MUL, "", "MUL($a, $b)"},
    {BP_S_DIV, "", "$a / $b"},
    {BP_S_REM, "scalar_rem", "s_rem($a, $b)"},
    {BP_S_POW, "scalar_pow", "s_pow($a, $b)"},
    {BP_S_MAX, "", "($a > $b || IS_NAN($a)) ? $a : $b"},
    {BP_S_MIN, "", "($a < $b || IS_NAN($a)) ? $a : $b"},
};

constexpr Row kF64[] = {
    {BP_S_NEG, "", "-$a"},
    {BP_S_ABS, "", "ABS64($a)"},
    {BP_S_EXP, "", "exp($a)"},
    {BP_S_LOG, "", "log($a)"},
    {BP_S_SQRT, "", "sqrt($a)"},
    {BP_S_RSQRT, "", "1.0 / sqrt($a)"},
    {BP_S_SIN, "", "sin($a)"},
    {BP_S_COS, "", "cos($a)"},
    {BP_S_TANH, "", "tanh($a)"},
    {BP_S_ERF, "", "erf($a)"},
    {BP_S_EXPM1, "", "expm1($a)"},
    {BP_S_LOG1P, "", "log1p($a)"},
    {BP_S_FLOOR, "", "floor($a)"},
    {BP_S_CEIL, "", "ceil($a)"},
    {BP_S_ADD, "", "$a + $b"},
    {BP_S_SUB, "", "$a - $b"},
    {BP_S_MUL, "", "MUL64($a, $b)"},
    {BP_S_DIV, "", "$a / $b"},
    {BP_S_REM, "", "fmod($a, $b)"},
    {BP_S_POW, "", "pow($a, $b)"},
    {BP_S_MAX, "", "($a > $b || IS_NAN64($a)) ? $a : $b"},
    {BP_S_MIN, "", "($a < $b || IS_NAN64($a)) ? $a : $b"},
};

constexpr Row kInt[] = {
    {BP_S_NEG, "", "$i(0u - $u($a))"},
    {BP_S_ABS, "", "$a < 0 ? $i(0u - $u($a)) : $a"},
    {BP_S_NOT, "", "~$a"},
    {BP_S_ADD, "", "$i($u($a) + $u($b))"},
    {BP_S_SUB, "", "$i($u($a) - $u($b))"},
    {BP_S_MUL, "", "$i($u($a) * $u($b))"},
    {BP_S_DIV, "scalar_$t", "s_div_$t($a, $b)"},
    {BP_S_REM, "scalar_$t", "s_rem_$t($a, $b)"},
    {BP_S_MAX, "", "$a < $b ? $b : $a"},
    {BP_S_MIN, "", "$b < $a ? $b : $a"},
    {BP_S_AND, "", "$a & $b"},
    {BP_S_OR, "", "$a | $b"},
    {BP_S_XOR, "", "$a ^ $b"},
    {BP_S_SHL, "scalar_$t", "s_shl_$t($a, $b)"},
    {BP_S_SHR, "scalar_$t", "s_shr_$t($a, $b)"},
};

constexpr Row kBool[] = {
    {BP_S_NOT, "", "!$a"},       {BP_S_MAX, "", "$a || $b"}, {BP_S_OR, "", "$a || $b"},
    {BP_S_MIN, "", "$a && $b"},  {BP_S_AND, "", "$a && $b"}, {BP_S_XOR, "", "$a != $b"},
};

/// By the operands' dtype; the same spelling for all.
constexpr Row kComparisons[] = {
    {BP_S_EQ, "", "$a == $b"}, {BP_S_NE, "", "$a != $b"}, {BP_S_LT, "", "$a < $b"}, {BP_S_LE, "", "$a <= $b"},
};
constexpr Row kBoolComparisons[] = {
    {BP_S_EQ, "", "$a == $b"}, {BP_S_NE, "", "$a != $b"}, {BP_S_LT, "", "!$a && $b"}, {BP_S_LE, "", "!$a || $b"},
};

/// Casts between compute types; rounding to a narrower dtype comes after. The code is the dtype of the result.
struct CastRow {
  uint32_t from, to;
  std::string_view text, expression;
};
constexpr CastRow kCasts[] = {
    {BP_F32, BP_F64, "", "TO_F64($a)"},      {BP_F32, BP_I32, "scalar_cast", "s_f32_to_i32($a)"},
    {BP_F32, BP_I64, "scalar_cast", "s_f32_to_i64($a)"}, {BP_F32, BP_BOOL, "", "(AS_INT($a) & 0x7fffffff) != 0"},
    {BP_F64, BP_F32, "", "TO_FLOAT($a)"},    {BP_F64, BP_I32, "scalar_cast", "s_f64_to_i32($a)"},
    {BP_F64, BP_I64, "scalar_cast", "s_f64_to_i64($a)"}, {BP_F64, BP_BOOL, "", "$a != TO_F64(0)"},
    {BP_I32, BP_F32, "", "TO_FLOAT($a)"},    {BP_I32, BP_F64, "", "TO_F64($a)"},
    {BP_I32, BP_I64, "", "TO_I64($a)"},      {BP_I32, BP_BOOL, "", "$a != 0"},
    {BP_I64, BP_F32, "", "TO_FLOAT($a)"},    {BP_I64, BP_F64, "", "TO_F64($a)"},
    {BP_I64, BP_I32, "", "TO_INT($a)"},      {BP_I64, BP_BOOL, "", "$a != TO_I64(0)"},
    {BP_BOOL, BP_F32, "", "$a ? 1.0f : 0.0f"}, {BP_BOOL, BP_F64, "", "TO_F64($a ? 1 : 0)"},
    {BP_BOOL, BP_I32, "", "$a ? 1 : 0"},     {BP_BOOL, BP_I64, "", "TO_I64($a ? 1 : 0)"},
};

/// How a value that is computed in f32 is rounded to its own dtype.
struct RoundingRow {
  uint32_t dtype;
  std::string_view text, expression;
};
constexpr RoundingRow kRoundings[] = {
    {BP_F16, "scalar_round", "s_round_f16($v)"},
    {BP_BF16, "scalar_round", "s_round_bf16($v)"},
    {BP_F8_E4M3, "scalar_f8", "s_e4m3_to_f32(s_f32_to_e4m3($v))"},
    {BP_F8_E5M2, "scalar_f8", "s_e5m2_to_f32(s_f32_to_e5m2($v))"},
};
const RoundingRow* find_rounding(uint32_t dtype) {
  for (const RoundingRow& row : kRoundings) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}
uint32_t computed(uint32_t dtype) { return find_rounding(dtype) != nullptr ? uint32_t{BP_F32} : dtype; }

template <size_t n>
const Row* find(const Row (&rows)[n], uint16_t code) {
  for (const Row& row : rows) {
    if (row.code == code) return &row;
  }
  return nullptr;
}

const Row* find_row(uint16_t code, uint32_t operand_dtype) {
  if (code >= BP_S_EQ && code <= BP_S_LE) {
    return operand_dtype == BP_BOOL ? find(kBoolComparisons, code) : find(kComparisons, code);
  }
  switch (computed(operand_dtype)) {
    case BP_F64: return find(kF64, code);
    case BP_I32:
    case BP_I64: return find(kInt, code);
    case BP_BOOL: return find(kBool, code);
    default: return find(kF32, code);
  }
}

std::string replaced(std::string text, std::string_view mark, std::string_view by) {
  for (size_t at = 0; (at = text.find(mark, at)) != std::string::npos; at += by.size()) text.replace(at, mark.size(), by);
  return text;
}

/// The opcodes that GLSL has in f32 only.
bool is_f64_function(uint16_t code) {
  const bool plain = code == BP_S_SQRT || code == BP_S_RSQRT || code == BP_S_FLOOR || code == BP_S_CEIL;
  return (code >= BP_S_EXP && code <= BP_S_CEIL && !plain) || code == BP_S_POW || code == BP_S_REM;
}

std::string hex(uint32_t bits) {
  char text[16];
  std::snprintf(text, sizeof(text), "0x%08x", bits);
  return text;
}

std::string f32_literal(float value) {
  const uint32_t bits = bp_sdk_float_to_bits(value);
  if (!std::isnormal(value) && bits != 0) return "AS_FLOAT(" + hex(bits) + ")";
  char text[32];
  std::snprintf(text, sizeof(text), "%.9e", static_cast<double>(value));
  return value < 0 ? std::string("(") + text + "f)" : std::string(text) + "f";
}

std::string f64_literal(double value) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  return "MAKE_F64(" + hex(static_cast<uint32_t>(bits >> 32)) + "u, " + hex(static_cast<uint32_t>(bits)) + "u)";
}

std::string i32_literal(int32_t value) {
  return value == INT32_MIN ? "(-2147483647 - 1)" : value < 0 ? "(" + std::to_string(value) + ")" : std::to_string(value);
}

std::string literal(const bp_instr& instr) {
  switch (instr.dtype) {
    case BP_F64: return f64_literal(instr.imm.f);
    case BP_I32: return i32_literal(static_cast<int32_t>(static_cast<uint32_t>(instr.imm.i)));
    case BP_I64:
      return "MAKE_I64(" + hex(static_cast<uint32_t>(static_cast<uint64_t>(instr.imm.i) >> 32)) + "u, " +
             hex(static_cast<uint32_t>(instr.imm.i)) + "u)";
    case BP_BOOL: return instr.imm.i != 0 ? "true" : "false";
    default: return f32_literal(bp_sdk_round_to(instr.dtype, static_cast<float>(instr.imm.f)));
  }
}

class Emitter {
 public:
  Emitter(Source& source, const bp_program& program, const uint32_t* dtypes) : source_(source) {
    for (uint32_t i = 0; i < program.num_inputs; ++i) dtypes_.push_back(dtypes[i]);
  }

  void value(const std::string& name, uint32_t dtype) {
    names_.push_back(name);
    if (names_.size() > dtypes_.size()) dtypes_.push_back(dtype);
  }
  const std::string& name(size_t value) const { return names_[value]; }

  /// The expression of an instruction in its compute type, rounded.
  std::string expression(const bp_instr& instr) {
    if (instr.code == BP_S_CONST) return literal(instr);  // rounded already
    const uint32_t from = dtypes_[instr.a];
    std::string text;
    if (instr.code == BP_S_SELECT) text = "$a ? $b : $c";
    else if (instr.code == BP_S_CAST) text = cast(computed(from), computed(instr.dtype));
    else text = from_row(*find_row(instr.code, from), from);
    text = replaced(std::move(text), "$a", names_[instr.a]);
    text = replaced(std::move(text), "$b", names_[instr.b]);
    text = replaced(std::move(text), "$c", names_[instr.c]);
    const RoundingRow* rounding = find_rounding(instr.dtype);
    if (rounding == nullptr || exact(instr, from)) return text;
    source_.include(rounding->text);
    return replaced(std::string(rounding->expression), "$v", text);
  }

 private:
  /// Results that need no rounding because their operands are of the same dtype.
  static bool exact(const bp_instr& instr, uint32_t from) {
    switch (instr.code) {
      case BP_S_NEG: case BP_S_ABS: case BP_S_MAX: case BP_S_MIN: case BP_S_SELECT: case BP_S_FLOOR: case BP_S_CEIL: return true;
      case BP_S_CAST: return from == instr.dtype || from == BP_BOOL;
      default: return false;
    }
  }

  std::string cast(uint32_t from, uint32_t to) {
    for (const CastRow& row : kCasts) {
      if (row.from != from || row.to != to) continue;
      if (!row.text.empty()) source_.include(row.text);
      return std::string(row.expression);
    }
    return "$a";  // the same compute type
  }

  std::string from_row(const Row& row, uint32_t from) {
    const bool wide = from == BP_I64;
    const auto fill = [&](std::string_view text) {
      std::string filled = replaced(std::string(text), "$t", wide ? "i64" : "i32");
      filled = replaced(std::move(filled), "$i", wide ? "TO_I64" : "TO_INT");
      return replaced(std::move(filled), "$u", wide ? "TO_U64" : "TO_UINT");
    };
    if (!row.text.empty()) source_.include(fill(row.text));
    return fill(row.expression);
  }

  Source& source_;
  std::vector<uint32_t> dtypes_;
  std::vector<std::string> names_;
};

}  // namespace

std::string refuse_program(const bp_program& program, const uint32_t* input_dtypes, const DeviceFacts& facts) {
  std::vector<uint32_t> dtypes(input_dtypes, input_dtypes + program.num_inputs);
  for (uint32_t i = 0; i < program.num_instrs; ++i) {
    const bp_instr& instr = program.instrs[i];
    dtypes.push_back(instr.dtype);
    const char* name = sdk::scalar_op(instr.code)->name;
    if ((instr.dtype == BP_F64 && !facts.f64) || (instr.dtype == BP_I64 && !facts.i64)) {
      return std::string(sdk::dtype_name(instr.dtype)) + " values (" + name + ") are not supported by this device";
    }
    if (facts.dialect == Dialect::glsl && instr.dtype == BP_F64 && is_f64_function(instr.code)) {
      return std::string(name) + " of f64 is not supported by this device";
    }
  }
  return {};
}

bool is_vectorisable(const bp_program& program, const DeviceFacts& facts) {
  return facts.cpu_like && std::none_of(program.instrs, program.instrs + program.num_instrs, [](const bp_instr& instr) {
    return (instr.dtype == BP_F64 && is_f64_function(instr.code)) || (sdk::is_float(instr.dtype) && instr.code == BP_S_REM);
  });
}

ProgramText program_text(Source& source, const bp_program& program, const uint32_t* input_dtypes,
                         const std::vector<std::string>& inputs, std::string_view prefix) {
  Emitter emitter(source, program, input_dtypes);
  ProgramText text;
  const auto define = [&](std::string expression, uint32_t dtype, size_t number) {
    const std::string name = std::string(prefix) + std::to_string(number);
    const std::string_view precise = sdk::is_float(dtype) || sdk::is_f8(dtype) ? "PRECISE " : "";
    text.statements.append(precise).append(compute_type(dtype)).append(" ").append(name).append(" = ");
    text.statements.append(expression).append("; ");
    emitter.value(name, dtype);
  };
  for (uint32_t i = 0; i < program.num_inputs; ++i) define(inputs[i], input_dtypes[i], i);
  for (uint32_t i = 0; i < program.num_instrs; ++i) {
    define(emitter.expression(program.instrs[i]), program.instrs[i].dtype, program.num_inputs + i);
  }
  for (uint32_t i = 0; i < program.num_outputs; ++i) text.outputs.push_back(emitter.name(program.outputs[i]));
  return text;
}

}  // namespace backplane::codegen
