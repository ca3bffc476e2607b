// SPDX-License-Identifier: Apache-2.0
// RANDOM: the words of Philox4x32-10, the same numbers as on every other device (OPERATIONS.md).
//
// Elements are counted in row-major order of the shape, so a strided result is filled through a small block.
#include <cstring>

#include "cpu_features.h"
#include "families.h"
#include "pointwise.h"
#include "threads.h"
#include "wrappers.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kBlocks = 256;  // of four words

class Random final : public Work {  // the result is dense
 public:
  explicit Random(const Op& op)
      : count_(element_count(op.out[0])),
        key_stride_(op.in[0].strides[0]),
        uniform_(op.attrs.random.kind == BP_RANDOM_UNIFORM) {}
  void run(const Args& args) const override {
    uint32_t key[4];
    for (int i = 0; i < 4; ++i) key[i] = reinterpret_cast<const uint32_t*>(args.in[0])[i * key_stride_];
    char* y = args.out[0];
    const int64_t chunks = (count_ + 4 * kBlocks - 1) / (4 * kBlocks);
    const int64_t grain = count_ * 16 < kParallelBytes ? chunks : 8;
    parallel_ranges(chunks, grain, [&](int64_t begin, int64_t end) {
      uint32_t words[4 * kBlocks];
      for (int64_t c = begin; c < end; ++c) {
        const int64_t first = c * 4 * kBlocks, n = std::min(4 * kBlocks, count_ - first);
        isa().philox(static_cast<uint64_t>(c * kBlocks), (n + 3) / 4, key, words);
        if (uniform_) {
          auto* target = reinterpret_cast<float*>(y) + first;
          for (int64_t i = 0; i < n; ++i)
            target[i] = static_cast<float>(static_cast<int32_t>(words[i] >> 8)) * 0x1p-24f;
        } else {
          std::memcpy(y + first * 4, words, static_cast<size_t>(n) * 4);
        }
      }
    });
  }

 private:
  int64_t count_, key_stride_;
  bool uniform_;
};

void list_dense(const Op& op, Candidates& out) { out.push_back(ready("philox", std::make_shared<Random>(op))); }

}  // namespace

std::string refuse_random(const Op& op) {
  if (op.attrs.random.kind != BP_RANDOM_BITS && op.attrs.random.kind != BP_RANDOM_UNIFORM) return "kind is unknown";
  if (op.out[0].dtype != (op.attrs.random.kind == BP_RANDOM_BITS ? BP_I32 : BP_F32))
    return "dtype does not fit the kind";
  return {};
}

void list_random(const Op& op, Candidates& out) {
  Op dense = op;
  dense.out[0] = dense_like(op.out[0], op.out[0].dtype);
  list_via_copies(op, dense, "", list_dense, out);
}

}  // namespace backplane::cpu
