// SPDX-License-Identifier: Apache-2.0
// An opened device and the objects made on it, with ownership expressed in C++ types.
//
// The wrappers add lifetime and exceptions and nothing else: the hot path (`bp_kernels_api::enqueue`) is reached
// through the plain tables. Tables are copies completed with zeros, so a member that an older plugin lacks reads as
// NULL.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backplane/dlpack.h"
#include "backplane/host/error.h"
#include "backplane/collective.h"
#include "backplane/peer.h"
#include "backplane/plugin.h"

namespace backplane::host {

class Device;
using DevicePtr = std::shared_ptr<Device>;

namespace detail {
/// The process is ending: handles that live in static objects are then not given back, because the static objects of
/// their plugins may be gone already.
inline std::atomic<bool> process_ending{false};

/// A plugin handle, destroyed through `destroy`; keeps its device open.
template <class T>
class Handle {
 public:
  using Destroy = void (*)(T*);
  Handle() = default;
  Handle(T* handle, Destroy destroy, DevicePtr device)
      : handle_(handle), destroy_(destroy), device_(std::move(device)) {}
  Handle(Handle&& other) noexcept { swap(other); }
  Handle& operator=(Handle&& other) noexcept {
    Handle(std::move(other)).swap(*this);
    return *this;
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (handle_ == nullptr || destroy_ == nullptr || process_ending.load(std::memory_order_relaxed)) return;
    destroy_(handle_);
  }
  void swap(Handle& other) noexcept {
    std::swap(handle_, other.handle_);
    std::swap(destroy_, other.destroy_);
    device_.swap(other.device_);
  }
  T* get() const { return handle_; }
  const DevicePtr& device() const { return device_; }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  T* handle_ = nullptr;
  Destroy destroy_ = nullptr;
  DevicePtr device_;
};
}  // namespace detail

using Buffer = detail::Handle<bp_buffer>;
using Queue = detail::Handle<bp_queue>;
using Event = detail::Handle<bp_event>;
using Recording = detail::Handle<bp_recording>;
using Timer = detail::Handle<bp_timer>;

struct Kernel {
  detail::Handle<bp_kernel> handle;
  uint64_t workspace = 0;
  uint64_t build_time_ns = 0;
  std::string variant;
};

struct Support {
  uint32_t verdict = BP_SUPPORT_NO;
  uint32_t want_dense = 0;
  uint32_t want_dtype = 0;
  std::string reason;
};

struct Variant {
  std::string name;
  uint32_t flags = 0;
  uint32_t numeric_notes = 0;
  uint32_t determinism = 0;
  uint64_t workspace = 0;
  double prior = 0;
  uint64_t code_hash = 0;  ///< 0: the plugin's build id stands for it
};

/// Somebody else's memory as a buffer, which keeps the tensor that was received; where in it the elements lie.
struct Received {
  Buffer buffer;
  uint64_t offset = 0;  ///< bytes to element (0, ..., 0)
  bp_tensor_desc desc{};
};

class Plugin;  // a loaded library; outlives its devices

class Device : public std::enable_shared_from_this<Device> {
 public:
  Device(std::shared_ptr<Plugin> plugin, const bp_device_info& info, std::string name);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  /// Selector that names it: "cpu:0".
  const std::string& name() const { return name_; }
  const std::string& plugin_name() const;
  const std::string& plugin_build_id() const;
  const std::filesystem::path& plugin_path() const;
  const bp_device_info& info() const { return info_; }
  bool has(uint32_t device_flag) const { return (info_.flags & device_flag) != 0; }

  bp_device* handle() const { return handle_; }
  const bp_memory_api& memory() const { return memory_; }
  const bp_queue_api& queues() const { return queue_; }
  const bp_kernels_api& kernels() const { return kernels_; }
  const bp_capture_api* capture() const { return capture_.size != 0 ? &capture_ : nullptr; }
  const bp_timing_api* timing() const { return timing_.size != 0 ? &timing_ : nullptr; }
  const bp_interop_api* interop() const { return interop_.size != 0 ? &interop_ : nullptr; }
  /// For copies from `source`; null unless both are devices of one plugin that offers them.
  const bp_peer_api* peer(const Device& source) const {
    return peer_.size != 0 && source.plugin_ == plugin_ ? &peer_ : nullptr;
  }
  /// For groups of devices of this plugin; null when it makes none.
  const bp_collective_api* collective() const;
  const bp_telemetry_api* telemetry() const { return telemetry_.size != 0 ? &telemetry_ : nullptr; }

  /// All throw Error.
  Buffer alloc(uint64_t bytes, uint32_t kind = BP_MEMORY_DEVICE);
  Queue create_queue();
  Event create_event();
  Support query(const bp_op& op);
  std::vector<Variant> variants(const bp_op& op);
  Kernel prepare(const bp_op& op, const char* variant = nullptr);
  void upload(const Queue& queue, bp_view target, const void* source, uint64_t bytes, bool stable = false);
  void download(const Queue& queue, void* target, bp_view source, uint64_t bytes);
  void finish(const Queue& queue);
  /// DLPack, where the device's memory can be addressed; else the Error says that it cannot. Work on the elements has
  /// to be finished. Ownership of `tensor` moves on success only; `lent` is held until the receiver calls the deleter.
  Received dlpack_import(DLManagedTensorVersioned* tensor);
  DLManagedTensorVersioned* dlpack_export(bp_view view, const bp_tensor_desc& desc, std::shared_ptr<void> lent);

 private:
  std::shared_ptr<Plugin> plugin_;
  bp_device_info info_;
  std::string name_;
  bp_device* handle_ = nullptr;
  bp_memory_api memory_{};
  bp_queue_api queue_{};
  bp_kernels_api kernels_{};
  bp_capture_api capture_{};
  bp_timing_api timing_{};
  bp_interop_api interop_{};
  bp_telemetry_api telemetry_{};
  bp_peer_api peer_{};
};

}  // namespace backplane::host
