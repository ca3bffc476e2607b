// SPDX-License-Identifier: Apache-2.0
// REDUCE over any set of axes of a strided operand.
//
// The loops are ordered by the operand's strides and merged. When the fastest one is reduced, rows are folded (many
// lanes at once); when it is kept, whole rows are added to a row of accumulators, in groups whose sums are added up, so
// that the error of a long f32 sum stays small. Large reductions to few results are cut into pieces of fixed size,
// whose partial results are combined in order: the bits do not depend on the number of threads.
// argmax and argmin walk the operand in the order of its axes, element by element.
#include <algorithm>
#include <cstring>
#include <limits>

#include "cpu_features.h"
#include "families.h"
#include "pointwise.h"
#include "threads.h"
#include "wrappers.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kColumns = 1024;       // accumulators of one column block
constexpr int64_t kGroup = 128;          // rows summed up before they join the total
constexpr int64_t kPieceElements = 1 << 17;

struct Loop {
  int64_t extent, x, y;
  bool reduced;
};

/// Loops of the operand, slowest first; neighbours of the same kind that walk without a break are one.
std::vector<Loop> plan_loops(const bp_tensor_desc& x, const bp_tensor_desc& y, uint32_t axes) {
  std::vector<Loop> loops;
  for (uint32_t i = 0; i < x.rank; ++i) {
    if (x.shape[i] == 1) continue;
    loops.push_back({x.shape[i], x.strides[i], (axes >> i & 1u) != 0 ? 0 : y.strides[i], (axes >> i & 1u) != 0});
  }
  std::stable_sort(loops.begin(), loops.end(),
                   [](const Loop& a, const Loop& b) { return std::abs(a.x) > std::abs(b.x); });
  std::vector<Loop> merged;
  for (const Loop& loop : loops) {
    Loop* last = merged.empty() ? nullptr : &merged.back();
    if (last != nullptr && last->reduced == loop.reduced && last->x == loop.x * loop.extent &&
        (loop.reduced || last->y == loop.y * loop.extent)) {
      *last = {last->extent * loop.extent, loop.x, loop.y, loop.reduced};
    } else {
      merged.push_back(loop);
    }
  }
  if (merged.empty()) merged.push_back({1, 1, 1, false});
  return merged;
}

template <class T>
T neutral(uint32_t kind) {
  if (kind == BP_REDUCE_SUM) return T(0);
  if (kind == BP_REDUCE_PROD) return T(1);
  using L = std::numeric_limits<T>;
  if constexpr (L::has_infinity) return kind == BP_REDUCE_MAX ? -L::infinity() : L::infinity();
  else return kind == BP_REDUCE_MAX ? L::lowest() : L::max();
}

template <class T>
class Reduce final : public Work {
 public:
  Reduce(const bp_tensor_desc& x, const bp_tensor_desc& y, uint32_t kind, uint32_t axes, Compute type)
      : loops_(plan_loops(x, y, axes)), type_(type), kind_(kind) {
    inner_ = loops_.back();
    loops_.pop_back();
    for (const Loop& loop : loops_) (loop.reduced ? reduced_ : kept_).push_back(loop);
    for (const Loop& loop : kept_) outer_results_ *= loop.extent;
    for (const Loop& loop : reduced_) outer_reduced_ *= loop.extent;
    results_ = outer_results_ * (inner_.reduced ? 1 : inner_.extent);
    total_ = element_count(x);
    empty_ = total_ == 0;
    // Pieces depend on sizes only.
    if (results_ <= 64 && total_ >= 4 * kPieceElements) {
      pieces_ = std::min<int64_t>(64, total_ / kPieceElements);
      workspace = round_up(static_cast<uint64_t>(pieces_ * results_) * sizeof(T));
    }
  }

  void run(const Args& args) const override {
    auto* x = reinterpret_cast<const T*>(args.in[0]);
    auto* y = reinterpret_cast<T*>(args.out[0]);
    if (results_ == 0) return;
    if (pieces_ > 1) return run_pieces(x, y, reinterpret_cast<T*>(args.workspace));
    const int64_t cost = std::max<int64_t>(1, total_ * static_cast<int64_t>(sizeof(T)));
    const int64_t units = inner_.reduced ? outer_results_ : outer_results_ * column_blocks();
    const int64_t grain = cost < kParallelBytes ? units : std::max<int64_t>(1, units * (kParallelBytes / 4) / cost);
    parallel_ranges(units, grain, [&](int64_t begin, int64_t end) {
      for (int64_t u = begin; u < end; ++u) run_unit(x, y, u);
    });
  }

 private:
  int64_t column_blocks() const { return (inner_.extent + kColumns - 1) / kColumns; }
  static int64_t offset_of(const std::vector<Loop>& loops, int64_t flat, int64_t Loop::*stride) {
    int64_t offset = 0;
    for (size_t i = loops.size(); i-- > 0;) {
      offset += flat % loops[i].extent * (loops[i].*stride);
      flat /= loops[i].extent;
    }
    return offset;
  }

