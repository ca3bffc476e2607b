// SPDX-License-Identifier: Apache-2.0
// CONVOLUTION and its gradients through oneDNN: direct and Winograd algorithms, each over several layouts, every
// implementation it lists. Where its layout differs from the operand's, the copy is part of the kernel.
//
// convolution_auto is never asked for: together with convolution_direct in one process oneDNN 2.6's primitive cache
// then returns the wrong kernel. Threads share the images (each a filter gradient of its own, added up at the end); a
// single image is shared by its output channels.
#include <algorithm>
#include <cstring>

#include "convolution.h"
#include "cpu_features.h"
#include "onednn.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

using dnnl::memory;

enum class Layout { plain, weights_any, channels_last, any };
struct Arm {
  const char* name;
  Layout layout;
  dnnl::algorithm algorithm;
};
constexpr Arm kArms[] = {{"blocked", Layout::any, dnnl::algorithm::convolution_direct},
                         {"as-is", Layout::weights_any, dnnl::algorithm::convolution_direct},
                         {"channels-last", Layout::channels_last, dnnl::algorithm::convolution_direct},
                         {"plain", Layout::plain, dnnl::algorithm::convolution_direct},
                         {"winograd", Layout::any, dnnl::algorithm::convolution_winograd}};

/// A part of the problem: images [n0, n0 + n), output channels [o0, o0 + o).
struct Slice {
  int64_t n0, n, o0, o;
};

bool usable(const bp_tensor_desc& desc) {
  for (uint32_t i = 0; i < desc.rank; ++i) {
    if (desc.shape[i] < 1 || (desc.shape[i] > 1 && desc.strides[i] < 1)) return false;
  }
  return true;
}

class Convolution {
 public:
  Convolution(const Op& op, const FusedEpilogue& epilogue)
      : op_(op),
        p_(op),
        epilogue_(epilogue),
        attributes_(epilogue_attributes(epilogue)),
        rank_(op.attrs.convolution.spatial_rank) {
    const bp_convolution_attrs& a = op.attrs.convolution;
    for (uint32_t i = 0; i < rank_; ++i) {
      strides_.push_back(a.stride[i]), dilates_.push_back(a.dilation[i] - 1);
      low_.push_back(a.pad_low[i]), high_.push_back(a.pad_high[i]);
    }
  }

  void list(Candidates& out) {
    slices_ = slice();
    const OneThread guard;
    for (const Arm& arm : kArms) list_arm(arm, out);
  }

 private:
  bool forward() const { return op_.code == BP_OP_CONVOLUTION; }
  bool filter() const { return op_.code == BP_OP_CONVOLUTION_GRAD_FILTER; }

  std::vector<Slice> slice() const {
    const int64_t threads = p_.flops() < 2.0 * static_cast<double>(kParallelFlops) ? 1 : thread_count();
    std::vector<Slice> slices;
    if (p_.n >= threads) {
      for (int64_t i = 0; i < threads; ++i) {
        slices.push_back({p_.n * i / threads, p_.n * (i + 1) / threads - p_.n * i / threads, 0, p_.o});
      }
      return slices;
    }
    const int64_t blocks = p_.groups == 1 && op_.code != BP_OP_CONVOLUTION_GRAD_DATA ? p_.o / 16 : 1;
    const int64_t parts = std::max<int64_t>(1, std::min(blocks, threads));
    for (int64_t i = 0; i < parts; ++i) {
      const int64_t begin = blocks * i / parts * 16, end = i + 1 == parts ? p_.o : blocks * (i + 1) / parts * 16;
      slices.push_back({0, p_.n, begin, end - begin});
    }
    if (slices.size() == 1) slices[0] = {0, p_.n, 0, p_.o};
    return slices;
  }

