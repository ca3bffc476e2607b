// SPDX-License-Identifier: Apache-2.0
// Suites: text files that say what is measured. One line is one op, or one of the workloads that are no op
// (workload.h), for all combinations of its dimensions:
//
//   # a comment
//   budget 55s
//   batch_matmul name=matmul in=MxK,KxN M=64-4096*2 N=M K=M dtypes=f32,f16
//   normalize name=layer_norm in=MxN,~MxN,~MxN kind=0 axes=1 M=512 N=128,768
//   gather_rows in=1xMxN,i32:R M=32000 N=256 R=4096
//
// Words after the first are key=value. A key that starts with a capital letter is a dimension (extents.h), `in` lists
// the operands' shapes ("~": that axis is stored once and broadcast; "i32:" a dtype of its own), `name` is what rows
// call the op, `dtypes` is the default f32; every other key is an attribute of the op.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "case.h"

namespace backplane::bench {

struct SuiteLine {
  std::string where;  ///< "ops.suite:12"
  std::string op, label;
  std::vector<std::string> operands;
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<DimensionRange> dimensions;
  std::vector<std::string> dtypes = {"f32"};
};

struct Suite {
  std::string name;
  std::optional<double> budget_s;
  std::vector<SuiteLine> lines;
};

// All throw Error that starts with file:line.
SuiteLine parse_line(const std::string& text, const std::string& where);
Suite parse_suite(const std::string& text, const std::string& file);
/// A name of one that is installed ("smoke"), or the path of a file.
Suite read_suite(const std::string& name);
std::vector<std::string> installed_suites();

/// What the command line says instead of the line.
struct Overrides {
  std::vector<DimensionRange> dimensions;  ///< of those that the line has
  std::vector<std::string> dtypes;         ///< empty: the line's own
};
/// Its values where the line has dimensions of that name; nothing when it has none of them.
std::optional<SuiteLine> overridden(const SuiteLine& line, const Overrides& overrides);

/// Cases of a line of an op.
std::vector<Case> expand(const SuiteLine& line, const Overrides& overrides);

/// "90", "90s", "10m", "1h" in seconds. Throws Error.
double parse_duration(const std::string& text);

}  // namespace backplane::bench
