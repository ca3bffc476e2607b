// SPDX-License-Identifier: Apache-2.0
// POOL and the gradient of an average through oneDNN: f32, row-major (then (image, channel) planes are shared by the
// threads) or channels last (then images are).
//
// oneDNN's maximum passes NaN over and gives the lowest finite number for a window of -inf: a slice with NaN or
// infinities in it goes to our own kernel. Not here: the gradient of a maximum, which oneDNN computes from a workspace
// of its own forward pass and not from x and y; bf16, where oneDNN adds overlapping gradients in the half type; copies
// to a blocked layout, which cost more than the pooling itself.
#include "onednn_sliced.h"
#include "pool.h"

namespace backplane::cpu {
namespace {

using dnnl::memory;

/// Time over channels last relative to oneDNN's own first choice, measured on Zen 4 for 8 to 100 channels: its widest
/// code is not its fastest.
struct Measured {
  const char* name;
  double maximum, average;
};
constexpr Measured kChannelsLast[] = {
    {"onednn@impl=jit:sse41", 0.93, 0.7}, {"onednn@impl=jit:avx2", 3, 2}, {"onednn@impl=jit:avx", 3, 2}};

bool is_channels_last(const bp_tensor_desc& desc) {
  int64_t expected = 1;
  const auto fits = [&](uint32_t axis) {
    const bool good = desc.shape[axis] < 2 || desc.strides[axis] == expected;
    expected *= desc.shape[axis];
    return good;
  };
  bool good = fits(1);
  for (uint32_t i = desc.rank; i-- > 2;) good = fits(i) && good;
  return fits(0) && good;
}

class Pooling {
 public:
  explicit Pooling(const Op& op) : op_(op), a_(op.attrs.pool), gradient_(op.code == BP_OP_POOL_GRAD) {
    for (uint32_t i = 0; i < a_.spatial_rank; ++i) {
      strides_.push_back(a_.stride[i]), dilates_.push_back(a_.dilation[i] - 1), window_.push_back(a_.window[i]);
      low_.push_back(a_.pad_low[i]), high_.push_back(a_.pad_high[i]);
    }
  }
  const bp_tensor_desc& x() const { return gradient_ ? op_.out[0] : op_.in[0]; }
  const bp_tensor_desc& y() const { return gradient_ ? op_.in[2] : op_.out[0]; }
  bool maximum() const { return a_.kind == BP_POOL_MAX; }

  bool fits() {
    if (x().dtype != BP_F32 || y().dtype != BP_F32 || (maximum() && gradient_)) return false;
    if (element_count(x()) == 0 || element_count(y()) == 0) return false;
    for (uint32_t i = 0; i < a_.spatial_rank; ++i) {
      // Dilated windows may have nothing inside: an average is 0 then, and not oneDNN's 0 / 0.
      if (!maximum() && a_.count_padding == 0 && a_.dilation[i] != 1) return false;
    }
    last_ = !(is_dense(x()) && is_dense(y()));
    return !last_ || (is_channels_last(x()) && is_channels_last(y()));
  }

  void list(double factor, Candidates& out) const {
    const int64_t n = x().shape[0], c = x().shape[1], count = last_ ? n : n * c;
    int64_t taps = 1;
    for (const int64_t extent : window_) taps *= extent;
    SlicedOp sliced;
    sliced.offer = [self = *this](int64_t extent) { return self.offer(extent); };
    const std::vector<int64_t> bounds = cut(count, 4 * (element_count(y()) * taps + element_count(x())));
    for (size_t i = 0; i + 1 < bounds.size(); ++i) {
      const int64_t extent = bounds[i + 1] - bounds[i];
      const int64_t x0 = element_count(x()) / count * bounds[i], y0 = element_count(y()) / count * bounds[i];
      SlicePlan slice;
      slice.extent = extent;
      slice.arguments = {{gradient_ ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, part(x(), extent),
                          {gradient_ ? Place::output : Place::input, 0, x0 * 4}},
                         {gradient_ ? DNNL_ARG_DIFF_DST : DNNL_ARG_DST, part(y(), extent),
                          {gradient_ ? Place::input : Place::output, gradient_ ? 2 : 0, y0 * 4}}};
      if (maximum()) {
        Op own = op_;
        for (bp_tensor_desc* desc : {&own.in[0], &own.out[0]}) {
          if (last_) {
            desc->shape[0] = extent;
          } else {
            std::vector<int64_t> shape(desc->shape, desc->shape + desc->rank);
            shape[0] = 1, shape[1] = extent;
            *desc = dense_desc(BP_F32, shape);
          }
        }
        slice.guard = std::make_shared<FiniteOnly>();
        *slice.guard = {0, x0, element_count(x()) / count * extent, make_own_pool(own), {x0 * 4}, y0 * 4};
      }
      sliced.slices.push_back(std::move(slice));
    }
    sliced.factor = factor;
    list_sliced(sliced, out);
    if (!last_) return;
    for (Candidate& c : out) {
      for (const Measured& m : kChannelsLast) {
        if (c.name == m.name) c.prior = factor * (maximum() ? m.maximum : m.average);
      }
    }
  }

 private:
  memory::desc part(const bp_tensor_desc& desc, int64_t extent) const {
    using tag = memory::format_tag;
    memory::dims dims(desc.shape, desc.shape + desc.rank);
    if (last_) dims[0] = extent;
    else dims[0] = 1, dims[1] = extent;
    const tag plain[] = {tag::ncw, tag::nchw, tag::ncdhw}, last[] = {tag::nwc, tag::nhwc, tag::ndhwc};
    return memory::desc(dims, memory::data_type::f32, (last_ ? last : plain)[desc.rank - 3]);
  }
  std::vector<Offer> offer(int64_t extent) const {
    const auto algorithm = maximum()                ? dnnl::algorithm::pooling_max
                           : a_.count_padding != 0 ? dnnl::algorithm::pooling_avg_include_padding
                                                   : dnnl::algorithm::pooling_avg_exclude_padding;
    const memory::desc dx = part(x(), extent), dy = part(y(), extent);
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const dnnl::pooling_v2_forward::desc forward(dnnl::prop_kind::forward_inference, algorithm, dx, dy, strides_,
                                                 window_, dilates_, low_, high_);
    const dnnl::pooling_v2_forward::primitive_desc hint(forward, attributes, onednn_engine(), true);
    if (!hint) return {};
    if (!gradient_) return offers_of(hint);
    const dnnl::pooling_v2_backward::desc backward(algorithm, dx, dy, strides_, window_, dilates_, low_, high_);
    return offers_of(dnnl::pooling_v2_backward::primitive_desc(backward, attributes, onednn_engine(), hint, true));
  }

  Op op_;
  bp_pool_attrs a_;
  bool gradient_, last_ = false;
  memory::dims strides_, dilates_, window_, low_, high_;
};

}  // namespace

void list_onednn_pool(const Op& op, double taps_prior, Candidates& out) {
  Pooling pooling(op);
  // 2.3 to 10 times as fast as a tap at a time over 128 x 32 x 28 x 28.
  if (pooling.fits()) pooling.list(0.4 * taps_prior, out);
}

}  // namespace backplane::cpu
