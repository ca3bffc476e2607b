// SPDX-License-Identifier: Apache-2.0
// One problem to time: an op with attributes and operands. It names no device and no variant, so rows are made as
// cases x devices x variants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "backplane/graph/op_def.h"
#include "backplane/graph/ops.h"

namespace backplane::bench {

/// Where an operand's values come from.
struct Operand {
  Type type;
  double low = -1, high = 1;  ///< uniform in [low, high); integers likewise
  /// Extents in memory where they are fewer: 1 for an axis that is broadcast with stride 0. Empty = all of them.
  Shape stored = {};
  /// Values that have to fit: output `output` of this op with these attributes on earlier operands.
  const graph::OpDef* made_by = nullptr;
  std::vector<graph::AttrArg> attrs = {};
  std::vector<size_t> from = {};
  size_t output = 0;

  Type memory() const { return {type.dtype, stored.rank() == 0 ? type.shape : stored}; }
  Layout layout() const;
};

struct Case {
  std::string name;  ///< "matmul/256x256x256"
  const graph::OpDef* op = nullptr;
  std::vector<graph::AttrArg> attrs;
  std::vector<Operand> operands;

  std::string group() const { return name.substr(0, name.find('/')); }
  std::vector<Type> inputs() const;
  std::vector<Type> outputs() const;
  /// As the op counts, but bytes that are stored once count once.
  graph::Cost cost() const;
  /// What is put before a device: the operation of the catalogue. Throws when the op has no native form.
  graph::KernelOp kernel_op() const;
};

/// Values of all operands, each as raw bytes of its dtype; the same for every caller.
std::vector<std::vector<std::byte>> make_values(const Case& c);

/// The cases that every device is measured with; those of one op from small to large.
const std::vector<Case>& workloads();

/// "2x3x4"
std::string by(std::initializer_list<int64_t> extents);
Case matmul_case(int64_t m, int64_t n, int64_t k, int64_t batch = 1);

}  // namespace backplane::bench
