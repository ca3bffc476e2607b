// SPDX-License-Identifier: Apache-2.0
#include "validate.h"

#include <link.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "backplane/host/error.h"
#include "backplane/host/reasons.h"
#include "backplane/host/text.h"
#include "discovery.h"

namespace backplane::host {
namespace {

constexpr std::uint32_t kMaxTable = 1u << 16;

struct Slot {
  const char* name;
  std::size_t offset;
  bool required;
};
#define SLOT(table, member, required) \
  Slot { #member, offsetof(table, member), required }

constexpr Slot kRootSlots[] = {
    SLOT(bp_plugin_api, create, true),  SLOT(bp_plugin_api, destroy, true), SLOT(bp_plugin_api, get_interface, true),
    SLOT(bp_plugin_api, devices, true), SLOT(bp_plugin_api, open, true),    SLOT(bp_plugin_api, close, true),
};
constexpr Slot kMemorySlots[] = {
    SLOT(bp_memory_api, alloc, true),
    SLOT(bp_memory_api, free, true),
    SLOT(bp_memory_api, host_pointer, true),
    SLOT(bp_memory_api, usage, false),
};
constexpr Slot kQueueSlots[] = {
    SLOT(bp_queue_api, create, true),       SLOT(bp_queue_api, destroy, true),
    SLOT(bp_queue_api, upload, true),       SLOT(bp_queue_api, download, true),
    SLOT(bp_queue_api, copy, true),         SLOT(bp_queue_api, fill, true),
    SLOT(bp_queue_api, flush, true),        SLOT(bp_queue_api, finish, true),
    SLOT(bp_queue_api, event_create, true), SLOT(bp_queue_api, event_destroy, true),
    SLOT(bp_queue_api, event_record, true), SLOT(bp_queue_api, event_wait, true),
    SLOT(bp_queue_api, event_sync, true),
};
constexpr Slot kKernelsSlots[] = {
    SLOT(bp_kernels_api, query, true),   SLOT(bp_kernels_api, variants, true), SLOT(bp_kernels_api, prepare, true),
    SLOT(bp_kernels_api, enqueue, true), SLOT(bp_kernels_api, destroy, true),
};
constexpr Slot kCaptureSlots[] = {
    SLOT(bp_capture_api, begin, true),
    SLOT(bp_capture_api, end, true),
    SLOT(bp_capture_api, replay, true),
    SLOT(bp_capture_api, destroy, true),
};
constexpr Slot kTimingSlots[] = {
    SLOT(bp_timing_api, info, true),  SLOT(bp_timing_api, create, true), SLOT(bp_timing_api, destroy, true),
    SLOT(bp_timing_api, stamp, true), SLOT(bp_timing_api, read, true),   SLOT(bp_timing_api, calibrate, false),
};
constexpr Slot kInteropSlots[] = {
    SLOT(bp_interop_api, import_host, false),   SLOT(bp_interop_api, dlpack_import, false),
    SLOT(bp_interop_api, dlpack_export, false), SLOT(bp_interop_api, export_handle, false),
    SLOT(bp_interop_api, import_handle, false), SLOT(bp_interop_api, native, false),
};
constexpr Slot kTelemetrySlots[] = {SLOT(bp_telemetry_api, sample, true)};
constexpr Slot kPeerSlots[] = {SLOT(bp_peer_api, copy, true)};
constexpr Slot kCollectiveSlots[] = {
    SLOT(bp_collective_api, make_id, true),    SLOT(bp_collective_api, join, true),
    SLOT(bp_collective_api, leave, true),      SLOT(bp_collective_api, all_reduce, true),
    SLOT(bp_collective_api, broadcast, true),  SLOT(bp_collective_api, all_gather, true),
    SLOT(bp_collective_api, reduce_scatter, true), SLOT(bp_collective_api, abort, true),
};
#undef SLOT

void check_alignment(const void* table, const std::string& what) {
  if (reinterpret_cast<std::uintptr_t>(table) % sizeof(void*) != 0) {
    throw Rejection("misaligned-table",
                    what + " lies at an address that is not a multiple of " + std::to_string(sizeof(void*)));
  }
}

/// The first min(its size, ours) bytes of a table that begins with its size, zeros behind; then its slots.
void copy_table(const void* from, void* to, std::size_t capacity, std::span<const Slot> slots,
                const std::string& what) {
  check_alignment(from, what);
  std::uint32_t size = 0;
  std::memcpy(&size, from, sizeof size);
  std::size_t needed = 2 * sizeof(std::uint32_t);
  for (const Slot& slot : slots) {
    if (slot.required) needed = std::max(needed, slot.offset + sizeof(void*));
  }
  if (size < needed) {
    throw Rejection("table-too-small", what + " has " + std::to_string(size) + " bytes, but ABI " +
                                           std::to_string(BP_ABI_MAJOR) + ".0 needs " + std::to_string(needed));
  }
  if (size > kMaxTable) {
    throw Rejection("table-too-large", what + " claims " + std::to_string(size) + " bytes; set size to its sizeof");
  }
  std::memset(to, 0, capacity);
  std::memcpy(to, from, std::min<std::size_t>(size, capacity));
  for (const Slot& slot : slots) {
    const void* pointer = nullptr;
    std::memcpy(&pointer, static_cast<const char*>(to) + slot.offset, sizeof pointer);
    if (pointer == nullptr && slot.required) {
      throw Rejection("null-slot", what + ": the required function `" + slot.name + "` is NULL");
    }
    if (pointer != nullptr && !points_to_code(pointer)) {
      throw Rejection("slot-not-code", what + ": `" + slot.name + "` does not point to code");
    }
  }
}

void check_text(const char* text, std::size_t limit, const char* what, bool may_be_empty) {
  if (text == nullptr) throw Rejection("bad-string", std::string("its ") + what + " is NULL");
  const std::size_t length = strnlen(text, limit + 1);
  if (length > limit) {
    throw Rejection("bad-string", std::string("its ") + what + " has more than " + std::to_string(limit) + " bytes");
  }
  if (length == 0 && !may_be_empty) throw Rejection("bad-string", std::string("its ") + what + " is empty");
  if (!is_clean_text({text, length})) {
    throw Rejection("bad-string",
                    std::string("its ") + what + " is not clean UTF-8: \"" + clean_text({text, length}, 80) + "\"");
  }
}

void check_version(std::uint32_t version, const std::string& what) {
  const std::uint32_t major = version >> 16;
  if (major != BP_ABI_MAJOR) {
    throw Rejection("version-mismatch", what + " has version " + std::to_string(major) + "." +
                                            std::to_string(version & 0xffff) + "; this host speaks major " +
                                            std::to_string(BP_ABI_MAJOR));
  }
}

template <class Table>
void fetch(const bp_plugin_api& api, bp_plugin* instance, const char* name, bool required, Table& out,
           std::span<const Slot> slots) {
  const void* table = api.get_interface(instance, name, BP_VERSION(BP_ABI_MAJOR, 0));
  if (table == nullptr) {
    if (required) throw Rejection("missing-interface", std::string("it does not offer the required interface ") + name);
    return;
  }
  copy_table(table, &out, sizeof out, slots, name);
  check_version(out.version, name);
}

}  // namespace

bool points_to_code(const void* pointer) {
  auto address = reinterpret_cast<std::uintptr_t>(pointer);
  const auto visit = [](dl_phdr_info* info, std::size_t, void* context) {
    const std::uintptr_t wanted = *static_cast<std::uintptr_t*>(context);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
      const ElfW(Phdr)& segment = info->dlpi_phdr[i];
      const std::uintptr_t begin = info->dlpi_addr + segment.p_vaddr;
      if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0 && wanted >= begin &&
          wanted - begin < segment.p_memsz) {
        return 1;
      }
    }
    return 0;
  };
  return dl_iterate_phdr(visit, &address) == 1;
}

