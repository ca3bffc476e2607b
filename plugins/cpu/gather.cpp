// SPDX-License-Identifier: Apache-2.0
// GATHER and SCATTER_ADD along the middle axis of [outer, n, inner].
//
// Gather moves rows whatever their dtype is. Scatter-add first copies base to the result, then adds row after row; it
// is shared between threads by columns and outer entries, never by indices, so that no addition races and the order is
// fixed.
#include <algorithm>
#include <bit>
#include <cstring>

#include "cpu_features.h"
#include "families.h"
#include "pointwise.h"
#include "threads.h"
#include "wrappers.h"

namespace backplane::cpu {
namespace {

struct Indices {
  explicit Indices(const bp_tensor_desc& desc)
      : stride(desc.strides[0]), count(desc.shape[0]), wide(desc.dtype == BP_I64) {}
  int64_t at(const char* base, int64_t i) const {
    return wide ? reinterpret_cast<const int64_t*>(base)[i * stride]
                : reinterpret_cast<const int32_t*>(base)[i * stride];
  }
  int64_t stride, count;
  bool wide;
};

class Gather final : public Work {
 public:
  explicit Gather(const Op& op)
      : x_(op.in[0]), y_(op.out[0]), indices_(op.in[1]), log2_(std::countr_zero(sdk::dtype_size(x_.dtype))) {}

  void run(const Args& args) const override {
    const int64_t outer = y_.shape[0], inner = y_.shape[2], rows = outer * indices_.count;
    const int64_t row_bytes = std::max<int64_t>(1, inner << log2_);
    parallel_ranges(inner == 0 ? 0 : rows, kParallelBytes / 2 / row_bytes, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        const int64_t o = r / indices_.count, j = r % indices_.count;
        move_row(args, o, j, indices_.at(args.in[1], j), inner);
      }
    });
  }

 private:
  void move_row(const Args& args, int64_t o, int64_t j, int64_t index, int64_t inner) const {
    const int64_t size = int64_t{1} << log2_;
    char* y = args.out[0] + (o * y_.strides[0] + j * y_.strides[1]) * size;
    if (index < 0 || index >= x_.shape[1]) {
      const uint64_t zero = 0;
      for (int64_t i = 0; i < inner; ++i) std::memcpy(y + i * y_.strides[2] * size, &zero, static_cast<size_t>(size));
      return;
    }
    const char* x = args.in[0] + (o * x_.strides[0] + index * x_.strides[1]) * size;
    if (y_.strides[2] == 1 || inner == 1) isa().gather[log2_](y, x, x_.strides[2], inner);
    else if (x_.strides[2] == 1) isa().scatter[log2_](y, x, y_.strides[2], inner);
    else {
      for (int64_t i = 0; i < inner; ++i) {
        std::memcpy(y + i * y_.strides[2] * size, x + i * x_.strides[2] * size, static_cast<size_t>(size));
      }
    }
  }

  bp_tensor_desc x_, y_;
  Indices indices_;
  int log2_;
};

template <class T, class U>
class ScatterAdd final : public Work {
 public:
  ScatterAdd(const Op& op, Compute type)
      : updates_(op.in[2]), y_(op.out[0]), indices_(op.in[1]), base_(make_copy(op.in[0], op.out[0])),
        add_(isa().op[BP_S_ADD][type]) {}

  void run(const Args& args) const override {
    if (args.in[0] != args.out[0]) base_->run({args.in, args.out, nullptr});
    const int64_t outer = y_.shape[0], inner = y_.shape[2];
    const int64_t slices = (inner + kColumns - 1) / kColumns;
    const int64_t unit_bytes =
        std::max<int64_t>(1, indices_.count * std::min(inner, kColumns) * 3 * static_cast<int64_t>(sizeof(T)));
    parallel_ranges(outer * slices, kParallelBytes / 2 / unit_bytes, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) add_slice(args, u / slices, u % slices * kColumns);
    });
  }

 private:
  static constexpr int64_t kColumns = 64;

  void add_slice(const Args& args, int64_t o, int64_t column) const {
    const int64_t n = std::min(kColumns, y_.shape[2] - column);
    auto* y = reinterpret_cast<T*>(args.out[0]) + o * y_.strides[0] + column * y_.strides[2];
    auto* u = reinterpret_cast<const T*>(args.in[2]) + o * updates_.strides[0] + column * updates_.strides[2];
    const bool dense = y_.strides[2] == 1 && updates_.strides[2] == 1;
    for (int64_t j = 0; j < indices_.count; ++j) {
      const int64_t index = indices_.at(args.in[1], j);
      if (index < 0 || index >= y_.shape[1]) continue;
      T* target = y + index * y_.strides[1];
      const T* source = u + j * updates_.strides[1];
      if (dense && n > 4) {
        add_(target, target, source, nullptr, n);
        continue;
      }
      for (int64_t i = 0; i < n; ++i) {
        T& sum = target[i * y_.strides[2]];
        sum = static_cast<T>(static_cast<U>(sum) + static_cast<U>(source[i * updates_.strides[2]]));
      }
    }
  }

  bp_tensor_desc updates_, y_;
  Indices indices_;
  WorkPtr base_;
  VectorLoop add_;
};

std::string refuse_layout(const Op& op, const bp_tensor_desc& table, const bp_tensor_desc& rows) {
  const bp_tensor_desc& indices = op.in[1];
  if (table.rank != 3 || rows.rank != 3 || indices.rank != 1) return "operands are not [outer, n, inner] and [k]";
  if (indices.dtype != BP_I32 && indices.dtype != BP_I64) return "indices are neither i32 nor i64";
  if (table.dtype != rows.dtype) return "operands of different dtypes";
  if (table.shape[0] != rows.shape[0] || table.shape[2] != rows.shape[2] || rows.shape[1] != indices.shape[0]) {
    return "extents do not match";
  }
  return {};
}

}  // namespace

std::string refuse_gather(const Op& op) { return refuse_layout(op, op.in[0], op.out[0]); }
void list_gather(const Op& op, Candidates& out) { out.push_back(ready("rows", std::make_shared<Gather>(op))); }

std::string refuse_scatter_add(const Op& op) {
  if (op.in[0].dtype == BP_BOOL) return "bool has no addition";
  if (!same_shape(op.in[0], op.out[0]) || op.in[0].dtype != op.out[0].dtype) return "base and result differ";
  return refuse_layout(op, op.in[0], op.in[2]);
}
void list_scatter_add(const Op& op, Candidates& out) {
  switch (op.in[0].dtype) {
    case BP_F32: out.push_back(ready("columns", std::make_shared<ScatterAdd<float, float>>(op, kF32))); return;
    case BP_F64: out.push_back(ready("columns", std::make_shared<ScatterAdd<double, double>>(op, kF64))); return;
    case BP_I32: out.push_back(ready("columns", std::make_shared<ScatterAdd<int32_t, uint32_t>>(op, kI32))); return;
    case BP_I64: out.push_back(ready("columns", std::make_shared<ScatterAdd<int64_t, uint64_t>>(op, kI64))); return;
    default: list_via_f32(op, list_scatter_add, out);
  }
}

}  // namespace backplane::cpu
