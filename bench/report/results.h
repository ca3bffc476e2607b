// SPDX-License-Identifier: Apache-2.0
// What a sweep measured, as plain data: one Run holds its environment, the ceilings of its devices and one Row for
// every case x device x dtype x choice, also for those that have no time and say why.
//
// The sweep fills these structs; results_json.h keeps them in files, and the tables, the page and `compare` only read
// them. Nothing here measures, and what was not measured is absent (std::nullopt) rather than zero. Times are in ns,
// rates in 10^9 a second, shares and errors are fractions of 1.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace backplane::bench::report {

/// Of the files: raised when a field changes its meaning. Files of another schema are refused with a sentence.
inline constexpr int kSchema = 1;
/// Samples of a row that are kept; a sweep with more keeps every second, third ... of them.
inline constexpr size_t kMostSamples = 128;
/// No p10 and p90 from fewer samples than this.
inline constexpr int kFewestForPercentiles = 10;

/// A file that cannot be read, or an argument that makes no sense; the text says what to do.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// 95 % confidence.
struct Interval {
  double low = 0, high = 0;
  bool operator==(const Interval&) const = default;
};

struct Device {
  std::string id;            ///< "cpu:0"; what rows and ceilings refer to
  std::string plugin;        ///< "cpu"
  std::string plugin_build;  ///< version or build id of the plugin
  std::string name, kind;    ///< "AMD EPYC ...", "cpu" | "gpu" | "software" | ...
  std::string architecture, driver;
  std::string lost;  ///< why it ended in the middle of the sweep; empty when it did not
  bool operator==(const Device&) const = default;
};

/// What was true while the sweep ran. An empty string or nullopt is shown as "—".
struct Environment {
  std::map<std::string, std::string> versions;  ///< "backplane" -> "0.6.0", "oneDNN" -> ...; drivers are in Device
  std::string commit, build, compiler;          ///< "v0.6-3-g123abc", "Release", "GNU 12.2.0"
  std::string system, cpu_model, cpu_flags;     ///< "Linux 6.1", "AMD EPYC ...", "avx2 avx512f ..."
  int cores = 0, threads = 0;                   ///< of the machine; that the devices on the host may use
  std::string governor;
  std::optional<double> load_start, load_end;  ///< one-minute load averages
  /// How far apart medians of the same work are within this run (standard deviation of log medians of stretches of time
  /// far apart). `compare` never believes a difference smaller than twice this.
  std::optional<double> noise_floor;
  bool operator==(const Environment&) const = default;
};

enum class CeilingKind { fma, matrix, read, write, copy, launch };
constexpr bool is_bandwidth(CeilingKind kind) {
  return kind == CeilingKind::read || kind == CeilingKind::write || kind == CeilingKind::copy;
}

/// What a device can do at the most, measured in this run.
struct Ceiling {
  std::string device;  ///< Device::id
  std::string dtype;   ///< "f32"; empty where it does not matter
  CeilingKind kind = CeilingKind::fma;
  int64_t working_set_bytes = 0;  ///< read, write and copy; 0 elsewhere
  double value = 0;
  std::string unit;  ///< "GFLOP/s", "GB/s", "ns"
  std::optional<Interval> interval;
  bool operator==(const Ceiling&) const = default;
};

enum class Choice {
  default_,  ///< what the device takes when nobody tuned
  tuned,     ///< what the tuner chose; Row::variant says which
  variant,   ///< Row::variant, whatever it is
  peer,      ///< another library doing the same work on the same device; Row::variant is its name
};

enum class Status {
  measured,    ///< correct and timed; the only status with times
  refused,     ///< the plugin does not do it; `reason` is the plugin's
  wrong,       ///< ran, and the result was not right; not timed
  failed,      ///< an error of the plugin or of a resource
  lost,        ///< the device was lost, here or earlier in the run
  skipped,     ///< left out on purpose: out of budget, interrupted, far too slow
  unmeasured,  ///< nobody tried
};

enum class Clock { host, device };
enum class Bound { unknown, compute, memory, launch };

/// Time of this row / time of the device's default, paired within the rounds of one interleaved race.
struct Ratio {
  double value = 1;
  Interval interval;
  bool operator==(const Ratio&) const = default;
};

