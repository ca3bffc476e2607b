// SPDX-License-Identifier: Apache-2.0
// SORT and TOP_K: rows are read as unsigned keys in sorting order, each with its position, so that one order of
// integers serves every dtype and direction, ties and NaN included.
//
//   radix     byte by byte from the lowest (LSD), which is stable; for rows that pay for its counting
//   compare   std::sort of (key, position), no two of which are equal; std::nth_element before it where k is smaller
//   heap      the best k seen so far, for a k that is small beside the row: most elements cost one comparison
//
// Rows are shared out among the threads; one row is the work of one thread.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "families.h"
#include "rows.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kRadixRow = 512;  // below, comparing is faster
constexpr int64_t kHeapShare = 16;  // the heap wants k to be less than this share of the row

template <class Key>
struct Entry {
  Key key;
  int32_t place;
  friend bool operator<(const Entry& a, const Entry& b) { return a.key != b.key ? a.key < b.key : a.place < b.place; }
};

/// The bits of a float as an unsigned number of the same order: NaN above everything, -0 equal to +0.
template <class Bits>
Bits float_key(Bits bits, Bits infinity) {
  const Bits sign = Bits(Bits{1} << (8 * sizeof(Bits) - 1)), magnitude = Bits(bits & Bits(~sign));
  if (magnitude > infinity) return Bits(~Bits{0});
  if (magnitude == 0) return sign;
  return Bits((bits & sign) != 0 ? ~bits : bits | sign);
}

uint8_t key_of(uint32_t, uint8_t bits) { return bits; }
uint16_t key_of(uint32_t dtype, uint16_t bits) { return float_key<uint16_t>(bits, dtype == BP_F16 ? 0x7c00 : 0x7f80); }
uint32_t key_of(uint32_t dtype, uint32_t bits) {
  return dtype == BP_I32 ? bits ^ 0x80000000u : float_key<uint32_t>(bits, 0x7f800000u);
}
uint64_t key_of(uint32_t dtype, uint64_t bits) {
  return dtype == BP_I64 ? bits ^ (uint64_t{1} << 63) : float_key<uint64_t>(bits, 0x7ff0000000000000u);
}

enum class Method { radix, compare, heap };

template <class Bits>
class SortRows final : public Work {
 public:
  SortRows(const Op& op, Method method)
      : method_(method), dtype_(op.in[0].dtype), axis_(op.attrs.sort.axis), descending_(op.attrs.sort.descending != 0),
        rows_(op.in[0], axis_), k_(op.out[0].shape[axis_]) {
    rows_.add(op.in[0]), rows_.add(op.out[0]), rows_.add(op.out[1]);
    entries_ = method == Method::heap ? k_ : rows_.length;
    scratch_ = round_up(static_cast<uint64_t>(entries_) * sizeof(Entry<Bits>)) * (method == Method::radix ? 2 : 1);
    const bool small = rows_.count * rows_.length * 16 < kParallelBytes;
    workers_ = small ? 1 : std::clamp<int64_t>(rows_.count, 1, thread_count());
    workspace = scratch_ * static_cast<uint64_t>(workers_);
  }
  void run(const Args& args) const override {
    if (rows_.count == 0 || k_ == 0) return;
    parallel_tasks(workers_, [&](int64_t worker) {
      auto* first = reinterpret_cast<Entry<Bits>*>(args.workspace + static_cast<uint64_t>(worker) * scratch_);
      auto* second = reinterpret_cast<Entry<Bits>*>(reinterpret_cast<char*>(first) + scratch_ / 2);
      const int64_t end = rows_.count * (worker + 1) / workers_;
      for (int64_t row = rows_.count * worker / workers_; row < end; ++row) run_row(args, row, first, second);
    });
  }

