// SPDX-License-Identifier: Apache-2.0
// Made-up results, and a folder that goes away again.
#pragma once

#include <stdlib.h>

#include <filesystem>
#include <optional>
#include <string>

#include "backplane/autotune/store.h"

namespace backplane::test {

struct Folder {
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "backplane-tune-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) abort();
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::filesystem::path file() const { return path / autotune::Store::kFileName; }
  std::filesystem::path path;
};

/// Number `i` of as many as are wanted; the same each time.
inline autotune::Record make_record(int i) {
  using namespace autotune;
  Record r;
  const int64_t n = 64 + i;
  r.key.problem = "matmul f32[2],f32[2]->f32[2]";
  r.key.shapes = std::to_string(n) + "x64,64x32->" + std::to_string(n) + "x32";
  r.key.policy = "strict";
  r.key.extents = parse_extents(r.key.shapes);
  r.device = {"virtual|none|made up|units=1|1.0", "build-1"};
  r.written = 1'800'000'000 + i;
  Candidate usual, fast, broken;
  usual.variant = "default", usual.is_default = true, usual.verdict = Verdict::raced;
  usual.times = {1000.0 + i, 990, 1100, 12};
  fast.variant = "fast@v=1", fast.verdict = Verdict::raced, fast.times = {500.0 + i, 490, 520, 12};
  fast.log_ratio = {-0.69, -0.7, -0.68}, fast.error = 1e-6, fast.allowed = 1e-5, fast.workspace = 4096;
  fast.numeric_notes = BP_NOTE_WINOGRAD, fast.determinism = BP_DETERMINISM_RUN, fast.build_ns = 1'000'000;
  broken.variant = "broken", broken.verdict = Verdict::wrong, broken.reason = "element 3 is \"NaN\", 1.5 was expected";
  fast.code_hash = 0xfedcba9876543210u;
  r.outcome.candidates = {usual, fast, broken};
  r.outcome.chosen = fast.variant;
  r.outcome.why = "2.00 x as fast as the default";
  r.outcome.decided = true;
  r.outcome.noise = {0.001, -0.002, 0.004};
  r.outcome.checked_by = "reference:0";
  r.outcome.rounds = 20, r.outcome.budget_ns = 500'000'000, r.outcome.spent_ns = 123'456'789,
  r.outcome.build_ns = 2'000'000;
  return r;
}

/// What this very build has stored.
inline std::optional<autotune::Record> stored(autotune::Store& store, const autotune::Key& key,
                                              const autotune::Fingerprint& device) {
  for (autotune::Record& record : store.history(key, device)) {
    if (record.device.build == device.build) return std::move(record);
  }
  return std::nullopt;
}

}  // namespace backplane::test
