// SPDX-License-Identifier: Apache-2.0
// One opened GPU: its primary context (which CUDA's libraries and other frameworks share), memory, compiled programs, and
// the memory of having been lost.
#pragma once

#include <atomic>
#include <set>

#include "backplane/sdk/answers.hpp"
#include "cudnn_plans.h"
#include "devices.h"
#include "lt.h"
#include "nccl.h"
#include "telemetry.h"
#include "timing.h"

namespace backplane::cuda {

class Device {
 public:
  using Buffer = cuda::Buffer;
  using Queue = cuda::Queue;
  using Event = cuda::Event;
  using Kernel = cuda::Kernel;
  using Group = cuda::Group;

  Device(const sdk::Host& host, const Compiler& compiler, const Nvml& nvml, DeviceEntry entry);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  std::unique_ptr<Buffer> alloc(uint64_t bytes, uint32_t kind);
  std::unique_ptr<Buffer> import_host(void* data, uint64_t bytes, uint32_t access);
  sdk::DlpackPlace dlpack_place(const Buffer& buffer) const;
  std::unique_ptr<Buffer> import_dlpack(DLDevice where, void* data, uint64_t bytes);
  bp_memory_usage usage() const;
  std::unique_ptr<Queue> create_queue();
  std::unique_ptr<Event> create_event();
  void query(const bp_op& op, sdk::Support& support);
  void variants(const bp_op& op, std::vector<bp_variant>& list);
  std::unique_ptr<Kernel> prepare(const bp_op& op, const char* variant);
  static void* native(void* handle, uint32_t what);
  std::vector<bp_metric> sample();
  /// CUDA documents a resolution of about half a microsecond for events.
  bp_timing_info timing_info() const { return {sizeof(bp_timing_info), 64, 1.0, 500.0}; }
  std::unique_ptr<Timer> create_timer(uint32_t stamps) { return std::make_unique<Timer>(*this, *clock_, stamps); }
  void calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns);

  bp_group_id make_group_id();
  std::unique_ptr<Group> join(const bp_group_id& id, uint32_t ranks, uint32_t rank);
  /// Lets this device, whose context is current, read the other's memory, where that is possible.
  void reach(const Device& other);

  /// The context made current on this thread; throws once the device is lost.
  [[nodiscard]] Current enter() const;
  CUcontext context() const { return context_; }
  /// Throws unless CUDA_SUCCESS. `after` names what may have crashed.
  void check(CUresult code, const char* what, const std::string& after = {}) const {
    if (code != CUDA_SUCCESS) [[unlikely]] fail(code, what, after);
  }
  const DeviceEntry& entry() const { return entry_; }
  /// Every launch is waited for (setting `cuda.synchronous`), so that a crash names its kernel.
  bool synchronous() const { return synchronous_; }

 private:
  [[noreturn]] void fail(CUresult code, const char* what, const std::string& after) const;
  [[noreturn]] void throw_lost() const;
  uint64_t memory_cap() const;
  /// Launches of codegen's, which compile into `*build_ns`.
  Steps launches(const codegen::Variant& variant, uint64_t* build_ns);
  /// The launches that an epilogue is, behind a step that leaves it.
  void add_epilogue(const bp_op& op, bool out_of_workspace, Steps& steps, uint64_t* build_ns);
  /// What cuBLASLt offers, of that what can be prepared.
  std::vector<LtVariant> products(const bp_op& op) const;
  std::unique_ptr<Kernel> prepare_product(const bp_op& op, const LtVariant& variant);
  std::unique_ptr<Kernel> prepare_plan(const bp_op& op, const char* name);
  /// Makes what the kernel does the way for operands of that alignment, and adds Backplane's own for others.
  void add_way_for_any_alignment(const bp_op& op, uint64_t alignment, Kernel& kernel);

  sdk::Host host_;
  DeviceEntry entry_;
  const Compiler& compiler_;
  const Nvml& nvml_;
  bool synchronous_ = false;
  CUcontext context_ = nullptr;
  std::shared_ptr<devicekit::Pool> memory_, staging_;  ///< the cap is on the device's
  std::unique_ptr<Programs> programs_;
  std::unique_ptr<BlasLt> lt_;
  std::unique_ptr<dnn::Plans> plans_;
  std::unique_ptr<Clock> clock_;
  std::mutex reached_mutex_;
  std::set<CUdevice> reached_;  ///< asked for
  mutable std::atomic<bool> lost_{false};
  mutable std::mutex lost_mutex_;
  mutable std::string lost_text_;
  mutable int64_t lost_code_ = 0;
};

}  // namespace backplane::cuda
