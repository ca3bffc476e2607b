// SPDX-License-Identifier: Apache-2.0
// MATMUL through oneDNN: every implementation it lists, over the operands as they lie or with b packed first, split
// over the threads along batch, m or n; and its sgemm. f32 and bf16.
#include <algorithm>

#include "matmul.h"
#include "onednn.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

using dnnl::memory;

/// One batch axis at most, no broadcast inside a matrix, one stride of each matrix 1.
struct Layout {
  explicit Layout(const Op& op) : p(op) {
    // Fold the batch axes into one.
    int64_t a = 0, b = 0, c = 0;
    bool first = true;
    for (int i = 0; i < p.batch_rank; ++i) {
      if (p.extent[i] == 1) continue;
      if (!first &&
          (a != p.a_batch[i] * p.extent[i] || b != p.b_batch[i] * p.extent[i] || c != p.c_batch[i] * p.extent[i])) {
        return;
      }
      a = p.a_batch[i], b = p.b_batch[i], c = p.c_batch[i], first = false;
    }
    a_batch = a, b_batch = b, c_batch = c;
    if (p.m == 0 || p.n == 0 || p.k == 0 || p.batch == 0 || a < 0 || b < 0 || c < 0) return;
    fits = order(p.m, p.k, p.a_row, p.a_column) && order(p.k, p.n, p.b_row, p.b_column) &&
           order(p.m, p.n, p.c_row, p.c_column) && p.c_column == 1;
  }
  /// Strides of extents of one are made harmless; false when neither side is dense.
  static bool order(int64_t rows, int64_t columns, int64_t& row, int64_t& column) {
    if (columns == 1 && rows == 1) return row = column = 1, true;
    if (columns == 1 && row >= 1) {  // a column: say that rows hold one element
      column = 1;
      return true;
    }
    if (rows == 1 && column >= 1) return row = column == 1 ? columns : 1, column == 1 || row == 1;
    return (column == 1 && row >= columns) || (row == 1 && column >= rows);
  }
  MatmulProblem p;
  int64_t a_batch = 0, b_batch = 0, c_batch = 0;
  bool fits = false;
};

memory::desc matrix(memory::data_type type, int64_t batch, int64_t rows, int64_t columns, int64_t batch_stride,
                    int64_t row, int64_t column, bool batched) {
  if (!batched) return memory::desc({rows, columns}, type, {row, column});
  const bool shared = batch_stride == 0 || batch == 1;
  return memory::desc({shared ? 1 : batch, rows, columns}, type,
                      {shared ? std::max(row * rows, column * columns) : batch_stride, row, column});
}

class Lister {
 public:
  Lister(const Op& op, const Layout& layout, const FusedEpilogue& epilogue)
      : op_(op), l_(layout), p_(layout.p), epilogue_(epilogue), attributes_(epilogue_attributes(epilogue)) {}

  void list(const std::vector<MatmulSlice>& slices, const std::string& split, bool packed, double factor,
            Candidates& out) {
    std::vector<std::vector<dnnl::matmul::primitive_desc>> offers;  // by slice
    const OneThread guard;
    for (size_t i = 0; i < slices.size(); ++i) {
      const MatmulSlice& s = slices[i];
      if (i > 0 && s.batches == slices[0].batches && s.m == slices[0].m && s.n == slices[0].n)
        offers.push_back(offers[0]);
      else offers.push_back(offer(s, packed));
    }
    for (size_t rank = 0; rank < offers[0].size(); ++rank) {
      const std::string implementation = implementation_name(offers[0][rank].impl_info_str());
      std::vector<dnnl::matmul::primitive_desc> chosen;
      for (const auto& offer : offers) {
        for (const auto& pd : offer) {
          if (implementation_name(pd.impl_info_str()) == implementation) {
            chosen.push_back(pd);
            break;
          }
        }
      }
      if (chosen.size() != offers.size()) continue;
      Candidate c;
      c.name = std::string(packed ? "onednn-packed@impl=" : "onednn@impl=") + implementation + split;
      const bool taken =
          std::any_of(out.begin(), out.end(), [&](const Candidate& other) { return other.name == c.name; });
      if (taken || (packed && implementation.find("ref") != std::string::npos)) continue;
      uint64_t bytes = 0;
      try {
        build(slices, chosen, packed, &bytes, false);
      } catch (const dnnl::error&) {  // no way to pack b
        continue;
      }
      c.workspace = bytes;
      c.prior = implementation_prior(implementation, rank) * factor;
      c.build = [self = *this, slices, chosen, packed] { return self.build(slices, chosen, packed, nullptr, true); };
      out.push_back(std::move(c));
    }
  }