std::string failure_text(bp_status status, const bp_error& error) {
  const std::string text = clean_text({error.message, strnlen(error.message, sizeof error.message)}, 480);
  std::string out =
      text.empty() ? std::string(status_text(status)) + " (status " + std::to_string(status) + ", no text)" : text;
  if (error.native_code != 0) {
    out += " (" + clean_text({error.domain, strnlen(error.domain, sizeof error.domain)}) + " code " +
           std::to_string(error.native_code) + ")";
  }
  return out;
}

bp_plugin_api check_root(const bp_plugin_api* table, const std::string& expected_name) {
  const std::string what = "its plugin table";
  if (table == nullptr) throw Rejection("null-table", "its entry point reported success, but gave no table");
  check_alignment(table, what);
  // Size and version come first in every major, so that a table of another major is called what it is.
  if (table->size >= 2 * sizeof(std::uint32_t) && table->size <= kMaxTable) check_version(table->abi_version, what);
  bp_plugin_api api{};
  copy_table(table, &api, sizeof api, kRootSlots, what);
  check_text(api.name, 31, "name", false);
  check_text(api.version, 63, "version", false);
  check_text(api.build_id, 127, "build id", false);
  check_text(api.description, 1023, "description", true);
  if (!is_plugin_name(api.name)) {
    throw Rejection("bad-string", std::string("its name \"") + clean_text(api.name) +
                                      "\" has other characters than a-z, 0-9, '_' and '-'");
  }
  if (api.name != expected_name) {
    throw Rejection("name-mismatch", std::string("it calls itself \"") + api.name +
                                         "\"; then its file has to be called libbackplane_" + api.name + ".so");
  }
  return api;
}

InterfaceTables check_interfaces(const bp_plugin_api& api, bp_plugin* instance) {
  InterfaceTables out;
  fetch(api, instance, BP_INTERFACE_MEMORY, true, out.memory, kMemorySlots);
  fetch(api, instance, BP_INTERFACE_QUEUE, true, out.queue, kQueueSlots);
  fetch(api, instance, BP_INTERFACE_KERNELS, true, out.kernels, kKernelsSlots);
  fetch(api, instance, BP_INTERFACE_CAPTURE, false, out.capture, kCaptureSlots);
  fetch(api, instance, BP_INTERFACE_TIMING, false, out.timing, kTimingSlots);
  fetch(api, instance, BP_INTERFACE_INTEROP, false, out.interop, kInteropSlots);
  fetch(api, instance, BP_INTERFACE_TELEMETRY, false, out.telemetry, kTelemetrySlots);
  fetch(api, instance, BP_INTERFACE_PEER, false, out.peer, kPeerSlots);
  fetch(api, instance, BP_INTERFACE_COLLECTIVE, false, out.collective, kCollectiveSlots);
  return out;
}

}  // namespace backplane::host
