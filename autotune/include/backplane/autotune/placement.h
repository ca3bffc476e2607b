// SPDX-License-Identifier: Apache-2.0
// One physical device is often reachable through several plugins: a GPU by CUDA, Vulkan and OpenCL, a processor by cpu,
// OpenCL and Vulkan drivers. Which of them is fastest is measured here (arbitrate), kept by the store, and answered
// when a program asks for `auto` (preferred_device).
//
// It decides on whole devices. Splitting one program over plugins of one device would copy between their memories at
// every border.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "backplane/autotune/key.h"
#include "backplane/autotune/outcome.h"
#include "backplane/host/device.h"
#include "backplane/host/registry.h"

namespace backplane::autotune {

class Tuning;

/// "pci 0000:65:00.0"; "host processor" for processors and for software that runs on them; empty where nobody knows
/// whether two plugins mean the same.
std::string machine_of(const bp_device_info& info);
/// The first device of each plugin, oracles aside, that is the same machine as `device`; `device` itself comes first.
std::vector<host::DeviceEntry> same_machine(const std::vector<host::DeviceEntry>& devices, const std::string& device);

/// How one plugin did one problem in a race against the others. Rows of one problem belong together.
struct Placement {
  Key key;
  std::string machine;
  Fingerprint device;
  std::string variant;
  double run_ns = 0;   ///< median of one launch among many, by the host's clock; 0: not done natively
  double move_ns = 0;  ///< median of copying the inputs there and the outputs back
  Interval log_ratio;  ///< ln(run time / run time of the first), paired within rounds
  uint64_t calls = 0;  ///< in the recorded program; 1 where there is none
  int64_t written = 0;
};

struct Entrant {
  host::DevicePtr device;
  std::string variant;  ///< empty: the device's default
};
struct ArbitrationOptions {
  uint64_t budget_ns = 500'000'000;  ///< of the race; at least five rounds are run
  uint64_t seed = 1;
  host::DevicePtr oracle;  ///< makes inputs that suit the operation; may be null
  const std::atomic<bool>* cancelled = nullptr;
};
/// One row for each entrant, in their order. Throws host::Error when a launch fails.
std::vector<Placement> arbitrate(const std::vector<Entrant>& entrants, const bp_op& op,
                                 const ArbitrationOptions& options);

struct Preference {
  std::string device;  ///< "opencl:0"
  std::string why;     ///< one sentence
  bool changes = false;  ///< it is not the one that would be taken without measurements
};
struct Member {
  std::string name;
  Fingerprint device;
};
/// Which of `members`, the first of which is taken by default, does all problems of `rows` in least time. Another than
/// the first only when it is more than 5 % faster both with and without the copies. Nothing without measurements of at
/// least two of them with their present builds.
std::optional<Preference> prefer(const std::vector<Member>& members, const std::vector<Placement>& rows);

/// For BACKPLANE_DEVICE=auto: what was measured about the best device and its like. Nothing in mode `off`.
std::optional<Preference> preferred_device(host::Registry& registry, Tuning& tuning);

}  // namespace backplane::autotune
