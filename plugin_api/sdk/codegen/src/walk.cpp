// SPDX-License-Identifier: Apache-2.0
#include "walk.h"

namespace backplane::codegen {
namespace {

bool continues(const Walk& walk, const std::vector<const bp_tensor_desc*>& operands, uint32_t axis) {
  for (size_t o = 0; o < operands.size(); ++o) {
    if (walk.strides[o].back() != operands[o]->strides[axis] * operands[o]->shape[axis]) return false;
  }
  return true;
}

}  // namespace

bp_tensor_desc without_axis(const bp_tensor_desc& desc, uint32_t axis) {
  bp_tensor_desc rest = desc;
  for (uint32_t i = axis; i + 1 < desc.rank; ++i) {
    rest.shape[i] = desc.shape[i + 1];
    rest.strides[i] = desc.strides[i + 1];
  }
  --rest.rank;
  return rest;
}

Walk merge_axes(const std::vector<const bp_tensor_desc*>& operands, uint32_t first, uint32_t last) {
  Walk walk;
  walk.strides.resize(operands.size());
  for (uint32_t axis = first; axis < last; ++axis) {
    const int64_t extent = operands.empty() ? 1 : operands[0]->shape[axis];
    walk.count *= extent;
    if (extent == 1) continue;
    const bool merge = !walk.extents.empty() && continues(walk, operands, axis);
    if (merge) walk.extents.back() *= extent;
    else walk.extents.push_back(extent);
    for (size_t o = 0; o < operands.size(); ++o) {
      if (merge) walk.strides[o].back() = operands[o]->strides[axis];
      else walk.strides[o].push_back(operands[o]->strides[axis]);
    }
  }
  return walk;
}

void declare_stride(Source& source, std::string_view name, int64_t stride) {
  if (stride == 0 || stride == 1) return source.define(name, stride);
  source.param(name, stride);
}

void declare_walk(Source& source, std::string_view name, const Walk& walk) {
  const std::string prefix(name);
  const size_t rank = walk.extents.size();
  std::string arguments = "i", body;
  for (size_t axis = rank; axis-- > 0;) {
    const std::string a = std::to_string(axis);
    const std::string rest = axis + 1 == rank ? "(i)" : prefix + "_r" + std::to_string(axis + 1);
    if (axis == 0) {
      body += "int " + prefix + "_c0 = " + rest + "; ";
      continue;
    }
    source.param(prefix + "_n" + a, walk.extents[axis]);
    body += "int " + prefix + "_r" + a + " = QUOTIENT(" + rest + ", " + prefix + "_n" + a + "); ";
    body += "int " + prefix + "_c" + a + " = " + rest + " - " + prefix + "_r" + a + " * " + prefix + "_n" + a + "; ";
  }
  for (size_t o = 0; o < walk.strides.size(); ++o) {
    const std::string operand = "bp_o" + std::to_string(o);
    arguments += ", " + operand;
    std::string sum;
    for (size_t axis = 0; axis < rank; ++axis) {
      const int64_t stride = walk.strides[o][axis];
      if (stride == 0) continue;
      const std::string coordinate = prefix + "_c" + std::to_string(axis);
      if (!sum.empty()) sum += " + ";
      if (stride == 1) {
        sum += coordinate;
        continue;
      }
      const std::string param = prefix + "_s" + std::to_string(o) + "_" + std::to_string(axis);
      source.param(param, stride);
      sum += coordinate + " * " + param;
    }
    body += "int " + operand + " = " + (sum.empty() ? "0" : sum) + "; ";
  }
  source.define(prefix + "(" + arguments + ")", body);
}

}  // namespace backplane::codegen
