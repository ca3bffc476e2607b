// SPDX-License-Identifier: Apache-2.0
// The store's records as JSON. Export keeps everything; import takes what has a key, a device and a choice, and refuses
// what is malformed as a whole: half an import is worse than none.
#include <charconv>

#include <nlohmann/json.hpp>

#include "backplane/autotune/store.h"
#include "backplane/host/error.h"
#include "backplane/host/text.h"
#include "store_rows.h"

namespace backplane::autotune {
namespace {

using Json = nlohmann::ordered_json;
constexpr int kSchema = 1;

Json interval_json(const Interval& i) { return {{"mean", i.mean}, {"low", i.low}, {"high", i.high}}; }
Interval interval_of(const Json& j) { return {j.value("mean", 0.0), j.value("low", 0.0), j.value("high", 0.0)}; }

Json candidate_json(const Candidate& c) {
  return {{"variant", c.variant},
          {"default", c.is_default},
          {"verdict", name_of(c.verdict)},
          {"reason", c.reason},
          {"median_ns", c.times.median_ns},
          {"p10_ns", c.times.p10_ns},
          {"p90_ns", c.times.p90_ns},
          {"samples", c.times.samples},
          {"log_ratio", interval_json(c.log_ratio)},
          {"error", c.error},
          {"allowed", c.allowed},
          {"workspace", c.workspace},
          {"numeric_notes", c.numeric_notes},
          {"determinism", c.determinism},
          {"build_ns", c.build_ns},
          {"code", c.code_hash != 0 ? host::hex(c.code_hash) : std::string()}};
}

/// As text: not every reader of JSON has integers of 64 bits. Empty: the build of the plugin stands for it.
uint64_t code_of(const std::string& text) {
  uint64_t code = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), code, 16);
  if (!text.empty() && (error != std::errc() || end != text.data() + text.size()))
    throw host::Error(BP_E_INVALID_ARGUMENT, "[import] '" + text + "' is no hash of code; nothing was imported");
  return code;
}

Candidate candidate_of(const Json& j) {
  Candidate c;
  c.variant = j.at("variant").get<std::string>();
  c.is_default = j.value("default", false);
  c.verdict = verdict_of(j.value("verdict", std::string()));
  c.reason = j.value("reason", std::string());
  c.times = {j.value("median_ns", 0.0), j.value("p10_ns", 0.0), j.value("p90_ns", 0.0), j.value("samples", 0u)};
  if (j.contains("log_ratio")) c.log_ratio = interval_of(j["log_ratio"]);
  c.error = j.value("error", 0.0), c.allowed = j.value("allowed", 0.0);
  c.workspace = j.value("workspace", uint64_t{0});
  c.numeric_notes = j.value("numeric_notes", 0u), c.determinism = j.value("determinism", 0u);
  c.build_ns = j.value("build_ns", uint64_t{0});
  c.code_hash = code_of(j.value("code", std::string()));
  return c;
}

Json record_json(const Record& r) {
  const Outcome& o = r.outcome;
  Json candidates = Json::array();
  for (const Candidate& c : o.candidates) candidates.push_back(candidate_json(c));
  return {{"problem", r.key.problem},
          {"shapes", r.key.shapes},
          {"policy", r.key.policy},
          {"device", r.device.device},
          {"build", r.device.build},
          {"chosen", o.chosen},
          {"why", o.why},
          {"decided", o.decided},
          {"noise", interval_json(o.noise)},
          {"checked_by", o.checked_by},
          {"rounds", o.rounds},
          {"budget_ns", o.budget_ns},
          {"spent_ns", o.spent_ns},
          {"build_ns", o.build_ns},
          {"op", r.op},
          {"written", r.written},
          {"candidates", std::move(candidates)}};
}

Record record_of(const Json& j) {
  Record r;
  r.key.problem = j.at("problem").get<std::string>();
  r.key.shapes = j.at("shapes").get<std::string>();
  r.key.policy = j.at("policy").get<std::string>();
  r.key.extents = parse_extents(r.key.shapes);
  r.device = {j.at("device").get<std::string>(), j.at("build").get<std::string>()};
  Outcome& o = r.outcome;
  o.chosen = j.at("chosen").get<std::string>();
  o.why = j.value("why", std::string());
  o.decided = j.value("decided", false);
  if (j.contains("noise")) o.noise = interval_of(j["noise"]);
  o.checked_by = j.value("checked_by", std::string());
  o.rounds = j.value("rounds", 0u);
  o.budget_ns = j.value("budget_ns", uint64_t{0}), o.spent_ns = j.value("spent_ns", uint64_t{0});
  o.build_ns = j.value("build_ns", uint64_t{0});
  r.op = j.value("op", std::string());
  r.written = j.value("written", int64_t{0});
  for (const Json& each : j.value("candidates", Json::array())) o.candidates.push_back(candidate_of(each));
  return r;
}

}  // namespace

std::string to_json(const std::vector<Record>& records) {
  Json list = Json::array();
  for (const Record& each : records) list.push_back(record_json(each));
  const Json file = {{"schema", kSchema}, {"what", "backplane tuning results"}, {"records", std::move(list)}};
  return file.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string to_json(const Record& record) {
  return record_json(record).dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::vector<Record> from_json(const std::string& text) {
  std::vector<Record> records;
  size_t at = 0;
  try {
    const Json file = Json::parse(text);
    if (file.value("schema", 0) != kSchema) {
      throw host::Error(
          BP_E_INVALID_ARGUMENT,
          "[import] this is no export of tuning results of schema 1; make one with backplane tune export");
    }
    for (const Json& each : file.at("records")) {
      records.push_back(record_of(each));
      ++at;
    }
  } catch (const nlohmann::json::exception& error) {
    throw host::Error(BP_E_INVALID_ARGUMENT, "[import] record " + std::to_string(at) + ": " + error.what() +
                                                 "; nothing was imported");
  }
  return records;
}

}  // namespace backplane::autotune
