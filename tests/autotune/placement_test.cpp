// SPDX-License-Identifier: Apache-2.0
// Which plugin of one machine is preferred: from measurements that are made up here, kept like others, and races that are
// really run.
#include "backplane/autotune/placement.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstring>

#include "records.h"
#include "virtual_device.h"

namespace backplane::autotune {
namespace {

using ::testing::HasSubstr;
using test::Folder;

const std::vector<Member> kMembers = {{"cpu:0", {"cpu|x86", "build-1"}}, {"opencl:0", {"opencl|x86", "build-2"}},
                                      {"vulkan:0", {"vulkan|x86", "build-3"}}};

Placement row(size_t member, const std::string& shapes, double run_ns, double move_ns = 0, uint64_t calls = 1) {
  Placement r;
  r.key.problem = "matmul f32[2],f32[2]->f32[2]", r.key.shapes = shapes, r.key.policy = "strict";
  r.key.extents = parse_extents(shapes);
  r.machine = "host processor", r.device = kMembers[member].device, r.variant = "tile";
  r.run_ns = run_ns, r.move_ns = move_ns, r.calls = calls, r.written = 1'800'000'000;
  r.log_ratio = {0.5, 0.4, 0.6};
  return r;
}

TEST(Prefer, WithoutMeasurementsOfTwoItSaysNothing) {
  EXPECT_FALSE(prefer(kMembers, {}));
  EXPECT_FALSE(prefer(kMembers, {row(0, "a", 100)}));
  EXPECT_FALSE(prefer(kMembers, {row(1, "a", 100), row(2, "a", 50)})) << "what would be taken was not measured";
  EXPECT_FALSE(prefer({}, {}));
}

TEST(Prefer, TheFastestOverAllCalls) {
  const auto p = prefer(kMembers, {row(0, "a", 100, 0, 10), row(1, "a", 50, 0, 10), row(0, "b", 100), row(1, "b", 300)});
  ASSERT_TRUE(p);
  EXPECT_EQ(p->device, "opencl:0");
  EXPECT_TRUE(p->changes);
  EXPECT_THAT(p->why, HasSubstr("2 operations"));
  EXPECT_THAT(p->why, HasSubstr("by cpu:0"));
}

TEST(Prefer, WhatIsTakenAnywayStaysForAFewPercent) {
  const auto p = prefer(kMembers, {row(0, "a", 100), row(1, "a", 97)});
  ASSERT_TRUE(p);
  EXPECT_EQ(p->device, "cpu:0");
  EXPECT_FALSE(p->changes);
}

TEST(Prefer, CopiesCount) {
  const auto p = prefer(kMembers, {row(0, "a", 100, 10), row(1, "a", 80, 200)});
  ASSERT_TRUE(p);
  EXPECT_EQ(p->device, "cpu:0") << "faster, but not when operands have to get there";
}

TEST(Prefer, OneThatDoesNotDoAllOfThemIsNot) {
  const auto p = prefer(kMembers, {row(0, "a", 100), row(1, "a", 10), row(0, "b", 100), row(1, "b", 0), row(2, "a", 90),
                                   row(2, "b", 90)});
  ASSERT_TRUE(p);
  EXPECT_EQ(p->device, "vulkan:0");
}

TEST(Prefer, AnotherBuildsMeasurementsDoNotCount) {
  Placement old = row(1, "a", 10);
  old.device.build = "build-0";
  EXPECT_FALSE(prefer(kMembers, {row(0, "a", 100), old}));
}

TEST(Machine, IsThePciAddressOrTheHostOrUnknown) {
  bp_device_info info{};
  info.kind = BP_KIND_GPU;
  EXPECT_EQ(machine_of(info), "");
  std::strcpy(info.pci, "0000:65:00.0");
  EXPECT_EQ(machine_of(info), "pci 0000:65:00.0");
  bp_device_info processor{};
  processor.kind = BP_KIND_CPU;
  bp_device_info software{};
  software.kind = BP_KIND_GPU, software.flags = BP_DEVICE_SOFTWARE;
  EXPECT_EQ(machine_of(processor), machine_of(software));
  EXPECT_NE(machine_of(processor), "");
}

TEST(Machine, HasOneDeviceOfEachPlugin) {
  const auto entry = [](const char* plugin, const char* name, const char* pci, uint32_t flags = 0) {
    host::DeviceEntry e{name, plugin, {}};
    e.info.kind = BP_KIND_GPU, e.info.flags = flags;
    std::strcpy(e.info.pci, pci);
    return e;
  };
  const std::vector<host::DeviceEntry> all = {
      entry("cuda", "cuda:0", "01"), entry("cuda", "cuda:1", "02"), entry("vulkan", "vulkan:0", "02"),
      entry("opencl", "opencl:0", "02"), entry("opencl", "opencl:1", "02"), entry("odd", "odd:0", ""),
      entry("other", "other:0", "")};
  const auto names = [&](const char* asked) {
    std::string text;
    for (const host::DeviceEntry& each : same_machine(all, asked)) text += each.name + " ";
    return text;
  };
  EXPECT_EQ(names("cuda:1"), "cuda:1 vulkan:0 opencl:0 ");
  EXPECT_EQ(names("opencl:1"), "opencl:1 cuda:1 vulkan:0 ");
  EXPECT_EQ(names("cuda:0"), "cuda:0 ");
  EXPECT_EQ(names("odd:0"), "odd:0 ") << "nobody knows whether it is the same as other:0";
  EXPECT_EQ(names("nothing"), "");
}

TEST(PlacementRows, AreKeptReplacedAndCleared) {
  const Folder folder;
  Store store(folder.file());
  EXPECT_TRUE(store.placements().empty());
  ASSERT_TRUE(store.put(std::vector<Placement>{row(0, "8x8", 100, 7, 3), row(1, "8x8", 50)}));
  ASSERT_TRUE(store.put(std::vector<Placement>{row(1, "8x8", 60)}));
  std::vector<Placement> rows = Store(folder.file(), Store::Access::read).placements();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].run_ns, 60);
  EXPECT_EQ(rows[1].move_ns, 7);
  EXPECT_EQ(rows[1].calls, 3u);
  EXPECT_EQ(rows[1].log_ratio.high, 0.6);
  EXPECT_TRUE(rows[1].key == row(0, "8x8", 1).key);
  EXPECT_EQ(rows[1].device.build, "build-1");
  store.clear({.operation = "softmax"});
  EXPECT_EQ(store.placements().size(), 2u);
  store.clear();
  EXPECT_TRUE(store.placements().empty());
}

TEST(Arbitrate, TimesEachByTheHostsClock) {
  const test::Product p(32, 32, 32);
  ArbitrationOptions options;
  options.budget_ns = 20'000'000, options.oracle = test::reference_device();
  const auto rows =
      arbitrate({{test::virtual_device("noise-quiet"), ""}, {test::reference_device(), ""}}, p.op, options);
  ASSERT_EQ(rows.size(), 2u);
  for (const Placement& each : rows) {
    EXPECT_GT(each.run_ns, 0);
    EXPECT_GT(each.move_ns, 0);
    EXPECT_EQ(each.key.operation(), "matmul");
    EXPECT_NE(each.variant, "");
  }
  EXPECT_EQ(rows[0].log_ratio.mean, 0);
  EXPECT_NEAR(rows[1].log_ratio.mean, std::log(rows[1].run_ns / rows[0].run_ns), 0.7);
  std::atomic<bool> cancelled{true};
  options.cancelled = &cancelled;
  EXPECT_TRUE(arbitrate({{test::reference_device(), ""}}, p.op, options).empty());
}

}  // namespace
}  // namespace backplane::autotune
