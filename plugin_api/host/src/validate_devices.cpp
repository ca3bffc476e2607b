// SPDX-License-Identifier: Apache-2.0
// The device list of a plugin: asked for with room to spare behind the array, and checked entry by entry.
#include <algorithm>
#include <cstring>
#include <set>
#include <string>
#include <string_view>

#include "backplane/host/reasons.h"
#include "backplane/host/text.h"
#include "validate.h"

namespace backplane::host {
namespace {

constexpr std::uint32_t kMaxDevices = 256;
constexpr std::size_t kSpare = 16;  // elements behind the array that must stay as they are
constexpr unsigned char kCanary = 0xa5;
constexpr int kAttempts = 3;
constexpr std::uint64_t kMaxMemory = std::uint64_t{1} << 56;  // bytes no device has

[[noreturn]] void reject_status(bp_status status, const bp_error& error) {
  throw Rejection(status == BP_E_UNAVAILABLE ? "unavailable" : "devices-failed", failure_text(status, error));
}

struct Field {
  const char* name;
  const char* text;
  std::size_t capacity;
  bool may_be_empty;
};

void check_texts(const bp_device_info& info, const std::string& who) {
  const Field fields[] = {
      {"id", info.id, sizeof info.id, false},
      {"name", info.name, sizeof info.name, false},
      {"architecture", info.architecture, sizeof info.architecture, true},
      {"driver", info.driver, sizeof info.driver, true},
      {"pci", info.pci, sizeof info.pci, true},
  };
  for (const Field& field : fields) {
    const std::size_t length = strnlen(field.text, field.capacity);
    const std::string_view text(field.text, length);
    if (length == field.capacity) throw Rejection("bad-device", who + ": `" + field.name + "` is not NUL-terminated");
    if (length == 0 && !field.may_be_empty) throw Rejection("bad-device", who + ": `" + field.name + "` is empty");
    if (!is_clean_text(text)) {
      throw Rejection("bad-device",
                      who + ": `" + field.name + "` is not clean UTF-8: \"" + clean_text(text, 80) + "\"");
    }
  }
}

}  // namespace

void check_device_list(std::vector<bp_device_info>& devices) {
  std::set<std::string> ids;
  std::set<std::uint32_t> indices;
  for (std::size_t i = 0; i < devices.size(); ++i) {
    bp_device_info& info = devices[i];
    const std::string who = "device " + std::to_string(i);
    check_texts(info, who);
    if (info.kind == 0) throw Rejection("bad-device", who + ": `kind` is 0");
    if (info.kind > BP_KIND_OTHER) info.kind = BP_KIND_OTHER;  // a kind that a later minor brought
    if (info.memory_total > kMaxMemory) throw Rejection("bad-device", who + ": `memory_total` is impossible");
    if (info.offset_alignment == 0) info.offset_alignment = 1;
    if ((info.offset_alignment & (info.offset_alignment - 1)) != 0) {
      throw Rejection("bad-device", who + ": `offset_alignment` is not a power of two");
    }
    if (info.max_queues == 0) info.max_queues = 1;
    if (!ids.insert(info.id).second) {
      throw Rejection("duplicate-device", who + " has the id \"" + info.id + "\" of an earlier one");
    }
    if (!indices.insert(info.index).second) {
      throw Rejection("duplicate-device", who + " has the index " + std::to_string(info.index) + " of an earlier one");
    }
  }
}

std::vector<bp_device_info> check_devices(const bp_plugin_api& api, bp_plugin* instance) {
  constexpr auto kStride = static_cast<std::uint32_t>(sizeof(bp_device_info));
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::uint32_t count = 0;
    bp_error error{};
    error.size = sizeof error;
    bp_status status = api.devices(instance, nullptr, kStride, 0, &count, &error);
    if (status < 0) reject_status(status, error);
    if (count > kMaxDevices) {
      throw Rejection("too-many-devices", "it claims " + std::to_string(count) + " devices; at most " +
                                              std::to_string(kMaxDevices) + " are believed");
    }
    if (count == 0) throw Rejection("unavailable", "it found no device, and gave no reason");
    std::vector<bp_device_info> infos(count + kSpare);
    std::memset(infos.data(), 0, count * sizeof(bp_device_info));
    std::memset(infos.data() + count, kCanary, kSpare * sizeof(bp_device_info));
    for (std::uint32_t i = 0; i < count; ++i) infos[i].size = kStride;
    std::uint32_t again = 0;
    status = api.devices(instance, infos.data(), kStride, count, &again, &error);
    if (status < 0) reject_status(status, error);
    const auto* spare = reinterpret_cast<const unsigned char*>(infos.data() + count);
    if (!std::all_of(spare, spare + kSpare * sizeof(bp_device_info), [](unsigned char c) { return c == kCanary; })) {
      throw Rejection("array-overrun",
                      "`devices` writes beyond the " + std::to_string(count) + " elements it was given");
    }
    if (again != count) continue;  // hot-plugged between the calls, or nonsense
    infos.resize(count);
    check_device_list(infos);
    return infos;
  }
  throw Rejection("unstable-devices",
                  "the number of its devices changed in each of " + std::to_string(kAttempts) + " attempts");
}

}  // namespace backplane::host
