// SPDX-License-Identifier: Apache-2.0
#include "devices.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <map>

#include "backplane/devicekit/digest.h"
#include "backplane/sdk/answers.hpp"
#include "status.h"

namespace backplane::opencl {
namespace {

// From cl_ext.h of versions that Debian 12 does not have or that not every driver's headers agree on.
constexpr cl_device_info kDeviceUuid = 0x106A;    // cl_khr_device_uuid: 16 bytes
constexpr cl_device_info kPciBusInfo = 0x410F;    // cl_khr_pci_bus_info: domain, bus, device, function
constexpr cl_int kIcdNotFound = -1001;  // CL_PLATFORM_NOT_FOUND_KHR

template <class T>
T value(cl_device_id device, cl_device_info what, T fallback = T{}) {
  T result{};
  return cl().GetDeviceInfo(device, what, sizeof(result), &result, nullptr) == CL_SUCCESS ? result : fallback;
}

template <class Get, class Object>
std::string text(Get get, Object object, cl_uint what) {
  size_t length = 0;
  if (get(object, what, 0, nullptr, &length) != CL_SUCCESS || length == 0) return {};
  std::string result(length, '\0');
  if (get(object, what, length, result.data(), nullptr) != CL_SUCCESS) return {};
  result.resize(std::strlen(result.c_str()));
  return result;
}
std::string device_text(cl_device_id device, cl_device_info what) { return text(cl().GetDeviceInfo, device, what); }
std::string platform_text(cl_platform_id platform, cl_platform_info what) {
  return text(cl().GetPlatformInfo, platform, what);
}

bool has_word(const std::string& words, const std::string& word) {
  return (" " + words + " ").find(" " + word + " ") != std::string::npos;
}

/// "OpenCL 3.0 ..." or "OpenCL C 1.2 ..." as 30, 12; 0 when it does not look like that.
int version_number(const std::string& version) {
  const size_t digit = version.find_first_of("0123456789");
  if (digit == std::string::npos || digit + 2 >= version.size() || version[digit + 1] != '.') return 0;
  return (version[digit] - '0') * 10 + (version[digit + 2] - '0');
}

uint32_t clamp32(uint64_t number) { return static_cast<uint32_t>(std::min<uint64_t>(number, INT32_MAX)); }

codegen::DeviceFacts read_facts(cl_device_id id, bool cpu) {
  codegen::DeviceFacts facts;
  facts.dialect = codegen::Dialect::opencl_c;
  facts.cpu_like = cpu;
  // Half-precision storage, 8- and 16-bit stores and 64-bit integers are in every full profile.
  const bool full = device_text(id, CL_DEVICE_PROFILE) == "FULL_PROFILE";
  facts.f16_storage = facts.bf16_storage = facts.bool_storage = true;
  facts.i64 = full || has_word(device_text(id, CL_DEVICE_EXTENSIONS), "cles_khr_int64");
  facts.f64 = value<cl_device_fp_config>(id, CL_DEVICE_DOUBLE_FP_CONFIG) != 0;
  facts.compute_units = std::max<cl_uint>(value<cl_uint>(id, CL_DEVICE_MAX_COMPUTE_UNITS), 1);
  facts.max_group_size = clamp32(value<size_t>(id, CL_DEVICE_MAX_WORK_GROUP_SIZE, 1));
  size_t extents[16] = {1, 1, 1};
  cl().GetDeviceInfo(id, CL_DEVICE_MAX_WORK_ITEM_SIZES, sizeof(extents), extents, nullptr);
  for (int d = 0; d < 3; ++d) facts.max_group_extent[d] = clamp32(extents[d]);
  facts.max_grid_extent[0] = INT32_MAX;  // OpenCL names no limit; drivers are known to stop at 2^31 and at 65535
  facts.local_bytes = clamp32(value<cl_ulong>(id, CL_DEVICE_LOCAL_MEM_SIZE));
  facts.vector_width = std::max<cl_uint>(value<cl_uint>(id, CL_DEVICE_NATIVE_VECTOR_WIDTH_FLOAT), 1);
  // Arguments: a pointer and an offset for each buffer, the rest for words.
  const uint64_t argument_bytes = value<size_t>(id, CL_DEVICE_MAX_PARAMETER_SIZE, 256);
  facts.max_buffers = static_cast<uint32_t>(std::min<uint64_t>(40, argument_bytes / 2 / 12));
  facts.max_words = static_cast<uint32_t>((argument_bytes - facts.max_buffers * 8) / 4 - 2);
  facts.max_binding_bytes = value<cl_ulong>(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  return facts;
}

/// A UUID or PCI address where the driver gives one; else the names, and which one it is of several with that name.
void identify(bp_device_info& info, cl_device_id id, const std::string& platform_name, const std::string& name,
              std::map<std::string, int>& seen) {
  const std::string extensions = device_text(id, CL_DEVICE_EXTENSIONS);
  std::string stable;
  if (has_word(extensions, "cl_khr_device_uuid") &&
      cl().GetDeviceInfo(id, kDeviceUuid, sizeof(info.uuid), info.uuid, nullptr) == CL_SUCCESS) {
    for (const uint8_t byte : info.uuid) {
      char hex[3];
      std::snprintf(hex, sizeof(hex), "%02x", byte);
      stable += hex;
    }
  }
  if (has_word(extensions, "cl_khr_pci_bus_info")) {
    cl_uint at[4] = {};
    if (cl().GetDeviceInfo(id, kPciBusInfo, sizeof(at), at, nullptr) == CL_SUCCESS) {
      std::snprintf(info.pci, sizeof(info.pci), "%04x:%02x:%02x.%x", at[0] & 0xffffu, at[1] & 0xffu, at[2] & 0xffu,
                    at[3] & 0xfu);
    }
  }
  if (stable.empty()) stable = devicekit::digest(platform_name + "|" + name + "|" + info.pci).hex().substr(0, 16);
  if (const int earlier = seen[stable]++; earlier != 0) stable += "-" + std::to_string(earlier);
  sdk::copy_text(info.id, sizeof(info.id), stable);
}

DeviceEntry describe(cl_platform_id platform, cl_device_id id, std::map<std::string, int>& seen) {
  DeviceEntry entry;
  entry.platform = platform;
  entry.id = id;
  const std::string platform_name = platform_text(platform, CL_PLATFORM_NAME);
  const std::string platform_version = platform_text(platform, CL_PLATFORM_VERSION);
  const std::string name = device_text(id, CL_DEVICE_NAME), driver = device_text(id, CL_DRIVER_VERSION);
  const std::string version = device_text(id, CL_DEVICE_VERSION);
  const cl_device_type type = value<cl_device_type>(id, CL_DEVICE_TYPE);
  const bool unified = value<cl_bool>(id, CL_DEVICE_HOST_UNIFIED_MEMORY) != 0;
  const bool cpu = (type & CL_DEVICE_TYPE_CPU) != 0;
  const uint32_t kind = cpu                                        ? BP_KIND_CPU
                        : (type & CL_DEVICE_TYPE_GPU) != 0         ? (unified ? BP_KIND_INTEGRATED_GPU : BP_KIND_GPU)
                        : (type & CL_DEVICE_TYPE_ACCELERATOR) != 0 ? BP_KIND_ACCELERATOR
                                                                   : BP_KIND_OTHER;
  // OpenCL on the processor emulates the device that the kernels are written for: ranked last, and said so.
  const uint32_t flags = (cpu ? uint32_t{BP_DEVICE_SOFTWARE} | BP_DEVICE_HOST_POINTERS : 0u) |
                         (cpu || unified ? uint32_t{BP_DEVICE_UNIFIED_MEMORY} : 0u);
  bp_device_info& info = entry.info;
  info = sdk::make_device_info(0, kind, flags, "", name + (cpu ? " (OpenCL in software)" : ""));
  identify(info, id, platform_name, name, seen);
  sdk::copy_text(info.architecture, sizeof(info.architecture), name);
  sdk::copy_text(info.driver, sizeof(info.driver), platform_name + " " + driver);
  info.memory_total = value<cl_ulong>(id, CL_DEVICE_GLOBAL_MEM_SIZE);
  info.max_allocation = value<cl_ulong>(id, CL_DEVICE_MAX_MEM_ALLOC_SIZE);
  info.offset_alignment = 64;
  info.max_queues = 4;
  entry.facts = read_facts(id, cpu);
  info.compute_units = entry.facts.compute_units;
  entry.host_memory = cpu;
  entry.profiling_resolution = static_cast<double>(value<size_t>(id, CL_DEVICE_PROFILING_TIMER_RESOLUTION, 1));
  entry.build_options = "-cl-std=CL1.2 -w";  // PoCL would count warnings on stderr
  entry.toolchain = platform_name + "|" + platform_version + "|" + name + "|" + version + "|" + driver;
  return entry;
}

/// Why a platform has no device, where there is a known reason.
std::string no_device_reason(const std::string& platform_name) {
  if (platform_name == "Portable Computing Language") {
    return "platform '" + platform_name +
           "' shows no device, which PoCL does when its cache directory cannot be written; set POCL_CACHE_DIR to one "
           "that can";
  }
  return "platform '" + platform_name + "' shows no device";
}

std::vector<cl_platform_id> platforms(Listing& listing) {
  cl_uint count = 0;
  const cl_int code = cl().GetPlatformIDs(0, nullptr, &count);
  if (code == kIcdNotFound || (code == CL_SUCCESS && count == 0)) {
    listing.problem = "the OpenCL loader finds no driver (no usable file in /etc/OpenCL/vendors); install one, for "
                      "example pocl-opencl-icd";
    return {};
  }
  check(code, "clGetPlatformIDs");
  std::vector<cl_platform_id> all(count);
  check(cl().GetPlatformIDs(count, all.data(), nullptr), "clGetPlatformIDs");
  return all;
}

}  // namespace

Listing list_devices(const sdk::Host& host) {
  Listing listing;
  std::map<std::string, int> seen;
  for (const cl_platform_id platform : platforms(listing)) {
    const std::string name = platform_text(platform, CL_PLATFORM_NAME);
    const auto leave_out = [&](const std::string& why) {
      host.log(BP_LOG_INFO, "opencl", why);
      listing.problem += (listing.problem.empty() ? "" : "; ") + why;
    };
    cl_uint count = 0;
    const cl_int code = cl().GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, 0, nullptr, &count);
    if (code == CL_DEVICE_NOT_FOUND || (code == CL_SUCCESS && count == 0)) {
      leave_out(no_device_reason(name));
      continue;
    }
    std::vector<cl_device_id> ids(count);
    if (code != CL_SUCCESS ||
        cl().GetDeviceIDs(platform, CL_DEVICE_TYPE_ALL, count, ids.data(), nullptr) != CL_SUCCESS) {
      leave_out("platform '" + name + "' cannot list its devices: " + code_name(code));
      continue;
    }
    for (const cl_device_id id : ids) {
      const std::string device = device_text(id, CL_DEVICE_NAME);
      if (value<cl_bool>(id, CL_DEVICE_AVAILABLE) == 0 || value<cl_bool>(id, CL_DEVICE_COMPILER_AVAILABLE) == 0) {
        leave_out("device '" + device + "' is not available or has no compiler");
      } else if (version_number(device_text(id, CL_DEVICE_VERSION)) < 12) {
        leave_out("device '" + device + "' offers less than OpenCL 1.2");
      } else {
        listing.devices.push_back(describe(platform, id, seen));
        listing.devices.back().info.index = static_cast<uint32_t>(listing.devices.size() - 1);
      }
    }
  }
  if (!listing.devices.empty()) listing.problem.clear();
  return listing;
}

}  // namespace backplane::opencl
