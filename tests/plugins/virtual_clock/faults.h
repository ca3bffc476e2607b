// SPDX-License-Identifier: Apache-2.0
// Everything that can be wrong with a variant, one row each, with the verdict that a tuner owes it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "backplane/plugin.h"

namespace backplane::test {

/// One launch of c = a b with dense f32 operands, as a faulty variant sees it.
struct Launch {
  float *a, *b, *c;
  int64_t m, n, k;
  float* workspace;
  uint64_t workspace_bytes;
  uint64_t number;   ///< of launches of this kernel before this one
  float* scratch;    ///< m x n values that the kernel keeps between launches
  uint64_t* leaked;  ///< bytes that the device will show as used
  bool* hung;        ///< set: this launch never ends

  void multiply() const;  ///< what a good variant does
};

struct FaultyVariant {
  const char* name;
  std::string_view verdict;    ///< by name, see autotune/outcome.h
  void (*run)(const Launch&);  ///< throws sdk::Failure for what a queue reports
  uint32_t flags = 0;          ///< BP_VARIANT_*
  uint32_t notes = 0;          ///< BP_NOTE_*
  uint32_t determinism = BP_DETERMINISM_RUN;
  uint64_t listed_workspace = 0, workspace = 0;
  double build_ns = 1e6;
  bool builds = true;
  bool ends_device = false;           ///< nothing can be run on the device afterwards
  const char* prepared_as = nullptr;  ///< name that prepare gives it; null: its own
  bool crashes_when_built = false;
};
std::span<const FaultyVariant> faulty_variants();
/// Those that end the process although they are not declared as risky.
std::span<const FaultyVariant> deadly_variants();

}  // namespace backplane::test
