// SPDX-License-Identifier: Apache-2.0
// What was measured, kept between processes: one SQLite file, one transaction per result, any number of writers.
//
//   survives      `kill -9` at any point (write-ahead log); at most the record being written is lost
//   heals         a damaged or foreign file is copied aside and emptied in place, with one line in the log; other
//                 processes that have it open go on with the emptied one
//   never throws  a store that cannot be used answers "nothing stored" and says why once, in the log and in trouble()
//
// It does not decide anything: look-up levels are tuner.h's, measurements race.h's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "backplane/autotune/key.h"
#include "backplane/autotune/outcome.h"
#include "backplane/autotune/placement.h"

namespace backplane::autotune {

struct Record {
  Key key;
  Fingerprint device;
  Outcome outcome;
  std::string op;       ///< op_to_json(), for measuring it again; empty for operations outside of the catalogue
  int64_t written = 0;  ///< seconds since 1970
};

/// Only what was chosen.
struct StoredChoice {
  std::string shapes, variant, why;
  std::vector<int64_t> extents;
};

class Store {
 public:
  enum class Access { read, write };  ///< read: a file that is not there is not made
  static constexpr const char* kFileName = "tuning.sqlite";

  explicit Store(std::filesystem::path file, Access access = Access::write);
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;

  const std::filesystem::path& file() const;
  bool usable() const;
  /// Why it is not usable, or what was set aside; empty when all is well.
  std::string trouble() const;

  // Every function is safe to call from any thread. ------------------------------------------------------------------
  /// Replaces what was stored for this key, device and build. False when it could not be written (see trouble()).
  bool put(const Record& record);
  /// All or none of them.
  bool put(const std::vector<Record>& records);
  /// What builds of the plugin found out about exactly this key on this device, the youngest first.
  std::vector<Record> history(const Key& key, const Fingerprint& device);
  /// All choices for other shapes of this problem and policy, on this device and build.
  std::vector<StoredChoice> neighbours(const Key& key, const Fingerprint& device);
  /// The youngest `most` decided records of problems that `alike` accepts, of the same operation, policy and device, by
  /// whatever build, oldest first.
  std::vector<Record> relatives(const Key& key, const Fingerprint& device,
                                const std::function<bool(const std::string& problem)>& alike, size_t most);
  /// Everything measured for this key on this device, by whatever build of the plugin: variant -> median in ns, the
  /// youngest. Of another build it is what may be expected, no more.
  std::map<std::string, double> times(const Key& key, const Fingerprint& device);
  /// Whether anything is stored for this device, by whatever build.
  bool knows(const Fingerprint& device);

  struct Filter {
    std::string device, operation, shapes, policy;  ///< empty = any
    bool matches(const Key& key, const Fingerprint& of) const;
    bool matches(const Record& record) const { return matches(record.key, record.device); }
  };
  /// Whole records, oldest first.
  std::vector<Record> records(const Filter& filter = {});
  /// Removes them, and races between plugins alike; gives the number of records.
  size_t clear(const Filter& filter = {});
  size_t size();

  // Races between plugins (placement.h). ------------------------------------------------------------------------------
  bool put(const std::vector<Placement>& rows);
  std::vector<Placement> placements();

  // What was at work when a process died. ----------------------------------------------------------------------------
  /// Notes that `variant` is about to run; end_trial() takes the note back.
  void begin_trial(const Key& key, const Fingerprint& device, const std::string& variant);
  void end_trial(const Key& key, const Fingerprint& device);
  /// Variants that are not to be tried again: processes died at their trial twice in a row, or they are known to crash,
  /// to hang or to lose the device.
  std::map<std::string, Failure> blocked(const Key& key, const Fingerprint& device);

 private:
  struct Connection;
  std::unique_ptr<Connection> connection_;
};

/// $BACKPLANE_CACHE_DIR/tuning.sqlite and so on; empty when there is no place for a cache.
std::filesystem::path default_store_path();

// JSON, for export and import: {"schema": 1, "records": [...]}. ----------------------------------------------------
std::string to_json(const std::vector<Record>& records);
std::string to_json(const Record& record);  ///< one of them, on one line
/// Throws host::Error naming what is wrong and where.
std::vector<Record> from_json(const std::string& text);

}  // namespace backplane::autotune
