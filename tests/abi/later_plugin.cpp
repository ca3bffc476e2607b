// SPDX-License-Identifier: Apache-2.0
// A plugin of a later minor: built against a larger plugin.h, it fills in the members that a 1.1 host does not have.
// Two devices and two variants, so that wrong strides show.
#include "backplane/sdk/sdk.hpp"
#include "backplane/sdk/walk.h"

namespace sdk = backplane::sdk;

namespace {

static_assert(BP_ABI_MINOR == 2, "needs the larger header");
constexpr uint64_t kPoison = 0xEEEEEEEEEEEEEEEEu;

void pointwise(const bp_op& op, const void* const* in, void* const* out) {
  bp_sdk_pointwise(op.program, op.inputs, in, op.outputs, out);
}

struct Device : sdk::HostDevice {
  void query(const bp_op& op, sdk::Support& support) {
    support.value.appended_first = kPoison;
    if (op.appended_first != 0) return support.no("the host is as new as this plugin");  // what is absent reads as zero
    op.code == BP_OP_POINTWISE ? support.yes() : support.no("only pointwise");
  }
  void variants(const bp_op&, std::vector<bp_variant>& list) {
    list.push_back(sdk::make_variant("first", BP_VARIANT_DEFAULT));
    list.push_back(sdk::make_variant("second"));
    for (bp_variant& variant : list) variant.appended_first = kPoison;
  }
  std::unique_ptr<sdk::HostKernel> prepare(const bp_op& op, const char*) {
    return std::make_unique<sdk::LoopKernel>(op, pointwise);
  }
};

struct Plugin {
  static constexpr sdk::PluginInfo kInfo{"later", "2.0.0", "1", "built against a later minor"};
  using Device = ::Device;
  std::vector<bp_device_info> devices() {
    std::vector<bp_device_info> list{sdk::host_device_info("later-0", "Later, first"),
                                     sdk::host_device_info("later-1", "Later, second")};
    list[1].index = 1;
    for (bp_device_info& info : list) info.appended_first = kPoison;
    return list;
  }
  std::unique_ptr<Device> open(uint32_t) { return std::make_unique<Device>(); }
};

}  // namespace

BACKPLANE_PLUGIN(Plugin)
