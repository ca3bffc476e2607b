// SPDX-License-Identifier: Apache-2.0
#include "devices.h"

#include <cstdio>
#include <cstring>

#include "backplane/sdk/answers.hpp"
#include "cudnn.h"

namespace backplane::cuda {
namespace {

constexpr int kOldestMajor = 7;  // the oldest generation that NVRTC 13 compiles for (7.5)

int attribute(CUdevice device, CUdevice_attribute what) {
  int value = 0;
  check(cu().DeviceGetAttribute(&value, what, device), "cuDeviceGetAttribute");
  return value;
}

codegen::DeviceFacts read_facts(CUdevice device) {
  codegen::DeviceFacts facts;
  facts.dialect = codegen::Dialect::cuda;
  facts.f16_storage = facts.bf16_storage = facts.bool_storage = facts.f64 = facts.i64 = true;
  const auto unsigned_attribute = [&](CUdevice_attribute what) { return static_cast<uint32_t>(attribute(device, what)); };
  facts.compute_units = unsigned_attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
  facts.max_group_size = unsigned_attribute(CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
  const CUdevice_attribute block[] = {CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X, CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Y,
                                      CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_Z};
  const CUdevice_attribute grid[] = {CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X, CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Y,
                                     CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_Z};
  for (int d = 0; d < 3; ++d) {
    facts.max_group_extent[d] = unsigned_attribute(block[d]);
    facts.max_grid_extent[d] = unsigned_attribute(grid[d]);
  }
  // What __shared__ arrays of a fixed size may have without a launch attribute.
  facts.local_bytes = unsigned_attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK);
  facts.subgroup_size = unsigned_attribute(CU_DEVICE_ATTRIBUTE_WARP_SIZE);
  facts.subgroup_arithmetic = facts.subgroup_shuffle = true;
  // wmma: m16n16k16, f16 from sm_70, bf16 from sm_80 (PTX ISA).
  const int major = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  if (major >= 7) facts.cooperative.push_back({16, 16, 16, BP_F16});
  if (major >= 8) facts.cooperative.push_back({16, 16, 16, BP_BF16});
  facts.vector_width = 4;
  facts.atomic_add_f32 = true;
  // Arguments take up to 4 KiB: 12 bytes for a buffer and its offset, the rest for words.
  facts.max_buffers = 40;
  facts.max_words = 800;
  return facts;
}

DeviceEntry describe(CUdevice device, int driver, const std::string& libraries) {
  DeviceEntry entry;
  entry.handle = device;
  entry.major = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
  entry.minor = attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
  char name[128] = "", pci[16] = "", id[33] = "";
  check(cu().DeviceGetName(name, sizeof(name), device), "cuDeviceGetName");
  check(cu().DeviceGetPCIBusId(pci, sizeof(pci), device), "cuDeviceGetPCIBusId");
  CUuuid uuid;
  check(cu().DeviceGetUuid(&uuid, device), "cuDeviceGetUuid");
  for (int i = 0; i < 16; ++i) std::snprintf(id + 2 * i, 3, "%02x", static_cast<unsigned char>(uuid.bytes[i]));
  const bool integrated = attribute(device, CU_DEVICE_ATTRIBUTE_INTEGRATED) != 0;
  entry.info = sdk::make_device_info(0, integrated ? BP_KIND_INTEGRATED_GPU : BP_KIND_GPU,
                                     integrated ? uint32_t{BP_DEVICE_UNIFIED_MEMORY} : 0u, id, name);
  bp_device_info& info = entry.info;
  std::memcpy(info.uuid, uuid.bytes, sizeof(info.uuid));
  sdk::copy_text(info.pci, sizeof(info.pci), pci);
  sdk::copy_text(info.architecture, sizeof(info.architecture),
                 "sm_" + std::to_string(10 * entry.major + entry.minor));
  sdk::copy_text(info.driver, sizeof(info.driver),
                 "CUDA driver " + std::to_string(driver / 1000) + "." + std::to_string(driver % 1000 / 10) +
                     ", " + libraries);
  size_t total = 0;
  check(cu().DeviceTotalMem(&total, device), "cuDeviceTotalMem");
  info.memory_total = info.max_allocation = total;
  info.offset_alignment = 256;
  entry.facts = read_facts(device);
  info.compute_units = entry.facts.compute_units;
  info.max_queues = 16;
  return entry;
}

}  // namespace

std::vector<DeviceEntry> list_devices(const sdk::Host& host) {
  open_driver(host);
  int count = 0, driver = 0;
  check(cu().DeviceGetCount(&count), "cuDeviceGetCount");
  check(cu().DriverGetVersion(&driver), "cuDriverGetVersion");
  const std::string libraries = dnn::version_text(dnn::open(host));
  std::vector<DeviceEntry> entries;
  std::string problem = "the NVIDIA driver finds no device";
  for (int ordinal = 0; ordinal < count; ++ordinal) {
    try {
      CUdevice device = 0;
      check(cu().DeviceGet(&device, ordinal), "cuDeviceGet");
      DeviceEntry entry = describe(device, driver, libraries);
      if (entry.major < kOldestMajor) {
        throw sdk::Failure(BP_E_UNAVAILABLE, std::string(entry.info.name) + " has compute capability " +
                                                 std::to_string(entry.major) + "." + std::to_string(entry.minor) +
                                                 "; 7.5 is the oldest that is compiled for");
      }
      entry.info.index = static_cast<uint32_t>(entries.size());
      entries.push_back(std::move(entry));
    } catch (const sdk::Failure& failure) {  // one device that fails hides no other
      problem = "device " + std::to_string(ordinal) + ": " + failure.what();
      host.log(BP_LOG_INFO, "cuda", problem);
    }
  }
  if (entries.empty()) throw sdk::Failure(BP_E_UNAVAILABLE, problem);
  return entries;
}

}  // namespace backplane::cuda
