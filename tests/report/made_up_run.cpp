// SPDX-License-Identifier: Apache-2.0
#include "report/made_up_run.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace backplane::bench::report {

namespace {

struct Card {
  Device device;
  double gflops, gbytes, launch_ns;
  double matrix;  ///< GFLOP/s of matrix units in f16; 0: none
};

const std::vector<Card>& cards() {
  static const std::vector<Card> list = {
      {{"cpu:0", "cpu", "0.6.0", "Example CPU, 2 cores", "cpu", "avx512_core_bf16", "oneDNN 2.6.3", ""},
       236,
       25,
       400,
       0},
      {{"opencl:0", "opencl", "0.6.0", "pthread-Example CPU", "software", "OpenCL 3.0", "PoCL 3.1", ""},
       210,
       24,
       4e3,
       0},
      {{"vulkan:0", "vulkan", "0.6.0", "llvmpipe", "software", "Vulkan 1.3", "Mesa 22.3.6", ""}, 18, 9, 3e4, 0},
      {{"cuda:0", "cuda", "0.6.0", "Example GPU", "gpu", "sm_90", "CUDA 13.0", ""}, 5.1e4, 3.6e3, 2.6e3, 7.4e5}};
  return list;
}

/// Numbers in [0, 1) that are the same everywhere.
class Numbers {
 public:
  double next() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<double>(state_ >> 40) / static_cast<double>(1u << 24);
  }

 private:
  uint64_t state_ = 1;
};

struct Problem {
  std::string op, shape, dtype;
  std::vector<std::pair<std::string, int64_t>> dimensions;
  double flops, bytes;
};

Problem product(int64_t m, int64_t n, int64_t k, const char* dtype) {
  const double size = dtype == std::string("f32") ? 4 : 2;
  const auto area = static_cast<double>(m * k + k * n + m * n);
  return {"matmul",
          fmt::format("{}x{}x{}", m, n, k),
          dtype,
          {{"M", m}, {"N", n}, {"K", k}},
          2.0 * static_cast<double>(m * n * k),
          size * area};
}
Problem rows_by_columns(const char* op, int64_t rows, int64_t columns, double flops_each) {
  const auto count = static_cast<double>(rows * columns);
  return {
      op,       fmt::format("{}x{}", rows, columns), "f32", {{"rows", rows}, {"columns", columns}}, flops_each * count,
      8 * count};
}

std::vector<Problem> problems() {
  std::vector<Problem> list;
  for (const int64_t m : {64, 256, 1024})
    for (const int64_t n : {64, 256, 1024}) list.push_back(product(m, n, 512, "f32"));
  list.push_back(product(1, 4096, 4096, "f32"));
  for (const int64_t m : {256, 1024}) list.push_back(product(m, m, m, "f16"));
  for (const int64_t rows : {16, 256, 4096}) list.push_back(rows_by_columns("softmax", rows, 1024, 5));
  for (const int64_t rows : {16, 256, 4096}) list.push_back(rows_by_columns("pointwise", rows, 1024, 8));
  list.push_back(rows_by_columns("reduce", 1024, 1024, 1));
  list.push_back(
      {"attention", "4x8x512x64", "f32", {{"batch", 4}, {"heads", 8}, {"length", 512}, {"width", 64}}, 2.1e9, 1.7e7});
  return list;
}

const char* const kTiles[] = {"tiled@bm=32,bn=32", "tiled@bm=64,bn=64", "tiled@bm=128,bn=64", "split@k=4"};

void set_times(Row& row, double ns, const Card& card, Numbers& numbers) {
  row.samples = ns > 1e7 ? 7 : 21;
  for (int i = 0; i < row.samples; ++i)
    row.samples_ns.push_back(std::round(ns * (0.98 + 0.05 * numbers.next()) * 10) / 10);
  row.stretches = {row.samples / 2, row.samples - row.samples / 2};
  std::vector<double> sorted = row.samples_ns;
  std::sort(sorted.begin(), sorted.end());
  const auto at = [&](double share) {
    return sorted[static_cast<size_t>(share * static_cast<double>(row.samples - 1))];
  };
  row.median_ns = at(0.5);
  row.interval_ns = {at(0.3), at(0.7)};
  if (row.samples >= kFewestForPercentiles) row.p10_ns = at(0.1), row.p90_ns = at(0.9);
  if (card.device.kind != "cpu") row.clock = Clock::device, row.host_median_ns = std::round(ns * 1.02 + 900);
}

