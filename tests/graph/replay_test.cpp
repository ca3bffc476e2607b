// SPDX-License-Identifier: Apache-2.0
// Plans on a device that records (bp.capture): when they are recorded, that replays compute the same, and that no
// recording outlives the memory that it names.
#include <gtest/gtest.h>

#include <map>

#include "backplane/graph/ops.h"
#include "backplane/host/registry.h"
#include "literals.h"

namespace backplane::graph {
namespace {

const Type kRow{f32, {8}};

class Replay : public testing::Test {
 protected:
  Replay() : registry_(options()), stream_(std::make_shared<Stream>(registry_.open("recorder"))) { before_ = counts(); }

  static host::RegistryOptions options() {
    host::RegistryOptions options;
    options.directories = {RECORDER_DIRECTORY};
    options.probe = false;
    return options;
  }

  std::map<std::string, double> counts() {
    bp_metric metrics[8];
    for (bp_metric& metric : metrics) metric.size = sizeof(metric);
    uint32_t count = 0;
    bp_error error = host::make_error();
    const auto& device = *stream_->device();
    EXPECT_EQ(device.telemetry()->sample(device.handle(), metrics, sizeof(bp_metric), 8, &count, &error), BP_OK);
    std::map<std::string, double> result;
    for (uint32_t i = 0; i < count; ++i) result[metrics[i].name] = metrics[i].value;
    return result;
  }
  double since(const std::string& name) { return counts()[name] - before_[name]; }

  /// (exp(x) + 1) * x as three launches.
  std::shared_ptr<Plan> three_launches(bool capture = true) {
    Graph graph;
    const Sym x = graph.sym(graph.add_input(Input::Kind::placeholder, kRow, "x"));
    graph.set_outputs({graph.value((exp(x) + 1.0) * x)});
    CompileOptions options;
    options.stream = stream_;
    options.passes = PassConfig::none();
    options.capture = capture;
    return Plan::compile(graph, options);
  }

  Bound on_device(const Literal& literal) {
    StoragePtr storage = stream_->alloc(literal.bytes.size());
    stream_->upload(storage, 0, literal.bytes.data(), literal.bytes.size());
    return {std::move(storage), literal.type, dense_layout(literal.type.shape)};
  }
  Literal on_host(const Bound& bound) {
    Literal literal{bound.type, std::vector<std::byte>(static_cast<size_t>(bound.type.bytes()))};
    stream_->download(literal.bytes.data(), bound.storage, 0, literal.bytes.size());
    return literal;
  }