struct Row {
  std::string name;        ///< of the case, the same on every device: "matmul/256x256x256"
  std::string suite;       ///< "smoke"
  std::string op;          ///< "matmul"
  std::string attributes;  ///< "transpose_b=true"; empty: defaults
  std::string shape;       ///< as text, "256x256x256"
  std::vector<std::pair<std::string, int64_t>> dimensions;  ///< {"M", 256}, {"N", 256}, {"K", 256}
  std::string dtype;
  std::string device, plugin;  ///< Device::id, and its plugin
  Choice choice = Choice::default_;
  std::string variant;  ///< that ran; may be empty where nothing ran
  Status status = Status::unmeasured;
  std::string reason;  ///< why there is no time; empty when measured

  int samples = 0;                                  ///< that the figures below come from
  std::optional<double> median_ns, p10_ns, p90_ns;  ///< p10 and p90 absent below kFewestForPercentiles samples
  std::optional<Interval> interval_ns;              ///< of the median
  std::vector<double> samples_ns;                   ///< at most kMostSamples, in the order of time
  /// How many consecutive samples_ns were taken in one stretch of time; their sum is samples_ns.size(). Empty: all in
  /// one. Samples of one stretch share a drift, so `compare` resamples stretches.
  std::vector<int64_t> stretches;
  Clock clock = Clock::host;             ///< of median_ns
  std::optional<double> host_median_ns;  ///< beside a device's clock
  std::optional<Ratio> to_default;

  std::optional<double> flops, bytes;    ///< as the op counts them; absent for work that has none
  bool fewer_flops = false;              ///< the variant does less than the count (Winograd)
  std::optional<double> roofline_share;  ///< of this device's own measured roofline
  Bound bound = Bound::unknown;
  std::optional<double> error, allowed;  ///< largest relative difference from the oracle, and the bound that it kept
  std::optional<double> compile_ns;      ///< never part of the times above
  std::string command;                   ///< that measures exactly this row again
  bool quiet = true;                     ///< false: too few rounds without other programs, so busy ones were used
  bool operator==(const Row&) const = default;
};

/// One of several sweeps that a run was put together of.
struct Part {
  std::string started, command_line;
  Environment environment;
  bool operator==(const Part&) const = default;
};

struct Run {
  int schema = kSchema;
  std::string started;  ///< UTC, "2026-11-21T19:30:00Z"
  std::string command_line;
  bool made_up = false;  ///< data for tests of the reports; every report says so
  Environment environment;  ///< with parts: the newest one's
  std::vector<Part> parts;  ///< the oldest first; empty for what one sweep measured
  std::vector<Device> devices;
  std::vector<Ceiling> ceilings;
  std::vector<Row> rows;
  bool operator==(const Run&) const = default;
};

/// 10^9 operations or bytes a second; absent without a time or a count.
std::optional<double> gflop_per_s(const Row& row);
std::optional<double> gb_per_s(const Row& row);
/// Value of a named dimension.
std::optional<int64_t> dimension(const Row& row, std::string_view name);

/// The words of the files, in the order of the enumerators.
template <class E>
inline constexpr int kNames = 0;
template <>
inline constexpr std::array<std::string_view, 6> kNames<CeilingKind> = {"fma",   "matrix", "read",
                                                                        "write", "copy",   "launch"};
template <>
inline constexpr std::array<std::string_view, 4> kNames<Choice> = {"default", "tuned", "variant", "peer"};
template <>
inline constexpr std::array<std::string_view, 7> kNames<Status> = {"measured", "refused", "wrong",     "failed",
                                                                   "lost",     "skipped", "unmeasured"};
template <>
inline constexpr std::array<std::string_view, 2> kNames<Clock> = {"host", "device"};
template <>
inline constexpr std::array<std::string_view, 4> kNames<Bound> = {"unknown", "compute", "memory", "launch"};

template <class E>
constexpr std::string_view name_of(E value) {
  return kNames<E>.at(static_cast<size_t>(value));
}

/// What makes a row the same in two runs: "matmul/256x256x256 f32 cpu:0 tuned"; the variant is part of it only for
/// Choice::variant and Choice::peer.
std::string identity(const Row& row);

}  // namespace backplane::bench::report
