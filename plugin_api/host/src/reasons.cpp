// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/reasons.h"

#include <algorithm>
#include <utility>

#include "backplane/host/error.h"

namespace backplane::host {
namespace {

constexpr ReasonCode kCodes[] = {
    {"excluded", "discovery", "BACKPLANE_PLUGINS leaves it out; the file was not opened"},
    {"bad-file-name", "discovery",
     "not libbackplane_<name>.so with a name of a-z, 0-9, '_', '-', at most 31 characters"},
    {"duplicate-name", "discovery", "an earlier directory has a usable plugin of this name"},
    {"dangling-link", "trust", "a symbolic link to nothing"},
    {"link-loop", "trust", "symbolic links that lead back to themselves"},
    {"not-a-file", "trust", "a directory, pipe, socket or device"},
    {"unreadable", "trust", "this user may not read it, or reading fails"},
    {"foreign-owner", "trust", "owned by neither root nor this user"},
    {"group-writable", "trust", "its group may change it"},
    {"world-writable", "trust", "anybody may change it"},
    {"directory-foreign-owner", "trust", "its directory is owned by neither root nor this user"},
    {"directory-group-writable", "trust", "the group of its directory may replace it"},
    {"directory-world-writable", "trust", "anybody may replace it"},
    {"not-elf", "file", "not an ELF file: empty, text, or something else"},
    {"truncated", "file", "shorter than its own headers say"},
    {"wrong-class", "file", "32-bit"},
    {"wrong-byte-order", "file", "the other byte order"},
    {"wrong-machine", "file", "for another processor"},
    {"wrong-type", "file", "an executable or an object file, not a shared library"},
    {"bad-elf", "file", "headers that contradict themselves"},
    {"executable-stack", "file", "would make the stack of the whole process executable"},
    {"relative-library-path", "file", "would search its libraries relative to the current directory"},
    {"crashes", "probe", "ends the process with a signal (segmentation fault, abort, ...)"},
    {"exits", "probe", "ends the process by itself"},
    {"hangs", "probe", "does not come back within the time limit"},
    {"garbled-report", "probe", "the probe came back, but its report is missing or damaged"},
    {"missing-library", "load", "a library it needs is not installed"},
    {"unresolved-symbol", "load", "needs a symbol that no library offers"},
    {"load-failed", "load", "the dynamic linker refuses it for another reason"},
    {"missing-entry", "load", "does not export backplane_plugin_v1"},
    {"entry-not-code", "load", "backplane_plugin_v1 is not a function"},
    {"throws", "entry", "a C++ exception left the plugin"},
    {"entry-failed", "entry", "the entry point returned a failure"},
    {"version-mismatch", "entry", "made for another version of the interface"},
    {"null-table", "entry", "success without a table"},
    {"misaligned-table", "entry", "a table at an address that no table can have"},
    {"table-too-small", "tables", "a table lacks members that are required"},
    {"table-too-large", "tables", "a table of an impossible size"},
    {"null-slot", "tables", "a required function is NULL"},
    {"slot-not-code", "tables", "a function pointer does not point to code"},
    {"bad-string", "tables", "a name, version, build id or description that is missing, too long or not clean UTF-8"},
    {"name-mismatch", "tables", "the plugin calls itself differently from its file"},
    {"create-failed", "create", "no instance could be made"},
    {"null-instance", "create", "success without an instance"},
    {"missing-interface", "create", "bp.memory, bp.queue or bp.kernels is not offered"},
    {"unavailable", "devices", "works, but has no device here; the reason is the plugin's own"},
    {"devices-failed", "devices", "listing the devices failed"},
    {"too-many-devices", "devices", "more than 256 devices"},
    {"unstable-devices", "devices", "the number of devices changes from call to call"},
    {"array-overrun", "devices", "writes beyond the array it was given"},
    {"bad-device", "devices", "a device description that cannot be right"},
    {"duplicate-device", "devices", "two devices with the same id or index"},
};

}  // namespace

std::span<const ReasonCode> reason_codes() { return kCodes; }

Rejection::Rejection(std::string_view code, std::string reason) : code_(code), reason_(std::move(reason)) {
  const auto same = [&](const ReasonCode& entry) { return entry.code == code; };
  if (std::none_of(std::begin(kCodes), std::end(kCodes), same)) {
    throw Error(BP_E_INTERNAL, "internal: [loader] \"" + code_ + "\" is not in the table of reasons");
  }
}

}  // namespace backplane::host
