// SPDX-License-Identifier: Apache-2.0
// From C++ classes to the C tables: BACKPLANE_PLUGIN(MyPlugin) defines the one exported symbol.
//
// What the host calls arrives at a thunk here: it completes structs, checks arguments, calls the author's function,
// and lets no exception out. Everything is resolved at compile time from the author's types; members that are not
// declared leave their slot NULL or their interface out. An author declares
//
//   struct MyPlugin {
//     static constexpr sdk::PluginInfo kInfo{"name", "1.0.0", "build id", "one line for people"};
//     using Device = MyDevice;                             // often derived from sdk::HostDevice
//     explicit MyPlugin(const sdk::Host& host);            // or a default constructor
//     std::vector<bp_device_info> devices();               // `size` is filled in; throw BP_E_UNAVAILABLE when none
//     std::unique_ptr<MyDevice> open(uint32_t index);
//     static const void* extra_interface(std::string_view name);  // optional: other tables, by hand
//   };
//   struct MyDevice {
//     using Buffer, Queue, Event, Kernel;
//     std::unique_ptr<Buffer> alloc(uint64_t bytes, uint32_t kind);
//     bp_memory_usage usage();                             // optional
//     std::unique_ptr<Queue> create_queue();
//     std::unique_ptr<Event> create_event();
//     void query(const bp_op& op, sdk::Support& support);  // ops arrive validated (validate.hpp)
//     void variants(const bp_op& op, std::vector<bp_variant>& list);  // optional: one called "default"
//     std::unique_ptr<Kernel> prepare(const bp_op& op, const char* variant);  // NULL = the default one
//     std::unique_ptr<Buffer> import_host(void*, uint64_t, uint32_t);         // optional, bp.interop
//     sdk::DlpackPlace dlpack_place(const Buffer&);  // optional, bp.interop: DLPack, if Buffer has `sdk::Lent lent`
//     std::unique_ptr<Buffer> import_dlpack(DLDevice, void*, uint64_t);       // else import_host gets the host's memory
//     static void* native(void* handle, uint32_t what);                       // optional, bp.interop
//     std::vector<bp_metric> sample();                                        // optional, bp.telemetry
//     std::unique_ptr<Timer> create_timer(uint32_t stamps);                   // optional, bp.timing, with
//     bp_timing_info timing_info();
//     void calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns);  // optional
//   };
//   Buffer: void* data, or void* host_pointer(); NULL or absent: this memory has no host address.
//   Queue: upload download copy fill flush finish(bp_error*) record wait enqueue(const Kernel&, ...), as HostQueue.
//     optional, bp.capture: begin_capture(), std::unique_ptr<Recording> end_capture(), replay(Recording&).
//     optional, bp.peer: copy_from(target view, Device&, source view, bytes).
//   Timer: stamp(Queue&, index), bp_status read(first, count, uint64_t* ticks, bp_error*); indices arrive checked.
//   Event: bp_status sync(timeout, bp_error*).  Kernel: workspace, build_time_ns, variant, as HostKernel.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backplane/sdk/answers.hpp"
#include "backplane/sdk/negotiate.hpp"
#include "backplane/sdk/op.hpp"
#include "backplane/sdk/plugin_interop.hpp"
#include "backplane/sdk/plugin_peer.hpp"
#include "backplane/sdk/plugin_timing.hpp"
#include "backplane/sdk/validate.hpp"

namespace backplane::sdk {

struct PluginInfo {
  const char* name;
  const char* version;
  const char* build_id;
  const char* description;
  uint32_t min_host_minor = 0;
};

/// What a queue's end_capture() gives.
template <class Queue>
using RecordingOf = typename decltype(std::declval<Queue&>().end_capture())::element_type;

template <class P>
struct Thunks {
  using Device = typename P::Device;
  using Buffer = typename Device::Buffer;
  using Queue = typename Device::Queue;
  using Event = typename Device::Event;
  using Kernel = typename Device::Kernel;

  static P& of(bp_plugin* handle) { return *reinterpret_cast<P*>(handle); }
  static Device& of(bp_device* handle) { return *reinterpret_cast<Device*>(handle); }
  static Buffer& of(bp_buffer* handle) { return *reinterpret_cast<Buffer*>(handle); }
  static Queue& of(bp_queue* handle) { return *reinterpret_cast<Queue*>(handle); }
  static Event& of(bp_event* handle) { return *reinterpret_cast<Event*>(handle); }
  static Kernel& of(bp_kernel* handle) { return *reinterpret_cast<Kernel*>(handle); }

