// SPDX-License-Identifier: Apache-2.0
// Simulated devices for the tuner's tests. Work is really done, in host memory and at once, but the time that it takes
// is declared: launches advance a clock that only bp.timing shows. So what is fastest is known, and every test repeats.
//
//   device id       variants of a matrix product
//   noise-<name>    right ones that add in different orders; their times come from surface.h, under that noise
//   fault-<name>    "good" (the default), "good-slower" and one of faults.h that seems five times as fast
//   all-faults      "good" and all faults that leave the device usable
//   slow-builds     as noise-none, but every variant takes 300 ms to prepare
//
// Two settings, for comparing runs: BACKPLANE_VIRTUAL_CLOCK_SEED gives other noise (default 7), and
// BACKPLANE_VIRTUAL_CLOCK_SLOWDOWN multiplies the times of all defaults (default 1).
//
// VIRTUAL_CLOCK_BUILD is its build id, and the variant VIRTUAL_CLOCK_CHANGED is of other code than in build 1, so that a
// test can have the plugin rebuilt.
//
// It does matrix products of rank 2 only. What would block for ever on a real device aborts the process here.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/sdk/sdk.hpp"
#include "backplane/sdk/walk.h"
#include "faults.h"
#include "noise.h"
#include "surface.h"

namespace sdk = backplane::sdk;
using namespace backplane::test;

namespace {

constexpr double kGoodNs = 100e3, kSlowerNs = 120e3, kFaultyNs = 20e3;
constexpr double kBuildNs = 1e6, kSlowBuildNs = 300e6;
constexpr uint32_t kOrders = 5;

/// Of the name, since that is all that these variants differ in.
uint64_t code_of(std::string_view name) {
  uint64_t code = 14695981039346656037u;
  for (const char c : name) code = (code ^ static_cast<unsigned char>(c)) * 1099511628211u;
  return name == VIRTUAL_CLOCK_CHANGED ? code + 1 : code;
}

struct Clock {
  NoiseSource noise;
  double ns = 0;
  bool lost = false;
};

void need(Clock& clock) {
  if (clock.lost) throw sdk::Failure(BP_E_DEVICE_LOST, "[virtual] the device is lost", BP_SCOPE_DEVICE);
}

/// Products of one row and one column, summed in one of several orders in the accumulator's type.
template <class T>
double dot(const bp_op& op, const void* a, const void* b, int64_t i, int64_t j, uint32_t order) {
  const bp_tensor_desc &x = op.inputs[0], &y = op.inputs[1];
  const int64_t count = x.shape[1];
  const auto product = [&](int64_t k) {
    return static_cast<T>(bp_sdk_load(x.dtype, a, i * x.strides[0] + k * x.strides[1])) *
           static_cast<T>(bp_sdk_load(y.dtype, b, k * y.strides[0] + j * y.strides[1]));
  };
  const int64_t lanes = order < 2 ? 1 : order == 2 ? 4 : order == 3 ? 8 : 32;
  T sums[32] = {};
  for (int64_t k = 0; k < count; ++k) sums[k % lanes] += product(order == 1 ? count - 1 - k : k);
  for (int64_t width = lanes / 2; width > 0; width /= 2) {
    for (int64_t l = 0; l < width; ++l) sums[l] += sums[l + width];
  }
  return static_cast<double>(sums[0]);
}

struct Settings {
  uint64_t seed = 7;
  double slowdown = 1;  ///< of defaults
};

struct Device;
struct Event;
struct Kernel final : sdk::HostKernel {
  Kernel(const bp_op& op, Device& d) : device(d), copy(op) {}
  void run(const bp_view* in, const bp_view* out, const bp_view& workspace) const override;
  void run_faulty(const bp_view* in, const bp_view* out, const bp_view& workspace) const;

