// SPDX-License-Identifier: Apache-2.0
// SOFTMAX, LOG_SOFTMAX and their gradients, with the kernels of isa/softmax_loops.h.
//
// Rows along a dense axis are used in place. Otherwise a bundle of rows is gathered into a small block, processed, and
// scattered: with the axis strided, neighbouring rows lie side by side, so that gathering reads whole cache lines.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cpu_features.h"
#include "families.h"
#include "rows.h"
#include "softmax.h"
#include "threads.h"
#include "wrappers.h"

namespace backplane::cpu {
namespace {

/// A row is an index over the axis; rows are all other positions. f32 operands, the result last.
class SoftmaxRows final : public Work {
 public:
  explicit SoftmaxRows(const Op& op) : code_(op.code), rows_(op.out[0], op.attrs.axis.axis) {
    for (const bp_tensor_desc& desc : op.in) rows_.add(desc);
    rows_.add(op.out[0]);
    inputs_ = op.in.size();
    bundle_ = rows_.bundle_rows();
    workers_ = rows_.workers(4 * static_cast<int64_t>(inputs_ + 1) + 16);
    scratch_ = round_up(static_cast<uint64_t>(bundle_ * rows_.length * 4)) * (inputs_ + 1);
    workspace = rows_.all_dense() ? 0 : scratch_ * static_cast<uint64_t>(workers_);
  }
  void run(const Args& args) const override {
    if (rows_.count == 0 || rows_.length == 0) return;
    char* const operand[3] = {args.in[0], inputs_ > 1 ? args.in[1] : args.out[0], args.out[0]};
    const int64_t bundles = (rows_.count + bundle_ - 1) / bundle_;
    parallel_tasks(workers_, [&](int64_t worker) {
      char* scratch = args.workspace + static_cast<uint64_t>(worker) * scratch_;
      const int64_t end = bundles * (worker + 1) / workers_;
      for (int64_t b = bundles * worker / workers_; b < end; ++b) {
        run_bundle(operand, b * bundle_, std::min(bundle_, rows_.count - b * bundle_), scratch);
      }
    });
  }

 private:
  SoftmaxLoop kernel() const {
    const IsaTable& t = isa();
    switch (code_) {
      case BP_OP_SOFTMAX: return t.softmax;
      case BP_OP_LOG_SOFTMAX: return t.log_softmax;
      case BP_OP_SOFTMAX_GRAD: return t.softmax_grad;
      default: return t.log_softmax_grad;
    }
  }
  void run_bundle(char* const* operand, int64_t first, int64_t count, char* scratch) const {
    int64_t at[3][Rows::kMostRows];
    RowsOf rows[3];
    const uint64_t block = scratch_ / (inputs_ + 1);
    for (size_t i = 0; i <= inputs_; ++i) {
      auto* base = reinterpret_cast<float*>(operand[i]);
      if (rows_.dense(i)) {
        rows_.offsets(i, first, count, at[i]);
        rows[i] = {base, at[i]};
        continue;
      }
      auto* gathered = reinterpret_cast<float*>(scratch + i * block);
      for (int64_t r = 0; r < count; ++r) at[i][r] = r * rows_.length;
      rows[i] = {gathered, at[i]};
      if (i < inputs_) rows_.gather(i, base, first, count, gathered);
    }
    kernel()(rows, count, rows_.length);
    const size_t y = inputs_;
    if (!rows_.dense(y)) rows_.scatter(y, reinterpret_cast<float*>(operand[y]), first, count, rows[y].base);
  }

  uint32_t code_;
  Rows rows_;
  size_t inputs_;
  int64_t bundle_, workers_;
  uint64_t scratch_;
};

void list_rows(const Op& op, Candidates& out) { out.push_back(ready("rows", make_softmax_rows(op))); }

}  // namespace

WorkPtr make_softmax_rows(const Op& op) { return std::make_shared<SoftmaxRows>(op); }

std::string refuse_softmax(const Op& op) {
  for (const bp_tensor_desc& desc : op.in) {
    if (desc.dtype != BP_F32 && !is_half(desc.dtype))
      return std::string(sdk::dtype_name(desc.dtype)) + " operands; it decomposes";
    if (desc.dtype != op.out[0].dtype) return "operands of different dtypes";
  }
  return {};
}

void list_softmax(const Op& op, Candidates& out) {
  if (is_half(op.out[0].dtype)) return list_via_f32(op, list_rows, out);
  list_rows(op, out);
#if defined(BACKPLANE_CPU_ONEDNN)
  list_onednn_softmax(op, out);
#endif
}

}  // namespace backplane::cpu
