// SPDX-License-Identifier: Apache-2.0
// A recipe as one number. Every member that a device gets to see counts; the structured bindings stop compiling when
// one is added, so that none is forgotten here.
#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "backplane/codegen/codegen.h"

namespace backplane::codegen {
namespace {

/// Eight bytes at a time: the texts of all variants of one operation are up to 240 KB.
/// Multiplications and rotations after MurmurHash2's 64-bit version (A. Appleby, public domain algorithm).
class Hash {
 public:
  void add(uint64_t value) {
    constexpr uint64_t kFactor = 0xc6a4a7935bd1e995u;
    value *= kFactor;
    value ^= value >> 47;
    state_ = std::rotl((state_ ^ (value * kFactor)) * kFactor, 23);
  }
  void add(std::string_view text) {
    add(uint64_t{text.size()});
    for (size_t at = 0; at < text.size(); at += sizeof(uint64_t)) {
      uint64_t word = 0;
      std::memcpy(&word, text.data() + at, std::min(text.size() - at, sizeof word));
      add(word);
    }
  }
  void add(const Slot& slot) {
    const auto& [from, index, element_size, written, offset, low, high] = slot;
    add(static_cast<uint64_t>(from)), add(uint64_t{index}), add(uint64_t{element_size}), add(uint64_t{written});
    add(offset), add(static_cast<uint64_t>(low)), add(static_cast<uint64_t>(high));
  }
  void add(const TexelBuffer& texel) {
    const auto& [slot, lanes, dtype] = texel;
    add(uint64_t{slot}), add(uint64_t{lanes}), add(uint64_t{dtype});
  }
  void add(const Launch& launch) {
    // The name is for people.
    [[maybe_unused]] const auto& [name, source, aligned_source, slots, texels, words, in_buffer, group, grid] = launch;
    add(source), add(aligned_source);
    add_all(slots), add_all(texels), add_all(words);
    add(uint64_t{in_buffer});
    for (uint32_t extent : group) add(uint64_t{extent});
    for (uint32_t extent : grid) add(uint64_t{extent});
  }
  uint64_t value() const { return state_ != 0 ? state_ : 1; }  // 0 means that there is none

 private:
  void add(int32_t value) { add(static_cast<uint64_t>(static_cast<uint32_t>(value))); }
  template <class T>
  void add_all(const std::vector<T>& list) {
    add(uint64_t{list.size()});
    for (const T& each : list) add(each);
  }
  uint64_t state_ = 0x9ae16a3b2f90404fu;
};

}  // namespace

uint64_t code_hash(std::string_view plugin_id, const Recipe& recipe) {
  const auto& [launches] = recipe;
  Hash hash;
  hash.add(plugin_id);
  for (const Launch& launch : launches) hash.add(launch);
  return hash.value();
}

}  // namespace backplane::codegen