  Device& device;
  sdk::OpCopy copy;
  double ns = 0;
  uint32_t order = 0;
  const FaultyVariant* fault = nullptr;
  mutable uint64_t launches = 0;
  mutable std::vector<float> scratch;
};

struct Queue : sdk::HostQueue {
  using Kernel = ::Kernel;
  explicit Queue(Clock& c) : clock(c) {}
  ~Queue() {
    if (hung) block("destroying a queue");
  }
  [[noreturn]] static void block(const char* what) {
    std::fprintf(stderr, "[virtual] %s waits for ever for a launch that hangs\n", what);
    std::abort();
  }
  void enqueue(const Kernel& kernel, const bp_view* in, const bp_view* out, const bp_view& workspace) {
    need(clock);
    if (hung) return;
    running = this;
    HostQueue::enqueue(kernel, in, out, workspace);
    running = nullptr;
  }
  void record(Event& event);
  bp_status finish(bp_error* error) {
    if (hung) block("finish");
    return HostQueue::finish(error);
  }
  static thread_local Queue* running;
  Clock& clock;
  bool hung = false;
};
thread_local Queue* Queue::running = nullptr;

struct Event : sdk::HostEvent {
  bp_status sync(uint64_t timeout_ns, bp_error* error) const {
    if (queue == nullptr || !queue->hung) return HostEvent::sync(timeout_ns, error);
    queue->clock.ns += static_cast<double>(timeout_ns);
    return BP_NOT_READY;
  }
  Queue* queue = nullptr;
};

void Queue::record(Event& event) {
  HostQueue::record(event);
  event.queue = this;
}

struct Device : sdk::HostDevice {
  using Queue = ::Queue;
  using Event = ::Event;
  using Kernel = ::Kernel;
  Device(uint32_t index, const Settings& settings);
  std::unique_ptr<Queue> create_queue() {
    need(clock);
    return std::make_unique<Queue>(clock);
  }
  std::unique_ptr<Event> create_event() { return std::make_unique<Event>(); }
  bp_memory_usage usage() const {
    bp_memory_usage usage = HostDevice::usage();
    usage.used += leaked;
    return usage;
  }
  void query(const bp_op& op, sdk::Support& support) {
    if (op.code != BP_OP_MATMUL || op.program != nullptr || op.inputs[0].rank != 2)
      return support.no("only matrix products of rank 2 without epilogue");
    if (!faults.empty() && op.inputs[0].dtype != BP_F32) return support.no("faults are in f32 only");
    support.yes();
  }
  void variants(const bp_op& op, std::vector<bp_variant>& list) {
    add_variants(op, list);
    for (bp_variant& each : list) each.code_hash = code_of(each.name);
  }
  void add_variants(const bp_op& op, std::vector<bp_variant>& list) {
    if (faults.empty()) {
      const size_t count = surface(op).ns.size();
      for (size_t i = 0; i < count; ++i) list.push_back(sdk::make_variant(name_of(i), i == 0 ? BP_VARIANT_DEFAULT : 0));
      return;
    }
    list.push_back(sdk::make_variant("good", BP_VARIANT_DEFAULT));
    list.push_back(sdk::make_variant("good-slower"));
    for (const FaultyVariant* f : faults)
      list.push_back(sdk::make_variant(f->name, f->flags, f->listed_workspace, f->notes, f->determinism));
  }
  std::unique_ptr<Kernel> prepare(const bp_op& op, const char* variant);

  static Instance surface(const bp_op& op) {
    return instance_of_shape(op.outputs[0].shape[0], op.outputs[0].shape[1], op.inputs[0].shape[1]);
  }
  static std::string name_of(size_t i) {
    return std::string("order") + std::to_string(i % kOrders) + "@v=" + std::to_string(i);
  }

