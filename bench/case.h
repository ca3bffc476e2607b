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
#include "extents.h"

namespace backplane::bench {

struct Operand {
  Type type;
  /// Extents in memory where they are fewer: 1 for an axis that is broadcast with stride 0. Empty = all of them.
  Shape stored = {};

  Type memory() const { return {type.dtype, stored.rank() == 0 ? type.shape : stored}; }
  Layout layout() const;
};

struct Case {
  std::string name;  ///< "matmul/M=256,N=256,K=256"
  const graph::OpDef* op = nullptr;
  std::vector<graph::AttrArg> attrs;
  std::vector<Operand> operands;
  // Of a case of a suite (suite.h).
  std::string label = {};       ///< "matmul": the op, or what its line calls it
  std::string line = {};        ///< that gives this case and no other
  Dimensions dimensions = {};
  std::string attributes = {};  ///< "groups=4": those that its dimensions do not say
  DType dtype = DType::f32;

  std::vector<Type> inputs() const;
  std::vector<Type> outputs() const;
  /// As the op counts, but bytes that are stored once count once.
  graph::Cost cost() const;
  /// What is put before a device: one operation of the catalogue. Throws Error when the op needs several.
  graph::KernelOp kernel_op() const;
};

/// "256x256x256"
std::string extents_text(const Dimensions& dimensions);
/// "2x3x4"
std::string by(std::initializer_list<int64_t> extents);
Case matmul_case(int64_t m, int64_t n, int64_t k, int64_t batch = 1);

}  // namespace backplane::bench
