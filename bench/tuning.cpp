// SPDX-License-Identifier: Apache-2.0
// What the tuner costs where nothing is measured: opening a database of 10,000 decisions, a first look-up, and one that
// is remembered.
#include <unistd.h>

#include <filesystem>
#include <optional>

#include "backplane/autotune/tuner.h"
#include "kernels.h"
#include "rows.h"

namespace backplane::bench {

namespace {

constexpr int kDecisions = 10'000, kCandidates = 8;

/// A product of 8 + i rows. The null device takes it like any other.
graph::KernelOp product(int64_t i) { return matmul_case(8 + i, 64, 64).kernel_op(); }

/// Made at first use, removed at the end of the process.
const std::filesystem::path& database() {
  struct File {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("backplane-bench-tuning-" + std::to_string(getpid()));
    ~File() {
      for (const char* suffix : {"", "-wal", "-shm", ".lock"}) std::filesystem::remove(path.string() + suffix);
    }
  };
  static const File file;
  if (std::filesystem::exists(file.path)) return file.path;
  const auto device = autotune::Fingerprint::of(*null_device());
  const auto variant = product(0).with_op([](const bp_op& op) { return null_device()->variants(op).front().name; });
  std::vector<autotune::Record> records(kDecisions);
  for (int i = 0; i < kDecisions; ++i) {
    autotune::Record& record = records[static_cast<size_t>(i)];
    record.key = product(i).with_op([](const bp_op& op) { return autotune::Key::of(op); });
    record.device = device;
    record.outcome.decided = true, record.outcome.chosen = variant, record.outcome.why = "made up";
    record.outcome.candidates.resize(kCandidates);
    for (auto& each : record.outcome.candidates) each.variant = variant, each.times.samples = 5;
  }
  if (!autotune::Store(file.path).put(records)) throw Error("[tuning] the database could not be made");
  return file.path;
}

std::shared_ptr<autotune::Tuning> tuning() {
  autotune::TuningOptions options;
  options.store = database();
  return std::make_shared<autotune::Tuning>(options);
}

Measurement open_and_ask(benchmark::State& state) {
  const graph::KernelOp op = product(kDecisions / 2);
  const auto ask = [&] {
    autotune::Tuner tuner(null_device(), tuning());
    return op.with_op([&](const bp_op& raw) { return tuner.decide(raw).level; });
  };
  if (ask() != autotune::Level::exact) throw Error("[tuning] the look-up missed");
  state.counters["decisions"] = kDecisions;
  return measure({[&] { ask(); }}, {});
}

Measurement remembered(benchmark::State& state) {
  autotune::Tuner tuner(null_device(), tuning());
  return product(17).with_op([&](const bp_op& raw) {
    const autotune::Decision& first = tuner.decide(raw);
    const Measurement m = measure({[&] { benchmark::DoNotOptimize(&tuner.decide(raw)); }}, {});
    if (&tuner.decide(raw) != &first) throw Error("[tuning] the answer moved");
    state.counters["ns"] = m.of[0].median_ns;
    return m;
  });
}

/// Every problem once, then again with a tuner that remembers none.
Measurement stored(benchmark::State&) {
  std::vector<graph::KernelOp> ops;
  for (int i = 0; i < kDecisions; ++i) ops.push_back(product(i));
  const auto shared = tuning();
  std::optional<autotune::Tuner> tuner;
  size_t next = 0;
  return measure({[&] {
                   if (next % ops.size() == 0) tuner.emplace(null_device(), shared);
                   ops[next++ % ops.size()].with_op([&](const bp_op& raw) { tuner->decide(raw); });
                 }},
                 {});
}

}  // namespace

void add_tuning_rows() {
  add_row("tuning/open/decisions=" + std::to_string(kDecisions), open_and_ask);
  add_row("tuning/look-up/remembered", remembered);
  add_row("tuning/look-up/stored", stored);
}

}  // namespace backplane::bench
