// SPDX-License-Identifier: Apache-2.0
// Tuner: which variant of an operation one device shall use. This is what the graph asks, once for each kernel it
// prepares.
//
//   pinned    BACKPLANE_VARIANT names it
//   exact     measured for this very problem, policy and device, with the code that the plugin has for it now
//   nearest   surely faster than the default by what was measured for similar shapes; not in mode `locked`
//   model     the same by a model of all shapes of the operation; not in mode `locked`
//   fallback  the device's own default, with the reason why nothing better is known
//
// Whatever is stored is offered to the device again before it is believed: a variant that the device does not list for
// this operation, or that the operation's policy forbids, is not used.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/autotune/key.h"
#include "backplane/autotune/outcome.h"
#include "backplane/autotune/race.h"
#include "backplane/autotune/store.h"
#include "backplane/host/device.h"

namespace backplane::autotune {

/// BACKPLANE_TUNE.
enum class Mode {
  off,     ///< always the device's default
  cached,  ///< look up, never measure
  on,      ///< look up, and measure what is not stored
  force,   ///< measure every problem once in this process, whatever is stored
  locked,  ///< exactly what is stored, or the default; nothing that depends on what else is stored
};

enum class Level { pinned, exact, nearest, model, fallback };
std::string_view name_of(Level level);  ///< "pinned", "exact", "nearest", "model", "default"

struct Decision {
  std::string variant;  ///< empty: the device's default
  Level level = Level::fallback;
  std::string why;      ///< one sentence
};

struct Pin {
  std::string operation, variant;  ///< "matmul", "tiled@*": a glob over variant names
};

struct TuningOptions {
  Mode mode = Mode::cached;
  std::filesystem::path store;                    ///< empty: nothing is remembered
  uint64_t key_budget_ns = 500'000'000;           ///< for one problem
  uint64_t total_budget_ns = 60'000'000'000;      ///< of this process, with builds
  std::vector<Pin> pins;
  Distortion distortion = Distortion::none;       ///< for tests: whichever variant wins, results stay right
  /// BACKPLANE_TUNE, BACKPLANE_TUNE_BUDGET_MS, BACKPLANE_TUNE_DISTORT, BACKPLANE_VARIANT. Throws host::Error on a value
  /// that makes no sense.
  static TuningOptions from_environment();
};

/// How problems are measured; tests put their own here.
using Measure = std::function<Outcome(const host::DevicePtr& device, const bp_op& op, const Request& request)>;

/// What the tuners of all devices share: settings, the store, the time left.
class Tuning {
 public:
  explicit Tuning(TuningOptions options, Measure measure = {});
  /// The process-wide one, made from the environment at first use; never destroyed.
  static const std::shared_ptr<Tuning>& instance();

  const TuningOptions& options() const { return options_; }
  Store& store() { return *store_; }
  const Measure& measure() const { return measure_; }
  bool measures() const { return options_.mode == Mode::on || options_.mode == Mode::force; }
  /// For one more problem: at most `key_budget_ns`, 0 when all is spent.
  uint64_t take_budget();
  void give_back(uint64_t taken_ns, uint64_t spent_ns);
  uint64_t left() const;  ///< of the time of this process

 private:
  TuningOptions options_;
  Measure measure_;
  std::unique_ptr<Store> store_;
  std::atomic<uint64_t> spent_ns_{0};
};

/// The device whose results are right when `device` is measured; null where none is installed, or it is one itself.
host::DevicePtr oracle_for(const host::DevicePtr& device);

class Memo;

class Tuner {
 public:
  explicit Tuner(host::DevicePtr device, std::shared_ptr<Tuning> tuning = Tuning::instance());
  ~Tuner();
  Tuner(const Tuner&) = delete;
  Tuner& operator=(const Tuner&) = delete;

  /// May be called from any thread. Asked again about the same problem it neither allocates nor locks. The answer stays
  /// good as long as this tuner, except that one given while another thread measures the same problem is the default
  /// for now.
  const Decision& decide(const bp_op& op);

  /// The device cannot build what was decided: from now on it is the default for this problem.
  void reject(const bp_op& op, const std::string& why);

  struct Watch {
    const std::atomic<bool>* cancelled = nullptr;
    std::function<void(const Progress&)> progress;
    uint64_t budget_ns = 0;  ///< 0: the settings'
    uint64_t total_ns = UINT64_MAX;  ///< with builds and right results
    uint64_t seed = 0;       ///< 0: from the key, so that the order of measurements repeats
    bool keep = true;        ///< false: the outcome is not stored
    bool anew = false;       ///< also variants that an earlier build of the plugin measured with the same code
  };
  /// Measures now, whatever the mode, and stores the outcome. Throws host::Error when the device does not do the
  /// operation.
  Outcome measure(const bp_op& op, const Watch& watch);
  Outcome measure(const bp_op& op) { return measure(op, Watch()); }

  /// A decision that is stored, by whichever build of the plugin, as far as it holds for this one.
  struct Known {
    Record record;
    std::string since;  ///< what else has changed since; empty: nothing, so that there is nothing to measure
  };
  std::optional<Known> known(const bp_op& op);

  /// Variants that the device offers and the policy allows. With one there is nothing to measure.
  size_t choices(const bp_op& op);

  const host::DevicePtr& device() const { return device_; }
  const Fingerprint& fingerprint() const { return fingerprint_; }
  Tuning& tuning() { return *tuning_; }
  uint64_t measurements() const { return measurements_.load(); }

 private:
  Decision look_up(const bp_op& op, bool* keep);
  bool pinned(const bp_op& op, Decision& out);
  /// Empty when `variant` may be used for `op`; else why not.
  std::string objection(const bp_op& op, const std::vector<host::Variant>& variants, const std::string& variant);
  /// The decision of `history` that holds best; `why` there is none.
  std::optional<Known> best_of(const std::vector<Record>& history, const bp_op& op,
                               const std::vector<host::Variant>& variants, std::string& why);
  bool guessed(const bp_op& op, const Key& key, Decision& out);
  bool measured(const bp_op& op, const Key& key, Decision& out, bool* keep);
  /// Decided records of problems like this one, with the rows that hold for this build.
  std::vector<Record> relatives(const Key& key);
  Request request_for(const bp_op& op, const Key& key, const Watch& watch);
  void use_history(Request& request, const std::vector<Record>& history, const bp_op& op, const Watch& watch);

  host::DevicePtr device_;
  std::shared_ptr<Tuning> tuning_;
  Fingerprint fingerprint_;
  bool asks_store_ = false;  ///< something is stored for this device, or will be
  std::unique_ptr<Memo> memo_;
  std::mutex mutex_;         ///< guards in_flight_
  std::vector<std::string> in_flight_;
  struct Experience;
  std::mutex experience_mutex_;  ///< guards experience_
  /// By class and policy; from what was stored at first use.
  std::map<std::string, std::unique_ptr<Experience>> experience_;
  std::atomic<uint64_t> measurements_{0};
};

}  // namespace backplane::autotune