  /// A bool may come in as any non-zero byte.
  static T result_of(T value) {
    if constexpr (sizeof(T) == 1) return value != 0;
    else return value;
  }
  void run_unit(const T* x, T* y, int64_t unit) const {
    if (inner_.reduced) {
      T value = neutral<T>(kind_);
      if (!empty_) fold_rows(x + offset_of(kept_, unit, &Loop::x), 0, outer_reduced_, 0, inner_.extent, value);
      y[offset_of(kept_, unit, &Loop::y)] = result_of(value);
      return;
    }
    const int64_t blocks = column_blocks(), outer = unit / blocks, column = unit % blocks * kColumns;
    const int64_t n = std::min(kColumns, inner_.extent - column);
    T sums[kColumns];
    std::fill_n(sums, n, neutral<T>(kind_));
    if (!empty_) {
      fold_columns(x + offset_of(kept_, outer, &Loop::x) + column * inner_.x, 0, outer_reduced_, n, sums);
    }
    T* target = y + offset_of(kept_, outer, &Loop::y) + column * inner_.y;
    for (int64_t i = 0; i < n; ++i) target[i * inner_.y] = result_of(sums[i]);
  }
  /// Folds rows [first, last) of the outer reduced loops, columns [begin, end) of the inner one.
  void fold_rows(const T* x, int64_t first, int64_t last, int64_t begin, int64_t end, T& value) const {
    const ReduceRow row = isa().reduce_row[kind_ - 1][type_];
    const VectorLoop join = isa().op[kJoin[kind_]][type_];
    T group = neutral<T>(kind_);
    int64_t since = 0;
    for (int64_t r = first; r < last; ++r) {
      row(x + offset_of(reduced_, r, &Loop::x) + begin * inner_.x, inner_.x, end - begin, &group);
      if (++since == kGroup) {
        join(&value, &value, &group, nullptr, 1);
        group = neutral<T>(kind_), since = 0;
      }
    }
    join(&value, &value, &group, nullptr, 1);
  }
  void fold_columns(const T* x, int64_t first, int64_t last, int64_t n, T* sums) const {
    const ReduceColumns columns = isa().reduce_columns[kind_ - 1][type_];
    T group[kColumns], gathered[kColumns];
    for (int64_t r = first; r < last;) {
      std::fill_n(group, n, neutral<T>(kind_));
      const int64_t stop = std::min(last, r + kGroup);
      for (; r < stop; ++r) {
        const T* row = x + offset_of(reduced_, r, &Loop::x);
        if (inner_.x != 1) {
          for (int64_t i = 0; i < n; ++i) gathered[i] = row[i * inner_.x];
          row = gathered;
        }
        columns(row, n, group);
      }
      columns(group, n, sums);
    }
  }

  /// Few results: pieces of the reduction side by side, partial results [piece][result], then joined in order.
  void run_pieces(const T* x, T* y, T* partial) const {
    parallel_tasks(pieces_, [&](int64_t p) {
      T* mine = partial + p * results_;
      const bool split_rows = outer_reduced_ >= pieces_ || !inner_.reduced;
      const int64_t extent = split_rows ? outer_reduced_ : inner_.extent;
      const int64_t begin = extent * p / pieces_, end = extent * (p + 1) / pieces_;
      for (int64_t outer = 0; outer < outer_results_; ++outer) {
        const T* base = x + offset_of(kept_, outer, &Loop::x);
        if (!inner_.reduced) {
          T* sums = mine + outer * inner_.extent;
          std::fill_n(sums, inner_.extent, neutral<T>(kind_));
          fold_columns(base, begin, end, inner_.extent, sums);
          continue;
        }
        mine[outer] = neutral<T>(kind_);
        if (split_rows) fold_rows(base, begin, end, 0, inner_.extent, mine[outer]);
        else fold_rows(base, 0, outer_reduced_, begin, end, mine[outer]);
      }
    });
    const ReduceColumns join = isa().reduce_columns[kind_ - 1][type_];
    for (int64_t half = pieces_; half > 1;) {  // pairwise
      const int64_t upper = (half + 1) / 2;
      for (int64_t p = 0; p + upper < half; ++p)
        join(partial + (p + upper) * results_, results_, partial + p * results_);
      half = upper;
    }
    const int64_t columns = inner_.reduced ? 1 : inner_.extent;
    for (int64_t i = 0; i < results_; ++i) {
      y[offset_of(kept_, i / columns, &Loop::y) + i % columns * (inner_.reduced ? 0 : inner_.y)] =
          result_of(partial[i]);
    }
  }

  // Scalar opcode that joins two partial results, by BP_REDUCE_*.
  static constexpr int kJoin[] = {0, BP_S_ADD, BP_S_MAX, BP_S_MIN, BP_S_MUL};

