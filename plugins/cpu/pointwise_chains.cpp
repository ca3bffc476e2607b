// SPDX-License-Identifier: Apache-2.0
// Steps -> runs: which neighbouring steps become a chain (isa/chain_loops.h), whose values meet in registers, and what
// of them has to reach memory all the same. Nothing here runs per element.
#include "cpu_features.h"
#include "pointwise.h"

namespace backplane::cpu {
namespace {

class Planner {
 public:
  Planner(const StepProgram& program, const ChainWishes& wishes) : p_(program), wishes_(wishes) {
    for (const auto& constant : program.constants) {
      if (constant.type == kF32) constant_of_[constant.address] = &constant;
    }
  }

  std::vector<StepRun> plan() const {
    std::vector<StepRun> runs;
    bool chained = false;
    for (size_t first = 0; first < p_.steps.size();) {
      size_t end = first;
      while (end < p_.steps.size() && chainable(p_.steps[end])) ++end;
      const bool worth = end - first > 1 || (end > first && streamable(first));
      if (worth) {
        runs.push_back({first, end - first, stages(first, end, !chained)});
        chained = true;
        first = end;
        continue;
      }
      if (runs.empty() || !runs.back().stages.empty()) runs.push_back({first, 0, {}});
      ++runs.back().count;
      ++first;
    }
    return runs;
  }

 private:
  static bool unary(const Step& s) { return s.code < 32; }
  bool is_constant(int address) const { return constant_of_[address] != nullptr; }
  bool chainable(const Step& s) const {
    if (s.code == 0 || isa().stage[kAccAcc][s.code] == nullptr) return false;
    return !is_constant(s.a) || (!unary(s) && !is_constant(s.b));
  }
  bool reads(const Step& s, int address) const { return s.a == address || s.b == address || s.c == address; }
  /// Whether anything after step `t` but its successor, when that is in the chain, reads what it wrote.
  bool read_from_memory(size_t t, size_t chain_end) const {
    const int y = p_.steps[t].y;
    for (size_t u = t + 1; u < p_.steps.size(); ++u) {
      const bool by_register = u == t + 1 && u < chain_end;
      if (!by_register && reads(p_.steps[u], y)) return true;
      if (p_.steps[u].y == y) return false;
    }
    return false;
  }
  bool streamable(size_t t) const { return wishes_.stream[p_.steps[t].y] && !read_from_memory(t, t + 1); }

  static Stage memory(StageCode run, int address) { return {run, address, {}}; }
  Stage binary(StageForm memory_form, StageForm constant_form, uint8_t code, int address) const {
    if (!is_constant(address)) return memory(isa().stage[memory_form][code], address);
    Stage stage{isa().stage[constant_form][code], 0, {}};
    __builtin_memcpy(&stage.constant, &constant_of_[address]->bits, 4);
    return stage;
  }
  std::vector<Stage> stages(size_t first, size_t end, bool prefetches) const {
    const IsaTable& t = isa();
    std::vector<Stage> list;
    for (size_t k = 0; prefetches && k < wishes_.prefetch.size(); ++k) {
      list.push_back(memory(t.prefetch_stage, wishes_.prefetch[k]));
      list.back().distance = wishes_.distance;
    }
    int held = -1;  // address of the value in the registers
    for (size_t i = first; i < end; ++i) {
      const Step& s = p_.steps[i];
      if (held != s.a && (unary(s) || held != s.b)) {
        held = is_constant(s.a) ? s.b : s.a;
        list.push_back(memory(t.load_stage, held));
      }
      if (unary(s) || s.a == s.b) list.push_back(memory(t.stage[kAccAcc][s.code], 0));
      else if (held == s.a) list.push_back(binary(kAccMem, kAccConst, s.code, s.b));
      else list.push_back(binary(kMemAcc, kConstAcc, s.code, s.a));
      held = s.y;
      const bool stays = read_from_memory(i, end);
      if (stays || wishes_.keep[s.y]) {
        list.push_back(memory(wishes_.stream[s.y] && !stays ? t.stream_stage : t.store_stage, s.y));
      }
    }
    list.push_back(memory(t.end_stage, 0));
    return list;
  }

  const StepProgram& p_;
  const ChainWishes& wishes_;
  std::array<const StepProgram::Constant*, kMaxAddresses> constant_of_{};
};

}  // namespace

std::vector<StepRun> plan_runs(const StepProgram& program, const ChainWishes& wishes) {
  return Planner(program, wishes).plan();
}

}  // namespace backplane::cpu
