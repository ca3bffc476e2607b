// SPDX-License-Identifier: Apache-2.0
// A database of 10,000 decisions of 8 candidates each, for what looking things up in it costs.
#pragma once

#include <string>

#include "backplane/host/device.h"
#include "measure.h"

namespace backplane::bench {

/// `what`: "open" the database and ask once, ask what is "stored" for the first time, or what is "remembered". Throws
/// Error for anything else, and when an answer is not what was stored.
Call tuning_lookup(const host::DevicePtr& device, const std::string& what);

}  // namespace backplane::bench