  std::vector<Loop> loops_, kept_, reduced_;
  Loop inner_{};
  Compute type_;
  uint32_t kind_;
  int64_t outer_results_ = 1, outer_reduced_ = 1, results_ = 0, total_ = 0, pieces_ = 1;
  bool empty_ = false;
};

/// Lowest index on ties; NaN counts as the extremum.
template <class T>
class ArgReduce final : public Work {
 public:
  ArgReduce(const bp_tensor_desc& x, const bp_tensor_desc& y, bool maximum, uint32_t axes) : maximum_(maximum) {
    for (uint32_t i = 0; i < x.rank; ++i) {
      const bool reduced = (axes >> i & 1u) != 0;
      (reduced ? reduced_ : kept_).push_back({x.shape[i], x.strides[i], y.strides[i], reduced});
      (reduced ? walk_ : results_) *= x.shape[i];
    }
    if (reduced_.empty()) reduced_.push_back({1, 0, 0, true});
  }
  void run(const Args& args) const override {
    auto* x = reinterpret_cast<const T*>(args.in[0]);
    auto* y = reinterpret_cast<int32_t*>(args.out[0]);
    const int64_t cost = std::max<int64_t>(1, walk_ * 8);
    parallel_ranges(results_, kParallelBytes / cost, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        int64_t ox = 0, oy = 0, flat = r;
        for (size_t i = kept_.size(); i-- > 0;) {
          ox += flat % kept_[i].extent * kept_[i].x, oy += flat % kept_[i].extent * kept_[i].y;
          flat /= kept_[i].extent;
        }
        y[oy] = static_cast<int32_t>(best(x + ox));
      }
    });
  }

 private:
  static T value_of(T x) {
    if constexpr (sizeof(T) == 1) return x != 0;  // any non-zero byte is true
    else return x;
  }
  bool beats(T a, T b) const {
    if (b != b) return false;
    return a != a || (maximum_ ? a > b : a < b);
  }
  int64_t best(const T* x) const {
    const Loop& inner = reduced_.back();
    int64_t winner = 0;
    T value = walk_ > 0 ? value_of(x[0]) : T(0);
    for (int64_t base = 0; base < walk_; base += inner.extent) {
      int64_t offset = 0, flat = base / inner.extent;
      for (size_t i = reduced_.size() - 1; i-- > 0;) {
        offset += flat % reduced_[i].extent * reduced_[i].x;
        flat /= reduced_[i].extent;
      }
      for (int64_t i = 0; i < inner.extent; ++i) {
        const T candidate = value_of(x[offset + i * inner.x]);
        if (beats(candidate, value)) value = candidate, winner = base + i;
      }
    }
    return winner;
  }

  std::vector<Loop> kept_, reduced_;
  int64_t results_ = 1, walk_ = 1;
  bool maximum_;
};

template <class T>
WorkPtr make_reduce(const Op& op, Compute type) {
  const bp_reduce_attrs& a = op.attrs.reduce;
  if (a.kind >= BP_REDUCE_ARGMAX) {
    return std::make_shared<ArgReduce<T>>(op.in[0], op.out[0], a.kind == BP_REDUCE_ARGMAX, a.axes);
  }
  return std::make_shared<Reduce<T>>(op.in[0], op.out[0], a.kind, a.axes, type);
}

void list_plain(const Op& op, Candidates& out) {
  switch (op.in[0].dtype) {
    case BP_F32: out.push_back(ready("lanes", make_reduce<float>(op, kF32))); break;
    case BP_F64: out.push_back(ready("lanes", make_reduce<double>(op, kF64))); break;
    case BP_I32: out.push_back(ready("lanes", make_reduce<int32_t>(op, kI32))); break;
    case BP_I64: out.push_back(ready("lanes", make_reduce<int64_t>(op, kI64))); break;
    case BP_BOOL: out.push_back(ready("lanes", make_reduce<uint8_t>(op, kBool))); break;
    default: list_via_f32(op, list_plain, out);
  }
}

}  // namespace

std::string refuse_reduce(const Op& op) {
  const bp_reduce_attrs& a = op.attrs.reduce;
  if (a.kind < BP_REDUCE_SUM || a.kind > BP_REDUCE_ARGMIN)
    return "reduction kind " + std::to_string(a.kind) + " is unknown";
  const bool arg = a.kind >= BP_REDUCE_ARGMAX;
  if (op.in[0].dtype == BP_BOOL && (a.kind == BP_REDUCE_SUM || a.kind == BP_REDUCE_PROD))
    return "sum and product of bool";
  if (!op.program && op.out[0].dtype != (arg ? uint32_t{BP_I32} : op.in[0].dtype))
    return "the result's dtype differs from x";
  if (op.program && arg) return "an epilogue on argmax or argmin";
  return op.program ? refuse_epilogue(op, 1) : std::string();
}

void list_reduce(const Op& op, Candidates& out) {
  if (op.program) list_with_epilogue(op, 1, list_plain, out);
  else list_plain(op, out);
}

}  // namespace backplane::cpu
