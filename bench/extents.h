// SPDX-License-Identifier: Apache-2.0
// The little language of extents in suites: expressions over named dimensions, and lists and ranges of values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace backplane::bench {

/// {"M", 256}, {"N", 256} in the order in which they are said.
using Dimensions = std::vector<std::pair<std::string, int64_t>>;

/// "(H+2*P-R)/S+1": integers, names, + - * / and brackets; a division rounds down. Throws Error.
int64_t evaluate(std::string_view text, const Dimensions& known);

/// "64-4096*2" (doubling), "8-64+8" (steps), "1-5" (each), "7,13,M+1" (those). Throws Error.
std::vector<int64_t> expand_values(std::string_view text, const Dimensions& known);

/// A dimension and what it may be, not yet expanded.
struct DimensionRange {
  std::string name, values;
};
/// "M=64-4096*2,N=M,K=7,13": an item without '=' belongs to the dimension before it. Throws Error.
std::vector<DimensionRange> parse_ranges(std::string_view text);

/// Every combination, the last dimension fastest; values may name dimensions before them. Throws Error.
std::vector<Dimensions> combinations(const std::vector<DimensionRange>& ranges);

/// A dimension's name starts with a capital letter: "M", "Heads".
bool is_dimension(std::string_view name);

}  // namespace backplane::bench
