// SPDX-License-Identifier: Apache-2.0
// An operation as JSON: {"op": "matmul", "inputs": [{"dtype": "f32", "shape": [64, 784], "strides": [784, 1]}, ...],
// ...}. What comes from a file is checked here before it reaches a plugin; whether the device does it, the plugin says.
#include <bit>
#include <cstring>

#include <nlohmann/json.hpp>

#include "backplane/autotune/recorder.h"
#include "backplane/host/error.h"
#include "catalogue.h"

namespace backplane::autotune {
namespace {

using Json = nlohmann::ordered_json;

[[noreturn]] void refuse(const std::string& what) {
  throw host::Error(BP_E_INVALID_ARGUMENT, "[recording] " + what + "; record it again with BACKPLANE_TUNE_RECORD");
}

Json desc_json(const bp_tensor_desc& desc) {
  return {{"dtype", dtype_name(desc.dtype)},
          {"shape", std::vector<int64_t>(desc.shape, desc.shape + desc.rank)},
          {"strides", std::vector<int64_t>(desc.strides, desc.strides + desc.rank)}};
}

bp_tensor_desc desc_of(const Json& j) {
  constexpr int64_t kMostElements = int64_t{1} << 40;
  bp_tensor_desc desc{};
  desc.dtype = dtype_of(j.at("dtype").get<std::string>());
  if (desc.dtype == 0) refuse("there is no dtype " + j.at("dtype").dump());
  const auto shape = j.at("shape").get<std::vector<int64_t>>(), strides = j.at("strides").get<std::vector<int64_t>>();
  if (shape.size() > BP_MAX_RANK || strides.size() != shape.size()) refuse("shape and strides do not fit: " + j.dump());
  desc.rank = static_cast<uint32_t>(shape.size());
  int64_t elements = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0 || shape[i] > kMostElements) refuse("an extent of " + std::to_string(shape[i]));
    elements *= std::max<int64_t>(shape[i], 1);
    if (elements > kMostElements || std::abs(strides[i]) > kMostElements)
      refuse("a tensor that is too large: " + j.dump());
    desc.shape[i] = shape[i], desc.strides[i] = strides[i];
  }
  return desc;
}

Json attrs_json(const CatalogueEntry& entry, const host::KernelOp& op) {
  Json attrs = Json::object();
  for (const AttrField& field : entry.attrs) {
    const AttrValues v = read_attr(field, op.attrs.data());
    switch (field.kind) {
      case AttrField::Kind::u32: attrs[std::string(field.name)] = v.integer; break;
      case AttrField::Kind::f64: attrs[std::string(field.name)] = v.real; break;
      case AttrField::Kind::i64x3: attrs[std::string(field.name)] = std::vector<int64_t>(v.list, v.list + 3); break;
    }
  }
  return attrs;
}

std::vector<std::byte> attrs_of(const CatalogueEntry& entry, const Json& j) {
  std::vector<std::byte> attrs(entry.attrs_bytes);
  if (attrs.empty()) return attrs;
  const auto bytes = static_cast<uint32_t>(attrs.size());
  std::memcpy(attrs.data(), &bytes, sizeof bytes);
  for (const AttrField& field : entry.attrs) {
    const Json& value = j.at(std::string(field.name));
    AttrValues v;
    switch (field.kind) {
      case AttrField::Kind::u32: v.integer = value.get<uint32_t>(); break;
      case AttrField::Kind::f64: v.real = value.get<double>(); break;
      case AttrField::Kind::i64x3: {
        const auto list = value.get<std::vector<int64_t>>();
        if (list.size() != 3) refuse("attribute " + std::string(field.name) + " has not three elements");
        std::copy(list.begin(), list.end(), v.list);
        break;
      }
    }
    write_attr(field, v, attrs.data());
  }
  return attrs;
}