  static void need(bool condition, const char* what) {
    if (!condition) [[unlikely]] throw Failure(BP_E_INVALID_ARGUMENT, what);
  }
  /// Hands a new object to the host.
  template <class Handle, class Object>
  static void give(Handle** out, std::unique_ptr<Object> object) {
    need(object != nullptr, "internal: [sdk] the plugin returned no object");
    *out = reinterpret_cast<Handle*>(object.release());
  }

  // root
  static bp_status create(const bp_host* host, bp_plugin** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(out != nullptr, "[create] out is NULL");
      check_host(host, P::kInfo.min_host_minor);
      if constexpr (std::is_constructible_v<P, const Host&>) give(out, std::make_unique<P>(Host(host)));
      else give(out, std::make_unique<P>());
    });
  }
  static void destroy(bp_plugin* plugin) noexcept { delete reinterpret_cast<P*>(plugin); }
  static bp_status devices(bp_plugin* plugin, bp_device_info* infos, uint32_t stride, uint32_t capacity,
                           uint32_t* count, bp_error* error) noexcept {
    return guard(error, [&] {
      need(plugin != nullptr && count != nullptr, "[devices] plugin or count is NULL");
      need(infos == nullptr || stride >= 8, "[devices] stride is too small");
      return write_array(of(plugin).devices(), infos, stride, capacity, count);
    });
  }
  static bp_status open(bp_plugin* plugin, uint32_t index, bp_device** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(plugin != nullptr && out != nullptr, "[open] plugin or out is NULL");
      give(out, of(plugin).open(index));
    });
  }
  static void close(bp_device* device) noexcept { delete reinterpret_cast<Device*>(device); }

  // bp.memory
  static bp_status alloc(bp_device* device, uint64_t bytes, uint32_t kind, bp_buffer** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && out != nullptr, "[alloc] device or out is NULL");
      need(bytes != 0, "[alloc] bytes is 0; ask for at least 1");
      if (kind > BP_MEMORY_STAGING) {
        throw Failure(BP_E_UNSUPPORTED, "[alloc] memory kind " + std::to_string(kind) + " is unknown to this plugin");
      }
      give(out, of(device).alloc(bytes, kind));
    });
  }
  static void free_buffer(bp_buffer* buffer) noexcept { delete reinterpret_cast<Buffer*>(buffer); }
  static bp_status host_pointer(bp_buffer* buffer, void** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(buffer != nullptr && out != nullptr, "[host_pointer] buffer or out is NULL");
      void* data = nullptr;
      if constexpr (requires { of(buffer).host_pointer(); }) data = of(buffer).host_pointer();
      else if constexpr (requires { of(buffer).data; }) data = of(buffer).data;
      if (data == nullptr) throw Failure(BP_E_UNSUPPORTED, "[host_pointer] this memory has no host address; copy it");
      *out = data;
    });
  }
  static bp_status usage(bp_device* device, bp_memory_usage* out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && out != nullptr, "[usage] device or out is NULL");
      if constexpr (requires { of(device).usage(); }) write_output(out, of(device).usage(), sizeof(bp_memory_usage));
    });
  }

  // bp.queue
  static bp_status create_queue(bp_device* device, bp_queue** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && out != nullptr, "[queue] device or out is NULL");
      give(out, of(device).create_queue());
    });
  }
  static void destroy_queue(bp_queue* queue) noexcept { delete reinterpret_cast<Queue*>(queue); }
  static bp_status upload(bp_queue* queue, bp_view target, const void* source, uint64_t bytes, uint32_t stable,
                          bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && (source != nullptr || bytes == 0), "[upload] queue or source is NULL");
      of(queue).upload(target, source, bytes, stable != 0);
    });
  }
  static bp_status download(bp_queue* queue, void* target, bp_view source, uint64_t bytes, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && (target != nullptr || bytes == 0), "[download] queue or target is NULL");
      of(queue).download(target, source, bytes);
    });
  }
  static bp_status copy(bp_queue* queue, bp_view target, bp_view source, uint64_t bytes, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr, "[copy] queue is NULL");
      of(queue).copy(target, source, bytes);
    });
  }
  static bp_status fill(bp_queue* queue, bp_view target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes,
                        bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && pattern != nullptr, "[fill] queue or pattern is NULL");
      need(pattern_bytes == 1 || pattern_bytes == 2 || pattern_bytes == 4 || pattern_bytes == 8,
           "[fill] the pattern has to be 1, 2, 4 or 8 bytes");
      need(bytes % pattern_bytes == 0, "[fill] bytes is not a multiple of the pattern");
      of(queue).fill(target, pattern, pattern_bytes, bytes);
    });
  }
  static bp_status flush(bp_queue* queue, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr, "[flush] queue is NULL");
      of(queue).flush();
    });
  }
  static bp_status finish(bp_queue* queue, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr, "[finish] queue is NULL");
      return of(queue).finish(error);
    });
  }
  static bp_status create_event(bp_device* device, bp_event** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && out != nullptr, "[event] device or out is NULL");
      give(out, of(device).create_event());
    });
  }
  static void destroy_event(bp_event* event) noexcept { delete reinterpret_cast<Event*>(event); }
  static bp_status record(bp_queue* queue, bp_event* event, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && event != nullptr, "[event_record] queue or event is NULL");
      of(queue).record(of(event));
    });
  }
  static bp_status wait(bp_queue* queue, bp_event* event, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && event != nullptr, "[event_wait] queue or event is NULL");
      of(queue).wait(of(event));
    });
  }
  static bp_status sync(bp_event* event, uint64_t timeout_ns, bp_error* error) noexcept {
    return guard(error, [&] {
      need(event != nullptr, "[event_sync] event is NULL");
      return of(event).sync(timeout_ns, error);
    });
  }

  // bp.kernels
  static bp_status query(bp_device* device, const bp_op* op, bp_support* support, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && support != nullptr, "[query] device or support is NULL");
      Support answer;
      try {
        const OpReader reader(op);
        if (const std::string wrong = validate_op(reader.op()); !wrong.empty()) answer.no(wrong);
        else of(device).query(reader.op(), answer);
      } catch (const Failure& failure) {  // a newer member in use is a verdict, a NULL op is an error
        if (failure.code != BP_E_UNSUPPORTED) throw;
        answer.no(failure.what());
      }
      write_output(support, answer.value, sizeof(bp_support));
    });
  }
  /// Throws unless the device says yes.
  static void require_support(Device& device, const bp_op& op) {
    if (const std::string wrong = validate_op(op); !wrong.empty()) throw Failure(BP_E_INVALID_ARGUMENT, wrong);
    Support answer;
    device.query(op, answer);
    if (!answer.is_yes()) throw Failure(BP_E_UNSUPPORTED, answer.value.reason);
  }
  static void list_variants(Device& device, const bp_op& op, std::vector<bp_variant>& list) {
    if constexpr (requires { device.variants(op, list); }) device.variants(op, list);
    else list.push_back(make_variant("default", BP_VARIANT_DEFAULT));
  }
  static bp_status variants(bp_device* device, const bp_op* op, bp_variant* array, uint32_t stride, uint32_t capacity,
                            uint32_t* count, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && count != nullptr, "[variants] device or count is NULL");
      need(array == nullptr || stride >= 8, "[variants] stride is too small");
      const OpReader reader(op);
      require_support(of(device), reader.op());
      std::vector<bp_variant> list;
      list_variants(of(device), reader.op(), list);
      return write_array(list, array, stride, capacity, count);
    });
  }
  static bp_status prepare(bp_device* device, const bp_op* op, const char* variant, bp_kernel** out,
                           bp_kernel_info* info, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && out != nullptr, "[prepare] device or out is NULL");
      const OpReader reader(op);
      require_support(of(device), reader.op());
      if constexpr (!requires(std::vector<bp_variant>& list) { of(device).variants(reader.op(), list); }) {
        if (variant != nullptr && std::string_view(variant) != "default") {
          throw Failure(BP_E_NOT_FOUND, std::string("[prepare] no variant '") + variant + "'; there is 'default'");
        }
      }
      std::unique_ptr<Kernel> kernel = of(device).prepare(reader.op(), variant);
      need(kernel != nullptr, "internal: [prepare] the plugin returned no kernel");
      if (info != nullptr) {
        bp_kernel_info facts{sizeof(bp_kernel_info), 0, kernel->workspace, kernel->build_time_ns, {}};
        copy_text(facts.variant, sizeof(facts.variant), kernel->variant);
        write_output(info, facts, sizeof(bp_kernel_info));
      }
      give(out, std::move(kernel));
    });
  }
  static bp_status enqueue(bp_queue* queue, bp_kernel* kernel, const bp_view* inputs, const bp_view* outputs,
                           bp_view workspace, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && kernel != nullptr, "[enqueue] queue or kernel is NULL");
      of(queue).enqueue(of(kernel), inputs, outputs, workspace);
    });
  }
  static void destroy_kernel(bp_kernel* kernel) noexcept { delete reinterpret_cast<Kernel*>(kernel); }

  // bp.capture
  static constexpr bool kHasCapture = requires(Queue& q) { q.begin_capture(); };
  static bp_status begin_capture(bp_queue* queue, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr, "[capture] queue is NULL");
      if constexpr (kHasCapture) of(queue).begin_capture();
    });
  }
  static bp_status end_capture(bp_queue* queue, bp_recording** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && out != nullptr, "[capture] queue or out is NULL");
      if constexpr (kHasCapture) give(out, of(queue).end_capture());
    });
  }
  static bp_status replay(bp_queue* queue, bp_recording* recording, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && recording != nullptr, "[capture] queue or recording is NULL");
      if constexpr (kHasCapture) of(queue).replay(*reinterpret_cast<RecordingOf<Queue>*>(recording));
    });
  }
  static void destroy_recording(bp_recording* recording) noexcept {
    if constexpr (kHasCapture) delete reinterpret_cast<RecordingOf<Queue>*>(recording);
  }

  // bp.telemetry
  static bp_status sample(bp_device* device, bp_metric* metrics, uint32_t stride, uint32_t capacity, uint32_t* count,
                          bp_error* error) noexcept {
    return guard(error, [&]() -> bp_status {
      need(device != nullptr && count != nullptr, "[sample] device or count is NULL");
      need(metrics == nullptr || stride >= 8, "[sample] stride is too small");
      if constexpr (kHasTelemetry) return write_array(of(device).sample(), metrics, stride, capacity, count);
      else return BP_E_UNSUPPORTED;
    });
  }

  static constexpr bool kHasUsage = requires(Device& d) { d.usage(); };
  static constexpr bool kHasTelemetry = requires(Device& d) { d.sample(); };
  static constexpr bool kHasTiming = requires(Device& d) { d.create_timer(0u); };

  static constexpr bp_memory_api kMemory{sizeof(bp_memory_api), BP_VERSION(1, 0), alloc, free_buffer, host_pointer,
                                         kHasUsage ? usage : nullptr};
  static constexpr bp_queue_api kQueue{
      sizeof(bp_queue_api), BP_VERSION(1, 0), create_queue, destroy_queue, upload, download, copy, fill, flush, finish,
      create_event, destroy_event, record, wait, sync};
  static constexpr bp_kernels_api kKernels{sizeof(bp_kernels_api), BP_VERSION(1, 0), query, variants, prepare, enqueue,
                                           destroy_kernel};
  static constexpr bp_capture_api kCapture{sizeof(bp_capture_api), BP_VERSION(1, 0), begin_capture, end_capture, replay,
                                           destroy_recording};
  static constexpr bp_telemetry_api kTelemetry{sizeof(bp_telemetry_api), BP_VERSION(1, 0), sample};

  static const void* get_interface(bp_plugin*, const char* name, uint32_t min_version) noexcept {
    if (name == nullptr) return nullptr;
    const std::string_view wanted(name);
    const void* table = nullptr;
    if (wanted == BP_INTERFACE_MEMORY) table = &kMemory;
    else if (wanted == BP_INTERFACE_QUEUE) table = &kQueue;
    else if (wanted == BP_INTERFACE_KERNELS) table = &kKernels;
    else if (wanted == BP_INTERFACE_CAPTURE && kHasCapture) table = &kCapture;
    else if (wanted == BP_INTERFACE_INTEROP && InteropThunks<Device>::kOffered) table = &InteropThunks<Device>::kTable;
    else if (wanted == BP_INTERFACE_PEER && PeerThunks<Device>::kOffered) table = &PeerThunks<Device>::kTable;
    else if (wanted == BP_INTERFACE_TELEMETRY && kHasTelemetry) table = &kTelemetry;
    if constexpr (kHasTiming) {
      if (wanted == BP_INTERFACE_TIMING) table = &TimingThunks<Device>::kTable;
    }
    if constexpr (requires { P::extra_interface(wanted); }) {
      if (table == nullptr) table = P::extra_interface(wanted);
    }
    if (table == nullptr) return nullptr;
    const uint32_t version = static_cast<const uint32_t*>(table)[1];
    const bool fits = (version >> 16) == (min_version >> 16) && version >= min_version;
    return fits || min_version == 0 ? table : nullptr;
  }

  static constexpr bp_plugin_api kPlugin{
      sizeof(bp_plugin_api), BP_ABI_VERSION, P::kInfo.name, P::kInfo.version, P::kInfo.build_id, P::kInfo.description,
      create, destroy, get_interface, devices, open, close};

  static bp_status entry(const bp_host* host, const bp_plugin_api** out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(out != nullptr, "[entry] out is NULL");
      check_host(host, P::kInfo.min_host_minor);
      *out = &kPlugin;
    });
  }
};

}  // namespace backplane::sdk

#define BACKPLANE_PLUGIN(PluginClass)                                                                             \
  extern "C" BP_EXPORT bp_status backplane_plugin_v1(const bp_host* host, const bp_plugin_api** out,             \
                                                     bp_error* error) {                                          \
    return ::backplane::sdk::Thunks<PluginClass>::entry(host, out, error);                                        \
  }
