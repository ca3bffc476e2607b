// SPDX-License-Identifier: Apache-2.0
#include "trials.h"

#include "process_id.h"

namespace backplane::autotune {
namespace {

constexpr int kDeathsUntilBlocked = 2;
const std::string kBefore = "in an earlier tuning: ";

}  // namespace

void end_trial(const Database& db, int64_t device, const Key& key) {
  // With the notes of those who died at the same variant. A note of somebody who is at it right now goes, too, and is
  // missed only if that one dies.
  Statement(db,
            "DELETE FROM trial WHERE device = ?1 AND problem = ?2 AND policy = ?3 AND shapes = ?4 AND variant IN"
            " (SELECT variant FROM trial WHERE device = ?1 AND problem = ?2 AND policy = ?3 AND shapes = ?4 AND pid = ?5)",
            device, key.problem, key.policy, key.shapes, this_process())
      .run();
}

void begin_trial(const Database& db, int64_t device, const Key& key, const std::string& variant) {
  end_trial(db, device, key);
  Statement(db, "INSERT OR IGNORE INTO trial VALUES(?, ?, ?, ?, ?, ?)", device, key.problem, key.policy, key.shapes,
            variant, this_process())
      .run();
}

Failure seen_before(Verdict verdict, const std::string& reason) {
  return {verdict, reason.starts_with(kBefore) ? reason : kBefore + reason};
}

std::map<std::string, Failure> dangerous_variants(const Database& db, int64_t device, const Key& key) {
  std::map<std::string, Failure> dangerous;
  Statement known(db,
                  "SELECT variant, verdict, reason FROM candidate JOIN result ON result.id = candidate.result"
                  " WHERE device = ? AND problem = ? AND policy = ? AND shapes = ?"
                  " AND verdict IN ('crashed', 'hung', 'device_lost')",
                  device, key.problem, key.policy, key.shapes);
  while (known.step()) {
    const std::string variant = known.text(), verdict = known.text(), reason = known.text();
    dangerous[variant] = seen_before(verdict_of(verdict), reason);
  }
  Statement note(db, "SELECT variant, pid FROM trial WHERE device = ? AND problem = ? AND policy = ? AND shapes = ?",
                 device, key.problem, key.policy, key.shapes);
  std::map<std::string, int> deaths;
  while (note.step()) {
    const std::string variant = note.text();
    deaths[variant] += !is_alive(note.integer());
  }
  for (const auto& [variant, count] : deaths) {
    if (count < kDeathsUntilBlocked) continue;
    dangerous[variant] = seen_before(
        Verdict::crashed, "the process ended " + std::to_string(count) + " times while this was tried");
  }
  return dangerous;
}

}  // namespace backplane::autotune