/// Constants as their bits: a NaN or an infinity has no JSON number.
Json program_json(const host::KernelOp& op) {
  Json instrs = Json::array();
  for (const bp_instr& i : op.instrs) instrs.push_back({i.code, i.dtype, i.a, i.b, i.c, i.imm.i});
  return {{"inputs", op.program_inputs}, {"instrs", std::move(instrs)}, {"outputs", op.program_outputs}};
}

void read_program(const Json& j, host::KernelOp& op) {
  op.program_inputs = j.at("inputs").get<uint32_t>();
  op.program_outputs = j.at("outputs").get<std::vector<uint16_t>>();
  for (const Json& each : j.at("instrs")) {
    bp_instr i{};
    i.code = each.at(0).get<uint16_t>(), i.dtype = each.at(1).get<uint16_t>();
    i.a = each.at(2).get<uint16_t>(), i.b = each.at(3).get<uint16_t>(), i.c = each.at(4).get<uint16_t>();
    i.imm.i = each.at(5).get<int64_t>();
    const size_t defined = op.program_inputs + op.instrs.size();
    if (i.a >= std::max<size_t>(defined, 1) || i.b >= std::max<size_t>(defined, 1) ||
        i.c >= std::max<size_t>(defined, 1)) {
      refuse("a program that reads values before they are defined");
    }
    op.instrs.push_back(i);
  }
  const size_t values = op.program_inputs + op.instrs.size();
  bool fits = op.instrs.size() <= BP_PROGRAM_MAX_INSTRS && op.program_inputs <= BP_PROGRAM_MAX_INPUTS &&
              !op.program_outputs.empty() && op.program_outputs.size() <= BP_PROGRAM_MAX_OUTPUTS;
  for (const uint16_t output : op.program_outputs) fits = fits && output < values;
  if (!fits) refuse("a program that no device could run");
}

}  // namespace

std::string op_to_json(const host::KernelOp& op) {
  const CatalogueEntry* entry = find_entry(op.code);
  if (entry == nullptr)
    throw host::Error(BP_E_UNSUPPORTED, "[recording] operation " + std::to_string(op.code) + " has no name");
  Json inputs = Json::array(), outputs = Json::array();
  for (const bp_tensor_desc& each : op.inputs) inputs.push_back(desc_json(each));
  for (const bp_tensor_desc& each : op.outputs) outputs.push_back(desc_json(each));
  Json j = {{"op", entry->name}, {"inputs", std::move(inputs)}, {"outputs", std::move(outputs)}};
  if (!entry->attrs.empty()) j["attrs"] = attrs_json(*entry, op);
  if (!op.program_outputs.empty()) j["program"] = program_json(op);
  if (op.math_mode != BP_MATH_STRICT) j["math_mode"] = op.math_mode;
  if (op.deterministic != 0) j["deterministic"] = true;
  if (op.max_workspace != UINT64_MAX) j["max_workspace"] = op.max_workspace;
  return j.dump();
}

host::KernelOp op_from_json(const std::string& text) {
  try {
    const Json j = Json::parse(text);
    const CatalogueEntry* entry = find_entry(j.at("op").get<std::string>());
    if (entry == nullptr) refuse("there is no operation " + j.at("op").dump());
    host::KernelOp op;
    op.code = entry->code;
    op.name = entry->name.data();
    for (const Json& each : j.at("inputs")) op.inputs.push_back(desc_of(each));
    for (const Json& each : j.at("outputs")) op.outputs.push_back(desc_of(each));
    op.attrs = attrs_of(*entry, j.value("attrs", Json::object()));
    if (j.contains("program")) read_program(j["program"], op);
    op.math_mode = j.value("math_mode", static_cast<uint32_t>(BP_MATH_STRICT));
    op.deterministic = j.value("deterministic", false) ? 1 : 0;
    op.max_workspace = j.value("max_workspace", UINT64_MAX);
    return op;
  } catch (const nlohmann::json::exception& error) {
    refuse(error.what());
  }
}

}  // namespace backplane::autotune
