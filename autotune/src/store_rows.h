// SPDX-License-Identifier: Apache-2.0
// Records as rows of the tables in database.cpp.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "backplane/autotune/placement.h"
#include "backplane/autotune/store.h"
#include "database.h"

namespace backplane::autotune {

/// -1 when it is not there and not to be made.
int64_t device_id(const Database& db, const Fingerprint& device, bool make);
/// Replaces what was there for the same key, device and build. Inside of a transaction of the caller.
void insert_result(const Database& db, const Record& record);
/// Oldest first, each with the id of its row, without candidates.
std::vector<std::pair<int64_t, Record>> read_results(const Database& db);
std::vector<Candidate> read_candidates(const Database& db, int64_t result);

// placement_rows.cpp:
/// Replaces what was there for the same problem and device. Inside of a transaction of the caller.
void insert_placement(Database& db, const Placement& row);
/// Problem by problem.
std::vector<Placement> read_placements(const Database& db);
void clear_placements(const Database& db, const Store::Filter& filter);

}  // namespace backplane::autotune
