// SPDX-License-Identifier: Apache-2.0
// The reference card: every operation of the catalogue on every dtype, in f64, one loop at a time. It is the oracle
// that other cards are compared with and the device that runs what another cannot; it is not meant to be fast.
#include "kernel.hpp"
#include "reference_build_id.h"

namespace backplane::reference {
namespace {

constexpr struct {
  uint32_t code;
  Factory make;
} kFactories[] = {
    {BP_OP_POINTWISE, make_pointwise},
    {BP_OP_REDUCE, make_reduce},
    {BP_OP_MATMUL, make_matmul},
    {BP_OP_GATHER, make_gather},
    {BP_OP_SCATTER_ADD, make_scatter_add},
    {BP_OP_CONVOLUTION, make_convolution},
    {BP_OP_CONVOLUTION_GRAD_DATA, make_convolution},
    {BP_OP_CONVOLUTION_GRAD_FILTER, make_convolution},
    {BP_OP_POOL, make_pool},
    {BP_OP_POOL_GRAD, make_pool_grad},
    {BP_OP_SOFTMAX, make_softmax},
    {BP_OP_SOFTMAX_GRAD, make_softmax_grad},
    {BP_OP_LOG_SOFTMAX, make_log_softmax},
    {BP_OP_LOG_SOFTMAX_GRAD, make_log_softmax_grad},
    {BP_OP_NORMALIZE, make_normalize},
    {BP_OP_NORMALIZE_GRAD, make_normalize_grad},
    {BP_OP_ATTENTION, make_attention},
    {BP_OP_ATTENTION_GRAD, make_attention_grad},
    {BP_OP_RANDOM, make_random},
    {BP_OP_SORT, make_sort},
    {BP_OP_TOP_K, make_sort},
};

Factory find(uint32_t code) {
  for (const auto& entry : kFactories) {
    if (entry.code == code) return entry.make;
  }
  return nullptr;
}

struct Device : sdk::HostDevice {
  void query(const bp_op& op, sdk::Support& support) {
    const Factory make = find(op.code);
    if (make == nullptr) return support.no("the reference has no such operation");
    const uint64_t needed = make(op)->workspace;
    if (needed > op.max_workspace) {
      return support.no("needs " + std::to_string(needed) + " bytes of workspace, allowed are " +
                        std::to_string(op.max_workspace));
    }
    support.yes();
  }
  void variants(const bp_op& op, std::vector<bp_variant>& list) {
    list.push_back(sdk::make_variant("loops", BP_VARIANT_DEFAULT, find(op.code)(op)->workspace, 0,
                                     BP_DETERMINISM_DEVICE, 1));
  }
  std::unique_ptr<sdk::HostKernel> prepare(const bp_op& op, const char* variant) {
    if (variant != nullptr && std::string_view(variant) != "loops") {
      throw sdk::Failure(BP_E_NOT_FOUND, std::string("[reference] no variant '") + variant + "'; there is 'loops'");
    }
    auto kernel = find(op.code)(op);
    sdk::copy_text(kernel->variant, sizeof(kernel->variant), "loops");
    return kernel;
  }
};

struct Plugin {
  static constexpr sdk::PluginInfo kInfo{"reference", "1.0.0", BACKPLANE_REFERENCE_BUILD_ID,
                                         "exact and slow loops on the CPU: oracle and fallback"};
  using Device = reference::Device;

  explicit Plugin(const sdk::Host&) {}
  std::vector<bp_device_info> devices() {
    bp_device_info info = sdk::make_device_info(
        0, BP_KIND_CPU,
        BP_DEVICE_REFERENCE | BP_DEVICE_SYNCHRONOUS | BP_DEVICE_UNIFIED_MEMORY | BP_DEVICE_HOST_POINTERS, "reference",
        "Reference (exact, slow)");
    sdk::copy_text(info.architecture, sizeof(info.architecture), "portable");
    sdk::copy_text(info.driver, sizeof(info.driver), "reference 1.0.0");
    info.offset_alignment = 64;
    info.compute_units = 1;
    info.max_queues = 64;
    return {info};
  }
  std::unique_ptr<Device> open(uint32_t index) {
    if (index != 0) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[reference] there is only device 0");
    return std::make_unique<Device>();
  }
};

}  // namespace
}  // namespace backplane::reference

BACKPLANE_PLUGIN(backplane::reference::Plugin)