  // Descriptors of a slice's operands as they lie.
  memory::desc image(const bp_tensor_desc& desc, int64_t n, int64_t channels) const {
    memory::dims dims{n, channels}, strides{desc.strides[0], desc.strides[1]};
    for (uint32_t i = 2; i < desc.rank; ++i) dims.push_back(desc.shape[i]), strides.push_back(desc.strides[i]);
    tidy(dims, strides);
    if (n == 1) {
      // One image's distance to the next means nothing, but a slice of its channels is dense only with its own.
      strides[0] = 1;
      for (size_t i = 1; i < dims.size(); ++i) strides[0] = std::max(strides[0], dims[i] * strides[i]);
    }
    return memory::desc(dims, onednn_dtype(desc.dtype), strides);
  }
  memory::desc weights(const bp_tensor_desc& desc, const Slice& s) const {
    memory::dims dims, strides;
    if (p_.groups > 1) {
      dims = {p_.groups, p_.group_filters()}, strides = {p_.group_filters() * desc.strides[0], desc.strides[0]};
    } else {
      dims = {s.o}, strides = {desc.strides[0]};
    }
    for (uint32_t i = 1; i < desc.rank; ++i) dims.push_back(desc.shape[i]), strides.push_back(desc.strides[i]);
    tidy(dims, strides);
    return memory::desc(dims, onednn_dtype(desc.dtype), strides);
  }
  /// Strides of extents of one carry no meaning; oneDNN wants them positive.
  static void tidy(const memory::dims& dims, memory::dims& strides) {
    for (size_t i = 0; i < dims.size(); ++i) {
      if (dims[i] == 1 && strides[i] < 1) strides[i] = 1;
    }
  }
  memory::desc wanted(const memory::desc& given, Layout layout, bool is_weights) const {
    using tag = memory::format_tag;
    const bool as_given = layout == Layout::plain || (layout == Layout::weights_any && !is_weights);
    if (as_given) return given;
    if (layout == Layout::channels_last && !is_weights) {
      return memory::desc(given.dims(), given.data_type(), rank_ == 1 ? tag::nwc : rank_ == 2 ? tag::nhwc : tag::ndhwc);
    }
    return memory::desc(given.dims(), given.data_type(), tag::any);
  }

  struct Made {
    dnnl::primitive_desc_base base;
    memory::desc x, w, y, pad;
    std::string name;
  };
  template <class PrimitiveDesc>
  static void keep(const std::vector<PrimitiveDesc>& all, std::vector<Made>& made) {
    for (const PrimitiveDesc& pd : all) {
      Made m;
      m.base = pd;
      m.pad = pd.scratchpad_desc();
      m.name = implementation_name(pd.impl_info_str());
      if constexpr (std::is_same_v<PrimitiveDesc, dnnl::convolution_forward::primitive_desc>) {
        m.x = pd.src_desc(), m.w = pd.weights_desc(), m.y = pd.dst_desc();
      } else if constexpr (std::is_same_v<PrimitiveDesc, dnnl::convolution_backward_data::primitive_desc>) {
        m.x = pd.diff_src_desc(), m.w = pd.weights_desc(), m.y = pd.diff_dst_desc();
      } else {
        m.x = pd.src_desc(), m.w = pd.diff_weights_desc(), m.y = pd.diff_dst_desc();
      }
      made.push_back(std::move(m));
    }
  }
  std::vector<Made> offer(const Arm& arm, const Slice& s) const {
    const memory::desc x = wanted(image(p_.x, s.n, p_.c), arm.layout, false);
    const memory::desc y = wanted(image(p_.y, s.n, s.o), arm.layout, false);
    const memory::desc w = wanted(weights(p_.w, s), arm.layout, true);
    const auto inference = forward() ? dnnl::prop_kind::forward_inference : dnnl::prop_kind::forward_training;
    std::vector<Made> made;
    try {
      const memory::desc bias({s.o}, memory::data_type::f32, memory::format_tag::x);
      const dnnl::convolution_forward::desc d =
          epilogue_.bias >= 0
              ? dnnl::convolution_forward::desc(inference, arm.algorithm, x, w, bias, y, strides_, dilates_, low_,
                                                high_)
              : dnnl::convolution_forward::desc(inference, arm.algorithm, x, w, y, strides_, dilates_, low_, high_);
      const dnnl::convolution_forward::primitive_desc hint(d, attributes_, onednn_engine(), true);
      if (!hint) return {};
      if (forward()) {
        keep(all_implementations(hint), made);
      } else if (!filter()) {
        const dnnl::convolution_backward_data::desc b(arm.algorithm, x, w, y, strides_, dilates_, low_, high_);
        keep(all_implementations(
                 dnnl::convolution_backward_data::primitive_desc(b, attributes_, onednn_engine(), hint, true)),
             made);
      } else {
        const dnnl::convolution_backward_weights::desc b(arm.algorithm, x, w, y, strides_, dilates_, low_, high_);
        keep(all_implementations(
                 dnnl::convolution_backward_weights::primitive_desc(b, attributes_, onednn_engine(), hint, true)),
             made);
      }
    } catch (const dnnl::error&) {  // not offered for this layout or shape
      return {};
    }
    return made;
  }

