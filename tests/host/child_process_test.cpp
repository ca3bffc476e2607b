// SPDX-License-Identifier: Apache-2.0
// Children that print much, take long or are not wanted any more; how probes and trials end is tested with those.
#include "backplane/host/child_process.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

namespace backplane::host {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

ChildRequest shell(const std::string& script) { return {.executable = "/bin/sh", .arguments = {"-c", script}}; }

TEST(ChildProcess, PrintsIntoAFile) {
  const fs::path file = fs::temp_directory_path() / ("backplane-child-" + std::to_string(getpid()));
  ChildRequest request = shell("i=0; while [ $i -lt 1000 ]; do echo line $i; i=$((i+1)); done; echo trouble >&2");
  request.output_file = file;
  const ChildRun run = run_child(request);
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_EQ(run.output, "");
  std::ifstream in(file);
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  EXPECT_TRUE(text.starts_with("line 0\n")) << "not only the tail";
  EXPECT_TRUE(text.ends_with("trouble\n"));
  fs::remove(file);
}

TEST(ChildProcess, CannotBeStartedWhereItsFileCannotBeWritten) {
  ChildRequest request = shell("true");
  request.output_file = "/proc/nowhere/log";
  EXPECT_NE(run_child(request).trouble, "");
}

TEST(ChildProcess, MayTakeAsLongAsItTakes) {
  ChildRequest request = shell("sleep 0.3; exit 7");
  request.limit = std::nullopt;
  const ChildRun run = run_child(request);
  EXPECT_EQ(run.exit_code, 7);
  EXPECT_FALSE(run.timed_out);
}

TEST(ChildProcess, IsKilledAtItsLimit) {
  ChildRequest request = shell("sleep 1000");
  request.limit = milliseconds(100);
  const ChildRun run = run_child(request);
  EXPECT_TRUE(run.timed_out);
  EXPECT_FALSE(run.cancelled);
  EXPECT_EQ(run.signal, SIGKILL);
}

TEST(ChildProcess, IsKilledWhenItIsNotWantedAnyMore) {
  std::atomic<bool> cancelled{false};
  std::thread user([&] {
    std::this_thread::sleep_for(milliseconds(100));
    cancelled = true;
  });
  ChildRequest request = shell("sleep 1000");
  request.limit = std::nullopt;
  request.cancelled = &cancelled;
  const ChildRun run = run_child(request);
  user.join();
  EXPECT_TRUE(run.cancelled);
  EXPECT_FALSE(run.timed_out);
  EXPECT_EQ(run.signal, SIGKILL);
}

}  // namespace
}  // namespace backplane::host
