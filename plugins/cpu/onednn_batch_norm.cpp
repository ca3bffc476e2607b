// SPDX-License-Identifier: Apache-2.0
// NORMALIZE over all axes but the second (batch norm, forward) through oneDNN: dense f32, scale and shift one number a
// channel. Always as in training, so that the statistics are the batch's; oneDNN gives the variance where the operation
// asks for rstd.
//
// One primitive on one thread: for a part of the channels oneDNN has nothing but its reference, and parts of the images
// have other statistics. It is listed for the tuner; our own kernel was faster wherever the two were measured.
#include <cfloat>
#include <cmath>

#include "normalize.h"
#include "onednn_sliced.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

using dnnl::memory;

/// One number for each position along axis 1, side by side, the same for all others.
bool is_per_channel(const bp_tensor_desc& desc) {
  for (uint32_t i = 0; i < desc.rank; ++i) {
    if (desc.shape[i] > 1 && desc.strides[i] != (i == 1 ? 1 : 0)) return false;
  }
  return desc.dtype == BP_F32;
}

memory::desc data_desc(const bp_tensor_desc& x) {
  int64_t positions = 1;
  for (uint32_t i = 2; i < x.rank; ++i) positions *= x.shape[i];
  return memory::desc({x.shape[0], x.shape[1], positions, 1}, memory::data_type::f32, memory::format_tag::abcd);
}

std::vector<Offer> offer(const memory::desc& x, float epsilon) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::batch_normalization_forward::desc d(
      dnnl::prop_kind::forward_training, x, epsilon,
      dnnl::normalization_flags::use_scale | dnnl::normalization_flags::use_shift);
  return offers_of(dnnl::batch_normalization_forward::primitive_desc(d, attributes, onednn_engine(), true));
}

}  // namespace

void list_onednn_batch_norm(const Op& op, Candidates& out) {
  const bp_normalize_attrs& a = op.attrs.normalize;
  const bp_tensor_desc &x = op.in[0], &y = op.out[0];
  const float epsilon = static_cast<float>(a.epsilon);
  if (a.kind != BP_NORMALIZE_MEAN_VARIANCE || epsilon < FLT_MIN || x.rank < 3) return;
  if (a.axes != (((1u << x.rank) - 1u) & ~2u)) return;
  for (const auto* list : {&op.in, &op.out}) {
    for (const bp_tensor_desc& desc : *list) {
      const bool parameter = &desc == &op.in[1] || &desc == &op.in[2];
      if (desc.dtype != BP_F32 || (parameter ? !is_per_channel(desc) : !is_dense(desc))) return;
    }
  }
  if (element_count(y) == 0) return;
  const int64_t channels = x.shape[1];
  const bool statistics = op.out.size() == 3;
  const memory::desc d = data_desc(x), one({channels}, memory::data_type::f32, memory::format_tag::a);
  SlicedOp sliced;
  sliced.factor = 2.0 * static_cast<double>(thread_count());  // of our own, measured: 1.8 to 8
  sliced.offer = [=](int64_t) { return offer(d, epsilon); };
  const Place mean = statistics ? Place{Place::output, 1, 0} : Place{Place::scratch, 0, 0};
  const Place variance = statistics ? Place{Place::output, 2, 0} : Place{Place::scratch, 0, channels * 4};
  sliced.scratch = statistics ? 0 : static_cast<uint64_t>(channels) * 8;
  SlicePlan slice;
  slice.extent = channels;
  slice.arguments = {{DNNL_ARG_SRC, d, {Place::input, 0, 0}},     {DNNL_ARG_DST, d, {Place::output, 0, 0}},
                     {DNNL_ARG_SCALE, one, {Place::input, 1, 0}}, {DNNL_ARG_SHIFT, one, {Place::input, 2, 0}},
                     {DNNL_ARG_MEAN, one, mean},                  {DNNL_ARG_VARIANCE, one, variance}};
  sliced.slices.push_back(std::move(slice));
  if (statistics) {
    sliced.after = [channels, epsilon](const Args& args) {
      auto* rstd = reinterpret_cast<float*>(args.out[2]);
      for (int64_t c = 0; c < channels; ++c) rstd[c] = 1.0f / std::sqrt(rstd[c] + epsilon);
    };
  }
  list_sliced(sliced, out);
}

}  // namespace backplane::cpu
