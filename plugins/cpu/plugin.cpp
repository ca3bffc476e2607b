// SPDX-License-Identifier: Apache-2.0
// The CPU card: one device on the SDK's synchronous host-memory base, with pooled memory, the families' kernels behind
// query, variants and prepare, and a clock for bp.timing. The kernels themselves know nothing of the ABI.
#include <chrono>
#include <climits>
#include <cstdlib>
#include <thread>

#include "backplane/sdk/host_backend.hpp"
#include "backplane/sdk/plugin.hpp"
#include "cpu_build_id.h"
#include "cpu_features.h"
#include "kernel_cache.h"
#include "memory.h"
#include "threads.h"
#include "timing.h"

#if defined(BACKPLANE_CPU_ONEDNN)
#include "onednn_version.h"
#endif

namespace backplane::cpu {
namespace {

class CpuKernel final : public sdk::HostKernel {
 public:
  CpuKernel(WorkPtr work, size_t inputs, size_t outputs) : work_(std::move(work)), inputs_(inputs), outputs_(outputs) {
    workspace = work_->workspace;
  }
  void run(const bp_view* inputs, const bp_view* outputs, const bp_view& scratch) const override {
    char* in[2 * BP_PROGRAM_MAX_INPUTS];
    char* out[BP_PROGRAM_MAX_OUTPUTS];
    for (size_t i = 0; i < inputs_; ++i) in[i] = sdk::pointer(inputs[i]);
    for (size_t i = 0; i < outputs_; ++i) out[i] = sdk::pointer(outputs[i]);
    work_->run({in, out, workspace != 0 ? sdk::pointer(scratch) : nullptr});
  }

 private:
  WorkPtr work_;
  size_t inputs_, outputs_;
};

struct Settings {
  int threads = 0;
};

class CpuDevice : public sdk::HostDevice {
 public:
  using Kernel = CpuKernel;

  explicit CpuDevice(const Settings& settings) : pool_(std::make_shared<MemoryPool>(total_memory() / 8)) {
    retain_threads(settings.threads);
  }
  ~CpuDevice() { release_threads(); }

  struct Buffer : sdk::HostBuffer {
    std::shared_ptr<MemoryPool> pool;
    ~Buffer() {
      if (pool != nullptr) pool->give(data, bytes);
    }
  };
  std::unique_ptr<Buffer> alloc(uint64_t bytes, uint32_t /*kind*/) {
    auto buffer = std::make_unique<Buffer>();
    buffer->data = static_cast<char*>(pool_->take(bytes));
    if (buffer->data == nullptr) throw_out_of_memory(bytes);
    buffer->pool = pool_;
    track(*buffer, bytes);
    return buffer;
  }
  std::unique_ptr<Buffer> import_host(void* data, uint64_t bytes, uint32_t /*access*/) {
    auto buffer = std::make_unique<Buffer>();
    buffer->data = static_cast<char*>(data);
    buffer->bytes = bytes;
    return buffer;
  }

  void query(const bp_op& source, sdk::Support& support) {
    const Family* family = find_family(source.code);
    if (family == nullptr)
      return support.no(std::string("[cpu] ") + sdk::op_name(source) + " is not offered; it decomposes");
    const Op op(source);
    if (const std::string reason = family->refuse(op); !reason.empty()) {
      return support.no(std::string("[cpu] ") + sdk::op_name(source) + ": " + reason);
    }
    // Only a limit makes it necessary to look at the implementations themselves.
    if (op.max_workspace != UINT64_MAX && cache_.find(op)->candidates.empty()) {
      return support.no(std::string("[cpu] ") + sdk::op_name(source) + ": every variant needs more workspace than " +
                        std::to_string(op.max_workspace) + " bytes");
    }
    support.yes();
  }

  void variants(const bp_op& source, std::vector<bp_variant>& list) {
    const auto entry = cache_.find(Op(source));
    for (const Candidate& c : entry->candidates) {
      const uint32_t flags = c.flags | (list.empty() ? uint32_t{BP_VARIANT_DEFAULT} : 0);
      list.push_back(sdk::make_variant(c.name, flags, c.workspace, c.notes, c.determinism, list.empty() ? 1 : c.prior));
    }
  }

