// SPDX-License-Identifier: Apache-2.0
#include "memo.h"

#include <bit>
#include <cstring>

namespace backplane::autotune {
namespace {

/// Two words at a time by a 64 x 64 bit product, as wyhash does (https://github.com/wangyi-fudan/wyhash): the products
/// do not wait for one another. The sums are rotated, so that order counts.
class Mixer {
 public:
  void add(uint64_t a, uint64_t b) {
    const auto product = static_cast<unsigned __int128>(a ^ 0xa0761d6478bd642full) * (b ^ 0xe7037ed1a0b428dbull);
    const auto low = static_cast<uint64_t>(product), high = static_cast<uint64_t>(product >> 64);
    low_ = std::rotl(low_, 23) + (low ^ high);
    high_ = std::rotl(high_, 29) ^ (low + 3 * high);
  }
  void add_bytes(const void* data, size_t bytes) {
    const auto* at = static_cast<const unsigned char*>(data);
    for (; bytes > 0;) {
      uint64_t words[2] = {0, 0};
      const size_t step = bytes < sizeof words ? bytes : sizeof words;
      std::memcpy(words, at, step);
      add(words[0], words[1]);
      at += step, bytes -= step;
    }
  }
  OpHash finish() const {
    const auto product = static_cast<unsigned __int128>(low_ ^ 0x8ebc6af09c88c6e3ull) * (high_ ^ 0x589965cc75374cc3ull);
    return {static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64), high_ ^ low_};
  }

 private:
  uint64_t low_ = 0, high_ = 0;
};

void add_descs(Mixer& mixer, const bp_tensor_desc* descs, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    mixer.add(descs[i].dtype, descs[i].rank);
    for (uint32_t axis = 0; axis < descs[i].rank; ++axis) {
      mixer.add(static_cast<uint64_t>(descs[i].shape[axis]), static_cast<uint64_t>(descs[i].strides[axis]));
    }
  }
}

}  // namespace

OpHash OpHash::of(const bp_op& op) {
  Mixer mixer;
  mixer.add(uint64_t{op.code} << 32 | op.math_mode << 1 | op.deterministic, op.max_workspace);
  mixer.add(op.num_inputs, op.num_outputs);
  add_descs(mixer, op.inputs, op.num_inputs);
  add_descs(mixer, op.outputs, op.num_outputs);
  if (op.attrs != nullptr) {
    uint32_t bytes = 0;
    std::memcpy(&bytes, op.attrs, sizeof bytes);
    mixer.add_bytes(op.attrs, bytes);
  }
  if (op.program != nullptr) {
    mixer.add(op.program->num_inputs, op.program->num_outputs);
    mixer.add_bytes(op.program->instrs, op.program->num_instrs * sizeof(bp_instr));
    mixer.add_bytes(op.program->outputs, op.program->num_outputs * sizeof(uint16_t));
  }
  if (op.code == BP_OP_CUSTOM && op.name != nullptr) mixer.add_bytes(op.name, std::strlen(op.name));
  return mixer.finish();
}

Memo::Slot& Memo::slot_for(Table& table, const OpHash& hash) {
  for (size_t i = hash.low & table.mask;; i = (i + 1) & table.mask) {
    Slot& slot = table.slots[i];
    if (slot.decision.load(std::memory_order_relaxed) == nullptr) return slot;
    if (slot.hash.low == hash.low && slot.hash.high == hash.high) return slot;
  }
}

void Memo::grow() {
  Table& old = *tables_.back();
  auto bigger = std::make_unique<Table>(2 * (old.mask + 1));
  for (size_t i = 0; i <= old.mask; ++i) {
    const Decision* decision = old.slots[i].decision.load(std::memory_order_relaxed);
    if (decision == nullptr) continue;
    Slot& slot = slot_for(*bigger, old.slots[i].hash);
    slot.hash = old.slots[i].hash;
    slot.decision.store(decision, std::memory_order_relaxed);
  }
  current_.store(bigger.get(), std::memory_order_release);
  tables_.push_back(std::move(bigger));  // readers may still be in the old one
}

const Decision* Memo::put(const OpHash& hash, Decision decision) {
  const std::lock_guard lock(mutex_);
  if (decisions_.size() >= kMostDecisions) return nullptr;
  const Decision* kept = &decisions_.emplace_back(std::move(decision));
  if (2 * (used_ + 1) > tables_.back()->mask) grow();
  Slot& slot = slot_for(*tables_.back(), hash);
  if (slot.decision.load(std::memory_order_relaxed) == nullptr) {
    slot.hash = hash;
    ++used_;
  }
  slot.decision.store(kept, std::memory_order_release);
  return kept;
}

}  // namespace backplane::autotune
