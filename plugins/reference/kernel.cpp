// SPDX-License-Identifier: Apache-2.0
#include "kernel.hpp"

namespace backplane::reference {

bp_tensor_desc dense(const bp_tensor_desc& like, uint32_t dtype) {
  bp_tensor_desc desc{};
  desc.dtype = dtype;
  desc.rank = like.rank;
  int64_t stride = 1;
  for (uint32_t i = like.rank; i-- > 0;) {
    desc.shape[i] = like.shape[i];
    desc.strides[i] = stride;
    stride *= like.shape[i];
  }
  return desc;
}

bp_tensor_desc dense(std::initializer_list<int64_t> shape, uint32_t dtype) {
  bp_tensor_desc desc{};
  for (int64_t extent : shape) desc.shape[desc.rank++] = extent;
  return dense(desc, dtype);
}

namespace {

/// Calls body(offset, stride, count) for each innermost row, in row-major order.
template <class Body>
void for_each_row(const bp_tensor_desc& desc, Body&& body) {
  bp_sdk_walk walk;
  bp_sdk_walk_begin(&walk, &desc);
  bp_sdk_walk_add(&walk, &desc);
  bp_sdk_walk_collapse(&walk);
  int64_t index[BP_MAX_RANK] = {};
  const int64_t row = walk.shape[walk.rank - 1];
  for (int64_t done = 0; done < walk.count; done += row) {
    body(bp_sdk_walk_offset(&walk, 0, index), walk.strides[0][walk.rank - 1], row);
    bp_sdk_walk_step(&walk, index, row);
  }
}

template <class T, class Body>
void load_as(const bp_tensor_desc& desc, const void* base, Body&& body) {
  int64_t at = 0;
  for_each_row(desc, [&](int64_t offset, int64_t stride, int64_t count) {
    const T* row = static_cast<const T*>(base) + offset;
    for (int64_t i = 0; i < count; ++i) body(at++, row[i * stride]);
  });
}
template <class T, class Body>
void store_as(const bp_tensor_desc& desc, void* base, Body&& body) {
  int64_t at = 0;
  for_each_row(desc, [&](int64_t offset, int64_t stride, int64_t count) {
    T* row = static_cast<T*>(base) + offset;
    for (int64_t i = 0; i < count; ++i) row[i * stride] = body(at++);
  });
}

}  // namespace

template <class W>
void load_dense(const bp_tensor_desc& desc, const void* base, W* dense) {
  const auto plain = [dense](int64_t i, auto value) { dense[i] = static_cast<W>(value); };
  switch (desc.dtype) {
    case BP_F32: return load_as<float>(desc, base, plain);
    case BP_F64: return load_as<double>(desc, base, plain);
    case BP_F16:
      return load_as<uint16_t>(desc, base, [dense](int64_t i, uint16_t v) { dense[i] = W(bp_sdk_f16_to_f32(v)); });
    case BP_BF16:
      return load_as<uint16_t>(desc, base, [dense](int64_t i, uint16_t v) { dense[i] = W(bp_sdk_bf16_to_f32(v)); });
    case BP_F8_E4M3:
      return load_as<uint8_t>(desc, base, [dense](int64_t i, uint8_t v) { dense[i] = W(bp_sdk_e4m3_to_f32(v)); });
    case BP_F8_E5M2:
      return load_as<uint8_t>(desc, base, [dense](int64_t i, uint8_t v) { dense[i] = W(bp_sdk_e5m2_to_f32(v)); });
    case BP_I32: return load_as<int32_t>(desc, base, plain);
    case BP_I64: return load_as<int64_t>(desc, base, plain);
    case BP_BOOL: return load_as<uint8_t>(desc, base, [dense](int64_t i, uint8_t v) { dense[i] = W(v != 0); });
    default: throw sdk::Failure(BP_E_INTERNAL, "internal: [reference] load of an unknown dtype");
  }
}

template <class W>
void store_dense(const bp_tensor_desc& desc, void* base, const W* dense) {
  switch (desc.dtype) {
    case BP_F32: return store_as<float>(desc, base, [dense](int64_t i) { return static_cast<float>(dense[i]); });
    case BP_F64: return store_as<double>(desc, base, [dense](int64_t i) { return static_cast<double>(dense[i]); });
    case BP_F16:
      return store_as<uint16_t>(desc, base, [dense](int64_t i) { return bp_sdk_f32_to_f16(float(dense[i])); });
    case BP_BF16:
      return store_as<uint16_t>(desc, base, [dense](int64_t i) { return bp_sdk_f32_to_bf16(float(dense[i])); });
    case BP_I32:  // through uint32_t: sums of i32 wrap modulo 2^32
      return store_as<int32_t>(desc, base,
                               [dense](int64_t i) { return int32_t(uint32_t(static_cast<int64_t>(dense[i]))); });
    case BP_I64: return store_as<int64_t>(desc, base, [dense](int64_t i) { return static_cast<int64_t>(dense[i]); });
    case BP_BOOL: return store_as<uint8_t>(desc, base, [dense](int64_t i) { return uint8_t(dense[i] != 0); });
    default: throw sdk::Failure(BP_E_INTERNAL, "internal: [reference] store of an unknown dtype");
  }
}

template void load_dense(const bp_tensor_desc&, const void*, double*);
template void load_dense(const bp_tensor_desc&, const void*, int64_t*);
template void store_dense(const bp_tensor_desc&, void*, const double*);
template void store_dense(const bp_tensor_desc&, void*, const int64_t*);

uint64_t Kernel::dense_bytes(bool inputs, bool outputs) const {
  Scratch measure(nullptr);
  if (inputs) {
    for (uint32_t i = 0; i < own_inputs_; ++i) measure.take<double>(numel(in(i)));
  }
  if (outputs) {
    for (uint32_t i = 0; i < num_outputs(); ++i) measure.take<double>(numel(out(i)));
  }
  return measure.used();
}

uint64_t Kernel::epilogue_bytes(int64_t count) const {
  Scratch measure(nullptr);
  if (has_program()) measure.take<double>(count);
  return measure.used();
}

template <class W>
void Kernel::finish(const bp_tensor_desc& slice, int64_t at, const int64_t* extra_at, const W* values,
                    const bp_view* inputs, const bp_view* outputs, Scratch& scratch) const {
  char* target = pointer(outputs[0]) + at * bp_sdk_dtype_size(out(0).dtype);
  if (!has_program()) return store_dense(slice, target, values);
  // Value 0 of the epilogue is the result as f32, or f64 for f64 operands.
  const bool wide = in(0).dtype == BP_F64;
  bp_tensor_desc descs[BP_PROGRAM_MAX_INPUTS];
  const void* pointers[BP_PROGRAM_MAX_INPUTS];
  descs[0] = dense(slice, wide ? BP_F64 : BP_F32);
  const int64_t count = numel(slice);
  void* result = scratch.take<double>(count);
  store_dense(descs[0], result, values);
  pointers[0] = result;
  for (uint32_t j = 1; j < program().num_inputs; ++j) {
    const uint32_t operand = own_inputs_ + j - 1;
    descs[j] = slice;
    descs[j].dtype = in(operand).dtype;
    // The slice is made of output 0's last axes.
    const uint32_t first = in(operand).rank - slice.rank;
    for (uint32_t axis = 0; axis < slice.rank; ++axis) descs[j].strides[axis] = in(operand).strides[first + axis];
    const int64_t offset = extra_at != nullptr ? extra_at[j - 1] : 0;
    pointers[j] = pointer(inputs[operand]) + offset * bp_sdk_dtype_size(in(operand).dtype);
  }
  void* const targets[1] = {target};
  bp_sdk_pointwise(&program(), descs, pointers, &slice, targets);
}

template void Kernel::finish(const bp_tensor_desc&, int64_t, const int64_t*, const double*, const bp_view*,
                             const bp_view*, Scratch&) const;
template void Kernel::finish(const bp_tensor_desc&, int64_t, const int64_t*, const int64_t*, const bp_view*,
                             const bp_view*, Scratch&) const;

}  // namespace backplane::reference
