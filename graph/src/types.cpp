// SPDX-License-Identifier: Apache-2.0
#include "backplane/graph/types.h"

#include <algorithm>
#include <cstring>

namespace backplane {

namespace {

struct DTypeRow {
  DType dtype;
  std::string_view name;
  int64_t size;
};
constexpr DTypeRow kDTypes[] = {
    {DType::f32, "f32", 4}, {DType::f64, "f64", 8}, {DType::f16, "f16", 2},     {DType::bf16, "bf16", 2},
    {DType::i32, "i32", 4}, {DType::i64, "i64", 8}, {DType::boolean, "bool", 1},
    {DType::f8_e4m3, "f8_e4m3", 1}, {DType::f8_e5m2, "f8_e5m2", 1},
};

const DTypeRow& row(DType dtype) {
  for (const DTypeRow& r : kDTypes) {
    if (r.dtype == dtype) return r;
  }
  fail_internal("dtype code " + std::to_string(static_cast<int>(dtype)) + " is not one of ours");
}

/// bool < i32 < i64 < 8-bit floats < halves < f32 < f64; the two 8-bit floats and the two halves are on one level each.
int promotion_level(DType dtype) {
  switch (dtype) {
    case DType::boolean: return 0;
    case DType::i32: return 1;
    case DType::i64: return 2;
    case DType::f8_e4m3:
    case DType::f8_e5m2: return 3;
    case DType::f16:
    case DType::bf16: return 4;
    case DType::f32: return 5;
    case DType::f64: return 6;
  }
  return 6;
}

std::string_view file_name(const char* path) {
  const char* slash = std::strrchr(path, '/');
  return slash != nullptr ? slash + 1 : path;
}

}  // namespace

int64_t size_of(DType dtype) { return row(dtype).size; }
std::string_view name_of(DType dtype) { return row(dtype).name; }

DType dtype_from_name(std::string_view name) {
  std::string known;
  for (const DTypeRow& r : kDTypes) {
    if (r.name == name) return r.dtype;
    known += known.empty() ? "" : ", ";
    known += r.name;
  }
  throw std::invalid_argument("unknown dtype '" + std::string(name) + "'; there are " + known);
}

DType promote(DType a, DType b) {
  if (a == b) return a;
  const int level_a = promotion_level(a), level_b = promotion_level(b);
  if (level_a == level_b) return DType::f32;
  return level_a > level_b ? a : b;
}

Shape::Shape(std::span<const int64_t> extents) {
  if (extents.size() > static_cast<size_t>(kMaxRank)) {
    throw Error("[shape] rank " + std::to_string(extents.size()) + " is more than " + std::to_string(kMaxRank));
  }
  std::copy(extents.begin(), extents.end(), extents_.begin());
  rank_ = static_cast<int>(extents.size());
}

int64_t Shape::elements() const {
  int64_t n = 1;
  for (int64_t extent : *this) n *= extent;
  return n;
}

bool Shape::is_dynamic() const { return std::find(begin(), end(), dyn) != end(); }

void Shape::push_back(int64_t extent) {
  if (rank_ == kMaxRank) throw Error("[shape] rank would exceed " + std::to_string(kMaxRank) + ": " + to_string());
  extents_[static_cast<size_t>(rank_++)] = extent;
}

std::string Shape::to_string() const {
  std::string text = "[";
  for (int axis = 0; axis < rank_; ++axis) {
    if (axis > 0) text += ',';
    text += (*this)[axis] == dyn ? "?" : std::to_string((*this)[axis]);
  }
  return text + "]";
}

bool operator==(const Shape& a, const Shape& b) { return std::equal(a.begin(), a.end(), b.begin(), b.end()); }

std::array<int64_t, kMaxRank> dense_strides(const Shape& shape) {
  std::array<int64_t, kMaxRank> strides{};
  int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    strides[static_cast<size_t>(axis)] = step;
    step *= std::max<int64_t>(shape[axis], 1);
  }
  return strides;
}

std::string Type::to_string() const { return std::string(name_of(dtype)) + shape.to_string(); }

Layout dense_layout(const Shape& shape) { return {0, dense_strides(shape)}; }

bool is_dense(const Shape& shape, const Layout& layout) {
  int64_t step = 1;
  for (int axis = shape.rank() - 1; axis >= 0; --axis) {
    if (shape[axis] == 0) return true;
    if (shape[axis] != 1 && layout.strides[static_cast<size_t>(axis)] != step) return false;
    step *= shape[axis];
  }
  return true;
}

bp_tensor_desc to_desc(const Type& type, const Layout& layout) {
  bp_tensor_desc desc{};
  desc.dtype = static_cast<uint32_t>(type.dtype);
  desc.rank = static_cast<uint32_t>(type.shape.rank());
  for (int axis = 0; axis < type.shape.rank(); ++axis) {
    desc.shape[axis] = type.shape[axis];
    desc.strides[axis] = layout.strides[static_cast<size_t>(axis)];
  }
  return desc;
}

std::string SourceLoc::to_string() const {
  if (file == nullptr || line == 0) return {};
  return std::string(file_name(file)) + ":" + std::to_string(line);
}

void fail(std::string_view op, std::string_view what, std::span<const Type> operands, SourceLoc loc,
          std::string_view suggestion) {
  std::string text = "[" + std::string(op) + "] " + std::string(what);
  if (!operands.empty()) {
    text += "\n  operands";
    for (const Type& type : operands) text += " " + type.to_string();
  }
  if (const std::string at = loc.to_string(); !at.empty()) text += "\n  at " + at;
  if (!suggestion.empty()) text += "\n  " + std::string(suggestion);
  throw Error(text);
}

void fail_internal(std::string_view what) { throw Error("internal: " + std::string(what)); }

}  // namespace backplane
