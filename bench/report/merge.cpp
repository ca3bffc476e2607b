// SPDX-License-Identifier: Apache-2.0
#include "report/merge.h"

#include <cmath>

#include "report/statistics.h"

namespace backplane::bench::report {

namespace {

bool is_better(const Row& row, const Row& than) {
  const auto rank = [](const Row& r) { return r.status != Status::measured ? 0 : r.quiet ? 2 : 1; };
  return rank(row) > rank(than);
}

void add_repetition(Row& into, const Row& row, bool is_second) {
  if (is_second) into.stretches = {static_cast<int64_t>(into.samples_ns.size())};
  into.samples_ns.insert(into.samples_ns.end(), row.samples_ns.begin(), row.samples_ns.end());
  into.stretches.push_back(static_cast<int64_t>(row.samples_ns.size()));
  into.samples += row.samples;
  if (!into.samples_ns.empty()) into.median_ns = median(into.samples_ns);
}

}  // namespace

void merge_repetitions(Run& run) {
  struct Merged {
    size_t at, count;
  };
  std::map<std::string, Merged> merged;
  std::vector<Row> rows;
  for (Row& row : run.rows) {
    const auto [found, is_new] = merged.emplace(identity(row), Merged{rows.size(), 1});
    if (is_new) {
      rows.push_back(std::move(row));
      continue;
    }
    Merged& known = found->second;
    Row& into = rows[known.at];
    if (is_better(row, into)) {
      into = std::move(row), known.count = 1;
    } else if (!is_better(into, row) && into.status == Status::measured) {
      add_repetition(into, row, known.count++ == 1);
    }
  }
  run.rows = std::move(rows);
}

Run joined(std::vector<Run> runs) {
  Run all = std::move(runs.front());
  double squares = all.environment.noise_floor.value_or(0) * all.environment.noise_floor.value_or(0);
  for (size_t i = 1; i < runs.size(); ++i) {
    squares += runs[i].environment.noise_floor.value_or(0) * runs[i].environment.noise_floor.value_or(0);
    for (Row& row : runs[i].rows) all.rows.push_back(std::move(row));
  }
  if (runs.size() > 1) all.environment.noise_floor = std::sqrt(squares) / static_cast<double>(runs.size());
  merge_repetitions(all);
  return all;
}

}  // namespace backplane::bench::report
