// SPDX-License-Identifier: Apache-2.0
#include "backplane/autotune/store.h"

#include <algorithm>
#include <mutex>

#include "backplane/host/environment.h"
#include "backplane/host/log.h"
#include "database.h"
#include "store_rows.h"
#include "trials.h"

namespace backplane::autotune {

struct Store::Connection {
  std::filesystem::path file;
  Access access;
  std::mutex mutex;
  Database database;
  std::string trouble;

  void complain(const std::string& what) {
    if (trouble.empty()) host::log(BP_LOG_WARNING, "autotune", "[store] " + file.string() + " " + what);
    trouble = file.string() + " " + what;
  }

  void open() {
    try {
      database.open(file, access == Access::read ? Database::Access::read : Database::Access::write);
    } catch (const DatabaseError& error) {
      if (!error.damaged()) return give_up(error);
      heal();
    } catch (const std::exception& error) {
      give_up(error);
    }
  }

  void give_up(const std::exception& error) {
    database.close();
    complain(std::string("cannot be used: ") + error.what() + "; nothing is remembered");
  }

  void heal() {
    try {
      if (const std::string what = database.heal(); !what.empty()) complain(what);
    } catch (const std::exception& error) {
      give_up(error);
    }
  }

  /// Runs `work` and gives its result, or `otherwise` when the file cannot be used. Once damage is healed, again.
  template <class T, class Work>
  T attempt(T otherwise, Work work) {
    const std::lock_guard lock(mutex);
    for (int attempt = 0; attempt < 2 && database.is_open(); ++attempt) {
      try {
        return work(database);
      } catch (const DatabaseError& error) {
        if (!error.damaged()) {
          complain(std::string("failed: ") + error.what());
          return otherwise;
        }
        heal();
      }
    }
    return otherwise;
  }
};

std::filesystem::path default_store_path() {
  const std::filesystem::path directory = host::cache_directory();
  return directory.empty() ? directory : directory / Store::kFileName;
}

Store::Store(std::filesystem::path file, Access access) : connection_(std::make_unique<Connection>()) {
  connection_->file = std::move(file);
  connection_->access = access;
  if (!connection_->file.empty()) connection_->open();
}

Store::~Store() = default;

const std::filesystem::path& Store::file() const { return connection_->file; }
bool Store::usable() const {
  const std::lock_guard lock(connection_->mutex);
  return connection_->database.is_open();
}
std::string Store::trouble() const {
  const std::lock_guard lock(connection_->mutex);
  return connection_->trouble;
}

bool Store::put(const Record& record) { return put(std::vector<Record>{record}); }

bool Store::put(const std::vector<Record>& records) {
  return connection_->attempt(false, [&](Database& db) {
    Transaction transaction(db);
    for (const Record& record : records) insert_result(db, record);
    transaction.commit();
    return true;
  });
}

std::vector<Record> Store::history(const Key& key, const Fingerprint& device) {
  return connection_->attempt(std::vector<Record>(), [&](Database& db) {
    Statement row(db,
                  "SELECT result.id, build, chosen, why, decided, op, written FROM result"
                  " JOIN device ON device.id = result.device WHERE fingerprint = ? AND problem = ? AND policy = ?"
                  " AND shapes = ? ORDER BY written DESC, result.id DESC",
                  device.device, key.problem, key.policy, key.shapes);
    std::vector<Record> list;
    while (row.step()) {
      const int64_t id = row.integer();
      Record r;
      r.key = key, r.device = {device.device, row.text()};
      r.outcome.chosen = row.text(), r.outcome.why = row.text(), r.outcome.decided = row.integer() != 0;
      r.op = row.text(), r.written = row.integer();
      r.outcome.candidates = read_candidates(db, id);
      list.push_back(std::move(r));
    }
    return list;
  });
}

std::vector<StoredChoice> Store::neighbours(const Key& key, const Fingerprint& device) {
  return connection_->attempt(std::vector<StoredChoice>(), [&](Database& db) {
    Statement row(
        db,
        "SELECT shapes, chosen, why FROM result WHERE device = ? AND problem = ? AND policy = ? AND shapes <> ?"
        " AND decided = 1 ORDER BY shapes",
        device_id(db, device, false), key.problem, key.policy, key.shapes);
    std::vector<StoredChoice> list;
    while (row.step()) {
      StoredChoice choice;
      choice.shapes = row.text(), choice.variant = row.text(), choice.why = row.text();
      choice.extents = parse_extents(choice.shapes);
      list.push_back(std::move(choice));
    }
    return list;
  });
}

std::vector<Record> Store::relatives(const Key& key, const Fingerprint& device,
                                     const std::function<bool(const std::string&)>& alike, size_t most) {
  return connection_->attempt(std::vector<Record>(), [&](Database& db) {
    Statement row(db,
                  "SELECT result.id, build, problem, shapes, chosen, op, written FROM result"
                  " JOIN device ON device.id = result.device WHERE fingerprint = ? AND policy = ?"
                  " AND substr(problem, 1, length(?)) = ? AND decided = 1 ORDER BY written DESC, shapes",
                  device.device, key.policy, key.operation(), key.operation());
    std::vector<Record> list;
    while (list.size() < most && row.step()) {
      const int64_t id = row.integer();
      Record r;
      r.device = {device.device, row.text()};
      r.key.problem = row.text(), r.key.shapes = row.text(), r.key.policy = key.policy;
      if (r.key.operation() != key.operation() || !alike(r.key.problem)) continue;
      r.key.extents = parse_extents(r.key.shapes);
      r.outcome.chosen = row.text(), r.outcome.decided = true, r.op = row.text(), r.written = row.integer();
      r.outcome.candidates = read_candidates(db, id);
      list.push_back(std::move(r));
    }
    std::ranges::reverse(list);
    return list;
  });
}

std::map<std::string, double> Store::times(const Key& key, const Fingerprint& device) {
  using Times = std::map<std::string, double>;
  return connection_->attempt(Times(), [&](Database& db) {
    Statement row(db,
                  "SELECT candidate.variant, median_ns FROM candidate JOIN result ON result.id = candidate.result"
                  " JOIN device ON device.id = result.device WHERE fingerprint = ? AND problem = ?"
                  " AND policy = ? AND shapes = ? AND samples > 0 ORDER BY written",
                  device.device, key.problem, key.policy, key.shapes);
    Times times;
    while (row.step()) {
      const std::string variant = row.text();
      times[variant] = row.real();  // the youngest stays
    }
    return times;
  });
}

bool Store::knows(const Fingerprint& device) {
  return connection_->attempt(false, [&](Database& db) {
    return Statement(db,
                     "SELECT 1 FROM result JOIN device ON device.id = result.device WHERE fingerprint = ? LIMIT 1",
                     device.device)
        .step();
  });
}

bool Store::Filter::matches(const Key& key, const Fingerprint& of) const {
  const auto fits = [](const std::string& wanted, std::string_view is) { return wanted.empty() || wanted == is; };
  return fits(device, of.device) && fits(operation, key.operation()) && fits(shapes, key.shapes) &&
         fits(policy, key.policy);
}

std::vector<Record> Store::records(const Filter& filter) {
  return connection_->attempt(std::vector<Record>(), [&](Database& db) {
    std::vector<Record> list;
    for (auto& [id, record] : read_results(db)) {
      if (!filter.matches(record)) continue;
      record.outcome.candidates = read_candidates(db, id);
      list.push_back(std::move(record));
    }
    return list;
  });
}

size_t Store::clear(const Filter& filter) {
  return connection_->attempt(size_t{0}, [&](Database& db) {
    Transaction transaction(db);
    size_t removed = 0;
    for (const auto& [id, record] : read_results(db)) {
      if (!filter.matches(record)) continue;
      Statement(db, "DELETE FROM result WHERE id = ?", id).run();
      ++removed;
    }
    clear_placements(db, filter);
    Statement(db, "DELETE FROM trial").run();
    transaction.commit();
    return removed;
  });
}

bool Store::put(const std::vector<Placement>& rows) {
  return connection_->attempt(false, [&](Database& db) {
    Transaction transaction(db);
    for (const Placement& row : rows) insert_placement(db, row);
    transaction.commit();
    return true;
  });
}

std::vector<Placement> Store::placements() {
  return connection_->attempt(std::vector<Placement>(), [](Database& db) { return read_placements(db); });
}

size_t Store::size() {
  return connection_->attempt(size_t{0}, [&](Database& db) {
    Statement count(db, "SELECT count(*) FROM result");
    count.step();
    return static_cast<size_t>(count.integer());
  });
}

void Store::begin_trial(const Key& key, const Fingerprint& device, const std::string& variant) {
  connection_->attempt(false, [&](Database& db) {
    Transaction transaction(db);
    autotune::begin_trial(db, device_id(db, device, true), key, variant);
    transaction.commit();
    return true;
  });
}

void Store::end_trial(const Key& key, const Fingerprint& device) {
  connection_->attempt(false, [&](Database& db) {
    autotune::end_trial(db, device_id(db, device, false), key);
    return true;
  });
}

std::map<std::string, Failure> Store::blocked(const Key& key, const Fingerprint& device) {
  return connection_->attempt(std::map<std::string, Failure>(), [&](Database& db) {
    return dangerous_variants(db, device_id(db, device, false), key);
  });
}

}  // namespace backplane::autotune
