// SPDX-License-Identifier: Apache-2.0
// One list of fields per struct (`fields`) serves writing and reading. Empty texts, lists and absent values are not
// written; a field that is not there keeps the struct's default.
#include "report/results_json.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace backplane::bench::report {

namespace {

using Json = nlohmann::ordered_json;

template <class E>
E enumerator(const std::string& name) {
  const auto& names = kNames<E>;
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end())
    throw Error(fmt::format("the word '{}' is not known; it may be from a newer version", name));
  return static_cast<E>(found - names.begin());
}

template <class T>
concept Structured = requires(T value) {
  fields([](const char*, auto&) {}, value);
};

template <class V, class T>
requires std::is_same_v<std::remove_const_t<T>, Interval>
void fields(V&& visit, T& x) { visit("low", x.low), visit("high", x.high); }
template <class V, class T>
requires std::is_same_v<std::remove_const_t<T>, Ratio>
void fields(V&& visit, T& x) { visit("value", x.value), visit("interval", x.interval); }
template <class V, class T>
requires std::is_same_v<std::remove_const_t<T>, Device>
void fields(V&& visit, T& x) {
  visit("id", x.id), visit("plugin", x.plugin), visit("plugin_build", x.plugin_build), visit("name", x.name);
  visit("kind", x.kind), visit("architecture", x.architecture), visit("driver", x.driver), visit("lost", x.lost);
}
template <class V, class T>
requires std::is_same_v<std::remove_const_t<T>, Environment>
void fields(V&& visit, T& x) {
  visit("versions", x.versions), visit("commit", x.commit), visit("build", x.build), visit("compiler", x.compiler);
  visit("system", x.system), visit("cpu_model", x.cpu_model), visit("cpu_flags", x.cpu_flags), visit("cores", x.cores);
  visit("threads", x.threads), visit("governor", x.governor), visit("load_start", x.load_start);
  visit("load_end", x.load_end), visit("noise_floor", x.noise_floor);
}
template <class V, class T>
requires std::is_same_v<std::remove_const_t<T>, Part>
void fields(V&& visit, T& x) {
  visit("started", x.started), visit("command_line", x.command_line), visit("environment", x.environment);
}
template <class V, class T>
requires std::is_same_v<std::remove_const_t<T>, Ceiling>
void fields(V&& visit, T& x) {
  visit("device", x.device), visit("dtype", x.dtype), visit("kind", x.kind);
  visit("working_set_bytes", x.working_set_bytes), visit("value", x.value), visit("unit", x.unit);
  visit("interval", x.interval);
}
template <class V, class T>
requires std::is_same_v<std::remove_const_t<T>, Row>
void fields(V&& visit, T& x) {
  visit("name", x.name), visit("suite", x.suite), visit("op", x.op), visit("attributes", x.attributes);
  visit("shape", x.shape), visit("dimensions", x.dimensions), visit("dtype", x.dtype), visit("device", x.device);
  visit("plugin", x.plugin), visit("choice", x.choice), visit("variant", x.variant), visit("status", x.status);
  visit("reason", x.reason), visit("samples", x.samples), visit("median_ns", x.median_ns), visit("p10_ns", x.p10_ns);
  visit("p90_ns", x.p90_ns), visit("interval_ns", x.interval_ns), visit("samples_ns", x.samples_ns);
  visit("stretches", x.stretches), visit("clock", x.clock), visit("host_median_ns", x.host_median_ns);
  visit("to_default", x.to_default), visit("flops", x.flops), visit("bytes", x.bytes);
  visit("roofline_share", x.roofline_share), visit("bound", x.bound), visit("error", x.error);
  visit("allowed", x.allowed), visit("compile_ns", x.compile_ns), visit("command", x.command), visit("quiet", x.quiet);
  visit("fewer_flops", x.fewer_flops);
}
/// All but the rows.
template <class V, class T>
requires std::is_same_v<std::remove_const_t<T>, Run>
void fields(V&& visit, T& x) {
  visit("schema", x.schema), visit("started", x.started), visit("command_line", x.command_line);
  visit("made_up", x.made_up), visit("environment", x.environment), visit("parts", x.parts);
  visit("devices", x.devices), visit("ceilings", x.ceilings);
}

template <class T>
Json written(const T& value);
template <class T>
void read(const Json& json, T& value);

// ---- writing ----
template <class T>
bool is_absent(const T&) {
  return false;
}
template <class T>
bool is_absent(const std::optional<T>& value) {
  return !value;
}
bool is_absent(const std::optional<double>& value) { return !value || !std::isfinite(*value); }
bool is_absent(const std::string& value) { return value.empty(); }
template <class T>
bool is_absent(const std::vector<T>& value) {
  return value.empty();
}
bool is_absent(const std::map<std::string, std::string>& value) { return value.empty(); }

template <class T>
Json written_one(const T& value) {
  if constexpr (std::is_enum_v<T>) {
    return std::string(name_of(value));
  } else if constexpr (Structured<const T>) {
    Json json = Json::object();
    fields(
        [&json](const char* key, const auto& field) {
          if (!is_absent(field)) json[key] = written(field);
        },
        value);
    return json;
  } else {
    return value;
  }
}
template <class T>
Json written_one(const std::optional<T>& value) {
  return written(*value);
}
template <class T>
Json written_one(const std::vector<T>& list) {
  Json json = Json::array();
  for (const T& value : list) json.push_back(written(value));
  return json;
}
Json written_one(const std::vector<std::pair<std::string, int64_t>>& list) {
  Json json = Json::object();
  for (const auto& [key, value] : list) json[key] = value;
  return json;
}
template <class T>
Json written(const T& value) {
  return written_one(value);
}