 private:
  bool batched() const { return p_.batch > 1; }
  memory::desc a_desc(const MatmulSlice& s) const {
    return matrix(onednn_dtype(op_.in[0].dtype), s.batches, s.m, p_.k, l_.a_batch, p_.a_row, p_.a_column, batched());
  }
  memory::desc b_desc(const MatmulSlice& s) const {
    return matrix(onednn_dtype(op_.in[1].dtype), s.batches, p_.k, s.n, l_.b_batch, p_.b_row, p_.b_column, batched());
  }
  memory::desc c_desc(const MatmulSlice& s) const {
    return matrix(onednn_dtype(op_.out[0].dtype), s.batches, s.m, s.n, l_.c_batch, p_.c_row, p_.c_column, batched());
  }
  memory::desc bias_desc(const MatmulSlice& s) const {
    return batched() ? memory::desc({1, 1, s.n}, memory::data_type::f32, memory::dims{s.n, s.n, 1})
                     : memory::desc({1, s.n}, memory::data_type::f32, memory::dims{s.n, 1});
  }
  std::vector<dnnl::matmul::primitive_desc> offer(const MatmulSlice& s, bool packed) const {
    memory::desc b = b_desc(s);
    if (packed) b = memory::desc(b.dims(), b.data_type(), memory::format_tag::any);
    try {
      const dnnl::matmul::desc d = epilogue_.bias >= 0 ? dnnl::matmul::desc(a_desc(s), b, bias_desc(s), c_desc(s))
                                                       : dnnl::matmul::desc(a_desc(s), b, c_desc(s));
      return all_implementations(dnnl::matmul::primitive_desc(d, attributes_, onednn_engine(), true));
    } catch (const dnnl::error&) {  // a layout it does not take: no candidates
      return {};
    }
  }

  /// Lays out the workspace; makes the primitives as well when `create`.
  WorkPtr build(const std::vector<MatmulSlice>& slices, const std::vector<dnnl::matmul::primitive_desc>& pds,
                bool packed, uint64_t* bytes, bool create) const {
    const OneThread guard;
    ScratchPlan scratch;
    std::vector<PrimitiveSlice> all;
    for (size_t i = 0; i < slices.size(); ++i) {
      const MatmulSlice& s = slices[i];
      const auto& pd = pds[i];
      const int64_t size_in = sdk::dtype_size(op_.in[0].dtype), size_out = sdk::dtype_size(op_.out[0].dtype);
      const Place a{Place::input, 0, (s.batch0 * l_.a_batch + s.m0 * p_.a_row) * size_in};
      Place b{Place::input, 1, (s.batch0 * l_.b_batch + s.n0 * p_.b_column) * size_in};
      const Place c{Place::output, 0, (s.batch0 * l_.c_batch + s.m0 * p_.c_row + s.n0) * size_out};
      PrimitiveSlice steps;
      if (packed && pd.weights_desc() != b_desc(s)) {
        const Place packed_b = scratch.take(pd.weights_desc().get_size());
        const ReorderStep pack(b_desc(s), pd.weights_desc(), scratch);
        if (create) steps.push_back(pack.make(b, packed_b));
        b = packed_b;
      }
      const Place pad = scratch.take(pd.scratchpad_desc().get_size());
      if (create) {
        PrimitiveStep step{dnnl::matmul(pd),
                           {{DNNL_ARG_SRC, a_desc(s), a},
                            {DNNL_ARG_WEIGHTS, pd.weights_desc(), b},
                            {DNNL_ARG_DST, c_desc(s), c},
                            {DNNL_ARG_SCRATCHPAD, pd.scratchpad_desc(), pad}}};
        if (epilogue_.bias >= 0) {
          step.arguments.push_back({DNNL_ARG_BIAS, bias_desc(s), {Place::input, epilogue_.bias, s.n0 * 4}});
        }
        steps.push_back(std::move(step));
        all.push_back(std::move(steps));
      }
    }
    if (bytes != nullptr) *bytes = scratch.size();
    return create ? std::make_shared<PrimitiveWork>(std::move(all), scratch.size()) : nullptr;
  }

