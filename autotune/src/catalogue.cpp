// SPDX-License-Identifier: Apache-2.0
#include "catalogue.h"

#include <algorithm>
#include <cstring>

namespace backplane::autotune {
namespace {

using Kind = AttrField::Kind;
#define FIELD(type, member, kind) {#member, offsetof(type, member), Kind::kind}
constexpr AttrField kReduce[] = {FIELD(bp_reduce_attrs, kind, u32), FIELD(bp_reduce_attrs, axes, u32)};
constexpr AttrField kConvolution[] = {
    FIELD(bp_convolution_attrs, spatial_rank, u32), FIELD(bp_convolution_attrs, groups, u32),
    FIELD(bp_convolution_attrs, stride, i64x3),     FIELD(bp_convolution_attrs, dilation, i64x3),
    FIELD(bp_convolution_attrs, pad_low, i64x3),    FIELD(bp_convolution_attrs, pad_high, i64x3)};
constexpr AttrField kPool[] = {FIELD(bp_pool_attrs, kind, u32),          FIELD(bp_pool_attrs, spatial_rank, u32),
                               FIELD(bp_pool_attrs, count_padding, u32), FIELD(bp_pool_attrs, window, i64x3),
                               FIELD(bp_pool_attrs, stride, i64x3),      FIELD(bp_pool_attrs, dilation, i64x3),
                               FIELD(bp_pool_attrs, pad_low, i64x3),     FIELD(bp_pool_attrs, pad_high, i64x3)};
constexpr AttrField kAxis[] = {FIELD(bp_axis_attrs, axis, u32)};
constexpr AttrField kNormalize[] = {FIELD(bp_normalize_attrs, kind, u32), FIELD(bp_normalize_attrs, axes, u32),
                                    FIELD(bp_normalize_attrs, epsilon, f64)};
constexpr AttrField kAttention[] = {FIELD(bp_attention_attrs, causal, u32), FIELD(bp_attention_attrs, scale, f64)};
constexpr AttrField kRandom[] = {FIELD(bp_random_attrs, kind, u32)};
constexpr AttrField kSort[] = {FIELD(bp_sort_attrs, axis, u32), FIELD(bp_sort_attrs, descending, u32)};
#undef FIELD

constexpr CatalogueEntry kCatalogue[] = {
    {BP_OP_POINTWISE, "pointwise", 0, {}},
    {BP_OP_REDUCE, "reduce", sizeof(bp_reduce_attrs), kReduce},
    {BP_OP_MATMUL, "matmul", 0, {}},
    {BP_OP_GATHER, "gather", 0, {}},
    {BP_OP_SCATTER_ADD, "scatter_add", 0, {}},
    {BP_OP_CONVOLUTION, "convolution", sizeof(bp_convolution_attrs), kConvolution},
    {BP_OP_CONVOLUTION_GRAD_DATA, "convolution_grad_data", sizeof(bp_convolution_attrs), kConvolution},
    {BP_OP_CONVOLUTION_GRAD_FILTER, "convolution_grad_filter", sizeof(bp_convolution_attrs), kConvolution},
    {BP_OP_POOL, "pool", sizeof(bp_pool_attrs), kPool},
    {BP_OP_POOL_GRAD, "pool_grad", sizeof(bp_pool_attrs), kPool},
    {BP_OP_SOFTMAX, "softmax", sizeof(bp_axis_attrs), kAxis},
    {BP_OP_SOFTMAX_GRAD, "softmax_grad", sizeof(bp_axis_attrs), kAxis},
    {BP_OP_LOG_SOFTMAX, "log_softmax", sizeof(bp_axis_attrs), kAxis},
    {BP_OP_LOG_SOFTMAX_GRAD, "log_softmax_grad", sizeof(bp_axis_attrs), kAxis},
    {BP_OP_NORMALIZE, "normalize", sizeof(bp_normalize_attrs), kNormalize},
    {BP_OP_NORMALIZE_GRAD, "normalize_grad", sizeof(bp_normalize_attrs), kNormalize},
    {BP_OP_ATTENTION, "attention", sizeof(bp_attention_attrs), kAttention},
    {BP_OP_ATTENTION_GRAD, "attention_grad", sizeof(bp_attention_attrs), kAttention},
    {BP_OP_RANDOM, "random", sizeof(bp_random_attrs), kRandom},
    {BP_OP_SORT, "sort", sizeof(bp_sort_attrs), kSort},
    {BP_OP_TOP_K, "top_k", sizeof(bp_sort_attrs), kSort},
};

constexpr std::string_view kDtypes[] = {"", "f32", "f64", "f16", "bf16", "i32", "i64", "bool", "f8_e4m3", "f8_e5m2"};

size_t bytes_of(Kind kind) { return kind == Kind::u32 ? 4 : kind == Kind::f64 ? 8 : 24; }

}  // namespace

const CatalogueEntry* find_entry(uint32_t code) {
  const auto* found = std::ranges::find(kCatalogue, code, &CatalogueEntry::code);
  return found != std::end(kCatalogue) ? found : nullptr;
}

const CatalogueEntry* find_entry(std::string_view name) {
  const auto* found = std::ranges::find(kCatalogue, name, &CatalogueEntry::name);
  return found != std::end(kCatalogue) ? found : nullptr;
}

AttrValues read_attr(const AttrField& field, const void* attrs) {
  AttrValues values;
  uint32_t size = 0;
  if (attrs != nullptr) std::memcpy(&size, attrs, sizeof size);
  if (field.offset + bytes_of(field.kind) > size) return values;
  const auto* at = static_cast<const char*>(attrs) + field.offset;
  switch (field.kind) {
    case Kind::u32: std::memcpy(&values.integer, at, 4); break;  // little-endian, as every target is
    case Kind::f64: std::memcpy(&values.real, at, 8); break;
    case Kind::i64x3: std::memcpy(values.list, at, 24); break;
  }
  return values;
}

void write_attr(const AttrField& field, const AttrValues& values, void* attrs) {
  auto* at = static_cast<char*>(attrs) + field.offset;
  switch (field.kind) {
    case Kind::u32: std::memcpy(at, &values.integer, 4); break;
    case Kind::f64: std::memcpy(at, &values.real, 8); break;
    case Kind::i64x3: std::memcpy(at, values.list, 24); break;
  }
}

std::string dtype_name(uint32_t dtype) {
  if (dtype >= 1 && dtype < std::size(kDtypes)) return std::string(kDtypes[dtype]);
  return "dtype" + std::to_string(dtype);
}

uint32_t dtype_of(std::string_view name) {
  for (uint32_t i = 1; i < std::size(kDtypes); ++i) {
    if (kDtypes[i] == name) return i;
  }
  return 0;
}

std::string math_name(uint32_t mode) {
  switch (mode) {
    case BP_MATH_STRICT: return "strict";
    case BP_MATH_TF32: return "tf32";
    case BP_MATH_FAST: return "fast";
    default: return "math" + std::to_string(mode);
  }
}

}  // namespace backplane::autotune
