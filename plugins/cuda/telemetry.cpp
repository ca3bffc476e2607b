// SPDX-License-Identifier: Apache-2.0
#include "telemetry.h"

#include <dlfcn.h>

#include <limits>

#include "driver.h"

namespace backplane::cuda {

namespace {

// What is used of nvml.h, which the toolkit does not always bring along. NVML's interface is stable and versioned by name.
using NvmlDevice = struct NvmlDeviceObject*;
struct Load {
  unsigned gpu, memory;  // percent
};
constexpr int kSuccess = 0, kClockSm = 1, kClockMemory = 2, kGpuTemperature = 0;
namespace signatures {
using Init_v2 = int (*)();
using Shutdown = int (*)();
using DeviceGetHandleByPciBusId_v2 = int (*)(const char*, NvmlDevice*);
using DeviceGetClockInfo = int (*)(NvmlDevice, int, unsigned* mhz);
using DeviceGetPowerUsage = int (*)(NvmlDevice, unsigned* milliwatts);
using DeviceGetTemperature = int (*)(NvmlDevice, int, unsigned* celsius);
using DeviceGetUtilizationRates = int (*)(NvmlDevice, Load*);
}  // namespace signatures

}  // namespace

#define BACKPLANE_NVML_CALLS(X)                                                                                      \
  X(Init_v2) X(Shutdown) X(DeviceGetHandleByPciBusId_v2) X(DeviceGetClockInfo) X(DeviceGetPowerUsage)                \
  X(DeviceGetTemperature) X(DeviceGetUtilizationRates)

struct Nvml::Api {
#define X(name) signatures::name name = nullptr;
  BACKPLANE_NVML_CALLS(X)
#undef X
};

bp_metric make_metric(const char* name, uint32_t unit, double value) {
  bp_metric metric{sizeof(bp_metric), unit, {}, value};
  sdk::copy_text(metric.name, sizeof(metric.name), name);
  return metric;
}

Nvml::Nvml(const sdk::Host& host) {
  std::string problem;
  void* library = open_library(host.config("cuda.nvml").value_or("libnvidia-ml.so.1").c_str(), problem);
  if (library == nullptr) {
    host.log(BP_LOG_DEBUG, "cuda", "no NVML, so no clocks, power or temperature: " + problem);
    return;
  }
  auto api = std::make_unique<Api>();
#define X(name)                                                                         \
  api->name = reinterpret_cast<decltype(api->name)>(dlsym(library, "nvml" #name));      \
  if (api->name == nullptr) return;
  BACKPLANE_NVML_CALLS(X)
#undef X
  if (api->Init_v2() == kSuccess) api_ = std::move(api);
}

Nvml::~Nvml() {
  if (api_ != nullptr) api_->Shutdown();
}

void Nvml::sample(const char* pci, std::vector<bp_metric>& metrics) const {
  NvmlDevice device = nullptr;
  if (api_ == nullptr || api_->DeviceGetHandleByPciBusId_v2(pci, &device) != kSuccess) return;
  const auto add = [&](const char* name, uint32_t unit, int code, double value) {
    metrics.push_back(make_metric(name, unit, code == kSuccess ? value : std::numeric_limits<double>::quiet_NaN()));
  };
  unsigned value = 0;
  int code = api_->DeviceGetClockInfo(device, kClockSm, &value);
  add("clock.sm", BP_UNIT_HERTZ, code, 1e6 * value);
  code = api_->DeviceGetClockInfo(device, kClockMemory, &value);
  add("clock.memory", BP_UNIT_HERTZ, code, 1e6 * value);
  code = api_->DeviceGetPowerUsage(device, &value);
  add("power.draw", BP_UNIT_WATT, code, 1e-3 * value);
  code = api_->DeviceGetTemperature(device, kGpuTemperature, &value);
  add("temperature", BP_UNIT_CELSIUS, code, value);
  Load load{};
  code = api_->DeviceGetUtilizationRates(device, &load);
  add("load", BP_UNIT_RATIO, code, 0.01 * load.gpu);
}

}  // namespace backplane::cuda
