// SPDX-License-Identifier: Apache-2.0
// NORMALIZE over the last axes (layer norm) through oneDNN: dense f32 rows, scale and shift one number a position;
// threads share the rows. oneDNN gives the variance where the operation asks for rstd: a pass over one number a row.
//
// Not here: batch norm (onednn_batch_norm.cpp); RMS, which oneDNN 2.x has not; the gradient, which wants the variance
// where the operation has rstd.
#include <cfloat>
#include <cmath>

#include "normalize.h"
#include "onednn_sliced.h"

namespace backplane::cpu {
namespace {

using dnnl::memory;

/// One number for each position along the axes from `first` on, the same for all others.
bool is_row(const bp_tensor_desc& desc, uint32_t first) {
  int64_t expected = 1;
  for (uint32_t i = desc.rank; i-- > 0;) {
    if (desc.shape[i] > 1 && desc.strides[i] != (i < first ? 0 : expected)) return false;
    expected *= desc.shape[i];
  }
  return desc.dtype == BP_F32;
}

std::vector<Offer> offer(int64_t rows, int64_t length, float epsilon, bool statistics) {
  const memory::desc x({rows, length}, memory::data_type::f32, memory::format_tag::ab);
  const memory::desc one({rows}, memory::data_type::f32, memory::format_tag::a);
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::layer_normalization_forward::desc d(
      statistics ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference, x, one, epsilon,
      dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift);
  return offers_of(dnnl::layer_normalization_forward::primitive_desc(d, attributes, onednn_engine(), true));
}

}  // namespace

void list_onednn_layer_norm(const Op& op, Candidates& out) {
  const bp_normalize_attrs& a = op.attrs.normalize;
  const bp_tensor_desc &x = op.in[0], &y = op.out[0];
  const float epsilon = static_cast<float>(a.epsilon);
  if (a.kind != BP_NORMALIZE_MEAN_VARIANCE || epsilon < FLT_MIN) return;
  uint32_t first = x.rank;
  while (first > 0 && (a.axes >> (first - 1) & 1u) != 0) --first;
  if (first == x.rank || a.axes != ((1u << x.rank) - 1u) >> first << first) return;
  if (x.dtype != BP_F32 || y.dtype != BP_F32 || !is_dense(x) || !is_dense(y) || element_count(x) == 0) return;
  if (!is_row(op.in[1], first) || !is_row(op.in[2], first)) return;
  const bool statistics = op.out.size() == 3;
  for (size_t i = 1; i < op.out.size(); ++i) {
    if (op.out[i].dtype != BP_F32 || !is_dense(op.out[i])) return;
  }
  int64_t length = 1;
  for (uint32_t i = first; i < x.rank; ++i) length *= x.shape[i];
  const int64_t rows = element_count(x) / length;

  SlicedOp sliced;
  sliced.factor = length <= 192 ? 0.4 : length <= 512 ? 0.6 : length <= 2048 ? 0.85 : 1.05;  // of our own, measured
  sliced.offer = [=](int64_t count) { return offer(count, length, epsilon, statistics); };
  const std::vector<int64_t> bounds = cut(rows, rows * length * 24);
  for (size_t i = 0; i + 1 < bounds.size(); ++i) {
    const int64_t begin = bounds[i], count = bounds[i + 1] - begin;
    const memory::desc d({count, length}, memory::data_type::f32, memory::format_tag::ab);
    const memory::desc row({length}, memory::data_type::f32, memory::format_tag::a);
    const memory::desc one({count}, memory::data_type::f32, memory::format_tag::a);
    SlicePlan slice;
    slice.extent = count;
    slice.arguments = {{DNNL_ARG_SRC, d, {Place::input, 0, begin * length * 4}},
                       {DNNL_ARG_DST, d, {Place::output, 0, begin * length * 4}},
                       {DNNL_ARG_SCALE, row, {Place::input, 1, 0}},
                       {DNNL_ARG_SHIFT, row, {Place::input, 2, 0}}};
    if (statistics) {
      slice.arguments.push_back({DNNL_ARG_MEAN, one, {Place::output, 1, begin * 4}});
      slice.arguments.push_back({DNNL_ARG_VARIANCE, one, {Place::output, 2, begin * 4}});
    }
    sliced.slices.push_back(std::move(slice));
  }
  if (statistics) {
    sliced.after = [rows, epsilon](const Args& args) {
      auto* rstd = reinterpret_cast<float*>(args.out[2]);
      for (int64_t r = 0; r < rows; ++r) rstd[r] = 1.0f / std::sqrt(rstd[r] + epsilon);
    };
  }
  list_sliced(sliced, out);
}

}  // namespace backplane::cpu
