// SPDX-License-Identifier: Apache-2.0
#include "report/contents.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "report/words.h"

namespace backplane::bench::report {

namespace {

std::string joined(std::string text, const std::string& more) {
  return text.empty() || more.empty() ? text + more : text + ", " + more;
}

std::string load_text(std::optional<double> load) { return load ? digits(*load) : std::string(kAbsent); }

std::string ceiling_text(const Ceiling& c) {
  const std::string value = c.kind == CeilingKind::launch                                 ? time_text(c.value)
                            : c.kind == CeilingKind::fma || c.kind == CeilingKind::matrix ? flop_rate_text(c.value)
                                                                                          : byte_rate_text(c.value);
  if (!c.interval || c.value <= 0) return value;
  return value + " ± " + percent_text((c.interval->high - c.interval->low) / 2 / c.value);
}

std::string percentiles_text(const Row& row) {
  return row.p10_ns && row.p90_ns ? time_text(row.p10_ns) + " – " + time_text(row.p90_ns) : std::string(kAbsent);
}

std::string note(const Row& row) {
  std::string text;
  if (row.status != Status::measured) text = joined(std::string(name_of(row.status)), row.reason);
  if (row.status == Status::measured && !row.quiet) text = "busy machine";
  return text_or_absent(text);
}

Facts facts_of(const std::string& started, const std::string& command, const Environment& e) {
  std::string versions;
  for (const auto& [name, version] : e.versions) versions = joined(versions, name + " " + version);
  return {{"started", text_or_absent(started)},
          {"command", text_or_absent(command)},
          {"processor", fmt::format("{}, {} cores, {} threads used", text_or_absent(e.cpu_model), e.cores, e.threads)},
          {"instruction sets", text_or_absent(e.cpu_flags)},
          {"governor", text_or_absent(e.governor)},
          {"system", text_or_absent(e.system)},
          {"load, start and end", load_text(e.load_start) + " and " + load_text(e.load_end)},
          {"build", text_or_absent(joined(joined(e.build, e.compiler), e.commit))},
          {"versions", text_or_absent(versions)},
          {"noise floor", percent_text(e.noise_floor)}};
}

Facts facts_of(const Part& part) { return facts_of(part.started, part.command_line, part.environment); }

/// Whether all parts say the same of fact `i`.
bool is_common(const Run& run, size_t i) {
  const Facts first = facts_of(run.parts[0]);
  return std::ranges::all_of(run.parts, [&](const Part& part) { return facts_of(part)[i] == first[i]; });
}

}  // namespace

Facts facts(const Run& run) {
  Facts all = facts_of(run.started, run.command_line, run.environment), common;
  for (size_t i = 0; i < all.size(); ++i) {
    if (run.parts.empty() || is_common(run, i)) common.push_back(all[i]);
  }
  if (run.parts.empty() && run.environment.noise_floor)
    common.back().second += " between stretches of time; smaller differences mean nothing";
  common.emplace_back("rows", status_counts(rows_of(run)));
  return common;
}

Table parts_table(const Run& run) {
  Table table;
  for (const Part& part : run.parts) {
    const Facts facts = facts_of(part);
    std::vector<std::string>& cells = table.rows.emplace_back();
    for (size_t i = 0; i < facts.size(); ++i) {
      if (is_common(run, i)) continue;
      if (table.rows.size() == 1) table.columns.push_back({facts[i].first});
      cells.push_back(facts[i].second);
    }
  }
  return table;
}

std::string status_counts(const Rows& rows) {
  std::string text;
  for (size_t i = 0; i < kNames<Status>.size(); ++i) {
    size_t count = 0;
    for (const Row* row : rows) count += static_cast<size_t>(row->status) == i;
    if (count > 0) text = joined(text, fmt::format("{} {}", count, kNames<Status>[i]));
  }
  return text_or_absent(text);
}

std::string made_up_notice(const Run& run) {
  return run.made_up ? "These figures are made up: they test the report and were measured nowhere." : "";
}

Table devices_table(const Run& run) {
  Table table{{{"device"}, {"plugin"}, {"name"}, {"kind"}, {"architecture"}, {"driver"}, {"lost"}}, {}};
  for (const Device& d : run.devices) {
    table.rows.push_back({d.id, joined(d.plugin, d.plugin_build), text_or_absent(d.name), text_or_absent(d.kind),
                          text_or_absent(d.architecture), text_or_absent(d.driver), text_or_absent(d.lost)});
  }
  return without_empty_columns(std::move(table));
}

Table ceilings_table(const Run& run) {
  std::set<int64_t> working_sets;
  for (const Ceiling& c : run.ceilings) working_sets.insert(c.working_set_bytes);
  Table table{{{"device"}, {"ceiling"}, {"dtype"}}, {}};
  for (const int64_t bytes : working_sets)
    table.columns.push_back({bytes == 0 ? "value" : "of " + bytes_text(bytes), true});
  for (const Ceiling& c : run.ceilings) {
    const std::vector<std::string> name = {c.device, std::string(name_of(c.kind)), text_or_absent(c.dtype)};
    auto row = std::find_if(table.rows.begin(), table.rows.end(),
                            [&](const auto& r) { return std::equal(name.begin(), name.end(), r.begin()); });
    if (row == table.rows.end()) {
      row = table.rows.insert(row, name);
      row->resize(table.columns.size(), std::string(kAbsent));
    }
    const auto column = std::distance(working_sets.begin(), working_sets.find(c.working_set_bytes));
    row->at(name.size() + static_cast<size_t>(column)) = ceiling_text(c);
  }
  return without_empty_columns(std::move(table));
}

Table rows_table(const Rows& rows) {
  Table table{{{"case"},
               {"dtype"},
               {"device"},
               {"kernel"},
               {"median", true},
               {"interval", true},
               {"p10 – p90", true},
               {"n", true},
               {"GFLOP/s", true},
               {"GB/s", true},
               {"of roofline", true},
               {"bound by"},
               {"/ default", true},
               {"error", true},
               {"allowed", true},
               {"compile", true},
               {"note"}},
              {}};
  const auto rate = [](std::optional<double> value) { return value ? digits(*value) : std::string(kAbsent); };
  for (const Row* row : rows) {
    table.rows.push_back({row->name, row->dtype, row->device, choice_text(*row), time_text(row->median_ns),
                          spread_text(*row), percentiles_text(*row),
                          row->samples > 0 ? std::to_string(row->samples) : std::string(kAbsent),
                          rate(gflop_per_s(*row)), rate(gb_per_s(*row)), percent_text(row->roofline_share),
                          row->bound == Bound::unknown ? std::string(kAbsent) : std::string(name_of(row->bound)),
                          row->to_default ? times_text(row->to_default->value) : std::string(kAbsent),
                          error_text(row->error), error_text(row->allowed), time_text(row->compile_ns), note(*row)});
  }
  return without_empty_columns(std::move(table));
}

Rows rows_of(const Run& run) {
  Rows rows;
  for (const Row& row : run.rows) rows.push_back(&row);
  return rows;
}

}  // namespace backplane::bench::report
