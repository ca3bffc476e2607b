// SPDX-License-Identifier: Apache-2.0
#include "op.h"

#include <cstring>

namespace backplane::cpu {
namespace {

size_t attr_bytes(uint32_t code) {
  const sdk::OpFacts* facts = sdk::op_facts(code);
  if (facts == nullptr) return 0;
  switch (facts->attrs) {
    case sdk::AttrKind::reduce: return sizeof(bp_reduce_attrs);
    case sdk::AttrKind::convolution: return sizeof(bp_convolution_attrs);
    case sdk::AttrKind::pool: return sizeof(bp_pool_attrs);
    case sdk::AttrKind::axis: return sizeof(bp_axis_attrs);
    case sdk::AttrKind::normalize: return sizeof(bp_normalize_attrs);
    case sdk::AttrKind::attention: return sizeof(bp_attention_attrs);
    case sdk::AttrKind::random: return sizeof(bp_random_attrs);
    case sdk::AttrKind::sort: return sizeof(bp_sort_attrs);
    default: return 0;
  }
}

template <class T>
void append(std::string& key, const T& value) {
  key.append(reinterpret_cast<const char*>(&value), sizeof(T));
}
void append_desc(std::string& key, const bp_tensor_desc& desc) {
  append(key, static_cast<uint8_t>(desc.dtype));
  append(key, static_cast<uint8_t>(desc.rank));
  for (uint32_t i = 0; i < desc.rank; ++i) {
    append(key, desc.shape[i]);
    append(key, desc.shape[i] < 2 ? int64_t{0} : desc.strides[i]);
  }
}

}  // namespace

Op::Op(const bp_op& source)
    : code(source.code),
      in(source.inputs, source.inputs + source.num_inputs),
      out(source.outputs, source.outputs + source.num_outputs),
      math_mode(source.math_mode),
      deterministic(source.deterministic != 0),
      max_workspace(source.max_workspace) {
  if (source.attrs != nullptr) std::memcpy(&attrs, source.attrs, attr_bytes(code));
  if (source.program != nullptr) {
    const bp_program& p = *source.program;
    program = Program{p.num_inputs, {p.instrs, p.instrs + p.num_instrs}, {p.outputs, p.outputs + p.num_outputs}};
  }
}

std::string Op::key() const {
  std::string key;
  key.reserve(256);
  append(key, code);
  append(key, static_cast<uint8_t>(math_mode));
  append(key, static_cast<uint8_t>(deterministic));
  append(key, max_workspace);
  append(key, static_cast<uint8_t>(in.size()));
  append(key, static_cast<uint8_t>(out.size()));
  for (const bp_tensor_desc& desc : in) append_desc(key, desc);
  for (const bp_tensor_desc& desc : out) append_desc(key, desc);
  key.append(reinterpret_cast<const char*>(&attrs), attr_bytes(code));
  if (program) {
    append(key, program->num_inputs);
    append(key, static_cast<uint32_t>(program->instrs.size()));
    for (const bp_instr& instr : program->instrs) append(key, instr);
    for (uint16_t output : program->outputs) append(key, output);
  }
  return key;
}

int64_t element_count(const bp_tensor_desc& desc) {
  int64_t count = 1;
  for (uint32_t i = 0; i < desc.rank; ++i) count *= desc.shape[i];
  return count;
}

bool is_dense(const bp_tensor_desc& desc) {
  int64_t expected = 1;
  for (uint32_t i = desc.rank; i-- > 0;) {
    if (desc.shape[i] > 1 && desc.strides[i] != expected) return false;
    expected *= desc.shape[i];
  }
  return true;
}

bp_tensor_desc dense_desc(uint32_t dtype, const std::vector<int64_t>& shape) {
  bp_tensor_desc desc{};
  desc.dtype = dtype;
  desc.rank = static_cast<uint32_t>(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    desc.shape[i] = shape[i];
    desc.strides[i] = stride;
    stride *= shape[i];
  }
  return desc;
}

bp_tensor_desc dense_like(const bp_tensor_desc& desc, uint32_t dtype) {
  return dense_desc(dtype, std::vector<int64_t>(desc.shape, desc.shape + desc.rank));
}

bool same_shape(const bp_tensor_desc& a, const bp_tensor_desc& b) {
  if (a.rank != b.rank) return false;
  for (uint32_t i = 0; i < a.rank; ++i) {
    if (a.shape[i] != b.shape[i]) return false;
  }
  return true;
}

}  // namespace backplane::cpu
