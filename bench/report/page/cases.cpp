// SPDX-License-Identifier: Apache-2.0
#include "report/page/cases.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace backplane::bench::report::page {

namespace {

/// A time of zero is a clock that is too coarse, and no logarithm.
bool has_time(const Row* row) { return row && row->status == Status::measured && row->median_ns.value_or(0) > 0; }

size_t device_index(Run& run, const Row& row) {
  const auto found =
      std::find_if(run.devices.begin(), run.devices.end(), [&](const Device& d) { return d.id == row.device; });
  const auto index = static_cast<size_t>(found - run.devices.begin());
  if (found == run.devices.end()) {
    Device& added = run.devices.emplace_back();
    added.id = row.device, added.plugin = row.plugin;
  }
  return index;
}

void place(OnDevice& on, const Row& row) {
  switch (row.choice) {
    case Choice::default_:
      on.default_row = &row;
      break;
    case Choice::tuned:
      on.tuned = &row;
      break;
    case Choice::variant:
      on.variants.push_back(&row);
      break;
    case Choice::peer:
      on.peers.push_back(&row);
      break;
  }
}

}  // namespace

const Row* OnDevice::got() const { return has_time(tuned) ? tuned : has_time(default_row) ? default_row : nullptr; }

const Row* OnDevice::fastest() const {
  const Row* best = got();
  for (const Row* row : {default_row, tuned})
    if (has_time(row) && *row->median_ns < *best->median_ns) best = row;
  for (const Row* row : variants)
    if (has_time(row) && (!best || *row->median_ns < *best->median_ns)) best = row;
  return best;
}

const Row* OnDevice::any() const {
  const Row* found = nullptr;
  for (const Row* row : {default_row, tuned, variants.empty() ? nullptr : variants.front()})
    if (row && (!found || (has_time(found) && !has_time(row)))) found = row;
  return found;
}

std::optional<Ratio> OnDevice::gain() const {
  if (!has_time(tuned)) return std::nullopt;
  if (const auto& r = tuned->to_default; r && r->value > 0 && r->interval.low > 0 && r->interval.high > 0)
    return Ratio{1 / r->value, {1 / r->interval.high, 1 / r->interval.low}};
  if (!has_time(default_row)) return std::nullopt;
  const double value = *default_row->median_ns / *tuned->median_ns;
  return Ratio{value, {value, value}};
}

std::string CaseRows::label() const { return dtype.empty() ? name : name + " " + dtype; }

std::string CaseRows::label_within_op() const {
  const std::string text = label(), prefix = op + "/";
  return text.starts_with(prefix) && text.size() > prefix.size() ? text.substr(prefix.size()) : text;
}

std::vector<CaseRows> cases_of(Run& run) {
  for (const Row& row : run.rows) device_index(run, row);  // adds what is missing
  std::vector<CaseRows> cases;
  std::map<std::pair<std::string, std::string>, size_t> known;
  for (const Row& row : run.rows) {
    const auto [at, is_new] = known.emplace(std::pair(row.name, row.dtype), cases.size());
    if (is_new) cases.push_back({row.name, row.op, row.dtype, &row, std::vector<OnDevice>(run.devices.size())});
    CaseRows& c = cases[at->second];
    if (!c.first->median_ns && row.median_ns) c.first = &row;
    place(c.on[device_index(run, row)], row);
  }
  return cases;
}

std::vector<std::string> ops_of(const std::vector<CaseRows>& cases) {
  std::vector<std::string> ops;
  for (const CaseRows& c : cases)
    if (std::find(ops.begin(), ops.end(), c.op) == ops.end()) ops.push_back(c.op);
  return ops;
}

double geometric_mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += std::log(value);
  return std::exp(sum / static_cast<double>(values.size()));
}

}  // namespace backplane::bench::report::page