void measure(Row& row, const Problem& p, const Card& card, double slowdown, Numbers& numbers) {
  const double peak = p.dtype == "f16" && card.matrix > 0 ? card.matrix : card.gflops;
  const double compute = p.flops / peak, memory = p.bytes / card.gbytes;
  const double ideal = std::max({compute, memory, card.launch_ns});
  row.flops = p.flops, row.bytes = p.bytes;
  set_times(row, slowdown * (card.launch_ns + 1.15 * std::max(compute, memory)), card, numbers);
  row.roofline_share = std::min(1.0, ideal / *row.median_ns);
  row.bound = ideal == card.launch_ns ? Bound::launch : ideal == compute ? Bound::compute : Bound::memory;
  row.error = p.dtype == "f16" ? 4e-4 : 2e-7, row.allowed = p.dtype == "f16" ? 2e-3 : 3e-6;
  row.compile_ns = card.device.plugin == "cpu" ? 4e5 : 9e7;
  row.quiet = numbers.next() > 0.03;
}

Row row_of(const Problem& p, const Card& card, Choice choice, std::string variant) {
  Row row;
  row.name = p.op + "/" + p.shape, row.suite = "smoke", row.op = p.op, row.shape = p.shape, row.dtype = p.dtype;
  row.dimensions = p.dimensions, row.device = card.device.id, row.plugin = card.device.plugin;
  row.choice = choice, row.variant = std::move(variant);
  row.command = fmt::format("backplane bench --devices {} --ops {} --shapes {} --dtypes {} --variants {}", row.device,
                            p.op, p.shape, p.dtype, choice == Choice::variant ? row.variant : name_of(choice));
  return row;
}

void set_reason(Row& row, Status status, std::string reason) { row.status = status, row.reason = std::move(reason); }

/// Why the device has no time for this problem; measured when it has one.
Status status_of(const Problem& p, const Card& card, std::string& reason) {
  if (p.dtype == "f16" && card.device.plugin == "opencl") {
    reason = "the device has no cl_khr_fp16";
    return Status::refused;
  }
  if (p.op == "attention" && card.device.plugin == "vulkan") {
    reason = "out of the budget of 10 m";
    return Status::skipped;
  }
  if (p.op == "softmax" && p.shape == "4096x1024" && card.device.plugin == "vulkan") {
    reason = "element 17 is 0.25, should be 0.125, allowed 3e-6";
    return Status::wrong;
  }
  return Status::measured;
}

void add_rows(Run& run, const Problem& p, const Card& card, Numbers& numbers) {
  std::string reason;
  const Status status = status_of(p, card, reason);
  if (status != Status::measured) {
    set_reason(run.rows.emplace_back(row_of(p, card, Choice::default_, "")), status, reason);
    return;
  }
  const bool has_variants = p.op == "matmul" && p.dtype == "f32";
  const bool shows_each = has_variants && (card.device.plugin == "opencl" || card.device.plugin == "cuda");
  const int64_t m = p.dimensions[0].second, n = p.dimensions[1].second;
  const size_t best = m * n <= 64 * 256 ? (m * n <= 64 * 64 ? 3 : 0) : m * n <= 256 * 256 ? 1 : 2;
  double default_ns = 0;
  for (size_t v = 0; shows_each && v < std::size(kTiles); ++v) {
    Row& row = run.rows.emplace_back(row_of(p, card, Choice::variant, kTiles[v]));
    row.status = Status::measured;
    measure(row, p, card, 1 + 0.35 * std::abs(static_cast<double>(v) - static_cast<double>(best)), numbers);
  }
  for (const Choice choice : {Choice::default_, Choice::tuned}) {
    const bool tuned = choice == Choice::tuned;
    const size_t taken = tuned && card.device.plugin != "cpu" ? best : 1;
    Row& row = run.rows.emplace_back(row_of(p, card, choice,
                                            has_variants ? kTiles[taken]
                                            : tuned      ? "wide@v=8"
                                                         : "plain"));
    row.status = Status::measured;
    const double slowdown = has_variants ? 1 + 0.35 * std::abs(static_cast<double>(taken) - static_cast<double>(best))
                            : tuned      ? 1
                                         : 1.0 + 0.3 * numbers.next();
    measure(row, p, card, slowdown, numbers);
    if (!tuned) default_ns = *row.median_ns;
    const double ratio = *row.median_ns / default_ns;
    if (tuned) row.to_default = Ratio{ratio, {ratio * 0.985, ratio * 1.015}};
  }
}

