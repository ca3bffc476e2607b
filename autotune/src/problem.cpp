// SPDX-License-Identifier: Apache-2.0
#include "problem.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "backplane/autotune/race.h"
#include "backplane/host/error.h"
#include "backplane/sdk/walk.h"
#include "bounds.h"

namespace backplane::autotune {
namespace {

constexpr double kLarge = 3e7;

/// Random elements over all of the memory; uniform in [low, high), integers rounded down.
void fill(Memory& memory, double low, double high, std::mt19937_64& engine) {
  const uint32_t dtype = memory.desc.dtype, size = bp_sdk_dtype_size(dtype);
  for (size_t i = 0; i < memory.bytes.size() / size; ++i) {
    const double x = low + (high - low) * static_cast<double>(engine() >> 11) * 0x1p-53;
    bp_sdk_store(dtype, memory.bytes.data(), static_cast<int64_t>(i),
                 dtype == BP_BOOL                      ? static_cast<double>(x > 0)
                 : dtype == BP_I32 || dtype == BP_I64 ? std::floor(x)
                                                      : x);
  }
}

struct Range {
  uint32_t code, input;
  double low, high;
};
/// Where an input is not simply anything in [-1, 1).
constexpr Range kRanges[] = {
    {BP_OP_RANDOM, 0, 0, 2e9},              // a key
    {BP_OP_SOFTMAX_GRAD, 0, 0, 1},          // y: probabilities
    {BP_OP_LOG_SOFTMAX_GRAD, 0, -8, -0.1},  // y: their logarithms
    {BP_OP_NORMALIZE_GRAD, 3, 0.5, 2},      // rstd
    {BP_OP_NORMALIZE, 1, 0.5, 2},           // scale
};

void fill_input(Memory& memory, const bp_op& op, uint32_t input, std::mt19937_64& engine) {
  for (const Range& range : kRanges) {
    if (range.code == op.code && range.input == input) return fill(memory, range.low, range.high, engine);
  }
  const bool indices = (op.code == BP_OP_GATHER || op.code == BP_OP_SCATTER_ADD) && input == 1;
  // Most indices are inside; a few are not, and have to be skipped.
  if (indices) return fill(memory, -1, static_cast<double>(op.inputs[0].shape[1]) + 1, engine);
  if (memory.desc.dtype == BP_I32 || memory.desc.dtype == BP_I64) return fill(memory, -10, 10, engine);
  fill(memory, -1, 1, engine);
}

/// Inputs that are results of the forward operation: a gradient may read them or compute them again.
void derive(const host::DevicePtr& oracle, const bp_op& op, std::vector<Memory>& inputs) {
  bp_op forward = op;
  std::vector<size_t> from, to;
  if (op.code == BP_OP_POOL_GRAD)
    forward.code = BP_OP_POOL, from = {0}, to = {1};
  else if (op.code == BP_OP_ATTENTION_GRAD)
    forward.code = BP_OP_ATTENTION, from = {1, 2, 3}, to = {4, 5};
  else
    return;
  if (op.code == BP_OP_ATTENTION_GRAD && op.num_inputs == 7) from.push_back(6);
  std::vector<bp_tensor_desc> in, out;
  std::vector<Memory> values;
  for (size_t i : from) in.push_back(op.inputs[i]), values.push_back(inputs[i]);
  for (size_t i : to) out.push_back(op.inputs[i]);
  forward.inputs = in.data(), forward.num_inputs = static_cast<uint32_t>(in.size());
  forward.outputs = out.data(), forward.num_outputs = static_cast<uint32_t>(out.size());
  std::vector<Memory> results = run_default(oracle, forward, values);
  for (size_t i = 0; i < to.size(); ++i) inputs[to[i]] = std::move(results[i]);
}

double largest_of(const Memory& memory) {
  double largest = 0;
  each_element(memory.desc, [&](int64_t at) {
    const double x = std::fabs(memory.load(at));
    if (std::isfinite(x)) largest = std::max(largest, x);
  });
  return largest;
}

bool does(const host::DevicePtr& device, const bp_op& op) { return device->query(op).verdict == BP_SUPPORT_YES; }

}  // namespace

Memory::Memory(const bp_tensor_desc& d) : desc(d) {
  int64_t low = 0, high = 0;
  for (uint32_t i = 0; i < d.rank; ++i) {
    if (d.shape[i] == 0) return;
    (d.strides[i] < 0 ? low : high) += d.strides[i] * (d.shape[i] - 1);
  }
  const auto size = static_cast<int64_t>(bp_sdk_dtype_size(d.dtype));
  origin = static_cast<uint64_t>(-low * size);
  bytes.resize(static_cast<size_t>((high - low + 1) * size));
}
int64_t Memory::elements() const { return bp_sdk_numel(&desc); }
size_t Memory::size_of_element() const { return bp_sdk_dtype_size(desc.dtype); }
double Memory::load(int64_t element) const { return bp_sdk_load(desc.dtype, bytes.data() + origin, element); }

std::vector<Memory> run_default(const host::DevicePtr& device, const bp_op& op, const std::vector<Memory>& inputs) {
  const host::Kernel kernel = device->prepare(op);
  const host::Queue queue = device->create_queue();
  std::vector<host::Buffer> buffers;
  std::vector<bp_view> in, out;
  std::vector<Memory> outputs;
  const auto place = [&](const Memory& memory, std::vector<bp_view>& views) {
    buffers.push_back(device->alloc(memory.bytes.size()));
    if (!memory.bytes.empty())
      device->upload(queue, {buffers.back().get(), 0}, memory.bytes.data(), memory.bytes.size());
    views.push_back({buffers.back().get(), memory.origin});
  };
  for (const Memory& memory : inputs) place(memory, in);
  for (uint32_t j = 0; j < op.num_outputs; ++j) {
    outputs.emplace_back(op.outputs[j]);
    place(outputs.back(), out);
  }
  buffers.push_back(device->alloc(kernel.workspace));
  bp_error error = host::make_error();
  host::check(device->kernels().enqueue(queue.get(), kernel.handle.get(), in.data(), out.data(),
                                        {buffers.back().get(), 0}, &error),
              error, device->name() + ": enqueue");
  for (uint32_t j = 0; j < op.num_outputs; ++j) {
    if (outputs[j].bytes.empty()) continue;
    device->download(queue, outputs[j].bytes.data(), {out[j].buffer, 0}, outputs[j].bytes.size());
  }
  device->finish(queue);
  return outputs;
}

Problem::Problem(host::DevicePtr device, host::DevicePtr oracle, const bp_op& op, uint64_t seed,
                 const std::vector<std::vector<std::byte>>& given)
    : oracle_(oracle != nullptr && does(oracle, op) ? std::move(oracle) : std::move(device)), op_(op) {
  std::mt19937_64 engine(seed);
  for (uint32_t i = 0; i < op.num_inputs; ++i) {
    inputs_.emplace_back(op.inputs[i]);
    if (given.empty()) {
      fill_input(inputs_[i], op, i, engine);
      continue;
    }
    if (i >= given.size() || given[i].size() != inputs_[i].bytes.size())
      throw host::Error(BP_E_INVALID_ARGUMENT, "[tune] the given values of input " + std::to_string(i) +
                                                   " do not have " + std::to_string(inputs_[i].bytes.size()) +
                                                   " bytes");
    inputs_[i].bytes = given[i];
  }
  if (given.empty()) derive(oracle_, op, inputs_);
}

std::vector<std::vector<std::byte>> suitable_inputs(const host::DevicePtr& oracle, const bp_op& op, uint64_t seed) {
  std::vector<std::vector<std::byte>> values;
  const Problem problem(oracle, oracle, op, seed, {});
  for (const Memory& memory : problem.inputs()) values.push_back(memory.bytes);
  return values;
}

const Expected& Problem::expected() {
  if (expected_ != nullptr) return *expected_;
  Expected made{run_default(oracle_, op_, inputs_), {}, {}};
  // Twice the work; for large problems the largest value has to do.
  if (is_linear(op_) && work_of(op_) < kLarge) {
    std::vector<Memory> positive = inputs_;
    for (Memory& memory : positive) {
      if (memory.desc.dtype >= BP_I32) continue;
      const auto count = static_cast<int64_t>(memory.bytes.size() / bp_sdk_dtype_size(memory.desc.dtype));
      for (int64_t e = 0; e < count; ++e)
        bp_sdk_store(memory.desc.dtype, memory.bytes.data(), e,
                     std::fabs(bp_sdk_load(memory.desc.dtype, memory.bytes.data(), e)));
    }
    made.magnitudes = run_default(oracle_, op_, positive);
  }
  // x - log(sum of exp x) cancels: its roundings are those of x, and of a sum whose logarithm is near 0.
  const double cancelled = op_.code == BP_OP_LOG_SOFTMAX ? std::max(1.0, largest_of(inputs_[0])) : 0;
  for (const Memory& m : made.magnitudes.empty() ? made.outputs : made.magnitudes)
    made.largest.push_back(std::max(largest_of(m), cancelled));
  expected_ = std::make_unique<Expected>(std::move(made));
  return *expected_;
}

}  // namespace backplane::autotune