  void list_arm(const Arm& arm, Candidates& out) {
    std::vector<std::vector<Made>> offers;
    for (size_t i = 0; i < slices_.size(); ++i) {
      size_t same = 0;
      while (same < i && (slices_[same].n != slices_[i].n || slices_[same].o != slices_[i].o)) ++same;
      if (same < i) offers.push_back(offers[same]);
      else offers.push_back(offer(arm, slices_[i]));
    }
    for (size_t rank = 0; rank < offers[0].size(); ++rank) {
      std::vector<Made> chosen;
      for (const auto& all : offers) {
        const auto at =
            std::find_if(all.begin(), all.end(), [&](const Made& m) { return m.name == offers[0][rank].name; });
        if (at != all.end()) chosen.push_back(*at);
      }
      const std::string& implementation = offers[0][rank].name;
      const bool reference = implementation.find("ref") != std::string::npos;
      if (chosen.size() != offers.size() || (reference && arm.layout != Layout::plain)) continue;
      Candidate c;
      c.name = std::string("onednn@layout=") + arm.name + ",impl=" + implementation;
      if (std::any_of(out.begin(), out.end(), [&](const Candidate& o) { return o.name == c.name; })) continue;
      c.notes = arm.algorithm == dnnl::algorithm::convolution_winograd ? uint32_t{BP_NOTE_WINOGRAD} : 0;
      c.prior = implementation_prior(implementation, rank) * arm_prior(arm, implementation);
      try {
        build(chosen, &c.workspace, false);
      } catch (const dnnl::error&) {  // no way to copy an operand to its layout
        continue;
      }
      c.build = [self = *this, chosen] { return self.build(chosen, nullptr, true); };
      out.push_back(std::move(c));
    }
  }
  double arm_prior(const Arm& arm, const std::string& implementation) const {
    const bool already_last = p_.x.strides[1] == 1 && p_.y.strides[1] == 1 && p_.c > 1;
    const bool winograd = arm.algorithm == dnnl::algorithm::convolution_winograd;
    if (winograd) return 1.15;  // faster on large maps, but less exact: the tuner's to choose
    if (implementation.find("gemm") != std::string::npos) {
      // Few channels leave blocked layouts half empty; a filter of one tap is a matrix product as the data lies.
      const bool product = p_.taps() == 1 && p_.positions() == p_.in[0] * p_.in[1] * p_.in[2];
      return (p_.c <= 3 || product) && !already_last && !filter() ? 0.95 : 1.6;
    }
    if (arm.layout == Layout::channels_last) return 1.2;
    if (arm.layout == Layout::weights_any) return already_last ? 0.9 : 1.3;
    return arm.layout == Layout::plain ? 1.4 : 1.0;
  }

  class WithSums;
  /// Lays out the workspace; makes the primitives as well when `create`.
  WorkPtr build(const std::vector<Made>& made, uint64_t* bytes, bool create) const;

  Op op_;
  ConvolutionProblem p_;
  FusedEpilogue epilogue_;
  dnnl::primitive_attr attributes_;
  uint32_t rank_;
  memory::dims strides_, dilates_, low_, high_;
  std::vector<Slice> slices_;
};

/// Adds the other slices' filter gradients to the first one's.
class Convolution::WithSums final : public PrimitiveWork {
 public:
  WithSums(std::vector<PrimitiveSlice> slices, uint64_t bytes, int64_t count, std::vector<int64_t> others)
      : PrimitiveWork(std::move(slices), bytes), count_(count), others_(std::move(others)) {}
  void run(const Args& args) const override {
    PrimitiveWork::run(args);
    auto* sum = reinterpret_cast<float*>(args.out[0]);
    parallel_ranges(count_, kParallelBytes / 8, [&](int64_t begin, int64_t end) {
      for (const int64_t other : others_) {
        isa().reduce_columns[0][kF32](reinterpret_cast<const float*>(args.workspace + other) + begin, end - begin,
                                      sum + begin);
      }
    });
  }

 private:
  int64_t count_;
  std::vector<int64_t> others_;
};

