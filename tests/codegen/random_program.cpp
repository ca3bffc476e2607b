// SPDX-License-Identifier: Apache-2.0
#include "codegen/random_program.h"

#include <algorithm>

#include "backplane/sdk/program.hpp"

namespace codegen_test {
namespace {

using backplane::sdk::is_float;
using backplane::sdk::kScalarOps;
using backplane::sdk::ScalarOp;

uint32_t pick(std::mt19937& random, size_t count) {
  return std::uniform_int_distribution<uint32_t>(0, static_cast<uint32_t>(count) - 1)(random);
}

uint32_t pick_dtype(std::mt19937& random, const Wishes& wishes) {
  constexpr uint32_t kDtypes[] = {BP_F32, BP_F32, BP_F16, BP_BF16, BP_I32, BP_BOOL, BP_F64, BP_I64};
  return kDtypes[pick(random, wishes.wide_types ? 8 : 6)];
}

/// The error of the opcode itself on exact operands, by OPERATIONS.md.
double own_ulps(uint16_t code, uint32_t dtype) {
  if (!is_float(dtype)) return 0;
  double f32 = 0;
  if (code == BP_S_TANH || code == BP_S_ERF || code == BP_S_POW) f32 = 16;
  else if ((code >= BP_S_EXP && code <= BP_S_LOG1P) || code == BP_S_DIV) f32 = 4;
  if (f32 == 0 || dtype == BP_F32) return f32;
  return dtype == BP_F64 ? 32 : 1;  // of a half type only a rounding may flip
}

/// Whether an operand's relative error is the result's.
bool passes_on(uint16_t code) { return code == BP_S_NEG || code == BP_S_ABS || code == BP_S_SELECT; }

bool is_function_of_f64(const ScalarOp& op) {
  return (op.code >= BP_S_EXP && op.code <= BP_S_LOG1P && op.code != BP_S_SQRT && op.code != BP_S_RSQRT) ||
         op.code == BP_S_POW || op.code == BP_S_REM;
}

class Maker {
 public:
  Maker(std::mt19937& random, const Wishes& wishes) : random_(random), wishes_(wishes) {}

  RandomProgram make() {
    for (uint32_t i = 0; i < wishes_.inputs; ++i) {
      program_.input_dtypes.push_back(pick_dtype(random_, wishes_));
      program_.dtypes.push_back(program_.input_dtypes.back());
      program_.ulps.push_back(0);
    }
    while (program_.instrs.size() < wishes_.instructions) add();
    const size_t values = program_.dtypes.size();
    for (uint32_t j = 0; j < wishes_.outputs; ++j) {  // the last ones, which depend on the others
      program_.outputs.push_back(static_cast<uint16_t>(values - 1 - j));
    }
    return std::move(program_);
  }

 private:
  /// One more instruction, unless the dice do not fit.
  void add() {
    const ScalarOp& op = kScalarOps[pick(random_, std::size(kScalarOps))];
    bp_instr instr{};
    instr.code = op.code;
    if (op.code == BP_S_CONST) return constant(instr);
    const size_t count = program_.dtypes.size();
    instr.a = static_cast<uint16_t>(pick(random_, count));
    const uint32_t dtype = program_.dtypes[instr.a];
    if (op.code == BP_S_SELECT) {
      if (dtype != BP_BOOL) return;
      instr.b = static_cast<uint16_t>(pick(random_, count));
      if (!alike(program_.dtypes[instr.b], instr.c)) return;
      instr.dtype = static_cast<uint16_t>(program_.dtypes[instr.b]);
      return finish(instr, std::max({program_.ulps[instr.a], program_.ulps[instr.b], program_.ulps[instr.c]}));
    }
    if (op.code == BP_S_CAST) {
      instr.dtype = static_cast<uint16_t>(pick_dtype(random_, wishes_));
    } else {
      if ((op.takes & backplane::sdk::operand_class(dtype)) == 0) return;
      if (dtype == BP_F64 && !wishes_.functions_of_f64 && is_function_of_f64(op)) return;
      instr.dtype = op.gives_bool ? uint16_t{BP_BOOL} : static_cast<uint16_t>(dtype);
    }
    if (op.arity == 2 && !alike(dtype, instr.b)) return;
    const double inherited = std::max(program_.ulps[instr.a], op.arity == 2 ? program_.ulps[instr.b] : 0.0);
    if (inherited != 0 && !passes_on(op.code)) return;
    finish(instr, inherited + own_ulps(op.code, instr.dtype));
  }

  void constant(bp_instr instr) {
    constexpr double kValues[] = {0, 1, -1, 0.5, 3, -2.75, 1e-3, 1e9, -7, 31, 1e-41};
    instr.dtype = static_cast<uint16_t>(pick_dtype(random_, wishes_));
    const double value = kValues[pick(random_, std::size(kValues))];
    if (is_float(instr.dtype)) instr.imm.f = value;
    else instr.imm.i = instr.dtype == BP_BOOL ? value != 0 : static_cast<int64_t>(value * (pick(random_, 2) + 1));
    finish(instr, 0);
  }

  bool alike(uint32_t dtype, uint16_t& value) {
    for (int tries = 0; tries < 20; ++tries) {
      value = static_cast<uint16_t>(pick(random_, program_.dtypes.size()));
      if (program_.dtypes[value] == dtype) return true;
    }
    return false;
  }

  void finish(const bp_instr& instr, double ulps) {
    program_.instrs.push_back(instr);
    program_.dtypes.push_back(instr.dtype);
    program_.ulps.push_back(ulps);
  }

  std::mt19937& random_;
  const Wishes& wishes_;
  RandomProgram program_;
};

}  // namespace

bp_program RandomProgram::view() const {
  bp_program program{};
  program.size = sizeof(program);
  program.num_inputs = static_cast<uint32_t>(input_dtypes.size());
  program.num_instrs = static_cast<uint32_t>(instrs.size());
  program.num_outputs = static_cast<uint32_t>(outputs.size());
  program.instrs = instrs.data();
  program.outputs = outputs.data();
  return program;
}

RandomProgram random_program(std::mt19937& random, const Wishes& wishes) { return Maker(random, wishes).make(); }

}  // namespace codegen_test
