// SPDX-License-Identifier: Apache-2.0
// POINTWISE: a scalar program over strided operands, run block by block.
//
// Four stages. compile_program turns the program into steps over slots, each step a dense vector loop. plan_runs joins
// neighbouring steps of f32 arithmetic into chains, which pass their values on in registers.
// collapse_space folds the operands' dimensions into as few loops as possible. Pointwise::run walks blocks of a few
// hundred elements: operands that lie dense are used where they are, others are gathered into a slot; the steps run
// from slot to slot in the first-level cache; the last ones write straight to dense outputs.
// A plain permuted copy takes transposed tiles instead (permuted_copy.cpp).
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "isa/isa_table.h"
#include "work.h"

namespace backplane::cpu {

Compute compute_of(uint32_t dtype);
/// Of a dtype that is_narrow.
Narrow narrow_of(uint32_t dtype);

/// Loops shared by all operands, outermost first; strides in elements.
struct Space {
  int rank = 0;
  int64_t extent[BP_MAX_RANK] = {};
  std::vector<std::array<int64_t, BP_MAX_RANK>> strides;  // [operand]
  int64_t count = 1;
};
/// Orders the loops by the first output's strides and merges those that all operands walk without a break.
Space collapse_space(const std::vector<bp_tensor_desc>& inputs, const std::vector<bp_tensor_desc>& outputs);

constexpr int kMaxAddresses = 128;

/// One vector loop; y, a, b, c index the block's table of addresses.
struct Step {
  VectorLoop loop;
  uint8_t y, a, b, c;
  uint8_t code;  // the scalar opcode where operands and result are f32 (no narrow dtype), else 0
};

struct StepProgram {
  std::vector<Step> steps;
  std::vector<int> value_address;   // value -> entry in the table of addresses
  std::vector<int> value_defined;   // value -> index of the step that first writes it (-1: an input or a constant)
  std::vector<int> value_last_use;  // value -> index of the last step that reads it (-1: none)
  std::vector<Compute> value_type;
  struct Constant {
    int address;
    Compute type;
    uint64_t bits;
  };
  std::vector<Constant> constants;
  std::vector<int> slot_addresses;  // entries that need block memory
  int addresses = 0;                // entries in all; the first ones belong to the inputs
  bool wide = false;                // some value has 8 bytes
};
/// Addresses 0 ... inputs - 1 are the inputs', then constants', then slots.
StepProgram compile_program(const Program& program, const std::vector<bp_tensor_desc>& inputs);

/// Steps that are executed together: loop by loop, or as a chain where there are stages. A chain takes whole bundles of
/// elements; the steps' loops take the rest.
struct StepRun {
  size_t first, count;
  std::vector<Stage> stages;
};
struct ChainWishes {
  std::array<bool, kMaxAddresses> keep{};    // is read after the last step
  std::array<bool, kMaxAddresses> stream{};  // should bypass the caches where no later step reads it
  std::vector<int> prefetch;                 // operands to ask for ...
  int32_t distance = 0;                      // ... so many elements ahead
};
std::vector<StepRun> plan_runs(const StepProgram& program, const ChainWishes& wishes);

/// Empty when every instruction has a loop here and reads only earlier values.
std::string refuse_program(const Program& program, const std::vector<uint32_t>& input_dtypes);
std::string refuse_pointwise(const Op& op);
void list_pointwise(const Op& op, Candidates& out);

/// The block engine. The program's outputs name instructions, or there is one output.
WorkPtr make_blocks(const Program& program, const std::vector<bp_tensor_desc>& inputs,
                    const std::vector<bp_tensor_desc>& outputs);
/// A pointwise work over these operands, in whatever way suits them.
WorkPtr make_pointwise(const Program& program, const std::vector<bp_tensor_desc>& inputs,
                       const std::vector<bp_tensor_desc>& outputs);
/// y = x with a change of dtype where they differ; shapes are equal.
WorkPtr make_copy(const bp_tensor_desc& x, const bp_tensor_desc& y);
/// NULL unless a plain copy whose fastest dimensions differ on the two sides.
WorkPtr make_permuted_copy(const bp_tensor_desc& x, const bp_tensor_desc& y);

}  // namespace backplane::cpu
