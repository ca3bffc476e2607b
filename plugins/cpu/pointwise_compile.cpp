// SPDX-License-Identifier: Apache-2.0
// Scalar program -> steps over slots, and operands -> collapsed loops. Nothing here runs per element.
#include <algorithm>
#include <cstring>
#include <numeric>

#include "cpu_features.h"
#include "pointwise.h"

namespace backplane::cpu {

Compute compute_of(uint32_t dtype) {
  switch (dtype) {
    case BP_F64: return kF64;
    case BP_I32: return kI32;
    case BP_I64: return kI64;
    case BP_BOOL: return kBool;
    default: return kF32;  // f32, and the narrow dtypes, which are computed in it
  }
}

Narrow narrow_of(uint32_t dtype) {
  return dtype == BP_F16 ? kNarrowF16 : dtype == BP_BF16 ? kNarrowBF16 : dtype == BP_F8_E4M3 ? kNarrowE4M3 : kNarrowE5M2;
}

Space collapse_space(const std::vector<bp_tensor_desc>& inputs, const std::vector<bp_tensor_desc>& outputs) {
  const bp_tensor_desc& lead = outputs.front();
  std::vector<const bp_tensor_desc*> all;
  for (const auto& desc : inputs) all.push_back(&desc);
  for (const auto& desc : outputs) all.push_back(&desc);

  std::vector<int> order;
  for (uint32_t i = 0; i < lead.rank; ++i) {
    if (lead.shape[i] != 1) order.push_back(static_cast<int>(i));
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return std::abs(lead.strides[a]) > std::abs(lead.strides[b]); });
  Space space;
  space.strides.resize(all.size());
  for (int axis : order) {
    const int64_t extent = lead.shape[axis];
    space.count *= extent;
    bool merges = space.rank > 0;
    for (size_t o = 0; merges && o < all.size(); ++o) {
      merges = space.strides[o][space.rank - 1] == all[o]->strides[axis] * extent;
    }
    if (!merges) space.rank++;
    const int at = space.rank - 1;
    space.extent[at] = merges ? space.extent[at] * extent : extent;
    for (size_t o = 0; o < all.size(); ++o) space.strides[o][at] = all[o]->strides[axis];
  }
  if (space.rank == 0) {
    space.rank = 1;
    space.extent[0] = 1;
    for (auto& strides : space.strides) strides[0] = 1;
  }
  return space;
}

namespace {

uint64_t constant_bits(const bp_instr& instr) {
  uint64_t bits = 0;
  switch (compute_of(instr.dtype)) {
    case kF32: {
      float value = static_cast<float>(instr.imm.f);
      if (is_narrow(instr.dtype)) isa().narrow[narrow_of(instr.dtype)].round(&value, &value, nullptr, nullptr, 1);
      std::memcpy(&bits, &value, 4);
      break;
    }
    case kF64: std::memcpy(&bits, &instr.imm.f, 8); break;
    case kI32: {
      const int32_t value = static_cast<int32_t>(instr.imm.i);
      std::memcpy(&bits, &value, 4);
      break;
    }
    case kI64: std::memcpy(&bits, &instr.imm.i, 8); break;
    default: bits = instr.imm.i != 0;
  }
  return bits;
}

int arity(uint16_t code) { return code == BP_S_CONST ? 0 : code < 32 ? 1 : code < 64 ? 2 : 3; }

// These give one of their operands, or its negative: already representable in the narrow dtype.
bool needs_no_rounding(uint16_t code) {
  return code == BP_S_NEG || code == BP_S_ABS || code == BP_S_MAX || code == BP_S_MIN || code == BP_S_SELECT;
}

constexpr int kOutputUses = 1000;

class Compiler {
 public:
  Compiler(const Program& program, const std::vector<bp_tensor_desc>& inputs) : program_(program) {
    for (const bp_tensor_desc& desc : inputs) {
      add_value(out_.addresses++, compute_of(desc.dtype), desc.dtype);
    }
    live_.assign(inputs.size() + program.instrs.size(), false);
    uses_.assign(live_.size(), 0);
  }

