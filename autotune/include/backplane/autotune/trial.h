// SPDX-License-Identifier: Apache-2.0
// Try a variant in a child process first: what crashes, hangs or ends its process there is recorded, and this process
// goes on.
//
// The child, backplane-trial, opens the same device, prepares the variant, lets it pass the gate, and launches it some
// more. It repeats operations of the catalogue; one of a plugin's own cannot be described to it.
#pragma once

#include <cstdint>
#include <filesystem>

#include "backplane/autotune/race.h"

namespace backplane::autotune {

struct TrialOptions {
  std::filesystem::path executable;    ///< empty: backplane-trial of this installation
  uint64_t build_ns = 10'000'000'000;  ///< to prepare; longer is `slow_build`
  uint64_t hang_ns = 10'000'000'000;   ///< for one launch; longer is `hung`
  uint64_t seed = 1;                   ///< of the inputs
};

/// For Request::try_risky. `oracle` may be null: the variant then has to agree with the default.
TryRisky trial_in_child(host::DevicePtr device, host::DevicePtr oracle, TrialOptions options = {});

}  // namespace backplane::autotune
