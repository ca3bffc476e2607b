// SPDX-License-Identifier: Apache-2.0
#include "ceilings.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "backplane/autotune/race.h"
#include "backplane/sdk/walk.h"
#include "busy.h"
#include "case.h"
#include "fill_row.h"
#include "kernels.h"

namespace backplane::bench {

namespace {

using report::Ceiling;
using report::CeilingKind;

constexpr int64_t kWorkingSets[] = {256 << 10, 4 << 20, 64 << 20, 512 << 20};  // bytes, read and written together
constexpr int64_t kLargestOnHost = 64 << 20;
constexpr int64_t kLongLaunchNs = 10'000'000;  // larger problems of a kind are left out: they would take minutes
constexpr int64_t kChainElements[] = {64 << 10, 1 << 20, 16 << 20};
constexpr int kChains = 4, kChainLength = 7;  // 4 x 7 multiply-adds: two instructions each, below the 64 of a program

bp_tensor_desc line_of(int64_t elements, DType dtype) {
  const Type type{dtype, {elements}};
  return to_desc(type, dense_layout(type.shape));
}

/// y[i] = f(x[i]) by `instrs`; without them a copy, without inputs a constant.
host::KernelOp pointwise(int64_t elements, DType dtype, uint32_t inputs, std::vector<bp_instr> instrs) {
  host::KernelOp op;
  op.code = BP_OP_POINTWISE, op.name = "pointwise";
  op.inputs.assign(inputs, line_of(elements, dtype));
  op.outputs = {line_of(elements, dtype)};
  op.program_inputs = inputs;
  op.program_outputs = {static_cast<uint16_t>(inputs + instrs.size() - 1)};
  op.instrs = std::move(instrs);
  return op;
}

bp_instr instruction(uint16_t code, DType dtype, size_t a, size_t b) {
  bp_instr result{};
  result.code = code, result.dtype = static_cast<uint16_t>(dtype);
  result.a = static_cast<uint16_t>(a), result.b = static_cast<uint16_t>(b);
  return result;
}

/// Chains c = c x + x that do not wait for one another, and their sum.
host::KernelOp multiply_add_chains(int64_t elements, DType dtype) {
  std::vector<bp_instr> program;
  const auto add = [&](uint16_t code, size_t a, size_t b) {
    program.push_back(instruction(code, dtype, a, b));
    return program.size();  // value 0 is the input
  };
  size_t ends[kChains] = {};
  for (int step = 0; step < kChainLength; ++step) {
    for (size_t& end : ends) end = add(BP_S_ADD, add(BP_S_MUL, end, 0), 0);
  }
  size_t sum = ends[0];
  for (int i = 1; i < kChains; ++i) sum = add(BP_S_ADD, sum, ends[i]);
  return pointwise(elements, dtype, 1, std::move(program));
}

host::KernelOp constant(int64_t elements, DType dtype) {
  bp_instr one{};
  one.code = BP_S_CONST, one.dtype = static_cast<uint16_t>(dtype), one.imm.f = 1;
  return pointwise(elements, dtype, 0, {one});
}

host::KernelOp sum_of(int64_t elements, DType dtype) {
  Case c{"", &graph::op::reduce_sum, {{"axes", std::vector<int64_t>{0}}}, {{{dtype, {elements}}}}};
  return c.kernel_op();
}

/// Values cost time, and here only zeros would be wrong: one random block over and over.
Values some_values(const host::KernelOp& op) {
  constexpr int64_t kBlock = 16 << 10;
  Values values;
  for (const bp_tensor_desc& desc : op.inputs) {
    const auto dtype = static_cast<DType>(desc.dtype);
    host::KernelOp block = pointwise(std::min(kBlock, bp_sdk_numel(&desc)), dtype, 1, {});
    const std::vector<std::byte> pattern = suitable_values(block)[0];
    std::vector<std::byte>& all = values.emplace_back(static_cast<size_t>(bp_sdk_numel(&desc) * size_of(dtype)));
    for (size_t at = 0; at < all.size(); at += pattern.size())
      std::memcpy(&all[at], pattern.data(), std::min(pattern.size(), all.size() - at));
  }
  return values;
}

struct Probe {
  CeilingKind kind;
  host::KernelOp op;
  double work = 0;  ///< flops or bytes; 0: the time itself
  int64_t working_set = 0;
  std::string variant = {};
};

class Prober {
 public:
  Prober(const host::DevicePtr& device, const Allowance& allowance, std::vector<Ceiling>& into)
      : device_(device), allowance_(allowance), into_(into) {}

  bool does(const host::KernelOp& op) const {
    return op.with_op([&](const bp_op& raw) { return device_->query(raw).verdict == BP_SUPPORT_YES; });
  }