  StepProgram compile() {
    mark_live();
    const size_t inputs = program_.num_inputs;
    for (size_t i = 0; i < program_.instrs.size(); ++i) {
      if (!live_[inputs + i]) {
        add_value(-1, kF32, BP_F32);
        continue;
      }
      add_instr(program_.instrs[i], inputs + i);
    }
    return std::move(out_);
  }

 private:
  void mark_live() {
    for (uint16_t value : program_.outputs) live_[value] = true, uses_[value] += kOutputUses;  // never freed
    for (size_t i = program_.instrs.size(); i-- > 0;) {
      const bp_instr& instr = program_.instrs[i];
      if (!live_[program_.num_inputs + i]) continue;
      const uint16_t operands[] = {instr.a, instr.b, instr.c};
      for (int k = 0; k < arity(instr.code); ++k) live_[operands[k]] = true, ++uses_[operands[k]];
    }
  }
  void add_value(int address, Compute type, uint32_t dtype) {
    out_.value_address.push_back(address);
    out_.value_defined.push_back(-1);
    out_.value_last_use.push_back(-1);
    out_.value_type.push_back(type);
    dtypes_.push_back(dtype);
    out_.wide = out_.wide || compute_size(type) == 8;
  }
  int take_slot() {
    if (free_.empty()) return new_slot();
    const int address = free_.back();
    free_.pop_back();
    return address;
  }
  int new_slot() {
    out_.slot_addresses.push_back(out_.addresses);
    return out_.addresses++;
  }
  /// Value `v` was read by the newest step; its slot is free after the last reader.
  void read(int v) {
    out_.value_last_use[v] = static_cast<int>(out_.steps.size()) - 1;
    if (--uses_[v] == 0 && v >= static_cast<int>(program_.num_inputs) && owns_slot_[v]) {
      free_.push_back(out_.value_address[v]);
    }
  }
  void add_instr(const bp_instr& instr, size_t value) {
    owns_slot_.resize(live_.size(), false);
    const Compute type = compute_of(instr.dtype);
    if (instr.code == BP_S_CONST) {
      out_.constants.push_back({out_.addresses, type, constant_bits(instr)});
      add_value(out_.addresses++, type, instr.dtype);
      return;
    }
    const Compute from = out_.value_type[instr.code == BP_S_SELECT ? instr.b : instr.a];
    const bool narrow = is_narrow(instr.dtype);
    VectorLoop round = narrow && !needs_no_rounding(instr.code) ? isa().narrow[narrow_of(instr.dtype)].round : nullptr;
    const bool cast = instr.code == BP_S_CAST;
    if (cast && dtypes_[instr.a] == instr.dtype) round = nullptr;
    VectorLoop loop = cast ? (from == type ? round : isa().cast[from][type]) : isa().op[instr.code][from];
    if (cast && from == type) round = nullptr;
    if (cast && loop == nullptr) loop = isa().cast[from][type];  // a change of name only: copy
    // An output's slot is its own: the block may put the output's memory in its place.
    const int y = uses_[value] >= kOutputUses ? new_slot() : take_slot();
    add_value(y, type, instr.dtype);
    owns_slot_[value] = true;
    const int n = arity(instr.code);
    const auto address = [&](int k, uint16_t v) { return static_cast<uint8_t>(k < n ? out_.value_address[v] : 0); };
    const bool plain = type == kF32 && from == kF32 && !narrow && !cast;
    out_.steps.push_back({loop, static_cast<uint8_t>(y), address(0, instr.a), address(1, instr.b), address(2, instr.c),
                          static_cast<uint8_t>(plain ? instr.code : 0)});
    out_.value_defined[value] = static_cast<int>(out_.steps.size()) - 1;
    const uint16_t operands[] = {instr.a, instr.b, instr.c};
    for (int k = 0; k < n; ++k) read(operands[k]);
    if (round != nullptr) {
      out_.steps.push_back({round, static_cast<uint8_t>(y), static_cast<uint8_t>(y), 0, 0, 0});
    }
  }

  const Program& program_;
  StepProgram out_;
  std::vector<bool> live_, owns_slot_;
  std::vector<int> uses_;
  std::vector<uint32_t> dtypes_;
  std::vector<int> free_;
};

}  // namespace

StepProgram compile_program(const Program& program, const std::vector<bp_tensor_desc>& inputs) {
  return Compiler(program, inputs).compile();
}

}  // namespace backplane::cpu
