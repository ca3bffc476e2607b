// SPDX-License-Identifier: Apache-2.0
#include "device.h"

#include <algorithm>

#include "backplane/codegen/answers.h"
#include "backplane/sdk/plugin_timing.hpp"
#include "opencl_build_id.h"
#include "status.h"

namespace backplane::opencl {

Device::Device(const sdk::Host& host, DeviceEntry entry) : host_(host), entry_(std::move(entry)) {
  cl_int code = CL_SUCCESS;
  const cl_context_properties properties[] = {CL_CONTEXT_PLATFORM,
                                              reinterpret_cast<cl_context_properties>(entry_.platform), 0};
  context_ = cl().CreateContext(properties, 1, &entry_.id, nullptr, nullptr, &code);
  opencl::check(code, "clCreateContext");
  try {
    service_queue_ = new_command_queue(true);
  } catch (...) {
    cl().ReleaseContext(context_);
    throw;
  }
  memory_ = make_pool(entry_, context_, service_queue_);
  programs_ = std::make_unique<Programs>(host_, entry_, context_);
}

Device::~Device() {
  programs_.reset();
  memory_.reset();
  cl().ReleaseCommandQueue(service_queue_);
  cl().ReleaseContext(context_);
}

cl_command_queue Device::new_command_queue(bool profiling) {
  cl_int code = CL_SUCCESS;
  const cl_command_queue queue =
      cl().CreateCommandQueue(context_, entry_.id, profiling ? CL_QUEUE_PROFILING_ENABLE : 0, &code);
  opencl::check(code, "clCreateCommandQueue");
  return queue;
}

void Device::throw_lost() const {
  std::lock_guard<std::mutex> lock(lost_mutex_);
  throw sdk::Failure(BP_E_DEVICE_LOST, lost_text_, BP_SCOPE_DEVICE, 0, "opencl", lost_code_);
}

void Device::fail(cl_int code, const char* what, bool waited) {
  need_usable();
  const bool lost = code == CL_DEVICE_NOT_AVAILABLE || (waited && means_device_lost(code));
  if (!lost) throw failure_of(code, what);
  {
    std::lock_guard<std::mutex> lock(lost_mutex_);
    lost_text_ = "[opencl] device '" + std::string(entry_.info.name) + "' is lost: " + what + " returned " +
                 code_name(code) + "; open it again";
    lost_code_ = code;
  }
  lost_.store(true, std::memory_order_release);
  bp_error event{};
  event.size = sizeof(event);
  sdk::fill_error(&event, BP_E_DEVICE_LOST, lost_text_, BP_SCOPE_DEVICE, 0, "opencl", code);
  host_.device_event(entry_.info.index, event);
  throw_lost();
}

std::unique_ptr<Buffer> Device::alloc(uint64_t bytes, uint32_t kind) {
  need_usable();
  return std::make_unique<Buffer>(memory_, bytes, entry_.host_memory ? uint32_t{BP_MEMORY_DEVICE} : kind);
}

std::unique_ptr<Buffer> Device::import_host(void* data, uint64_t bytes, uint32_t /*access*/) {
  need_usable();
  if (!entry_.host_memory) {
    throw sdk::Failure(BP_E_UNSUPPORTED, "[import_host] this device has memory of its own; upload instead");
  }
  cl_int code = CL_SUCCESS;
  const cl_mem memory = cl().CreateBuffer(context_, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes, data, &code);
  check(code, "clCreateBuffer");
  return std::make_unique<Buffer>(memory, data, bytes);
}

uint64_t Device::memory_available() const {
  const uint64_t total = memory_->limits().total, used = memory_->used();
  return total > used ? total - used : 0;
}

bp_memory_usage Device::usage() const {
  return {sizeof(bp_memory_usage), 0, memory_->used(), memory_available()};
}

std::vector<bp_metric> Device::sample() {
  const auto bytes = [](const char* name, uint64_t value) {
    bp_metric metric{sizeof(bp_metric), BP_UNIT_BYTES, {}, static_cast<double>(value)};
    sdk::copy_text(metric.name, sizeof(metric.name), name);
    return metric;
  };
  return {bytes("memory.used", memory_->used()), bytes("memory.available", memory_available())};
}

std::unique_ptr<Queue> Device::create_queue() {
  need_usable();
  return std::make_unique<Queue>(*this);
}
std::unique_ptr<Event> Device::create_event() {
  need_usable();
  return std::make_unique<Event>(*this);
}

void Device::query(const bp_op& op, sdk::Support& support) {
  need_usable();
  codegen::answer_query(op, entry_.facts, "opencl", support);
}

void Device::variants(const bp_op& op, std::vector<bp_variant>& list) {
  need_usable();
  codegen::answer_variants(op, entry_.facts, BACKPLANE_OPENCL_OWN_ID, list);
}

std::unique_ptr<Kernel> Device::prepare(const bp_op& op, const char* variant) {
  need_usable();
  const codegen::Variant chosen = codegen::choose_variant(op, entry_.facts, "opencl", variant);
  auto kernel = std::make_unique<Kernel>();
  for (const codegen::Launch& launch : chosen.build().launches) {
    const auto warm_up = [&](cl_program program) {
      std::lock_guard<std::mutex> lock(service_mutex_);
      launch_once(launch, program, context_, service_queue_);
    };
    std::shared_ptr<Program> program =
        programs_->get(launch.name, launch.source, has_large_grid(launch), warm_up, &kernel->build_time_ns);
    kernel->launches.push_back(std::make_unique<Launch>(launch, std::move(program), context_));
  }
  kernel->workspace = chosen.workspace;
  sdk::copy_text(kernel->variant, sizeof(kernel->variant), chosen.name);
  return kernel;
}

void* Device::native(void* handle, uint32_t what) {
  switch (what) {
    case BP_NATIVE_DEVICE: return static_cast<Device*>(handle)->entry_.id;
    case BP_NATIVE_QUEUE: return static_cast<Queue*>(handle)->get();
    case BP_NATIVE_BUFFER: return static_cast<Buffer*>(handle)->memory;
  }
  throw sdk::Failure(BP_E_UNSUPPORTED, "[native] kind " + std::to_string(what) + " is unknown to this plugin");
}

void Device::calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns) {
  need_usable();
  std::lock_guard<std::mutex> lock(service_mutex_);
  *deviation_ns = UINT64_MAX;
  for (int round = 0; round < 8; ++round) {  // the shortest round brackets the moment best
    cl_event event = nullptr;
    const uint64_t before = sdk::monotonic_ns();
    check(cl().EnqueueMarkerWithWaitList(service_queue_, 0, nullptr, &event), "clEnqueueMarkerWithWaitList");
    cl_ulong end = 0;
    cl_int code = cl().Finish(service_queue_);
    const uint64_t after = sdk::monotonic_ns();
    if (code == CL_SUCCESS) {
      code = cl().GetEventProfilingInfo(event, CL_PROFILING_COMMAND_END, sizeof(end), &end, nullptr);
    }
    cl().ReleaseEvent(event);
    check(code, "clGetEventProfilingInfo");
    if ((after - before + 1) / 2 >= *deviation_ns) continue;
    *deviation_ns = (after - before + 1) / 2;
    *host_ns = before + (after - before) / 2;
    *ticks = end;
  }
}

}  // namespace backplane::opencl