  Op op_;
  Layout l_;
  MatmulProblem p_;
  FusedEpilogue epilogue_;
  dnnl::primitive_attr attributes_;
};

/// dnnl_sgemm on slices; row-major, so it wants one stride of each operand to be 1.
class Sgemm final : public Work {
 public:
  Sgemm(const Layout& layout, std::vector<MatmulSlice> slices) : l_(layout), p_(layout.p), slices_(std::move(slices)) {}
  void run(const Args& args) const override {
    parallel_tasks(static_cast<int64_t>(slices_.size()),
                   [&](int64_t i) { run_slice(args, slices_[static_cast<size_t>(i)]); });
  }

 private:
  void run_slice(const Args& args, const MatmulSlice& s) const {
    const OneThread guard;
    const bool ta = p_.a_column != 1, tb = p_.b_column != 1;
    for (int64_t i = s.batch0; i < s.batch0 + s.batches; ++i) {
      auto* a = reinterpret_cast<const float*>(args.in[0]) + i * l_.a_batch + s.m0 * p_.a_row;
      auto* b = reinterpret_cast<const float*>(args.in[1]) + i * l_.b_batch + s.n0 * p_.b_column;
      auto* c = reinterpret_cast<float*>(args.out[0]) + i * l_.c_batch + s.m0 * p_.c_row + s.n0;
      const dnnl_status_t status =
          dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', s.m, s.n, p_.k, 1.0f, a, ta ? p_.a_column : p_.a_row, b,
                     tb ? p_.b_column : p_.b_row, 0.0f, c, p_.c_row);
      (void)status;  // arguments were checked when it was listed
    }
  }
  Layout l_;
  MatmulProblem p_;
  std::vector<MatmulSlice> slices_;
};

}  // namespace

void list_onednn_matmul(const Op& op, Candidates& out) {
  if (op.in[0].dtype != op.in[1].dtype || !onednn_takes(op.in[0].dtype)) return;
  if (op.out[0].dtype != BP_F32 && op.out[0].dtype != op.in[0].dtype) return;
  const Layout layout(op);
  if (!layout.fits) return;
  FusedEpilogue epilogue;
  if (op.program && !match_epilogue(op, 2, op.out[0].rank - 1, epilogue)) return;
  const MatmulProblem& p = layout.p;
  Lister lister(op, layout, epilogue);
  const int threads = thread_count();
  const std::vector<MatmulSlice> usual = slice_matmul(p, threads, 48, 64);
  const char side = usual.size() == 1 ? '1' : p.batch >= threads ? 'b' : p.m >= p.n ? 'm' : 'n';
  const auto split = [](char s) { return s == '1' ? std::string() : std::string(",split=") + s; };
  // Offers of a slicing that differs in shape from the first are matched by name; see Lister::list.
  lister.list(usual, split(side), false, 1.0, out);
  const bool worth_packing = p.batch == 1 && p.m >= 8 && p.flops() > 4e6;
  if (worth_packing) lister.list(usual, split(side), true, p.m >= 64 ? 1.05 : 1.2, out);
  if (side == 'm' && p.n >= 128) lister.list(slice_matmul_along(p, threads, 'n', 64), split('n'), false, 1.1, out);
  if (side == 'n' && p.m >= 96) lister.list(slice_matmul_along(p, threads, 'm', 48), split('m'), false, 1.1, out);
  if (op.in[0].dtype == BP_F32 && !op.program) {
    const bool skinny = p.m == 1 || p.n == 1;
    out.push_back(ready("sgemm" + (side == '1' ? std::string() : std::string("@split=") + side),
                        std::make_shared<Sgemm>(layout, usual), skinny ? 0.8 : 1.2));
  }
}

}  // namespace backplane::cpu
