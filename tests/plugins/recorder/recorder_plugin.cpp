// SPDX-License-Identifier: Apache-2.0
// A host-memory device with bp.capture, for the tests of replayed plans. It does pointwise operations only. Telemetry counts
// what the queue was given: launches put in one by one, recordings made, replayed and destroyed, and how many recordings
// named a buffer that was freed before them, which the contract forbids.
#include <algorithm>
#include <atomic>
#include <mutex>
#include <vector>

#include "backplane/sdk/sdk.hpp"
#include "backplane/sdk/walk.h"

namespace sdk = backplane::sdk;

namespace {

enum Count { kLaunches, kRecorded, kReplays, kDestroyed, kOutlived, kCounts };
constexpr const char* kNames[kCounts] = {"launches", "recorded", "replays", "destroyed", "outlived"};
std::atomic<uint64_t> counts[kCounts];

struct Recording;
std::mutex recordings_mutex;
std::vector<const Recording*> recordings;

struct RecordedLaunch {
  const sdk::HostKernel* kernel;
  std::vector<bp_view> inputs, outputs;
};
struct Recording {
  std::vector<RecordedLaunch> launches;
  bool names(const void* buffer) const {
    const auto is = [&](const bp_view& view) { return static_cast<const void*>(view.buffer) == buffer; };
    return std::any_of(launches.begin(), launches.end(), [&](const RecordedLaunch& launch) {
      return std::any_of(launch.inputs.begin(), launch.inputs.end(), is) ||
             std::any_of(launch.outputs.begin(), launch.outputs.end(), is);
    });
  }
};

struct Buffer : sdk::HostBuffer {
  ~Buffer() {
    const std::lock_guard lock(recordings_mutex);
    for (const Recording* recording : recordings) counts[kOutlived] += recording->names(this);
  }
};

struct Kernel final : sdk::HostKernel {
  Kernel(const bp_op& op, sdk::Loops work) : loops(op, work), inputs(op.num_inputs), outputs(op.num_outputs) {}
  void run(const bp_view* in, const bp_view* out, const bp_view& workspace) const override {
    loops.run(in, out, workspace);
  }
  sdk::LoopKernel loops;
  uint32_t inputs, outputs;
};

struct Queue : sdk::HostQueue {
  using Kernel = ::Kernel;
  void enqueue(const Kernel& kernel, const bp_view* in, const bp_view* out, const bp_view& workspace) {
    if (recording != nullptr) {
      recording->launches.push_back({&kernel, {in, in + kernel.inputs}, {out, out + kernel.outputs}});
      return;
    }
    ++counts[kLaunches];
    HostQueue::enqueue(kernel, in, out, workspace);
  }
  std::unique_ptr<Recording> recording;
};

struct Device : sdk::HostDevice {
  using Buffer = ::Buffer;
  using Queue = ::Queue;
  using Kernel = ::Kernel;
  std::unique_ptr<Buffer> alloc(uint64_t bytes, uint32_t) {
    auto buffer = std::make_unique<Buffer>();
    buffer->bytes = bytes;
    buffer->data = static_cast<char*>(std::aligned_alloc(kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment));
    if (buffer->data == nullptr) throw_out_of_memory(bytes);
    buffer->release = [](void* data, uint64_t) { std::free(data); };
    return buffer;
  }
  std::unique_ptr<Buffer> import_host(void* data, uint64_t bytes, uint32_t) {
    auto buffer = std::make_unique<Buffer>();
    buffer->data = static_cast<char*>(data);
    buffer->bytes = bytes;
    return buffer;
  }
  std::unique_ptr<Queue> create_queue() { return std::make_unique<Queue>(); }
  void query(const bp_op& op, sdk::Support& support) {
    op.code == BP_OP_POINTWISE ? support.yes() : support.no("only pointwise");
  }
  std::unique_ptr<Kernel> prepare(const bp_op& op, const char*) {
    return std::make_unique<Kernel>(op, [](const bp_op& o, const void* const* in, void* const* out) {
      bp_sdk_pointwise(o.program, o.inputs, in, o.outputs, out);
    });
  }
  std::vector<bp_metric> sample() {
    std::vector<bp_metric> metrics;
    for (int i = 0; i < kCounts; ++i) {
      bp_metric metric{sizeof(bp_metric), BP_UNIT_COUNT, {}, static_cast<double>(counts[i])};
      sdk::copy_text(metric.name, sizeof(metric.name), kNames[i]);
      metrics.push_back(metric);
    }
    return metrics;
  }
};

bp_status begin(bp_queue* queue, bp_error*) {
  reinterpret_cast<Queue*>(queue)->recording = std::make_unique<Recording>();
  return BP_OK;
}
bp_status end(bp_queue* queue, bp_recording** out, bp_error*) {
  Recording* made = reinterpret_cast<Queue*>(queue)->recording.release();
  const std::lock_guard lock(recordings_mutex);
  recordings.push_back(made);
  ++counts[kRecorded];
  *out = reinterpret_cast<bp_recording*>(made);
  return BP_OK;
}
bp_status replay(bp_queue* queue, bp_recording* recording, bp_error*) {
  ++counts[kReplays];
  for (const RecordedLaunch& launch : reinterpret_cast<Recording*>(recording)->launches) {
    reinterpret_cast<Queue*>(queue)->HostQueue::enqueue(*launch.kernel, launch.inputs.data(), launch.outputs.data(), {});
  }
  return BP_OK;
}
void destroy(bp_recording* recording) {
  const std::lock_guard lock(recordings_mutex);
  std::erase(recordings, reinterpret_cast<Recording*>(recording));
  ++counts[kDestroyed];
  delete reinterpret_cast<Recording*>(recording);
}
constexpr bp_capture_api kCapture{sizeof(bp_capture_api), BP_VERSION(1, 0), begin, end, replay, destroy};

struct Plugin {
  static constexpr sdk::PluginInfo kInfo{"recorder", "1.0.0", "1", "records launches, for tests"};
  using Device = ::Device;
  std::vector<bp_device_info> devices() { return {sdk::host_device_info("recorder", "Recorder")}; }
  std::unique_ptr<Device> open(uint32_t) { return std::make_unique<Device>(); }
  static const void* extra_interface(std::string_view name) {
    return name == BP_INTERFACE_CAPTURE ? &kCapture : nullptr;
  }
};

}  // namespace

BACKPLANE_PLUGIN(Plugin)