  Clock clock;
  std::vector<const FaultyVariant*> faults;
  double slowdown = 1;
  bool slow_builds = false;
  uint64_t leaked = 0;
};

void Kernel::run(const bp_view* in, const bp_view* out, const bp_view& workspace) const {
  device.clock.ns += device.clock.noise.take(ns, device.clock.ns);
  if (fault != nullptr) return run_faulty(in, out, workspace);
  const bp_op& op = copy.op();
  const uint32_t dtype = op.outputs[0].dtype;
  if (!device.faults.empty()) {
    Launch good{};
    good.a = sdk::pointer<float>(in[0]), good.b = sdk::pointer<float>(in[1]), good.c = sdk::pointer<float>(out[0]);
    good.m = op.outputs[0].shape[0], good.n = op.outputs[0].shape[1], good.k = op.inputs[0].shape[1];
    return good.multiply();
  }
  for (int64_t i = 0; i < op.outputs[0].shape[0]; ++i) {
    for (int64_t j = 0; j < op.outputs[0].shape[1]; ++j) {
      const void *a = sdk::pointer(in[0]), *b = sdk::pointer(in[1]);
      const double sum = dtype == BP_F64   ? dot<double>(op, a, b, i, j, order)
                         : dtype >= BP_I32 ? dot<int64_t>(op, a, b, i, j, order)
                                           : dot<float>(op, a, b, i, j, order);
      bp_sdk_store(dtype, sdk::pointer(out[0]), i * op.outputs[0].strides[0] + j * op.outputs[0].strides[1], sum);
    }
  }
}

void Kernel::run_faulty(const bp_view* in, const bp_view* out, const bp_view& at) const {
  const bp_op& op = copy.op();
  Launch launch{sdk::pointer<float>(in[0]),
                sdk::pointer<float>(in[1]),
                sdk::pointer<float>(out[0]),
                op.outputs[0].shape[0],
                op.outputs[0].shape[1],
                op.inputs[0].shape[1],
                sdk::pointer<float>(at),
                workspace,
                launches++,
                scratch.data(),
                &device.leaked,
                &Queue::running->hung};
  try {
    fault->run(launch);
  } catch (const sdk::Failure& failure) {
    device.clock.lost = device.clock.lost || failure.code == BP_E_DEVICE_LOST;
    throw;
  }
}

std::unique_ptr<Kernel> Device::prepare(const bp_op& op, const char* variant) {
  need(clock);
  auto kernel = std::make_unique<Kernel>(op, *this);
  std::vector<bp_variant> list;
  variants(op, list);
  size_t i = 0;
  while (variant != nullptr && i < list.size() && std::string_view(list[i].name) != variant) ++i;
  if (i == list.size()) throw sdk::Failure(BP_E_NOT_FOUND, "[prepare] there is no such variant");
  sdk::copy_text(kernel->variant, sizeof kernel->variant, list[i].name);
  double build_ns = slow_builds ? kSlowBuildNs : kBuildNs;
  if (faults.empty()) {
    kernel->ns = surface(op).ns[i] * (i == 0 ? slowdown : 1);
    kernel->order = static_cast<uint32_t>(i % kOrders);
  } else if (i < 2) {
    kernel->ns = i == 0 ? kGoodNs : kSlowerNs;
  } else {
    const FaultyVariant& fault = *faults[i - 2];
    if (fault.crashes_when_built) std::abort();
    if (!fault.builds) throw sdk::Failure(BP_E_COMPILE, "[virtual] line 1: this is not a kernel");
    kernel->fault = &fault;
    kernel->ns = kFaultyNs;
    kernel->workspace = fault.workspace;
    kernel->scratch.resize(static_cast<size_t>(op.outputs[0].shape[0] * op.outputs[0].shape[1]));
    if (fault.prepared_as != nullptr) sdk::copy_text(kernel->variant, sizeof kernel->variant, fault.prepared_as);
    build_ns = fault.build_ns;
  }
  clock.ns += build_ns;
  kernel->build_time_ns = static_cast<uint64_t>(build_ns);
  return kernel;
}

/// Devices are numbered as Plugin::devices() lists them.
Device::Device(uint32_t index, const Settings& settings)
    : clock{NoiseSource(index < noises().size() ? noises()[index] : noises()[0], settings.seed + index)},
      slowdown(settings.slowdown) {
  const auto is_one_of = [&](size_t count) {
    if (index < count) return true;
    index -= static_cast<uint32_t>(count);
    return false;
  };
  if (is_one_of(noises().size())) return;
  for (const std::span<const FaultyVariant> single : {faulty_variants(), deadly_variants()}) {
    if (!is_one_of(single.size())) continue;
    faults.push_back(&single[index]);
    return;
  }
  slow_builds = index == 1;
  for (const FaultyVariant& f : faulty_variants()) {
    if (!slow_builds && !f.ends_device) faults.push_back(&f);
  }
}

// bp.timing
struct Timer {
  std::vector<uint64_t> ticks;
};
Device& of(bp_device* device) { return *reinterpret_cast<Device*>(device); }
bp_status info(bp_device* device, bp_timing_info* out, bp_error*) {
  const double granularity = of(device).clock.noise.noise().granularity;
  out->valid_bits = 64, out->ns_per_tick = 1, out->resolution_ns = granularity > 0 ? granularity : 1;
  return BP_OK;
}
bp_status create(bp_device*, uint32_t stamps, bp_timer** out, bp_error*) {
  *out = reinterpret_cast<bp_timer*>(new Timer{std::vector<uint64_t>(stamps)});
  return BP_OK;
}
void destroy(bp_timer* timer) { delete reinterpret_cast<Timer*>(timer); }
bp_status stamp(bp_queue* queue, bp_timer* timer, uint32_t index, bp_error*) {
  const Clock& clock = reinterpret_cast<Queue*>(queue)->clock;
  reinterpret_cast<Timer*>(timer)->ticks[index] = static_cast<uint64_t>(clock.noise.read(clock.ns));
  return BP_OK;
}
bp_status read(bp_timer* timer, uint32_t first, uint32_t count, uint64_t* ticks, bp_error*) {
  for (uint32_t i = 0; i < count; ++i) ticks[i] = reinterpret_cast<Timer*>(timer)->ticks[first + i];
  return BP_OK;
}
/// Both clocks are the virtual one, in full resolution: for a test to look at.
bp_status calibrate(bp_device* device, uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns, bp_error*) {
  *ticks = *host_ns = static_cast<uint64_t>(of(device).clock.ns);
  *deviation_ns = 0;
  return BP_OK;
}
constexpr bp_timing_api kTiming{sizeof(bp_timing_api), BP_VERSION(1, 0), info, create, destroy, stamp, read, calibrate};

struct Plugin {
  static constexpr sdk::PluginInfo kInfo{"virtual_clock", "1.0.0", VIRTUAL_CLOCK_BUILD, "devices with a declared clock, for tests"};
  using Device = ::Device;
  explicit Plugin(const sdk::Host& host) {
    if (const auto text = host.config("virtual_clock.seed")) settings.seed = std::strtoull(text->c_str(), nullptr, 10);
    if (const auto text = host.config("virtual_clock.slowdown")) settings.slowdown = std::atof(text->c_str());
  }
  std::vector<bp_device_info> devices() {
    std::vector<bp_device_info> list;
    const auto add = [&](const std::string& id) {
      bp_device_info info = sdk::host_device_info(id, "Virtual clock, " + id);
      info.index = static_cast<uint32_t>(list.size());
      list.push_back(info);
    };
    for (const Noise& noise : noises()) add(std::string("noise-") + noise.name);
    for (const FaultyVariant& fault : faulty_variants()) add(std::string("fault-") + fault.name);
    for (const FaultyVariant& fault : deadly_variants()) add(std::string("fault-") + fault.name);
    add("all-faults");
    add("slow-builds");
    return list;
  }
  std::unique_ptr<Device> open(uint32_t index) { return std::make_unique<Device>(index, settings); }
  Settings settings;
  static const void* extra_interface(std::string_view name) { return name == BP_INTERFACE_TIMING ? &kTiming : nullptr; }
};

}  // namespace

BACKPLANE_PLUGIN(Plugin)
