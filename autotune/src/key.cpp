// SPDX-License-Identifier: Apache-2.0
#include "backplane/autotune/key.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <limits>
#include <numeric>

#include "backplane/host/text.h"
#include "catalogue.h"

namespace backplane::autotune {
namespace {

std::string real_text(double value) {
  char text[32];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return std::string(text, end);
}

/// "{axis=1}"; three-element lists as "1,1,0". Attributes beyond the catalogue's structs are digested.
std::string attrs_text(const bp_op& op) {
  const CatalogueEntry* entry = find_entry(op.code);
  if (op.attrs == nullptr) return {};
  if (entry == nullptr || entry->attrs.empty()) {
    uint32_t bytes = 0;
    std::copy_n(static_cast<const char*>(op.attrs), sizeof bytes, reinterpret_cast<char*>(&bytes));
    return "{attrs=" + host::hex(host::hash64({static_cast<const char*>(op.attrs), bytes})) + "}";
  }
  std::string text;
  for (const AttrField& field : entry->attrs) {
    const AttrValues v = read_attr(field, op.attrs);
    text += (text.empty() ? "{" : " ") + std::string(field.name) + "=";
    switch (field.kind) {
      case AttrField::Kind::u32: text += std::to_string(v.integer); break;
      case AttrField::Kind::f64: text += real_text(v.real); break;
      case AttrField::Kind::i64x3:
        text += std::to_string(v.list[0]) + "," + std::to_string(v.list[1]) + "," + std::to_string(v.list[2]);
        break;
    }
  }
  return text + "}";
}

/// Two programs are one problem when their bytes are equal; constants count, since a compiled kernel contains them.
std::string program_text(const bp_op& op) {
  if (op.program == nullptr) return {};
  const bp_program& program = *op.program;
  std::string bytes(reinterpret_cast<const char*>(program.instrs), program.num_instrs * sizeof(bp_instr));
  bytes.append(reinterpret_cast<const char*>(program.outputs), program.num_outputs * sizeof(uint16_t));
  return " program=" + std::to_string(program.num_instrs) + ":" + host::hex(host::hash64(bytes));
}

std::string extents_text(const bp_tensor_desc& desc) {
  if (desc.rank == 0) return "scalar";
  std::string text;
  for (uint32_t axis = 0; axis < desc.rank; ++axis) text += (axis > 0 ? "x" : "") + std::to_string(desc.shape[axis]);
  return text;
}

std::string operand_text(const bp_tensor_desc& desc) {
  const std::string layout = layout_class(desc);
  // The rank belongs to the class, so that problems of one class have equally many extents.
  return dtype_name(desc.dtype) + "[" + std::to_string(desc.rank) + "]" + (layout.empty() ? "" : ":" + layout);
}

template <class Text>
std::string list_text(const bp_op& op, Text text) {
  std::string out;
  for (uint32_t i = 0; i < op.num_inputs; ++i) out += (i > 0 ? "," : "") + text(op.inputs[i]);
  out += "->";
  for (uint32_t i = 0; i < op.num_outputs; ++i) out += (i > 0 ? "," : "") + text(op.outputs[i]);
  return out;
}

std::string policy_text(const bp_op& op) {
  std::string text = math_name(op.math_mode);
  if (op.deterministic != 0) text += " deterministic";
  if (op.max_workspace != UINT64_MAX) text += " workspace<=" + std::to_string(op.max_workspace);
  return text;
}

/// One field of a fingerprint: no separator inside.
std::string field_text(std::string text) {
  std::ranges::replace(text, '|', '/');
  return text;
}

}  // namespace

std::string layout_class(const bp_tensor_desc& desc) {
  std::vector<uint32_t> axes;  // of more than one element, and not repeated
  uint32_t repeated = 0;
  bool backwards = false;
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    if (desc.shape[axis] <= 1) continue;
    backwards = backwards || desc.strides[axis] < 0;
    if (desc.strides[axis] == 0) {
      repeated |= 1u << axis;
    } else {
      axes.push_back(axis);
    }
  }
  const auto stride = [&](uint32_t axis) { return std::abs(desc.strides[axis]); };
  std::vector<uint32_t> order = axes;
  std::ranges::stable_sort(order, [&](uint32_t a, uint32_t b) { return stride(a) > stride(b); });
  std::string text;
  if (order != axes) {
    text += "t";
    for (uint32_t axis : order) text += std::to_string(axis);
  }
  if (repeated != 0) text += "b" + std::to_string(repeated);
  int64_t step = order.empty() ? 1 : stride(order.back());
  if (step > 1) text += "s";
  bool gaps = false;
  for (auto axis = order.rbegin(); axis != order.rend(); ++axis) {
    gaps = gaps || stride(*axis) != step;
    step = stride(*axis) * desc.shape[*axis];
  }
  if (gaps) text += "g";
  if (backwards) text += "n";
  return text;
}