  std::unique_ptr<CpuKernel> prepare(const bp_op& source, const char* variant) {
    const auto entry = cache_.find(Op(source));
    const Candidates& all = entry->candidates;
    size_t index = 0;
    while (variant != nullptr && index < all.size() && all[index].name != variant) ++index;
    if (index == all.size()) {
      std::string names;
      for (const Candidate& c : all) names += (names.empty() ? "" : ", ") + c.name;
      throw sdk::Failure(BP_E_NOT_FOUND, std::string("[cpu] ") + sdk::op_name(source) + " has no variant '" + variant +
                                             "'; there are: " + names);
    }
    uint64_t build_ns = 0;
    auto kernel = std::make_unique<CpuKernel>(entry->work(index, &build_ns), source.num_inputs, source.num_outputs);
    kernel->build_time_ns = build_ns;
    sdk::copy_text(kernel->variant, sizeof(kernel->variant), all[index].name);
    return kernel;
  }

  std::vector<bp_metric> sample() {
    bp_metric used{sizeof(bp_metric), BP_UNIT_BYTES, "memory.used", static_cast<double>(usage().used)};
    return {used};
  }

  bp_timing_info timing_info() { return {sizeof(bp_timing_info), 64, 1.0, clock_resolution_ns()}; }
  std::unique_ptr<Timer> create_timer(uint32_t stamps) { return std::make_unique<Timer>(stamps); }
  void calibrate(uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns) {
    *ticks = *host_ns = sdk::monotonic_ns();  // the same clock
    *deviation_ns = 0;
  }

 private:
  std::shared_ptr<MemoryPool> pool_;
  KernelCache cache_;
};

struct CpuPlugin {
  static constexpr sdk::PluginInfo kInfo{"cpu", "0.1.0", BACKPLANE_CPU_BUILD_ID,
#if defined(BACKPLANE_CPU_ONEDNN)
                                         "x86-64 processors: own vector kernels and oneDNN"
#else
                                         "x86-64 processors: own vector kernels"
#endif
  };
  using Device = CpuDevice;

  explicit CpuPlugin(const sdk::Host& host) {
    if (const auto text = host.config("num_threads")) {
      char* end = nullptr;
      const long n = std::strtol(text->c_str(), &end, 10);
      if (end == text->c_str() || *end != '\0' || n < 1 || n > 1024) {
        host.log(BP_LOG_WARNING, "cpu", "num_threads is '" + *text + "', not a number in [1, 1024]; using all cores");
      } else {
        settings_.threads = static_cast<int>(n);
      }
    }
    if (const auto text = host.config("cpu.isa"); text && !limit_isa(*text)) {
      host.log(BP_LOG_WARNING, "cpu", "cpu.isa is '" + *text + "', not x86-64-v2, x86-64-v3 or x86-64-v4; ignored");
    }
  }
  std::vector<bp_device_info> devices() {
    bp_device_info info = sdk::make_device_info(
        0, BP_KIND_CPU, BP_DEVICE_SYNCHRONOUS | BP_DEVICE_UNIFIED_MEMORY | BP_DEVICE_HOST_POINTERS, "cpu",
        processor_name());
    sdk::copy_text(info.architecture, sizeof(info.architecture), isa().name);
#if defined(BACKPLANE_CPU_ONEDNN)
    sdk::copy_text(info.driver, sizeof(info.driver), onednn_version());
#else
    sdk::copy_text(info.driver, sizeof(info.driver), "own kernels");
#endif
    info.memory_total = total_memory();
    info.offset_alignment = 64;
    info.compute_units = static_cast<uint32_t>(settings_.threads > 0 ? settings_.threads : available_cores());
    info.max_queues = 1;
    return {info};
  }
  std::unique_ptr<CpuDevice> open(uint32_t index) {
    if (index != 0) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[cpu] there is only device 0");
    return std::make_unique<CpuDevice>(settings_);
  }

 private:
  Settings settings_;
};

}  // namespace
}  // namespace backplane::cpu

BACKPLANE_PLUGIN(backplane::cpu::CpuPlugin)