void add_ceilings(Run& run, const Card& card) {
  const auto add = [&](CeilingKind kind, const char* dtype, int64_t bytes, double value, const char* unit) {
    run.ceilings.push_back({card.device.id, dtype, kind, bytes, value, unit, Interval{value * 0.99, value * 1.01}});
  };
  add(CeilingKind::fma, "f32", 0, card.gflops, "GFLOP/s");
  if (card.matrix > 0) add(CeilingKind::matrix, "f16", 0, card.matrix, "GFLOP/s");
  for (const auto& [kind, share] :
       {std::pair(CeilingKind::read, 1.0), {CeilingKind::write, 0.6}, {CeilingKind::copy, 0.85}})
    for (const int shift : {14, 17, 20, 23, 26, 28})
      add(kind, "f32", int64_t{1} << shift, share * card.gbytes * (1 + 5 / (1 + std::exp2(shift - 19))), "GB/s");
  add(CeilingKind::launch, "", 0, card.launch_ns, "ns");
}

Run without_rows() {
  Run run;
  run.made_up = true;
  run.started = "2026-01-02T03:04:05Z";
  run.command_line = "backplane bench --suite smoke --devices all --variants all";
  Environment& e = run.environment;
  e.versions = {{"backplane", "0.6.0"}, {"Google Benchmark", "1.7.1"}, {"oneDNN", "2.6.3"}};
  e.commit = "v0.6.0-0-g0123456", e.build = "Release", e.compiler = "GNU 12.2.0", e.system = "Linux 6.1.0 x86_64";
  e.cpu_model = "Example CPU", e.cpu_flags = "avx2 fma avx512f avx512_bf16", e.cores = 2, e.threads = 2;
  e.load_start = 0.12, e.load_end = 1.9, e.noise_floor = 0.007;  // the governor is unknown
  for (const Card& card : cards()) {
    run.devices.push_back(card.device);
    add_ceilings(run, card);
  }
  return run;
}

}  // namespace

Run made_up_run() {
  Run run = without_rows();
  Numbers numbers;
  for (const Problem& p : problems())
    for (const Card& card : cards()) add_rows(run, p, card, numbers);
  // A device that goes away in the middle.
  Row& row = run.rows.emplace_back(row_of(rows_by_columns("gather", 4096, 64, 0), cards()[2], Choice::default_, ""));
  set_reason(row, Status::lost, "VK_ERROR_DEVICE_LOST at this row");
  run.devices[2].lost = row.reason;
  Row& peer = run.rows.emplace_back(row_of(product(1024, 1024, 512, "f32"), cards()[0], Choice::peer, "OpenBLAS"));
  peer.status = Status::measured;
  measure(peer, product(1024, 1024, 512, "f32"), cards()[0], 1.1, numbers);
  return run;
}

Run made_up_run_of(size_t rows) {
  Run run = without_rows();
  Numbers numbers;
  for (int64_t k = 1; run.rows.size() < rows; ++k)
    for (const int64_t m : {32, 64, 128, 512, 2048})
      for (const int64_t n : {32, 64, 128, 512, 2048})
        for (const Card& card : cards()) add_rows(run, product(m, n, 64 * k, "f32"), card, numbers);
  run.rows.resize(rows);
  return run;
}

}  // namespace backplane::bench::report
