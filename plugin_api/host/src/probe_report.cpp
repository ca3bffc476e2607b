// SPDX-License-Identifier: Apache-2.0
#include "probe_report.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "backplane/host/reasons.h"
#include "backplane/host/text.h"
#include "validate.h"

namespace backplane::host {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxReport = std::size_t{1} << 20;
constexpr std::size_t kMaxDevices = 256;
constexpr std::size_t kMaxReason = 4000;

template <std::size_t N>
void put_text(Json& to, const char* name, const char (&text)[N]) {
  to[name] = std::string(text, strnlen(text, N));
}

/// at() and get<>() throw on anything unexpected; the caller turns that into "no result".
template <std::size_t N>
void get_text(const Json& from, const char* name, char (&out)[N]) {
  const auto text = from.at(name).get<std::string>();
  if (text.size() >= N) throw std::length_error(name);
  std::memcpy(out, text.c_str(), text.size() + 1);
}

template <class T>
void get_number(const Json& from, const char* name, T& out) {
  const Json& value = from.at(name);
  if (!value.is_number_unsigned()) throw std::invalid_argument(name);
  const auto number = value.get<std::uint64_t>();
  out = static_cast<T>(number);
  if (out != number) throw std::out_of_range(name);
}

Json device_to_json(const bp_device_info& info) {
  Json out;
  out["index"] = info.index;
  out["kind"] = info.kind;
  out["flags"] = info.flags;
  put_text(out, "id", info.id);
  put_text(out, "name", info.name);
  put_text(out, "architecture", info.architecture);
  put_text(out, "driver", info.driver);
  put_text(out, "pci", info.pci);
  out["uuid"] = std::vector<std::uint32_t>(info.uuid, info.uuid + sizeof info.uuid);
  out["memory_total"] = info.memory_total;
  out["max_allocation"] = info.max_allocation;
  out["offset_alignment"] = info.offset_alignment;
  out["compute_units"] = info.compute_units;
  out["max_queues"] = info.max_queues;
  return out;
}

bp_device_info device_from_json(const Json& from) {
  bp_device_info info{};
  info.size = sizeof info;
  get_number(from, "index", info.index);
  get_number(from, "kind", info.kind);
  get_number(from, "flags", info.flags);
  get_text(from, "id", info.id);
  get_text(from, "name", info.name);
  get_text(from, "architecture", info.architecture);
  get_text(from, "driver", info.driver);
  get_text(from, "pci", info.pci);
  const auto uuid = from.at("uuid").get<std::vector<std::uint32_t>>();
  if (uuid.size() != sizeof info.uuid) throw std::length_error("uuid");
  for (std::size_t i = 0; i < uuid.size(); ++i) info.uuid[i] = static_cast<std::uint8_t>(uuid[i]);
  get_number(from, "memory_total", info.memory_total);
  get_number(from, "max_allocation", info.max_allocation);
  get_number(from, "offset_alignment", info.offset_alignment);
  get_number(from, "compute_units", info.compute_units);
  get_number(from, "max_queues", info.max_queues);
  return info;
}

std::string short_text(const Json& from, const char* name, std::size_t limit) {
  auto text = from.at(name).get<std::string>();
  if (text.size() > limit || !is_clean_text(text)) throw std::length_error(name);
  return text;
}

}  // namespace

std::string to_json(const ProbeResult& result) {
  Json out;
  out["code"] = result.code;
  out["reason"] = result.reason;
  out["version"] = result.version;
  out["build_id"] = result.build_id;
  out["description"] = result.description;
  out["devices"] = Json::array();
  for (const bp_device_info& info : result.devices) out["devices"].push_back(device_to_json(info));
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::optional<ProbeResult> probe_result_from_json(std::string_view text) {
  if (text.size() > kMaxReport) return std::nullopt;
  try {
    const Json json = Json::parse(text);
    ProbeResult out;
    out.code = short_text(json, "code", 64);
    out.reason = short_text(json, "reason", kMaxReason);
    out.version = short_text(json, "version", 63);
    out.build_id = short_text(json, "build_id", 127);
    out.description = short_text(json, "description", 1023);
    const Json& devices = json.at("devices");
    if (!devices.is_array() || devices.size() > kMaxDevices || devices.empty() != !out.code.empty())
      return std::nullopt;
    for (const Json& device : devices) out.devices.push_back(device_from_json(device));
    check_device_list(out.devices);
    if (!out.code.empty()) static_cast<void>(Rejection(out.code, ""));  // throws for a code that is not in the table
    return out;
  } catch (const Rejection&) {
    return std::nullopt;
  } catch (const std::exception&) {
    return std::nullopt;
  }
}

}  // namespace backplane::host
