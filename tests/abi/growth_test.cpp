// SPDX-License-Identifier: Apache-2.0
// Plugins of other minors in this host: one frozen at 1.0, one built against a larger header, one against a smaller.
#include <gmock/gmock.h>

#include "backplane/host/registry.h"
#include "sdk/card.hpp"

namespace backplane::testing {
namespace {

std::shared_ptr<host::Device> open(const std::string& name, const std::string& selector) {
  host::RegistryOptions options;
  options.directories = {PLUGINS_DIR "/" + name};
  options.probe = false;
  static std::vector<std::unique_ptr<host::Registry>> registries;  // devices keep their plugins, not their registry
  registries.push_back(std::make_unique<host::Registry>(options));
  return registries.back()->open(selector);
}

/// Runs x + y through the host's Device.
void expect_adds(host::Device& device) {
  Program p(2);
  const uint16_t sum = p.add(BP_S_ADD, BP_F32, 0, 1);
  Case c{BP_OP_POINTWISE, {random_tensor(BP_F32, {300}, 1), random_tensor(BP_F32, {300}, 2)}, {Tensor(BP_F32, {300})},
         nullptr, p.done({sum})};
  const bp_op op = c.op();
  EXPECT_EQ(device.query(op).verdict, BP_SUPPORT_YES);
  host::Kernel kernel = device.prepare(op);
  host::Queue queue = device.create_queue();
  std::vector<host::Buffer> buffers;
  for (int i = 0; i < 3; ++i) buffers.push_back(device.alloc(1200));
  for (size_t i = 0; i < 2; ++i) device.upload(queue, {buffers[i].get(), 0}, c.inputs[i].bytes.data(), 1200);
  const bp_view in[2] = {{buffers[0].get(), 0}, {buffers[1].get(), 0}}, out[1] = {{buffers[2].get(), 0}};
  bp_error error = host::make_error();
  ASSERT_EQ(device.kernels().enqueue(queue.get(), kernel.handle.get(), in, out, {nullptr, 0}, &error), BP_OK);
  device.download(queue, c.outputs[0].bytes.data(), out[0], 1200);
  device.finish(queue);
  for (int64_t i = 0; i < 300; ++i) {
    ASSERT_EQ(c.outputs[0].at(i), static_cast<float>(c.inputs[0].at(i) + c.inputs[1].at(i)));
  }
}

TEST(AbiGrowth, APluginFrozenAt10Works) {
  expect_adds(*open("frozen_1_0", "frozen_1_0"));
}

TEST(AbiGrowth, APluginOfALargerHeaderWorks) {
  expect_adds(*open("later", "later:0"));
  const auto second = open("later", "later:1");
  EXPECT_STREQ(second->info().name, "Later, second");
  EXPECT_EQ(second->info().compute_units, 0u);
  expect_adds(*second);
}

TEST(AbiGrowth, APluginOfASmallerHeaderWorks) {
  const auto device = open("earlier", "earlier");
  expect_adds(*device);
  EXPECT_EQ(device->info().compute_units, 0u) << "what a plugin lacks reads as zero";
  EXPECT_EQ(device->memory().usage, nullptr);
}

TEST(AbiGrowth, AVariantWithoutCodeHashHasNone) {
  Program copy(1);
  Case c{BP_OP_POINTWISE, {Tensor(BP_F32, {3})}, {Tensor(BP_F32, {3})}, nullptr, copy.done({0})};
  for (const char* name : {"frozen_1_0", "earlier"}) {
    const std::vector<host::Variant> variants = open(name, name)->variants(c.op());
    ASSERT_EQ(variants.size(), 1u) << name;
    EXPECT_EQ(variants[0].code_hash, 0u) << name;
  }
}

TEST(AbiGrowth, TodaysToysWork) {
  expect_adds(*open("toy_c", "toy_c"));
  expect_adds(*open("toy_cpp", "toy_cpp"));
}

/// An array of today's elements with guard bytes behind each.
template <class T>
struct Guarded {
  T value;
  unsigned char guard[64];
};

TEST(AbiGrowth, ALargerPluginWritesNoByteBehindASmallerElement) {
  Card later(PLUGINS_DIR "/later/libbackplane_later.so");
  Guarded<bp_device_info> infos[2];
  std::memset(infos, 0xC3, sizeof(infos));
  for (auto& info : infos) info.value.size = sizeof(bp_device_info);
  uint32_t count = 0;
  // The stride says how far elements lie apart, `size` how much of each may be written.
  ASSERT_EQ(later.api->devices(later.plugin, &infos[0].value, sizeof(infos[0]), 2, &count, later.error()), BP_OK);
  EXPECT_EQ(count, 2u);
  EXPECT_STREQ(infos[0].value.id, "later-0");
  EXPECT_STREQ(infos[1].value.id, "later-1");
  EXPECT_EQ(infos[1].value.size, sizeof(bp_device_info));
  for (const auto& info : infos) {
    for (unsigned char byte : info.guard) EXPECT_EQ(byte, 0xC3);
  }

  Program copy(1);
  Case c{BP_OP_POINTWISE, {Tensor(BP_F32, {3})}, {Tensor(BP_F32, {3})}, nullptr, copy.done({0})};
  const bp_op op = c.op();
  Guarded<bp_variant> variants[2];
  std::memset(variants, 0xC3, sizeof(variants));
  for (auto& variant : variants) variant.value.size = sizeof(bp_variant);
  ASSERT_EQ(later.kernels->variants(later.device, &op, &variants[0].value, sizeof(variants[0]), 2, &count, later.error()), BP_OK);
  EXPECT_STREQ(variants[1].value.name, "second");
  for (const auto& variant : variants) {
    for (unsigned char byte : variant.guard) EXPECT_EQ(byte, 0xC3);
  }
  Guarded<bp_support> support;
  std::memset(&support, 0xC3, sizeof(support));
  support.value.size = sizeof(bp_support);
  ASSERT_EQ(later.kernels->query(later.device, &op, &support.value, later.error()), BP_OK);
  EXPECT_EQ(support.value.verdict, BP_SUPPORT_YES);
  for (unsigned char byte : support.guard) EXPECT_EQ(byte, 0xC3);
}

TEST(AbiGrowth, AnArrayThatIsTooShortIsIncomplete) {
  Card later(PLUGINS_DIR "/later/libbackplane_later.so");
  bp_device_info one{};
  one.size = sizeof(one);
  uint32_t count = 0;
  EXPECT_EQ(later.api->devices(later.plugin, &one, sizeof(one), 1, &count, later.error()), BP_INCOMPLETE);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(later.api->devices(later.plugin, nullptr, 0, 0, &count, later.error()), BP_OK);
}

/// What a host of a later minor would pass: a larger struct.
struct LaterOp {
  bp_op op;
  uint64_t appended;
};

TEST(AbiGrowth, AMemberOfALaterHostIsIgnoredWhileZeroAndRefusedElse) {
  for (const char* path : {PLUGINS_DIR "/toy_c/libbackplane_toy_c.so", PLUGINS_DIR "/toy_cpp/libbackplane_toy_cpp.so",
                           PLUGINS_DIR "/frozen_1_0/libbackplane_frozen_1_0.so"}) {
    Card card(path);
    Program copy(1);
    Case c{BP_OP_POINTWISE, {Tensor(BP_F32, {3})}, {Tensor(BP_F32, {3})}, nullptr, copy.done({0})};
    LaterOp later{c.op(), 0};
    later.op.size = sizeof(later);
    bp_support support{};
    support.size = sizeof(support);
    ASSERT_EQ(card.kernels->query(card.device, &later.op, &support, card.error()), BP_OK);
    EXPECT_EQ(support.verdict, BP_SUPPORT_YES) << path;
    later.appended = 1;
    ASSERT_EQ(card.kernels->query(card.device, &later.op, &support, card.error()), BP_OK);
    EXPECT_EQ(support.verdict, BP_SUPPORT_NO) << path;
    EXPECT_STRNE(support.reason, "");
    bp_kernel* kernel = nullptr;
    EXPECT_EQ(card.kernels->prepare(card.device, &later.op, nullptr, &kernel, nullptr, card.error()), BP_E_UNSUPPORTED);
    EXPECT_EQ(kernel, nullptr);
  }
}

TEST(AbiGrowth, AHostOfAnotherMajorIsRefused) {
  for (const char* path : {PLUGINS_DIR "/toy_c/libbackplane_toy_c.so", PLUGINS_DIR "/toy_cpp/libbackplane_toy_cpp.so",
                           PLUGINS_DIR "/frozen_1_0/libbackplane_frozen_1_0.so"}) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    const auto entry = reinterpret_cast<bp_plugin_entry>(dlsym(library, BP_PLUGIN_ENTRY_NAME));
    bp_host host{};
    host.size = sizeof(host);
    host.abi_version = BP_VERSION(2, 0);
    bp_error error{};
    error.size = sizeof(error);
    const bp_plugin_api* api = nullptr;
    EXPECT_EQ(entry(&host, &api, &error), BP_E_ABI);
    EXPECT_EQ(api, nullptr);
    EXPECT_THAT(error.message, ::testing::HasSubstr("1.0"));
    host.abi_version = BP_VERSION(1, 7);
    EXPECT_EQ(entry(&host, &api, &error), BP_OK) << "a later minor is fine";
  }
}

}  // namespace
}  // namespace backplane::testing
