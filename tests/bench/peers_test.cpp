// SPDX-License-Identifier: Apache-2.0
// A peer that is wrong, fails or cannot is named with its reason and not timed.
#include <gmock/gmock.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "peers/race.h"
#include "suite.h"

namespace backplane::bench {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct FakeCall : PeerCall {
  explicit FakeCall(float value) : value(value) {}
  void enqueue() override {}
  std::vector<float> output() override { return {value, 2}; }
  float value;
};

struct Fake : Peer {
  std::string name() const override { return "fake"; }
  std::unique_ptr<PeerCall> prepare(const Case&, const Values&) override {
    if (setting == "throws") throw Error("does not like this size");
    if (setting == "cannot") return nullptr;
    return std::make_unique<FakeCall>(setting == "wrong" ? 1.5f : 1);
  }
  std::vector<std::string> settings() const override { return ways; }
  void use(const std::string& name) override { setting = name == "default" ? ways[0] : name; }
  std::vector<std::string> ways;
  std::string setting;
};

/// What the fake should give.
struct Made {
  Made() : bytes(2 * sizeof(float)) {
    const float right[] = {1, 2};
    std::memcpy(bytes.data(), right, sizeof right);
  }
  Problem problem() const { return {c, values, bytes, "device", "work"}; }
  Case c;
  Values values;
  std::vector<std::byte> bytes;
};

/// With several ways, all of them are tried.
std::vector<Contender> contenders_of(std::vector<std::string> ways) {
  const auto fake = std::make_shared<Fake>();
  fake->ways = std::move(ways);
  const Made made;
  TriedSettings tried;
  for (const std::string& way : fake->ways.size() > 1 ? fake->ways : std::vector<std::string>())
    tried.add("device", "fake", "work", way, try_setting(*fake, way, made.problem()));
  return prepare_contenders({fake}, made.problem(), tried);
}

TEST(Peers, AreTimedWhenTheyAreRight) {
  const auto contenders = contenders_of({"right"});
  ASSERT_EQ(contenders.size(), 1u);
  EXPECT_NE(contenders[0].call, nullptr);
  EXPECT_EQ(contenders[0].error, 0);
}

TEST(Peers, AreOtherDevices) {
  const Case product = expand(parse_line("batch_matmul in=MxK,KxN M=3 N=4 K=5", "here"), {}).at(0);
  const Values values = suitable_values(product.kernel_op());
  const host::DevicePtr device = host::Registry::instance().reference();
  const auto operands = std::make_shared<Operands>(device, product.kernel_op(), values);
  Prepared(operands).launch();
  std::vector<std::byte> right = operands->outputs()[0];
  const Peers peers{device_peer(device)};
  EXPECT_EQ(options_for(peers), " --beside reference:0");
  const auto contenders = prepare_contenders(peers, {product, values, right, "device", "work"}, TriedSettings());
  ASSERT_EQ(contenders.size(), 1u);
  EXPECT_EQ(contenders[0].name, "reference:0");
  EXPECT_NE(contenders[0].call, nullptr) << contenders[0].reason;
  EXPECT_EQ(contenders[0].error, 0);
  right.assign(right.size(), std::byte{0});
  EXPECT_EQ(prepare_contenders(peers, {product, values, right, "device", "work"}, TriedSettings())[0].call, nullptr);
}

TEST(Peers, SayWhyTheyAreNot) {
  const auto reason = [](const char* way) {
    const auto contenders = contenders_of({way});
    EXPECT_EQ(contenders.at(0).call, nullptr) << way;
    return contenders.at(0).reason;
  };
  EXPECT_THAT(reason("wrong"), HasSubstr("differs by 2.5e-01"));
  EXPECT_THAT(reason("cannot"), HasSubstr("does not do this"));
  EXPECT_THAT(reason("throws"), HasSubstr("does not like this size"));
}

TEST(Peers, OnlySettingsThatAreRightAreCalledBest) {
  const auto contenders = contenders_of({"wrong", "throws", "right"});
  ASSERT_EQ(contenders.size(), 2u);
  EXPECT_EQ(contenders[0].call, nullptr) << "the library's own choice";
  EXPECT_EQ(contenders[1].name, "fake tuned");
  EXPECT_NE(contenders[1].call, nullptr);
}

TEST(Peers, ThatWereNotBuiltInTimeSaySo) {
  const auto fake = std::make_shared<Fake>();
  fake->ways = {"right", "other"};
  const Made made;
  TriedSettings tried;
  for (const char* setting : {kOwnChoice, "right", "other"})
    tried.add("device", "fake", "work", setting, {.reason = "no end within 3 s", .left_out = true});
  for (const Contender& each : prepare_contenders({fake}, made.problem(), tried)) {
    EXPECT_EQ(each.call, nullptr) << each.name;
    EXPECT_EQ(each.reason, "no end within 3 s") << each.name;
  }
}

TEST(TriedSettings, AreKeptFromOneRunToTheNext) {
  const auto file = std::filesystem::temp_directory_path() / ("backplane-tried-" + std::to_string(getpid()));
  {
    TriedSettings tried(file);
    tried.add("device", "peer", "work", "slow", {.ns = 3e6});
    tried.add("device", "peer", "work", "wrong", {.reason = "its result\tdiffers"});
    tried.add("device", "peer", "work", "fast", {.ns = 2e6});
    tried.add("device", "peer", "work", "unbuilt", {.reason = "no time", .left_out = true});
  }
  std::ofstream(file, std::ios::app) << "device\tpeer\twork\tcut o";
  const TriedSettings again(file);
  EXPECT_THAT(again.fastest("device", "peer", "work"), ElementsAre("fast", "slow"));
  ASSERT_NE(again.find("device", "peer", "work", "wrong"), nullptr);
  EXPECT_EQ(again.find("device", "peer", "work", "wrong")->reason, "its result differs");
  EXPECT_EQ(again.find("device", "peer", "work", "unbuilt"), nullptr) << "another run has more time";
  EXPECT_EQ(again.find("other device", "peer", "work", "fast"), nullptr);
  std::filesystem::remove(file);
}

TEST(Peers, KnowAProductWhenTheySeeOne) {
  const auto of = [](const char* line) {
    const Case c = expand(parse_line(line, "test"), {}).at(0);
    return Product::of(c, {std::vector<std::byte>(24), std::vector<std::byte>(24)});
  };
  const auto product = of("batch_matmul in=2x3,3x1");
  ASSERT_TRUE(product);
  EXPECT_THAT((std::vector{product->m, product->n, product->k}), ElementsAre(2, 1, 3));
  EXPECT_FALSE(of("batch_matmul in=1x2x3,1x3x1"));
  EXPECT_FALSE(of("batch_matmul in=2x3,3x1 dtypes=f64"));
  EXPECT_FALSE(of("softmax in=2x3"));
}

}  // namespace
}  // namespace backplane::bench
