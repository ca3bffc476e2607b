// SPDX-License-Identifier: Apache-2.0
// What a probe found out, and its JSON form (between the child and the host, and in the cache).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/plugin.h"

namespace backplane::host {

/// Raised when the loader's checks or this form change: cached results of other versions are not believed.
inline constexpr std::uint32_t kProbeVersion = 1;

/// Exit code of the probe when it could not write its result.
inline constexpr int kProbeUndelivered = 97;

struct ProbeResult {
  std::string code;  ///< empty: usable
  std::string reason;
  std::string version, build_id, description;
  std::vector<bp_device_info> devices;
};

std::string to_json(const ProbeResult& result);
/// Checks everything again (the child ran foreign code): nothing when a member is missing, of another type, too long,
/// not clean, or a device is impossible.
std::optional<ProbeResult> probe_result_from_json(std::string_view text);

}  // namespace backplane::host
