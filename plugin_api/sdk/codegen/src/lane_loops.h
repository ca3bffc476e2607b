// SPDX-License-Identifier: Apache-2.0
// How kernels go over rows in lanes: see kernels/lane_loops.kernel.
#pragma once

#include <cstdint>

#include "source.h"

namespace backplane::codegen {

/// Defines ALONG; the kernel's text defines STEP.
inline void declare_lane_loops(Source& source, bool along, uint32_t width) {
  const DeviceFacts& facts = source.facts();
  source.define("ALONG", along);
  // llvmpipe waits for loads and not for sums, as do lanes that gather; more text would only take longer to compile.
  source.define("AHEAD", facts.cpu_like && facts.dialect == Dialect::opencl_c && along && width > 1 ? 4 : 1);
  source.include("lane_loops");
}

}  // namespace backplane::codegen
