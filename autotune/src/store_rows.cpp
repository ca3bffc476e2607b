// SPDX-License-Identifier: Apache-2.0
#include "store_rows.h"

#include <iterator>

namespace backplane::autotune {
namespace {

void insert_candidate(const Database& db, int64_t result, int64_t position, const Candidate& c) {
  Statement(db, "INSERT INTO candidate VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", result,
            position, c.variant, c.is_default, std::string_view(name_of(c.verdict)), c.reason, c.times.median_ns,
            c.times.p10_ns, c.times.p90_ns, c.times.samples, c.log_ratio.mean, c.log_ratio.low, c.log_ratio.high,
            c.error, c.allowed, c.workspace, c.numeric_notes, c.determinism, c.build_ns, c.code_hash)
      .run();
}

}  // namespace

int64_t device_id(const Database& db, const Fingerprint& device, bool make) {
  if (make) {
    Statement(db, "INSERT OR IGNORE INTO device(fingerprint, build) VALUES(?, ?)", device.device, device.build).run();
  }
  Statement find(db, "SELECT id FROM device WHERE fingerprint = ? AND build = ?", device.device, device.build);
  return find.step() ? find.integer() : -1;
}

void insert_result(const Database& db, const Record& r) {
  const Outcome& o = r.outcome;
  const int64_t device = device_id(db, r.device, true);
  Statement(db, "DELETE FROM result WHERE device = ? AND problem = ? AND policy = ? AND shapes = ?", device,
            r.key.problem, r.key.policy, r.key.shapes)
      .run();
  Statement(db,
            "INSERT INTO result(device, problem, policy, shapes, chosen, why, decided, noise, noise_low, noise_high,"
            " checked_by, rounds, budget_ns, spent_ns, build_ns, op, written)"
            " VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            device, r.key.problem, r.key.policy, r.key.shapes, o.chosen, o.why, o.decided, o.noise.mean, o.noise.low,
            o.noise.high, o.checked_by, o.rounds, o.budget_ns, o.spent_ns, o.build_ns, r.op, r.written)
      .run();
  const int64_t result = sqlite3_last_insert_rowid(db.handle());
  for (size_t i = 0; i < o.candidates.size(); ++i)
    insert_candidate(db, result, static_cast<int64_t>(i), o.candidates[i]);
}

std::vector<Candidate> read_candidates(const Database& db, int64_t result) {
  Statement rows(db,
                 "SELECT variant, is_default, verdict, reason, median_ns, p10_ns, p90_ns, samples, ratio, ratio_low,"
                 " ratio_high, error, allowed, workspace, numeric_notes, determinism, build_ns, code_hash"
                 " FROM candidate WHERE result = ? ORDER BY position",
                 result);
  std::vector<Candidate> list;
  while (rows.step()) {
    Candidate c;
    c.variant = rows.text(), c.is_default = rows.integer() != 0, c.verdict = verdict_of(rows.text()),
    c.reason = rows.text();
    c.times.median_ns = rows.real(), c.times.p10_ns = rows.real(), c.times.p90_ns = rows.real();
    c.times.samples = static_cast<uint32_t>(rows.integer());
    c.log_ratio.mean = rows.real(), c.log_ratio.low = rows.real(), c.log_ratio.high = rows.real();
    c.error = rows.real(), c.allowed = rows.real();
    c.workspace = static_cast<uint64_t>(rows.integer());
    c.numeric_notes = static_cast<uint32_t>(rows.integer()), c.determinism = static_cast<uint32_t>(rows.integer());
    c.build_ns = static_cast<uint64_t>(rows.integer()), c.code_hash = static_cast<uint64_t>(rows.integer());
    list.push_back(std::move(c));
  }
  return list;
}

std::vector<std::pair<int64_t, Record>> read_results(const Database& db) {
  Statement rows(
      db,
      "SELECT result.id, fingerprint, build, problem, policy, shapes, chosen, why, decided, noise, noise_low,"
      " noise_high, checked_by, rounds, budget_ns, spent_ns, build_ns, op, written"
      " FROM result JOIN device ON device.id = result.device ORDER BY written, result.id");
  std::vector<std::pair<int64_t, Record>> list;
  while (rows.step()) {
    const int64_t id = rows.integer();
    Record r;
    r.device.device = rows.text(), r.device.build = rows.text();
    r.key.problem = rows.text(), r.key.policy = rows.text(), r.key.shapes = rows.text();
    r.key.extents = parse_extents(r.key.shapes);
    Outcome& o = r.outcome;
    o.chosen = rows.text(), o.why = rows.text(), o.decided = rows.integer() != 0;
    o.noise.mean = rows.real(), o.noise.low = rows.real(), o.noise.high = rows.real();
    o.checked_by = rows.text(), o.rounds = static_cast<uint32_t>(rows.integer());
    o.budget_ns = static_cast<uint64_t>(rows.integer()), o.spent_ns = static_cast<uint64_t>(rows.integer());
    o.build_ns = static_cast<uint64_t>(rows.integer());
    r.op = rows.text(), r.written = rows.integer();
    list.emplace_back(id, std::move(r));
  }
  return list;
}

}  // namespace backplane::autotune
