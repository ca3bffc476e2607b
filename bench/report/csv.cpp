// SPDX-License-Identifier: Apache-2.0
#include <cmath>

#include <fmt/format.h>

#include "report/reports.h"

namespace backplane::bench::report {

namespace {

std::string quoted(const std::string& text) {
  if (text.find_first_of(",\"\r\n") == std::string::npos) return text;
  std::string result = "\"";
  for (const char c : text) result += c == '"' ? std::string("\"\"") : std::string(1, c);
  return result + '"';
}

std::string number(std::optional<double> value) {
  return value && std::isfinite(*value) ? fmt::format("{:.6g}", *value) : "";
}

std::optional<double> ratio(const Row& row) {
  return row.to_default ? std::optional(row.to_default->value) : std::nullopt;
}

struct Field {
  const char* heading;
  std::string (*text)(const Row& row);
};

const Field kFields[] = {
    {"case", [](const Row& r) { return r.name; }},
    {"suite", [](const Row& r) { return r.suite; }},
    {"op", [](const Row& r) { return r.op; }},
    {"attributes", [](const Row& r) { return r.attributes; }},
    {"shape", [](const Row& r) { return r.shape; }},
    {"dtype", [](const Row& r) { return r.dtype; }},
    {"device", [](const Row& r) { return r.device; }},
    {"plugin", [](const Row& r) { return r.plugin; }},
    {"choice", [](const Row& r) { return std::string(name_of(r.choice)); }},
    {"variant", [](const Row& r) { return r.variant; }},
    {"status", [](const Row& r) { return std::string(name_of(r.status)); }},
    {"reason", [](const Row& r) { return r.reason; }},
    {"samples", [](const Row& r) { return std::to_string(r.samples); }},
    {"median_ns", [](const Row& r) { return number(r.median_ns); }},
    {"p10_ns", [](const Row& r) { return number(r.p10_ns); }},
    {"p90_ns", [](const Row& r) { return number(r.p90_ns); }},
    {"interval_low_ns", [](const Row& r) { return r.interval_ns ? number(r.interval_ns->low) : ""; }},
    {"interval_high_ns", [](const Row& r) { return r.interval_ns ? number(r.interval_ns->high) : ""; }},
    {"clock", [](const Row& r) { return std::string(name_of(r.clock)); }},
    {"host_median_ns", [](const Row& r) { return number(r.host_median_ns); }},
    {"time_to_default", [](const Row& r) { return number(ratio(r)); }},
    {"flop", [](const Row& r) { return number(r.flops); }},
    {"bytes", [](const Row& r) { return number(r.bytes); }},
    {"GFLOP_per_s", [](const Row& r) { return number(gflop_per_s(r)); }},
    {"GB_per_s", [](const Row& r) { return number(gb_per_s(r)); }},
    {"roofline_share", [](const Row& r) { return number(r.roofline_share); }},
    {"bound", [](const Row& r) { return std::string(name_of(r.bound)); }},
    {"error", [](const Row& r) { return number(r.error); }},
    {"error_allowed", [](const Row& r) { return number(r.allowed); }},
    {"compile_ns", [](const Row& r) { return number(r.compile_ns); }},
    {"quiet", [](const Row& r) { return std::string(r.quiet ? "yes" : "no"); }},
    {"made_up", nullptr},  // of the run
    {"command", [](const Row& r) { return r.command; }},
};

}  // namespace

std::string csv(const Run& run) {
  std::string text;
  for (const Field& field : kFields) text += (text.empty() ? "" : ",") + std::string(field.heading);
  text += "\r\n";
  for (const Row& row : run.rows) {
    const char* between = "";
    for (const Field& field : kFields) {
      text += std::exchange(between, ",");
      text += quoted(field.text ? field.text(row) : run.made_up ? "yes" : "no");
    }
    text += "\r\n";
  }
  return text;
}

}  // namespace backplane::bench::report
