// SPDX-License-Identifier: Apache-2.0
// The file of a sweep in progress: results.jsonl, one line a row, written as soon as the row is finished, and read back
// by --resume.
#pragma once

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include "report/results.h"

namespace backplane::bench {

class Journal {
 public:
  /// Makes the folder. Without `resume` an earlier file is replaced. Throws cli::CommandError(file) when it cannot
  /// be written.
  Journal(const std::filesystem::path& folder, bool resume);

  /// Takes over what is there: ceilings and finished rows go into `run`, whose environment and devices are this
  /// process's. Throws Error when they are of another build or machine. Does nothing without an earlier file. `same`
  /// sweep: rows that were left out are finished, too, but for those of a lost device, which is opened anew.
  void resume(report::Run& run, bool same = false);
  /// The row was finished before.
  bool has(const report::Row& row) const { return done_.contains(report::identity(row)); }

  void header(const report::Run& run);
  void row(const report::Row& row);

 private:
  void write(const std::string& line);
  std::filesystem::path file_;
  std::ofstream out_;
  std::set<std::string> done_;
};

/// Is the answer, and would be again: rows that ran out of time or lost their device are tried again.
bool is_final(const report::Row& row);

}  // namespace backplane::bench
