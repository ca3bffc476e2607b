// SPDX-License-Identifier: Apache-2.0
// What a report says in tables, whatever its form: the machine, its devices, their ceilings, the rows.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "report/results.h"
#include "report/table.h"

namespace backplane::bench::report {

using Rows = std::vector<const Row*>;

using Facts = std::vector<std::pair<std::string, std::string>>;  ///< label and text
/// When, what, on which machine, how noisy; of a run of several parts what is true of all.
Facts facts(const Run& run);
/// A line for each part, with the facts in which they differ; no lines for what one sweep measured.
Table parts_table(const Run& run);
/// "12 measured, 2 refused, 1 wrong"; statuses that did not occur are left out.
std::string status_counts(const Rows& rows);
/// Empty unless the run's data are made up; then the sentence that says so.
std::string made_up_notice(const Run& run);

Table devices_table(const Run& run);
Table ceilings_table(const Run& run);
/// Times, rates, shares, errors; the reason where there is no time.
Table rows_table(const Rows& rows);

Rows rows_of(const Run& run);
/// Rows by the value of `key`, groups in the order in which they first occur.
template <class Key>
auto grouped(const Rows& rows, Key key) {
  std::vector<std::pair<std::decay_t<decltype(key(*rows.front()))>, Rows>> groups;
  for (const Row* row : rows) {
    const auto name = key(*row);
    auto at = groups.begin();
    while (at != groups.end() && at->first != name) ++at;
    if (at == groups.end()) at = groups.insert(at, {name, {}});
    at->second.push_back(row);
  }
  return groups;
}

}  // namespace backplane::bench::report
