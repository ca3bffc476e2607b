// SPDX-License-Identifier: Apache-2.0
// One opened device: context, memory, compiled programs, and the memory of having been lost.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backplane/sdk/answers.hpp"
#include "devices.h"
#include "event.h"
#include "kernel.h"
#include "memory.h"
#include "programs.h"
#include "timing.h"

namespace backplane::opencl {

class Device {
 public:
  using Buffer = opencl::Buffer;
  using Queue = opencl::Queue;
  using Event = opencl::Event;
  using Kernel = opencl::Kernel;

  Device(const sdk::Host& host, DeviceEntry entry);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  std::unique_ptr<Buffer> alloc(uint64_t bytes, uint32_t kind);
  bp_memory_usage usage() const;
  std::unique_ptr<Queue> create_queue();
  std::unique_ptr<Event> create_event();
  void query(const bp_op& op, sdk::Support& support);
  void variants(const bp_op& op, std::vector<bp_variant>& list);
  std::unique_ptr<Kernel> prepare(const bp_op& op, const char* variant);
  std::unique_ptr<Buffer> import_host(void* data, uint64_t bytes, uint32_t access);
  static void* native(void* handle, uint32_t what);
  std::vector<bp_metric> sample();
  bp_timing_info timing_info() const { return {sizeof(bp_timing_info), 64, 1.0, entry_.profiling_resolution}; }
  std::unique_ptr<Timer> create_timer(uint32_t stamps) { return std::make_unique<Timer>(*this, stamps); }
  void calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns);

  const DeviceEntry& entry() const { return entry_; }
  cl_context context() const { return context_; }
  /// A new in-order command queue.
  cl_command_queue new_command_queue(bool profiling);

  /// Throws once the device is lost.
  void need_usable() const {
    if (lost_.load(std::memory_order_acquire)) [[unlikely]] throw_lost();
  }
  /// Throws unless CL_SUCCESS. `waited`: the call reported how earlier work ended, so that codes which otherwise mean
  /// too few resources mean that the work crashed.
  void check(cl_int code, const char* what, bool waited = false) {
    if (code != CL_SUCCESS) [[unlikely]] fail(code, what, waited);
  }

 private:
  uint64_t memory_available() const;
  [[noreturn]] void fail(cl_int code, const char* what, bool waited);
  [[noreturn]] void throw_lost() const;

  sdk::Host host_;
  DeviceEntry entry_;
  cl_context context_ = nullptr;
  cl_command_queue service_queue_ = nullptr;  // for memory, warming up and the clock
  std::mutex service_mutex_;
  std::shared_ptr<devicekit::Pool> memory_;
  std::unique_ptr<Programs> programs_;
  std::atomic<bool> lost_{false};
  mutable std::mutex lost_mutex_;
  std::string lost_text_;
  int64_t lost_code_ = 0;
};

}  // namespace backplane::opencl