  /// Measures those that the device does, interleaved.
  void measure_all(const std::vector<Probe>& probes, DType dtype) {
    std::vector<const Probe*> used;
    std::vector<std::unique_ptr<Prepared>> kernels;
    std::vector<Contestant> contestants;
    const std::unique_ptr<DeviceClock> stamps = device_clock(graph::Stream::of(device_));
    for (const Probe& each : probes) {
      if (launch_ns_[each.kind] > kLongLaunchNs || !does(each.op)) continue;
      kernels.push_back(std::make_unique<Prepared>(
          std::make_shared<Operands>(device_, each.op, some_values(each.op)), each.variant));
      // A launch is what the host waits for; the rest is the device's own time.
      contestants.push_back(kernels.back()->contestant(each.work > 0 ? stamps.get() : nullptr));
      used.push_back(&each);
      const int64_t start = now_ns();
      kernels.back()->launch();
      launch_ns_[each.kind] = now_ns() - start;
    }
    if (used.empty()) return;
    const Measurement m = bench::measure(contestants, {.budget_s = allowance_.measure_s, .cores = allowance_.cores});
    for (size_t i = 0; i < used.size(); ++i) add(*used[i], m.of[i], dtype);
  }

 private:
  void add(const Probe& probe, const Times& times, DType dtype) {
    const auto value = [&](double ns) { return probe.work > 0 ? probe.work / ns : ns; };
    Ceiling c{device_->name(), "", probe.kind, probe.working_set, value(times.median_ns), "ns", std::nullopt};
    if (probe.work > 0) c.unit = probe.working_set > 0 ? "GB/s" : "GFLOP/s";
    if (probe.working_set == 0 && probe.work > 0) c.dtype = name_of(dtype);
    if (const auto interval = median_interval(times.samples_ns)) {
      const auto [low, high] = std::minmax(value(interval->low), value(interval->high));
      c.interval = report::Interval{low, high};
    }
    // Of several sizes of the same work the fastest counts.
    for (Ceiling& known : into_) {
      if (known.kind != c.kind || known.dtype != c.dtype || known.working_set_bytes != c.working_set_bytes) continue;
      if (probe.work > 0 && known.value < c.value) known = c;
      return;
    }
    into_.push_back(std::move(c));
  }

  const host::DevicePtr& device_;
  const Allowance& allowance_;
  std::vector<Ceiling>& into_;
  std::map<CeilingKind, int64_t> launch_ns_;  ///< the latest of each kind
};

host::KernelOp square_product(int64_t side, DType dtype, double* flops) {
  Case c = matmul_case(side, side, side);
  for (Operand& operand : c.operands) operand.type.dtype = dtype;
  *flops = c.cost().flops;
  return c.kernel_op();
}

/// The fastest variant of a product that is large for this device, among those that agree with its default.
std::vector<Probe> products(const host::DevicePtr& device, DType dtype, const Prober& prober,
                            const Allowance& allowance) {
  constexpr int64_t kFirst = 128, kLast = 8192;
  constexpr int64_t kLongEnoughNs = 2'000'000;
  double flops = 0;
  host::KernelOp op = square_product(kFirst, dtype, &flops);
  if (!prober.does(op)) return {};
  for (int64_t side = kFirst; side < kLast; side *= 2) {
    const Prepared usual(std::make_shared<Operands>(device, op, some_values(op)));
    const int64_t start = now_ns();
    usual.launch();
    if (now_ns() - start >= kLongEnoughNs) break;
    op = square_product(2 * side, dtype, &flops);
  }
  autotune::Request request;
  request.budget_ns = static_cast<uint64_t>(allowance.tune_s * 1e9);
  request.total_ns = static_cast<uint64_t>(allowance.total_s * 1e9);
  request.inputs = some_values(op);
  const autotune::Outcome outcome = op.with_op([&](const bp_op& raw) { return autotune::tune(device, raw, request); });
  if (outcome.chosen.empty()) return {};
  return {{CeilingKind::matrix, op, flops, 0, outcome.chosen}};
}

}  // namespace

std::vector<Ceiling> measure_ceilings(const host::DevicePtr& device, const std::vector<std::string>& dtypes,
                                      const Allowance& allowance) {
  std::vector<Ceiling> ceilings;
  Prober prober(device, allowance, ceilings);
  prober.measure_all({{CeilingKind::launch, pointwise(16, DType::f32, 1, {})}}, DType::f32);
  const bool on_host = device->info().kind == BP_KIND_CPU || device->has(BP_DEVICE_SOFTWARE);
  for (int64_t bytes : kWorkingSets) {
    if (on_host && bytes > kLargestOnHost) break;
    const int64_t one = bytes / 4, half = bytes / 8;
    const auto work = static_cast<double>(bytes);
    prober.measure_all({{CeilingKind::read, sum_of(one, DType::f32), work, bytes},
                        {CeilingKind::write, constant(one, DType::f32), work, bytes},
                        {CeilingKind::copy, pointwise(half, DType::f32, 1, {}), work, bytes}},
                       DType::f32);
    graph::Stream::of(device)->trim();
  }
  std::vector<std::string> all = dtypes;
  if (std::ranges::count(all, "f32") == 0) all.insert(all.begin(), "f32");
  for (const std::string& name : all) {
    const DType dtype = dtype_from_name(name);
    if (!is_float(dtype)) continue;
    constexpr double kFlops = 2.0 * kChains * kChainLength + kChains - 1;
    std::vector<Probe> chains;
    for (int64_t n : kChainElements)
      chains.push_back({CeilingKind::fma, multiply_add_chains(n, dtype), kFlops * static_cast<double>(n)});
    prober.measure_all(chains, dtype);
    prober.measure_all(products(device, dtype, prober, allowance), dtype);
  }
  return ceilings;
}

}  // namespace backplane::bench