  host::Registry registry_;
  StreamPtr stream_;
  std::map<std::string, double> before_;
  test::Random random_{11};
};

TEST_F(Replay, TheSecondRunIsRecordedAndLaterOnesAreOneSubmission) {
  const auto plan = three_launches(), plain = three_launches(false);
  const Bound x = on_device(test::random_literal(kRow, random_, true));
  const Literal expected = on_host(plain->run(std::span(&x, 1))[0]);
  EXPECT_EQ(since("launches"), 3);
  constexpr int kRuns = 8;
  for (int run = 0; run < kRuns; ++run) {
    EXPECT_EQ(test::difference(on_host(plan->run(std::span(&x, 1))[0]), expected), "") << "run " << run;
  }
  EXPECT_EQ(plain->stats().replays, 0u);
  EXPECT_EQ(plan->stats().runs, uint64_t{kRuns});
  EXPECT_EQ(since("recorded"), 1);
  EXPECT_EQ(since("replays"), plan->stats().replays);
  EXPECT_GE(plan->stats().replays, kRuns - 2u) << "the buffers find their roles in the first run or two";
  EXPECT_EQ(since("launches"), 3 + 3.0 * (kRuns - since("replays"))) << "what is not a replay is put in launch by launch";
}

TEST_F(Replay, NewContentsInTheSameBufferAreSeen) {
  const auto plan = three_launches();
  const Bound x = on_device(test::random_literal(kRow, random_, false));
  std::string last;
  // The buffers find their roles in the first run or two: the pool hands out the lowest address first.
  for (int run = 0; run < 3; ++run) plan->run(std::span(&x, 1));
  const uint64_t before = plan->stats().replays;
  for (int run = 0; run < 4; ++run) {
    const Literal fresh = test::random_literal(kRow, random_, false);
    stream_->upload(x.storage, 0, fresh.bytes.data(), fresh.bytes.size());
    const std::string now = test::difference(on_host(plan->run(std::span(&x, 1))[0]), fresh);
    EXPECT_NE(now, last);
    last = now;
  }
  EXPECT_EQ(plan->stats().replays - before, 4u);
}

TEST_F(Replay, AnotherBufferIsAnotherRecording) {
  const auto plan = three_launches();
  const Bound a = on_device(test::random_literal(kRow, random_, false)), b = on_device(test::random_literal(kRow, random_, false));
  const auto on = [&](const Bound& x) { return on_host(plan->run(std::span(&x, 1))[0]); };
  const Literal from_a = on(a), from_b = on(b);
  for (int run = 0; run < 4; ++run) {
    EXPECT_EQ(test::difference(on(a), from_a), "");
    EXPECT_EQ(test::difference(on(b), from_b), "");
  }
  EXPECT_EQ(since("recorded"), 2);
}

TEST_F(Replay, NothingRecordedOutlivesItsMemory) {
  auto plan = three_launches();
  std::vector<Bound> inputs;
  for (int i = 0; i < 100; ++i) inputs.push_back(on_device(test::random_literal(kRow, random_, false)));
  for (const Bound& x : inputs) {
    plan->run(std::span(&x, 1));
    plan->run(std::span(&x, 1));
  }
  EXPECT_LT(since("recorded") - since("destroyed"), 65) << "bounded";
  stream_->trim();
  EXPECT_EQ(since("recorded"), since("destroyed"));
  for (int run = 0; run < 3; ++run) plan->run(std::span(&inputs[0], 1));
  EXPECT_GT(since("recorded"), since("destroyed"));
  plan.reset();
  EXPECT_EQ(since("recorded"), since("destroyed")) << "a plan takes its recordings along";
  EXPECT_EQ(since("outlived"), 0);
}

TEST_F(Replay, BorrowedMemoryTakesItsRecordingsAlongAndNoOthers) {
  const auto plan = three_launches();
  const Bound own = on_device(test::random_literal(kRow, random_, false));
  Literal theirs = test::random_literal(kRow, random_, false);
  int64_t shape[] = {8};
  int given_back = 0;
  DLManagedTensorVersioned tensor{};
  tensor.version = {DLPACK_MAJOR_VERSION, 0};
  tensor.dl_tensor = {theirs.bytes.data(), {kDLCPU, 0}, 1, {kDLFloat, 32, 1}, shape, nullptr, 0};
  tensor.manager_ctx = &given_back;
  tensor.deleter = [](DLManagedTensorVersioned* self) { ++*static_cast<int*>(self->manager_ctx); };
  host::Received received = stream_->device()->dlpack_import(&tensor);
  Bound borrowed{std::make_shared<Storage>(stream_, std::move(received.buffer), theirs.bytes.size()), kRow, dense_layout(kRow.shape)};
  for (int run = 0; run < 4; ++run) {
    plan->run(std::span(&own, 1));
    plan->run(std::span(&borrowed, 1));
  }
  const double made = since("recorded"), gone = since("destroyed");
  EXPECT_GE(made, 2);
  EXPECT_EQ(given_back, 0);
  borrowed = {};
  EXPECT_EQ(given_back, 1);
  EXPECT_GT(since("destroyed"), gone);
  EXPECT_LT(since("destroyed"), made) << "those of other buffers stay";
  EXPECT_EQ(since("outlived"), 0);
}

}  // namespace
}  // namespace backplane::graph
