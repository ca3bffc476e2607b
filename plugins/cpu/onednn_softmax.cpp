// SPDX-License-Identifier: Apache-2.0
// SOFTMAX, LOG_SOFTMAX and their gradients through oneDNN: dense f32 rows along the last axis, shared by the threads.
//
// oneDNN's vector code loses NaN, and its reference gives 0 for a row that is all -inf: a slice with NaN or infinities
// in it goes to our own kernel.
// Not here: other axes and gaps, for which oneDNN has nothing but its reference; half types, whose exp(x - max) oneDNN
// 2.x keeps in the result's dtype between its passes and so rounds twice.
#include "onednn_sliced.h"
#include "softmax.h"

namespace backplane::cpu {
namespace {

using dnnl::memory;

memory::desc describe(int64_t rows, int64_t length) {
  return memory::desc({rows, length}, memory::data_type::f32, memory::format_tag::ab);
}

/// Time of oneDNN's best relative to our own (isa/softmax_loops.h), measured over 2^18 elements.
struct Measured {
  int64_t longest;
  double softmax, log_softmax, softmax_grad, log_softmax_grad;
};
constexpr Measured kMeasured[] = {{15, 0.94, 2.3, 0.67, 1.4},
                                  {64, 1.2, 2.0, 0.76, 1.5},
                                  {256, 1.65, 1.7, 0.9, 1.5},
                                  {INT64_MAX, 1.8, 1.4, 0.98, 1.5}};
constexpr int64_t kFewElements = 2048;  // entering a primitive costs more than it could save
double factor_for(uint32_t code, int64_t rows, int64_t length) {
  if (rows * length < kFewElements) return 1.3;
  const Measured* row = kMeasured;
  while (length > row->longest) ++row;
  return code == BP_OP_SOFTMAX        ? row->softmax
         : code == BP_OP_LOG_SOFTMAX  ? row->log_softmax
         : code == BP_OP_SOFTMAX_GRAD ? row->softmax_grad
                                      : row->log_softmax_grad;
}

std::vector<Offer> offer(const memory::desc& d, bool gradient, bool log) {
  const auto algorithm = log ? dnnl::algorithm::softmax_log : dnnl::algorithm::softmax_accurate;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  const dnnl::softmax_v2_forward::desc forward(
      gradient ? dnnl::prop_kind::forward_training : dnnl::prop_kind::forward_inference, algorithm, d, d, 1);
  const dnnl::softmax_v2_forward::primitive_desc hint(forward, attributes, onednn_engine(), true);
  if (!hint) return {};
  if (!gradient) return offers_of(hint);
  const dnnl::softmax_v2_backward::desc backward(algorithm, d, d, d, 1);
  return offers_of(dnnl::softmax_v2_backward::primitive_desc(backward, attributes, onednn_engine(), hint, true));
}

}  // namespace

void list_onednn_softmax(const Op& op, Candidates& out) {
  for (const auto* list : {&op.in, &op.out}) {
    for (const bp_tensor_desc& desc : *list) {
      if (desc.dtype != BP_F32 || !is_dense(desc)) return;
    }
  }
  const bp_tensor_desc& y = op.out[0];
  const int64_t length = y.shape[op.attrs.axis.axis];
  for (uint32_t i = op.attrs.axis.axis + 1; i < y.rank; ++i) {
    if (y.shape[i] != 1) return;
  }
  if (element_count(y) == 0) return;
  const int64_t rows = element_count(y) / length;
  const bool gradient = op.in.size() == 2;
  const bool log = op.code == BP_OP_LOG_SOFTMAX || op.code == BP_OP_LOG_SOFTMAX_GRAD;
  const std::vector<int64_t> bounds = cut(rows, rows * length * (4 * static_cast<int64_t>(op.in.size()) + 20));
  SlicedOp sliced;
  sliced.factor = factor_for(op.code, rows, length);
  sliced.offer = [=](int64_t count) { return offer(describe(count, length), gradient, log); };
  for (size_t i = 0; i + 1 < bounds.size(); ++i) {
    const int64_t first = bounds[i] * length, count = bounds[i + 1] - bounds[i];
    const memory::desc d = describe(count, length);
    SlicePlan slice;
    slice.extent = count;
    if (gradient) {
      slice.arguments = {{DNNL_ARG_DST, d, {Place::input, 0, first * 4}},
                         {DNNL_ARG_DIFF_DST, d, {Place::input, 1, first * 4}},
                         {DNNL_ARG_DIFF_SRC, d, {Place::output, 0, first * 4}}};
    } else {
      slice.arguments = {{DNNL_ARG_SRC, d, {Place::input, 0, first * 4}},
                         {DNNL_ARG_DST, d, {Place::output, 0, first * 4}}};
    }
    if (!gradient || log) {  // what takes an exponential
      Op part = op;
      for (bp_tensor_desc& desc : part.in) desc = dense_desc(BP_F32, {count, length});
      part.out[0] = part.in[0];
      part.attrs.axis.axis = 1;
      slice.guard = std::make_shared<FiniteOnly>();
      *slice.guard = {0, first, count * length, make_softmax_rows(part), std::vector<int64_t>(op.in.size(), first * 4),
                      first * 4};
    }
    sliced.slices.push_back(std::move(slice));
  }
  list_sliced(sliced, out);
}

}  // namespace backplane::cpu
