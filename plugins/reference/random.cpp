// SPDX-License-Identifier: Apache-2.0
// RANDOM: Philox4x32-10 of Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011).
#include "kernel.hpp"

namespace backplane::reference {
namespace {

struct Block {
  uint32_t word[4];
};

Block philox(Block counter, uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t left = uint64_t{0xD2511F53u} * counter.word[0], right = uint64_t{0xCD9E8D57u} * counter.word[2];
    counter = {{uint32_t(right >> 32) ^ counter.word[1] ^ key0, uint32_t(right),
                uint32_t(left >> 32) ^ counter.word[3] ^ key1, uint32_t(left)}};
    key0 += 0x9E3779B9u;  // the golden ratio and sqrt(3) - 1, as fractions of 2^32
    key1 += 0xBB67AE85u;
  }
  return counter;
}

class Random final : public Kernel {
 public:
  explicit Random(const bp_op& op) : Kernel(op), kind_(sdk::attrs<bp_random_attrs>(op).kind) {
    workspace = dense_bytes(false, true);
  }
  void run(const bp_view* inputs, const bp_view* outputs, const bp_view& workspace_view) const override {
    Scratch scratch(workspace != 0 ? pointer(workspace_view) : nullptr);
    uint32_t key[4];  // seed low, seed high, offset low, offset high
    for (int i = 0; i < 4; ++i) key[i] = pointer<uint32_t>(inputs[0])[i * in(0).strides[0]];
    double* y = scratch.take<double>(numel(out(0)));
    Block block{};
    for (int64_t e = 0; e < numel(out(0)); ++e) {
      const uint64_t b = static_cast<uint64_t>(e) / 4;
      if (e % 4 == 0) block = philox({{uint32_t(b), uint32_t(b >> 32), key[2], key[3]}}, key[0], key[1]);
      const uint32_t bits = block.word[e % 4];
      y[e] = kind_ == BP_RANDOM_BITS ? static_cast<double>(static_cast<int32_t>(bits)) : (bits >> 8) * 0x1p-24;
    }
    store_dense(out(0), pointer(outputs[0]), y);
  }

 private:
  uint32_t kind_;
};

}  // namespace

std::unique_ptr<sdk::HostKernel> make_random(const bp_op& op) { return std::make_unique<Random>(op); }

}  // namespace backplane::reference
