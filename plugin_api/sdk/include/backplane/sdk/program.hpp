// SPDX-License-Identifier: Apache-2.0
// Facts about dtypes and scalar opcodes as tables, and the check of a scalar program.
#pragma once

#include <cstdint>
#include <string>

#include "backplane/plugin.h"

namespace backplane::sdk {

/// Bytes of one element, 0 for an unknown dtype.
inline constexpr uint32_t dtype_size(uint32_t dtype) noexcept {
  constexpr uint8_t kSizes[] = {0, 4, 8, 2, 2, 4, 8, 1, 1, 1};
  return dtype < sizeof(kSizes) ? kSizes[dtype] : 0;
}
inline constexpr const char* dtype_name(uint32_t dtype) noexcept {
  constexpr const char* kNames[] = {"invalid", "f32", "f64", "f16", "bf16", "i32", "i64", "bool", "f8_e4m3", "f8_e5m2"};
  return dtype < 10 ? kNames[dtype] : "unknown";
}
inline constexpr bool is_float(uint32_t dtype) noexcept { return dtype >= BP_F32 && dtype <= BP_BF16; }
/// The 8-bit floats, which are no `is_float`: only casts, choices, copies and matrix products take them.
inline constexpr bool is_f8(uint32_t dtype) noexcept { return dtype == BP_F8_E4M3 || dtype == BP_F8_E5M2; }
inline constexpr bool is_int(uint32_t dtype) noexcept { return dtype == BP_I32 || dtype == BP_I64; }

/// Operand classes of a scalar opcode.
enum : uint8_t { kTakesFloat = 1, kTakesInt = 2, kTakesBool = 4 };

struct ScalarOp {
  uint16_t code;
  const char* name;
  uint8_t arity;
  uint8_t takes;
  bool gives_bool;  // else the result has the operands' dtype
};

inline constexpr ScalarOp kScalarOps[] = {
    {BP_S_CONST, "const", 0, kTakesFloat | kTakesInt | kTakesBool, false},
    {BP_S_CAST, "cast", 1, kTakesFloat | kTakesInt | kTakesBool, false},
    {BP_S_NEG, "neg", 1, kTakesFloat | kTakesInt, false},
    {BP_S_ABS, "abs", 1, kTakesFloat | kTakesInt, false},
    {BP_S_NOT, "not", 1, kTakesInt | kTakesBool, false},
    {BP_S_EXP, "exp", 1, kTakesFloat, false},
    {BP_S_LOG, "log", 1, kTakesFloat, false},
    {BP_S_SQRT, "sqrt", 1, kTakesFloat, false},
    {BP_S_RSQRT, "rsqrt", 1, kTakesFloat, false},
    {BP_S_SIN, "sin", 1, kTakesFloat, false},
    {BP_S_COS, "cos", 1, kTakesFloat, false},
    {BP_S_TANH, "tanh", 1, kTakesFloat, false},
    {BP_S_ERF, "erf", 1, kTakesFloat, false},
    {BP_S_EXPM1, "expm1", 1, kTakesFloat, false},
    {BP_S_LOG1P, "log1p", 1, kTakesFloat, false},
    {BP_S_FLOOR, "floor", 1, kTakesFloat, false},
    {BP_S_CEIL, "ceil", 1, kTakesFloat, false},
    {BP_S_ADD, "add", 2, kTakesFloat | kTakesInt, false},
    {BP_S_SUB, "sub", 2, kTakesFloat | kTakesInt, false},
    {BP_S_MUL, "mul", 2, kTakesFloat | kTakesInt, false},
    {BP_S_DIV, "div", 2, kTakesFloat | kTakesInt, false},
    {BP_S_REM, "rem", 2, kTakesFloat | kTakesInt, false},
    {BP_S_POW, "pow", 2, kTakesFloat, false},
    {BP_S_MAX, "max", 2, kTakesFloat | kTakesInt | kTakesBool, false},
    {BP_S_MIN, "min", 2, kTakesFloat | kTakesInt | kTakesBool, false},
    {BP_S_EQ, "eq", 2, kTakesFloat | kTakesInt | kTakesBool, true},
    {BP_S_NE, "ne", 2, kTakesFloat | kTakesInt | kTakesBool, true},
    {BP_S_LT, "lt", 2, kTakesFloat | kTakesInt | kTakesBool, true},
    {BP_S_LE, "le", 2, kTakesFloat | kTakesInt | kTakesBool, true},
    {BP_S_AND, "and", 2, kTakesInt | kTakesBool, false},
    {BP_S_OR, "or", 2, kTakesInt | kTakesBool, false},
    {BP_S_XOR, "xor", 2, kTakesInt | kTakesBool, false},
    {BP_S_SHL, "shl", 2, kTakesInt, false},
    {BP_S_SHR, "shr", 2, kTakesInt, false},
    {BP_S_SELECT, "select", 3, kTakesFloat | kTakesInt | kTakesBool, false},
};

inline const ScalarOp* scalar_op(uint16_t code) noexcept {
  for (const ScalarOp& entry : kScalarOps) {
    if (entry.code == code) return &entry;
  }
  return nullptr;
}

inline constexpr uint8_t operand_class(uint32_t dtype) noexcept {
  return is_float(dtype) ? kTakesFloat : is_int(dtype) ? kTakesInt : dtype == BP_BOOL ? kTakesBool : 0;
}

/// What is wrong with one instruction, or NULL. `dtypes` are those of the values before it.
inline const char* validate_instr(const bp_instr& instr, const uint32_t* dtypes, uint32_t num_values) noexcept {
  const ScalarOp* op = scalar_op(instr.code);
  if (op == nullptr) return "unknown opcode";
  if (dtype_size(instr.dtype) == 0) return "unknown dtype";
  if (instr.reserved[0] != 0 || instr.reserved[1] != 0 || instr.reserved[2] != 0) return "a reserved field is not zero";
  const uint16_t operands[3] = {instr.a, instr.b, instr.c};
  for (int i = 0; i < op->arity; ++i) {
    if (operands[i] >= num_values) return "an operand names a value that is not defined yet";
  }
  if (op->code == BP_S_CONST || op->code == BP_S_CAST) return nullptr;
  if (op->code == BP_S_SELECT) {
    if (dtypes[instr.a] != BP_BOOL) return "the condition is not bool";
    const bool same = dtypes[instr.b] == instr.dtype && dtypes[instr.c] == instr.dtype;
    return same ? nullptr : "both choices need the result's dtype";
  }
  const uint32_t dtype = dtypes[instr.a];
  if (op->arity == 2 && dtypes[instr.b] != dtype) return "the operands differ in dtype";
  if ((op->takes & operand_class(dtype)) == 0) return "the opcode does not take this dtype";
  if (instr.dtype != (op->gives_bool ? static_cast<uint32_t>(BP_BOOL) : dtype)) return "the result has a wrong dtype";
  return nullptr;
}

/// Empty when the program is well formed, takes these inputs and gives outputs of these dtypes.
inline std::string validate_program(const bp_program& program, const uint32_t* input_dtypes, uint32_t num_inputs,
                                    const uint32_t* output_dtypes, uint32_t num_outputs) {
  if (program.num_inputs > BP_PROGRAM_MAX_INPUTS) return "the program has more than 24 inputs";
  if (program.num_instrs > BP_PROGRAM_MAX_INSTRS) return "the program has more than 64 instructions";
  if (program.num_outputs < 1 || program.num_outputs > BP_PROGRAM_MAX_OUTPUTS) return "a program has 1 to 8 outputs";
  if (program.num_inputs != num_inputs) {
    return "the program takes " + std::to_string(program.num_inputs) + " inputs, the operation gives " +
           std::to_string(num_inputs);
  }
  if (program.num_outputs != num_outputs) return "the program's outputs are not as many as the operation's";
  if (program.outputs == nullptr || (program.num_instrs != 0 && program.instrs == nullptr)) {
    return "the program's arrays are missing";
  }
  uint32_t dtypes[BP_PROGRAM_MAX_INPUTS + BP_PROGRAM_MAX_INSTRS];
  for (uint32_t i = 0; i < num_inputs; ++i) dtypes[i] = input_dtypes[i];
  for (uint32_t i = 0; i < program.num_instrs; ++i) {
    if (const char* wrong = validate_instr(program.instrs[i], dtypes, num_inputs + i)) {
      return "instruction " + std::to_string(i) + " (code " + std::to_string(program.instrs[i].code) + "): " + wrong;
    }
    dtypes[num_inputs + i] = program.instrs[i].dtype;
  }
  for (uint32_t i = 0; i < num_outputs; ++i) {
    if (program.outputs[i] >= num_inputs + program.num_instrs) return "an output names a value that does not exist";
    if (dtypes[program.outputs[i]] != output_dtypes[i]) {
      return "output " + std::to_string(i) + " of the program is " + dtype_name(dtypes[program.outputs[i]]) +
             ", the operand is " + dtype_name(output_dtypes[i]);
    }
  }
  return {};
}

}  // namespace backplane::sdk