 private:
  Bits key_at(const Bits* x, int64_t i) const {
    const Bits key = key_of(dtype_, x[i * rows_.stride(0)]);
    return descending_ ? Bits(~key) : key;
  }
  void run_row(const Args& args, int64_t row, Entry<Bits>* entries, Entry<Bits>* spare) const {
    int64_t at[3];
    for (size_t i = 0; i < 3; ++i) rows_.offsets(i, row, 1, at + i);
    const Bits* x = reinterpret_cast<const Bits*>(args.in[0]) + at[0];
    const Entry<Bits>* sorted = entries;
    if (method_ == Method::heap) {
      keep_best(x, entries);
    } else {
      for (int64_t i = 0; i < rows_.length; ++i) entries[i] = {key_at(x, i), static_cast<int32_t>(i)};
      if (method_ == Method::radix) {
        sorted = radix_sort(entries, spare);
      } else {
        if (k_ < rows_.length) std::nth_element(entries, entries + k_, entries + rows_.length);
        std::sort(entries, entries + k_);
      }
    }
    Bits* values = reinterpret_cast<Bits*>(args.out[0]) + at[1];
    int32_t* indices = reinterpret_cast<int32_t*>(args.out[1]) + at[2];
    for (int64_t i = 0; i < k_; ++i) {
      values[i * rows_.stride(1)] = x[sorted[i].place * rows_.stride(0)];
      indices[i * rows_.stride(2)] = sorted[i].place;
    }
  }
  void keep_best(const Bits* x, Entry<Bits>* heap) const {
    for (int64_t i = 0; i < k_; ++i) heap[i] = {key_at(x, i), static_cast<int32_t>(i)};
    std::make_heap(heap, heap + k_);
    Bits worst = heap[0].key;
    for (int64_t i = k_; i < rows_.length; ++i) {
      const Bits key = key_at(x, i);
      if (key >= worst) continue;  // of equal ones the earlier stays
      std::pop_heap(heap, heap + k_);
      heap[k_ - 1] = {key, static_cast<int32_t>(i)};
      std::push_heap(heap, heap + k_);
      worst = heap[0].key;
    }
    std::sort_heap(heap, heap + k_);
  }
  /// Gives the array that holds the result. A byte that all keys share costs no pass.
  const Entry<Bits>* radix_sort(Entry<Bits>* from, Entry<Bits>* to) const {
    std::array<std::array<int32_t, 256>, sizeof(Bits)> counts{};
    for (int64_t i = 0; i < rows_.length; ++i) {
      for (size_t byte = 0; byte < sizeof(Bits); ++byte) ++counts[byte][from[i].key >> (8 * byte) & 0xff];
    }
    for (size_t byte = 0; byte < sizeof(Bits); ++byte) {
      std::array<int32_t, 256>& places = counts[byte];
      if (places[from[0].key >> (8 * byte) & 0xff] == rows_.length) continue;
      int32_t sum = 0;
      for (int32_t& place : places) sum += std::exchange(place, sum);
      for (int64_t i = 0; i < rows_.length; ++i) to[places[from[i].key >> (8 * byte) & 0xff]++] = from[i];
      std::swap(from, to);
    }
    return from;
  }

  Method method_;
  uint32_t dtype_, axis_;
  bool descending_;
  Rows rows_;
  int64_t k_, entries_;
  uint64_t scratch_;
  int64_t workers_;
};

WorkPtr make(const Op& op, Method method) {
  switch (sdk::dtype_size(op.in[0].dtype)) {
    case 1: return std::make_shared<SortRows<uint8_t>>(op, method);
    case 2: return std::make_shared<SortRows<uint16_t>>(op, method);
    case 4: return std::make_shared<SortRows<uint32_t>>(op, method);
    default: return std::make_shared<SortRows<uint64_t>>(op, method);
  }
}

}  // namespace

std::string refuse_sort(const Op&) { return {}; }

/// Priors are guesses of work per element.
void list_sort(const Op& op, Candidates& out) {
  const uint32_t axis = op.attrs.sort.axis;
  const int64_t n = op.in[0].shape[axis], k = op.out[0].shape[axis];
  const double comparing = std::log2(std::max<double>(2, static_cast<double>(k))) + (k < n ? 4 : 0);
  const double passes = 2.0 * sdk::dtype_size(op.in[0].dtype);
  if (k * kHeapShare < n) out.push_back(ready("heap", make(op, Method::heap), 1));
  if (n >= kRadixRow) out.push_back(ready("radix", make(op, Method::radix), std::min(passes, comparing)));
  out.push_back(ready("compare", make(op, Method::compare), n >= kRadixRow ? std::max(comparing, 1.01) : 1.01));
}

}  // namespace backplane::cpu