WorkPtr Convolution::build(const std::vector<Made>& made, uint64_t* bytes, bool create) const {
  const OneThread guard;
  ScratchPlan scratch;
  std::vector<PrimitiveSlice> all;
  std::vector<int64_t> sums;
  const bool by_image = slices_.size() > 1 && slices_[0].n != p_.n;
  for (size_t i = 0; i < slices_.size(); ++i) {
    const Slice& s = slices_[i];
    const Made& m = made[i];
    const auto offset = [](const bp_tensor_desc& desc, int64_t first, int64_t second) {
      return (first * desc.strides[0] + second * desc.strides[1]) * static_cast<int64_t>(sdk::dtype_size(desc.dtype));
    };
    struct Role {
      memory::desc given, wanted;
      Place place;
      int id;
      bool result;
    };
    const bool data = op_.code == BP_OP_CONVOLUTION_GRAD_DATA;
    const auto place = [&](bool result, int index, int64_t at) {
      return Place{result ? Place::output : Place::input, result ? 0 : index, at};
    };
    Role roles[3] = {{image(p_.x, s.n, p_.c), m.x, place(data, 0, offset(p_.x, s.n0, 0)),
                      data ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, data},
                     {weights(p_.w, s), m.w, place(filter(), 1, offset(p_.w, s.o0, 0)),
                      filter() ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, filter()},
                     {image(p_.y, s.n, s.o), m.y, place(forward(), filter() ? 1 : 0, offset(p_.y, s.n0, s.o0)),
                      forward() ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, forward()}};
    if (filter() && by_image && i > 0) {
      roles[1].place = scratch.take(bytes_of(p_.w));
      sums.push_back(roles[1].place.offset);
    }
    PrimitiveSlice before, after;
    PrimitiveStep main;
    for (const Role& role : roles) {
      Place at = role.place;
      if (role.wanted != role.given) {
        at = scratch.take(role.wanted.get_size());
        const memory::desc &from = role.result ? role.wanted : role.given, &to = role.result ? role.given : role.wanted;
        const ReorderStep copy(from, to, scratch);
        if (create)
          (role.result ? after : before)
              .push_back(copy.make(role.result ? at : role.place, role.result ? role.place : at));
      }
      main.arguments.push_back({role.id, role.wanted, at});
    }
    main.arguments.push_back({DNNL_ARG_SCRATCHPAD, m.pad, scratch.take(m.pad.get_size())});
    if (epilogue_.bias >= 0) {
      main.arguments.push_back({DNNL_ARG_BIAS, memory::desc({s.o}, memory::data_type::f32, memory::format_tag::x),
                                {Place::input, epilogue_.bias, s.o0 * 4}});
    }
    if (!create) continue;
    main.primitive = dnnl::primitive(m.base.get());
    before.push_back(std::move(main));
    before.insert(before.end(), after.begin(), after.end());
    all.push_back(std::move(before));
  }
  if (bytes != nullptr) *bytes = scratch.size();
  if (!create) return nullptr;
  if (!sums.empty())
    return std::make_shared<WithSums>(std::move(all), scratch.size(), element_count(p_.w), std::move(sums));
  return std::make_shared<PrimitiveWork>(std::move(all), scratch.size());
}

}  // namespace

void list_onednn_convolution(const Op& op, Candidates& out) {
  const uint32_t dtype = op.in[0].dtype;
  if (dtype != op.in[1].dtype || !onednn_takes(dtype)) return;
  const bool filter = op.code == BP_OP_CONVOLUTION_GRAD_FILTER;
  const bool f32_result = op.out[0].dtype == BP_F32;
  if (!f32_result && op.out[0].dtype != dtype) return;
  // Filter gradients are added up in f32, densely.
  if (filter && (!f32_result || !is_dense(op.out[0]))) return;
  if (!usable(op.in[0]) || !usable(op.in[1]) || !usable(op.out[0])) return;
  const bp_convolution_attrs& a = op.attrs.convolution;
  for (uint32_t i = 0; i < a.spatial_rank; ++i) {
    if (a.pad_low[i] < 0 || a.pad_high[i] < 0) return;
  }
  FusedEpilogue epilogue;
  if (op.program && (op.code != BP_OP_CONVOLUTION || !match_epilogue(op, 2, 1, epilogue))) return;
  Convolution(op, epilogue).list(out);
}

}  // namespace backplane::cpu
