// SPDX-License-Identifier: Apache-2.0
// A complete plugin in C++: start here. It does the five operations that every plugin supplies, in host memory.
// The SDK brings memory, queues, events, negotiation, argument checks and the wall that stops exceptions; an author
// writes query() and prepare(), and throws sdk::Failure to report an error. To make it yours: copy this folder, rename,
// replace the loops, then HostDevice's parts (plugin.hpp lists them). OPERATIONS.md has the exact meanings.
#include <limits>

#include "backplane/sdk/sdk.hpp"
#include "backplane/sdk/walk.h"

namespace sdk = backplane::sdk;

namespace {

void pointwise(const bp_op& op, const void* const* in, void* const* out) {
  bp_sdk_pointwise(op.program, op.inputs, in, op.outputs, out);
}

template <class T>
void reduce(const bp_op& op, const void* const* in, void* const* out) {
  using Limits = std::numeric_limits<T>;
  using Wide = std::conditional_t<Limits::is_integer, int64_t, double>;  // so that integers wrap
  const bool max = sdk::attrs<bp_reduce_attrs>(op).kind == BP_REDUCE_MAX;
  const T lowest = Limits::has_infinity ? -Limits::infinity() : Limits::lowest();
  const bp_tensor_desc target = bp_sdk_expand(&op.outputs[0], &op.inputs[0]);
  T* y = static_cast<T*>(out[0]);
  for (int64_t i = 0; i < bp_sdk_numel(&op.outputs[0]); ++i) y[bp_sdk_offset(&op.outputs[0], i)] = max ? lowest : T{};
  for (int64_t i = 0; i < bp_sdk_numel(&target); ++i) {
    const T value = static_cast<T>(bp_sdk_load(op.inputs[0].dtype, in[0], bp_sdk_offset(&op.inputs[0], i)));
    T& result = y[bp_sdk_offset(&target, i)];
    if (!max) result = static_cast<T>(static_cast<Wide>(result) + value);
    else if (value > result || value != value) result = value;  // NaN wins and stays
  }
}

void matmul(const bp_op& op, const void* const* in, void* const* out) {
  const bp_tensor_desc &a = op.inputs[0], &b = op.inputs[1], &c = op.outputs[0];
  const uint32_t row = c.rank - 2, column = c.rank - 1;
  for (int64_t i = 0; i < bp_sdk_numel(&c); ++i) {
    const float *x = static_cast<const float*>(in[0]), *w = static_cast<const float*>(in[1]);
    int64_t rest = i;
    for (uint32_t axis = c.rank; axis-- > 0; rest /= c.shape[axis]) {  // transposes and broadcasts are in the strides
      if (axis != column) x += rest % c.shape[axis] * a.strides[axis];
      if (axis != row) w += rest % c.shape[axis] * b.strides[axis];
    }
    float sum = 0;
    for (int64_t k = 0; k < a.shape[column]; ++k) sum += x[k * a.strides[column]] * w[k * b.strides[row]];
    static_cast<float*>(out[0])[bp_sdk_offset(&c, i)] = sum;
  }
}

/// visit(offset of an element of [outer, k, inner], whether its index is inside, offset of what it names in `table`).
template <class Visit>
void for_each_row(const bp_op& op, const bp_tensor_desc& shape, const bp_tensor_desc& table, const void* indices,
                  Visit&& visit) {
  const int64_t k = shape.shape[1], inner = shape.shape[2], stride = op.inputs[1].strides[0];
  for (int64_t i = 0; i < bp_sdk_numel(&shape); ++i) {
    const auto index = static_cast<int64_t>(bp_sdk_load(op.inputs[1].dtype, indices, i / inner % k * stride));
    const int64_t row = i / (k * inner) * table.strides[0] + index * table.strides[1] + i % inner * table.strides[2];
    visit(bp_sdk_offset(&shape, i), index >= 0 && index < table.shape[1], row);
  }
}

template <class T>
void gather(const bp_op& op, const void* const* in, void* const* out) {
  for_each_row(op, op.outputs[0], op.inputs[0], in[1], [&](int64_t at, bool inside, int64_t row) {
    static_cast<T*>(out[0])[at] = inside ? static_cast<const T*>(in[0])[row] : T{};
  });
}

void scatter_add(const bp_op& op, const void* const* in, void* const* out) {
  const auto *base = static_cast<const float*>(in[0]), *updates = static_cast<const float*>(in[2]);
  const bp_tensor_desc& yd = op.outputs[0];
  float* y = static_cast<float*>(out[0]);
  for (int64_t i = 0; i < bp_sdk_numel(&yd); ++i) y[bp_sdk_offset(&yd, i)] = base[bp_sdk_offset(&op.inputs[0], i)];
  for_each_row(op, op.inputs[2], yd, in[1], [&](int64_t at, bool in_range, int64_t row) {
    if (in_range) y[row] += updates[at];
  });
}

/// What there is: operation, dtype (0 = any), loops. The first match runs.
constexpr struct {
  uint32_t code, dtype;
  sdk::Loops loops;
} kLoops[] = {
    {BP_OP_POINTWISE, 0, pointwise},          {BP_OP_MATMUL, BP_F32, matmul},
    {BP_OP_REDUCE, BP_F32, reduce<float>},    {BP_OP_GATHER, BP_F32, gather<float>},
    {BP_OP_REDUCE, BP_I32, reduce<int32_t>},  {BP_OP_GATHER, BP_I32, gather<int32_t>},
    {BP_OP_REDUCE, BP_BOOL, reduce<uint8_t>}, {BP_OP_GATHER, BP_BOOL, gather<uint8_t>},
    {BP_OP_SCATTER_ADD, BP_F32, scatter_add},
};

struct Device : sdk::HostDevice {
  static sdk::Loops find(const bp_op& op) {
    for (const auto& entry : kLoops) {
      if (entry.code == op.code && (entry.dtype == 0 || entry.dtype == op.inputs[0].dtype)) return entry.loops;
    }
    return nullptr;
  }
  void query(const bp_op& op, sdk::Support& support) {  // shapes, counts and programs have been checked before
    if (find(op) == nullptr) return support.no("only the five basic operations on f32, i32 and bool");
    if (op.program != nullptr && op.code != BP_OP_POINTWISE) return support.no("no epilogues");
    const bool known = op.code != BP_OP_REDUCE || sdk::attrs<bp_reduce_attrs>(op).kind <= BP_REDUCE_MAX;
    return known ? support.yes() : support.no("only sum and max");
  }
  std::unique_ptr<sdk::HostKernel> prepare(const bp_op& op, const char* /*variant*/) {
    return std::make_unique<sdk::LoopKernel>(op, find(op));
  }
};

struct Plugin {
  static constexpr sdk::PluginInfo kInfo{"toy_cpp", "1.0.0", "1", "the five basic operations in C++"};
  using Device = ::Device;
  std::vector<bp_device_info> devices() { return {sdk::host_device_info("toy_cpp", "Toy in C++")}; }
  std::unique_ptr<Device> open(uint32_t) { return std::make_unique<Device>(); }
};

}  // namespace

BACKPLANE_PLUGIN(Plugin)
