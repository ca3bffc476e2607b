// SPDX-License-Identifier: Apache-2.0
// One thing that a sweep does at a time, with the rows that come of it.
#pragma once

#include <atomic>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "attempt.h"
#include "backplane/host/device.h"
#include "report/results.h"

namespace backplane::bench {

class Turns;
class TriedSettings;

/// The device cannot be used any more; nothing of it is tried again.
struct DeviceLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// Seconds that a job may take for each part.
struct Allowance {
  double tune_s = 0.5, measure_s = 3;
  double total_s = 60;  ///< tuning with what it builds and what it asks the oracle
  int cores = 1;                                   ///< that have to be quiet while something is timed
  const std::atomic<bool>* cancelled = nullptr;
  std::vector<autotune::Failure> deaths;  ///< of earlier processes at this job, nobody knows by which variant
  std::map<std::string, autotune::Failure> deadly;  ///< variants that took a process down
  double repeat = 1;  ///< Contestant::repeat of what is ours
  const TriedSettings* tried = nullptr;  ///< of peers
  Turns* turns = nullptr;  ///< with another process, while something is timed
};

class Job {
 public:
  explicit Job(host::DevicePtr device) : device_(std::move(device)) {}
  virtual ~Job() = default;
  /// Known before anything is measured: who they are, not how long they take.
  const std::vector<report::Row>& rows() const { return rows_; }
  std::vector<report::Row>& rows() { return rows_; }
  const host::DevicePtr& device() const { return device_; }
  /// What its rows have in common, apart from the device.
  std::string key() const { return rows_.front().name + " " + rows_.front().dtype; }
  /// Gives every row its status. Throws DeviceLost; what else goes wrong is a row's reason.
  virtual void run(const Allowance& allowance) = 0;

 protected:
  host::DevicePtr device_;
  std::vector<report::Row> rows_;
};

/// Whether `most` processes died at these rows, who knows by what: then they fail with the latest reason.
bool died_too_often(std::vector<report::Row>& rows, const Allowance& allowance, size_t most);

/// DeviceLost when `error` says so, for all rows that are not measured; otherwise they failed with its text.
void end_rows(std::vector<report::Row>& rows, const std::exception& error);

}  // namespace backplane::bench
