// SPDX-License-Identifier: Apache-2.0
// Races between plugins as rows. Their table came later than the others: it is made when the first row is written, so
// that files without it stay good, and programs that do not know it do not look at it.
#include "store_rows.h"

namespace backplane::autotune {
namespace {

constexpr const char* kTable = R"(
CREATE TABLE IF NOT EXISTS placement(
  device INTEGER NOT NULL REFERENCES device(id), problem TEXT NOT NULL, policy TEXT NOT NULL, shapes TEXT NOT NULL,
  machine TEXT NOT NULL, variant TEXT NOT NULL, run_ns REAL, move_ns REAL, ratio REAL, ratio_low REAL, ratio_high REAL,
  calls INTEGER, written INTEGER NOT NULL, PRIMARY KEY(device, problem, policy, shapes)) WITHOUT ROWID)";

bool has_table(const Database& db) {
  return Statement(db, "SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = 'placement'").step();
}

}  // namespace

void insert_placement(Database& db, const Placement& r) {
  db.run(kTable);
  Statement(db, "INSERT OR REPLACE INTO placement VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            device_id(db, r.device, true), r.key.problem, r.key.policy, r.key.shapes, r.machine, r.variant, r.run_ns,
            r.move_ns, r.log_ratio.mean, r.log_ratio.low, r.log_ratio.high, r.calls, r.written)
      .run();
}

std::vector<Placement> read_placements(const Database& db) {
  std::vector<Placement> list;
  if (!has_table(db)) return list;
  Statement rows(db,
                 "SELECT fingerprint, build, problem, policy, shapes, machine, variant, run_ns, move_ns, ratio,"
                 " ratio_low, ratio_high, calls, written FROM placement JOIN device ON device.id = placement.device"
                 " ORDER BY machine, problem, policy, shapes, run_ns, fingerprint, build");
  while (rows.step()) {
    Placement& r = list.emplace_back();
    r.device.device = rows.text(), r.device.build = rows.text();
    r.key.problem = rows.text(), r.key.policy = rows.text(), r.key.shapes = rows.text();
    r.key.extents = parse_extents(r.key.shapes);
    r.machine = rows.text(), r.variant = rows.text(), r.run_ns = rows.real(), r.move_ns = rows.real();
    r.log_ratio.mean = rows.real(), r.log_ratio.low = rows.real(), r.log_ratio.high = rows.real();
    r.calls = static_cast<uint64_t>(rows.integer()), r.written = rows.integer();
  }
  return list;
}

void clear_placements(const Database& db, const Store::Filter& filter) {
  for (const Placement& each : read_placements(db)) {
    if (!filter.matches(each.key, each.device)) continue;
    Statement(db, "DELETE FROM placement WHERE device = ? AND problem = ? AND policy = ? AND shapes = ?",
              device_id(db, each.device, false), each.key.problem, each.key.policy, each.key.shapes)
        .run();
  }
}

}  // namespace backplane::autotune
