// SPDX-License-Identifier: Apache-2.0
#include "tuning_database.h"

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <filesystem>

#include "backplane/autotune/tuner.h"
#include "case.h"

namespace backplane::bench {

namespace {

constexpr int kDecisions = 10'000, kCandidates = 8;

/// A product of 8 + i rows. The null device takes it like any other.
host::KernelOp product(int64_t i) { return matmul_case(8 + i, 64, 64).kernel_op(); }

/// Made at first use, removed at the end of the process.
const std::filesystem::path& database(const host::DevicePtr& device) {
  struct File {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("backplane-bench-tuning-" + std::to_string(getpid()));
    ~File() {
      for (const char* suffix : {"", "-wal", "-shm", ".lock"}) std::filesystem::remove(path.string() + suffix);
    }
  };
  static const File file;
  if (std::filesystem::exists(file.path)) return file.path;
  const auto fingerprint = autotune::Fingerprint::of(*device);
  const auto variant = product(0).with_op([&](const bp_op& op) { return device->variants(op).front().name; });
  std::vector<autotune::Record> records(kDecisions);
  for (int i = 0; i < kDecisions; ++i) {
    autotune::Record& record = records[static_cast<size_t>(i)];
    record.key = product(i).with_op([](const bp_op& op) { return autotune::Key::of(op); });
    record.device = fingerprint;
    record.outcome.decided = true, record.outcome.chosen = variant, record.outcome.why = "made up";
    record.outcome.candidates.resize(kCandidates);
    for (auto& each : record.outcome.candidates) each.variant = variant, each.times.samples = 5;
  }
  if (!autotune::Store(file.path).put(records)) throw Error("[tuning] the database could not be made");
  return file.path;
}

/// A tuner over the database, and the problems that it is asked.
struct Lookups {
  explicit Lookups(const host::DevicePtr& device) : device(device) {
    autotune::TuningOptions options;
    options.store = database(device);
    tuning = std::make_shared<autotune::Tuning>(options);
    renew();
  }
  void renew() { tuner = std::make_unique<autotune::Tuner>(device, tuning); }
  autotune::Level ask(const host::KernelOp& op) const {
    return op.with_op([&](const bp_op& raw) { return tuner->decide(raw).level; });
  }
  host::DevicePtr device;
  std::shared_ptr<autotune::Tuning> tuning;
  std::unique_ptr<autotune::Tuner> tuner;
  std::vector<host::KernelOp> ops;
  size_t next = 0;
};

}  // namespace

Call tuning_lookup(const host::DevicePtr& device, const std::string& what) {
  const auto lookups = std::make_shared<Lookups>(device);
  const host::KernelOp middle = product(kDecisions / 2);
  if (lookups->ask(middle) != autotune::Level::exact) throw Error("[tuning] the look-up missed");
  if (what == "open") return [device, middle] { Lookups(device).ask(middle); };
  if (what == "remembered") {
    // The operation as the C ABI has it is made once: a plan keeps it, too.
    return [lookups, middle] {
      middle.with_op([&](const bp_op& raw) { benchmark::DoNotOptimize(&lookups->tuner->decide(raw)); });
    };
  }
  if (what != "stored") throw Error("[tuning] 'what' is open, stored or remembered, not '" + what + "'");
  for (int i = 0; i < kDecisions; ++i) lookups->ops.push_back(product(i));
  return [lookups] {
    if (lookups->next % lookups->ops.size() == 0) lookups->renew();  // one that remembers nothing
    lookups->ask(lookups->ops[lookups->next++ % lookups->ops.size()]);
  };
}

}  // namespace backplane::bench
