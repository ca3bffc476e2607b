// SPDX-License-Identifier: Apache-2.0
// What was at work when a process died, as rows of a table: a note before each first launch, taken back when the process
// is still there afterwards.
//
// A note that is left says that its process died then, by the variant or by anything else: a kill -9, a power cut. So
// two deaths in a row at the same place of the same problem are taken for the variant's fault, and one is not; a variant
// that was survived starts anew.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "backplane/autotune/key.h"
#include "backplane/autotune/outcome.h"
#include "database.h"

namespace backplane::autotune {

/// What this process was at before is survived. Inside of a transaction of the caller.
void begin_trial(const Database& db, int64_t device, const Key& key, const std::string& variant);
void end_trial(const Database& db, int64_t device, const Key& key);
/// That `reason` is not of this tuning is said once.
Failure seen_before(Verdict verdict, const std::string& reason);
/// Variants at which processes died twice in a row, and those that a tuning with this build found to crash, to hang or
/// to lose the device.
std::map<std::string, Failure> dangerous_variants(const Database& db, int64_t device, const Key& key);

}  // namespace backplane::autotune
