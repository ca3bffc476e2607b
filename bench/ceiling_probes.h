// SPDX-License-Identifier: Apache-2.0
// The work that ceilings are measured with: problems that ask for nothing but bandwidth, arithmetic or a launch, each
// in several kernels, because none is the fastest everywhere. Nothing here is timed.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "case.h"
#include "kernels.h"
#include "report/results.h"

namespace backplane::bench {

struct Probe {
  report::CeilingKind kind = report::CeilingKind::copy;
  host::KernelOp op;
  double work = 0;  ///< flops or bytes; 0: the time itself
  int64_t working_set = 0;
  std::string variant = {};  ///< empty: the device's default
};

/// f32: sums, maxima and a matrix times a vector read, a constant is written, a copy, a scaling, an addition and a
/// softmax over rows do both. The same kernels in the same order for any number of bytes.
std::vector<Probe> bandwidth_probes(int64_t bytes);
/// Multiply-adds over registers, c = c x + x: 2, 4 and 8 chains that do not wait for one another.
std::vector<Probe> arithmetic_probes(int64_t elements, DType dtype);
/// Kernels with next to nothing to do.
std::vector<Probe> launch_probes();
Probe square_product(int64_t side, DType dtype);

/// Values cost time, and here only zeros would be wrong: one random block over and over.
Values some_values(const host::KernelOp& op);

}  // namespace backplane::bench