// ---- reading ----
template <class T>
void read_one(const Json& json, T& value) {
  if constexpr (std::is_enum_v<T>) {
    value = enumerator<T>(json.get<std::string>());
  } else if constexpr (Structured<T>) {
    fields(
        [&json](const char* key, auto& field) {
          if (const auto found = json.find(key); found != json.end()) read(*found, field);
        },
        value);
  } else {
    json.get_to(value);
  }
}
template <class T>
void read_one(const Json& json, std::optional<T>& value) {
  read(json, value.emplace());
}
template <class T>
void read_one(const Json& json, std::vector<T>& list) {
  list.clear();
  for (const Json& one : json) read(one, list.emplace_back());
}
void read_one(const Json& json, std::vector<std::pair<std::string, int64_t>>& list) {
  list.clear();
  for (const auto& [key, value] : json.items()) list.emplace_back(key, value.get<int64_t>());
}
template <class T>
void read(const Json& json, T& value) {
  read_one(json, value);
}

/// The schema is looked at before anything else is believed.
Run read_header(const Json& json) {
  const int schema = json.at("schema").get<int>();
  if (schema != kSchema)
    throw Error(
        fmt::format("results have schema {}, this version reads {}; measure again with this version, or read "
                    "them with the version that wrote them",
                    schema, kSchema));
  Run run;
  read(json, run);
  return run;
}

// ---- Google Benchmark's fields ----
Json google_context(const Run& run) {
  const Environment& e = run.environment;
  Json json = {{"date", run.started},
               {"executable", run.command_line.substr(0, run.command_line.find(' '))},
               {"num_cpus", e.cores},
               {"library_build_type", e.build}};
  json["load_avg"] = Json::array();
  for (const auto& load : {e.load_start, e.load_end})
    if (load) json["load_avg"].push_back(*load);
  return json;
}

Json google_row(const Row& row) {
  std::string name = identity(row);
  for (char& c : name) c = c == ' ' ? '/' : c;
  Json json = {
      {"name", name}, {"run_name", name}, {"run_type", "iteration"}, {"threads", 1}, {"iterations", row.samples}};
  json["real_time"] = *row.median_ns;
  json["cpu_time"] = row.host_median_ns.value_or(*row.median_ns);
  json["time_unit"] = "ns";
  if (const auto rate = gb_per_s(row)) json["bytes_per_second"] = *rate * 1e9;
  if (const auto rate = gflop_per_s(row)) json["flop_per_second"] = *rate * 1e9;
  return json;
}

Run run_of_json(std::string_view text) {
  const Json json = Json::parse(text);
  const auto context = json.find("context");
  if (context == json.end() || !context->contains("backplane"))
    throw Error("these are no results of `backplane bench`; name a file that it wrote");
  Run run = read_header(context->at("backplane"));
  for (const Json& row : json.at("benchmarks")) read(row.at("backplane"), run.rows.emplace_back());
  for (const Json& entry : json.value("backplane_without_time", Json::array())) {
    const auto place = static_cast<std::ptrdiff_t>(std::min(entry.at("place").get<size_t>(), run.rows.size()));
    read(entry.at("backplane"), *run.rows.emplace(run.rows.begin() + place));
  }
  return run;
}

Run run_of_lines(std::string_view text) {
  Run run;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) break;  // cut off while it was written
    const Json json = Json::parse(text.substr(0, end));
    text.remove_prefix(end + 1);
    if (const auto header = json.find("backplane_run"); header != json.end()) {
      std::vector<Row> rows = std::move(run.rows);
      run = read_header(*header);
      run.rows = std::move(rows);
    } else {
      read(json, run.rows.emplace_back());
    }
  }
  return run;
}

}  // namespace

std::string to_json(const Run& run) {
  Json context = google_context(run);
  context["backplane"] = written(run);
  // Google's compare.py falls over rows without a time (1.7.1: KeyError), so they are apart, with their place among all.
  std::string timed, others;
  for (size_t i = 0; i < run.rows.size(); ++i) {
    const Row& row = run.rows[i];
    std::string& list = row.median_ns ? timed : others;
    Json entry = row.median_ns ? google_row(row) : Json{{"place", i}};
    entry["backplane"] = written(row);
    list += (list.empty() ? "\n" : ",\n") + entry.dump();  // samples would take a line each
  }
  return "{\n\"context\": " + context.dump(1) + ",\n\"benchmarks\": [" + timed +
         "\n],\n\"backplane_without_time\": [" + others + "\n]}\n";
}

std::string jsonl_header(const Run& run) { return Json{{"backplane_run", written(run)}}.dump() + "\n"; }
std::string jsonl_row(const Row& row) { return written(row).dump() + "\n"; }

Run parse_run(std::string_view text, const std::string& where) {
  try {
    return text.starts_with("{\"backplane_run\"") ? run_of_lines(text) : run_of_json(text);
  } catch (const Error& error) {
    throw Error(fmt::format("[bench] {}: {}", where, error.what()));
  } catch (const nlohmann::json::exception& error) {
    throw Error(fmt::format("[bench] {}: damaged, or not a file of results; {}", where, error.what()));
  }
}

Run read_run(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  if (!file || !(text << file.rdbuf())) throw Error(fmt::format("[bench] {}: cannot be read; check the name", path));
  return parse_run(text.str(), path);
}

}  // namespace backplane::bench::report
