// SPDX-License-Identifier: Apache-2.0
#include "shape_features.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "backplane/host/text.h"
#include "backplane/sdk/walk.h"
#include "bounds.h"
#include "catalogue.h"

namespace backplane::autotune {
namespace {

double log2_of(double value) { return std::log2(std::max(value, 1.0)); }

/// Each element once, as stored.
double bytes_of(const bp_tensor_desc& desc) {
  double bytes = bp_sdk_dtype_size(desc.dtype);
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    if (desc.strides[axis] != 0) bytes *= static_cast<double>(desc.shape[axis]);
  }
  return bytes;
}

double bytes_of(const bp_op& op) {
  double bytes = 0;
  for (uint32_t i = 0; i < op.num_inputs; ++i) bytes += bytes_of(op.inputs[i]);
  for (uint32_t i = 0; i < op.num_outputs; ++i) bytes += bytes_of(op.outputs[i]);
  return bytes;
}

/// The product of the numbers of "2x16"; 0 when it is none.
double product_of(const std::string& text) {
  double product = 1;
  for (const std::string& each : host::split(text, 'x')) {
    int value = 0;
    const auto [end, error] = std::from_chars(each.data(), each.data() + each.size(), value);
    if (error != std::errc() || end != each.data() + each.size()) return 0;
    product *= value;
  }
  return product;
}

}  // namespace

std::string class_of(const std::string& problem) {
  std::string text = problem;
  if (const size_t program = text.find(" program="); program != std::string::npos) {
    text.resize(std::min(text.find(':', program), text.size()));  // its digest says nothing of time
  }
  const size_t open = text.find('{'), close = text.find('}');
  if (open == std::string::npos || close == std::string::npos) return text;
  std::string kept;
  for (const std::string& each : host::split(text.substr(open + 1, close - open - 1), ' ')) {
    // Lists of numbers become features, and groups show in the extents.
    if (each.find(',') == std::string::npos && !each.starts_with("groups=")) kept += each + " ";
  }
  return text.substr(0, open) + "{" + kept + text.substr(close);
}

void Peaks::see(const bp_op& op, double ns) {
  if (!(ns > 0)) return;
  work_per_ns = std::max(work_per_ns, work_of(op) / ns);
  bytes_per_ns = std::max(bytes_per_ns, bytes_of(op) / ns);
}

Features features_of(const bp_op& op, const Key& key, const Peaks& peaks) {
  Features x;
  for (const int64_t extent : key.extents) x.push_back(log2_of(static_cast<double>(extent)));
  if (const CatalogueEntry* entry = find_entry(op.code); entry != nullptr && op.attrs != nullptr) {
    for (const AttrField& field : entry->attrs) {
      if (field.kind != AttrField::Kind::i64x3) continue;
      for (const int64_t each : read_attr(field, op.attrs).list) x.push_back(log2_of(1 + static_cast<double>(each)));
    }
  }
  const double computing = work_of(op) / std::max(peaks.work_per_ns, 1e-9);
  const double moving = bytes_of(op) / std::max(peaks.bytes_per_ns, 1e-9);
  x.push_back(log2_of(std::max(computing, moving)));
  x.push_back(std::clamp(log2_of(computing) - log2_of(moving), -6.0, 6.0));
  return x;
}

Tile Tile::of(const std::string& variant) {
  Tile tile;
  const size_t at = variant.find('@');
  if (at == std::string::npos) return tile;
  for (const std::string& each : host::split(variant.substr(at + 1), ',')) {
    const size_t equals = each.find('=');
    if (equals == std::string::npos) continue;
    const std::string name = each.substr(0, equals);
    const double size = product_of(each.substr(equals + 1));
    if (size < 1) continue;
    if (name == "r" || name == "bm") tile.rows = size;
    if (name == "c" || name == "bn") tile.columns = size;
  }
  return tile;
}

Waste waste_of(const bp_op& op, const Tile& tile, uint32_t units) {
  const bp_tensor_desc& out = op.outputs[0];
  if (out.rank < 2 || tile.rows * tile.columns <= 1) return {};
  // A convolution is a product of its filters by columns of pixels.
  const bool filters = op.code == BP_OP_CONVOLUTION;
  double rows = static_cast<double>(filters ? out.shape[1] : out.shape[out.rank - 2]), columns = 1, count = 1;
  for (uint32_t axis = filters ? 2 : out.rank - 1; axis < out.rank; ++axis)
    columns *= static_cast<double>(out.shape[axis]);
  for (uint32_t axis = 0; axis < (filters ? 1 : out.rank - 2); ++axis) count *= static_cast<double>(out.shape[axis]);
  if (rows * columns * count < 1) return {};
  const double tiles_down = std::ceil(rows / tile.rows), tiles_across = std::ceil(columns / tile.columns);
  const double parts = tiles_down * tiles_across * count, each_unit = parts / std::max(units, 1u);
  return {std::log2(tiles_down * tile.rows * tiles_across * tile.columns / (rows * columns)),
          std::log2(std::ceil(each_unit) / each_unit)};
}

}  // namespace backplane::autotune