std::string operation_name(uint32_t code) {
  const CatalogueEntry* entry = find_entry(code);
  return entry != nullptr ? std::string(entry->name) : "op " + std::to_string(code);
}

Key Key::of(const bp_op& op) {
  Key key;
  const bool custom = op.code == BP_OP_CUSTOM && op.name != nullptr;
  key.problem = (custom ? std::string(op.name) : operation_name(op.code)) + attrs_text(op) + " " +
                list_text(op, operand_text) + program_text(op);
  key.shapes = list_text(op, extents_text);
  key.policy = policy_text(op);
  for (const auto& [descs, count] : {std::pair{op.inputs, op.num_inputs}, {op.outputs, op.num_outputs}}) {
    for (uint32_t i = 0; i < count; ++i)
      key.extents.insert(key.extents.end(), descs[i].shape, descs[i].shape + descs[i].rank);
  }
  return key;
}

std::vector<int64_t> parse_extents(const std::string& shapes) {
  std::vector<int64_t> extents;
  const char* at = shapes.data();
  const char* const end = at + shapes.size();
  while (at < end) {
    if (*at < '0' || *at > '9') {
      ++at;
      continue;
    }
    int64_t value = 0;
    const auto [next, error] = std::from_chars(at, end, value);
    if (error != std::errc()) return {};
    extents.push_back(value);
    at = next;
  }
  return extents;
}

double distance(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  constexpr double kFar = std::numeric_limits<double>::infinity();
  if (a.size() != b.size()) return kFar;
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    if ((a[i] <= 1 || b[i] <= 1) && a[i] != b[i]) return kFar;
    if (a[i] == b[i]) continue;
    const double difference = std::log2(static_cast<double>(a[i]) / static_cast<double>(b[i]));
    sum += difference * difference;
  }
  return std::sqrt(sum);
}

Fingerprint Fingerprint::of(const host::Device& device) {
  return of(device.plugin_name(), device.info(), device.plugin_build_id());
}

Fingerprint Fingerprint::of(const std::string& plugin, const bp_device_info& info, const std::string& build) {
  return {plugin + "|" + field_text(info.architecture) + "|" + field_text(info.name) +
              "|units=" + std::to_string(info.compute_units) + "|" + field_text(info.driver),
          build};
}

std::string forbidden(const bp_op& op, const host::Variant& variant) {
  static constexpr struct {
    uint32_t note, math_mode;  ///< allowed from this mode on; BP_MATH_FAST + 1 = never
    const char* what;
  } kNotes[] = {
      {BP_NOTE_TF32, BP_MATH_TF32, "rounds operands to TF32"},
      {BP_NOTE_REDUCED_INPUTS, BP_MATH_FAST, "rounds operands to 16 bits"},
      {BP_NOTE_FAST_MATH, BP_MATH_FAST, "uses functions beyond the usual error bounds"},
      {BP_NOTE_REDUCED_ACCUMULATION, BP_MATH_FAST + 1, "accumulates in less than f32"},
  };
  for (const auto& rule : kNotes) {
    if ((variant.numeric_notes & rule.note) != 0 && op.math_mode < rule.math_mode) {
      return std::string(rule.what) + ", which math mode " + math_name(op.math_mode) + " forbids";
    }
  }
  if (op.deterministic != 0) {
    if (variant.determinism < BP_DETERMINISM_RUN) return "does not promise the same bits in every run";
    if ((variant.numeric_notes & BP_NOTE_ATOMICS) != 0) return "adds in an order that depends on timing";
  }
  if (variant.workspace > op.max_workspace) {
    return "wants " + std::to_string(variant.workspace) + " bytes of workspace; the limit is " +
           std::to_string(op.max_workspace);
  }
  return {};
}

}  // namespace backplane::autotune
