// SPDX-License-Identifier: Apache-2.0
#include "lane_loops.h"

#include <algorithm>
#include <string>

namespace backplane::codegen {
namespace {

// Rows that are taken together stay in the first-level cache (of 32 KB or more) between the passes over them.
constexpr int64_t kTogetherBytes = 32 << 10;
constexpr int64_t kItemElements = 8192;  // what an item should have to do
// A thread that sleeps begins 22-75 us after it was called (docs/opencl.md); so many elements take a core 16-23 us in
// vectors, and eight times as long one by one. The shortest row takes as long as one of 64.
constexpr int64_t kAloneElements = 64 << 10, kLeastElements = 64;

std::string number(int64_t n) { return std::to_string(n); }

/// Blocks of `size` lanes: those of a and b with even (first = 0) or odd (first = 1) numbers, taken in turns.
std::string blocks_in_turn(uint32_t width, uint32_t size, uint32_t first) {
  std::string text = "__builtin_shufflevector(a, b";
  for (uint32_t lane = 0; lane < width; ++lane) {
    const uint32_t block = lane / size;
    text += ", " + number(block % 2 * width + (block / 2 * 2 + first) * size + lane % size);
  }
  return text + ")";
}

/// Lane r of the result folds all lanes of v[r]: each round halves the number of vectors, for two shuffles and one fold
/// a pair, where folding them one by one takes four of each. The order is the same for every lane.
std::string fold_each(const std::string& name, uint32_t width, const std::string& fold) {
  std::string text = "FN LANES " + name + "(const LANES* rows) {\n  LANES v[WIDTH];\n";
  text += "  UNROLL for (int i = 0; i < WIDTH; ++i) v[i] = rows[i];\n";
  for (uint32_t half = width / 2; half >= 1; half /= 2) {
    text += "  UNROLL for (int i = 0; i < " + number(half) + "; ++i) {\n    LANES a = v[i], b = v[i + " + number(half) +
            "];\n    LANES even = " + blocks_in_turn(width, half, 0) + ", odd = " + blocks_in_turn(width, half, 1) +
            ";\n    v[i] = " + fold + ";\n  }\n";
  }
  return text + "  return v[0];\n}\n";
}

}  // namespace

int64_t rows_together(const DeviceFacts& facts, bool along, uint32_t width, int64_t length, int64_t operands) {
  const bool has_shuffles = facts.cpu_like && facts.dialect == Dialect::opencl_c;  // clang's
  const int64_t bytes = int64_t{width} * length * operands * 4;
  return has_shuffles && along && width > 1 && bytes <= kTogetherBytes ? width : 1;
}

int64_t units_per_item(const DeviceFacts& facts, int64_t units, int64_t elements, bool in_vectors, int64_t together) {
  if (!facts.cpu_like) return 1;
  const int64_t all = units * std::max(elements, kLeastElements) * (in_vectors ? 1 : 8);
  const int64_t busy = std::max<int64_t>(units / (4 * facts.compute_units), 1);
  int64_t wanted = std::clamp<int64_t>(kItemElements / std::max<int64_t>(elements, 1), 1, busy);
  if (all <= kAloneElements) wanted = std::max<int64_t>(units, 1);
  return (wanted + together - 1) / together * together;
}

void declare_lane_loops(Source& source, bool along, uint32_t width, int64_t together) {
  const DeviceFacts& facts = source.facts();
  source.define("ALONG", along);
  source.define("TOGETHER", together);
  // llvmpipe waits for loads and not for sums, as do lanes that gather; more text would only take longer to compile.
  source.define("AHEAD", facts.cpu_like && facts.dialect == Dialect::opencl_c && along && width > 1 ? 4 : 1);
  if (together > 1) {
    source.text(fold_each("bp_sum_each", width, "even + odd"));
    source.text(fold_each("bp_top_each", width, "LANES_LARGER(even, odd)"));
  }
  source.include("lane_loops");
}

}  // namespace backplane::codegen
