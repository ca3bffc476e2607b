// SPDX-License-Identifier: Apache-2.0
// Look-up from the best that is known to the default. Nothing here measures but measure(), which modes `on` and `force`
// and the command `backplane tune` reach.
#include "backplane/autotune/tuner.h"

#include <algorithm>
#include <ctime>

#include "backplane/autotune/recorder.h"
#include "backplane/autotune/trial.h"
#include "backplane/host/error.h"
#include "backplane/host/log.h"
#include "backplane/host/registry.h"
#include "backplane/host/text.h"
#include "memo.h"
#include "model.h"
#include "neighbours.h"

namespace backplane::autotune {
namespace {

/// Noted while variants race: a process that dies then does not show by which.
const std::string kRace = "(race)";

const Decision kBeingMeasured{"", Level::fallback, "another thread is measuring this problem"};
const Decision kMemoFull{"", Level::fallback, "more problems than are remembered in one process"};

}  // namespace

host::DevicePtr oracle_for(const host::DevicePtr& device) {
  if (device->has(BP_DEVICE_REFERENCE)) return nullptr;
  try {
    return host::Registry::instance().reference();
  } catch (const host::Error&) {
    return nullptr;  // none installed: variants have to agree with the default
  }
}

/// What can be known of a class of problems from those that were measured.
struct Tuner::Experience {
  Experience(const std::vector<Record>& records, uint32_t units) : neighbours(records), model(records, units) {}
  Neighbours neighbours;
  Model model;
};

Tuner::Tuner(host::DevicePtr device, std::shared_ptr<Tuning> tuning)
    : device_(std::move(device)), tuning_(std::move(tuning)), fingerprint_(Fingerprint::of(*device_)),
      memo_(std::make_unique<Memo>()) {
  const Mode mode = tuning_->options().mode;
  // The oracle is what others are compared with: it has no variants to choose from.
  if (mode == Mode::off || device_->has(BP_DEVICE_REFERENCE)) return;
  asks_store_ = tuning_->measures() || tuning_->store().knows(fingerprint_);
  if (!asks_store_ && mode == Mode::locked) {
    host::log(BP_LOG_WARNING, "autotune", "[tune] BACKPLANE_TUNE=locked, and nothing is stored for " + device_->name() +
                                              "; it uses its defaults");
  }
}

Tuner::~Tuner() = default;

const Decision& Tuner::decide(const bp_op& op) {
  const OpHash hash = OpHash::of(op);
  if (const Decision* known = memo_->find(hash)) return *known;
  bool keep = true;
  Decision decision = look_up(op, &keep);
  if (!keep) return kBeingMeasured;
  const Decision* kept = memo_->put(hash, std::move(decision));
  return kept != nullptr ? *kept : kMemoFull;
}

void Tuner::reject(const bp_op& op, const std::string& why) {
  memo_->put(OpHash::of(op), {"", Level::fallback, why});
}

Decision Tuner::look_up(const bp_op& op, bool* keep) {
  Decision decision;
  if (pinned(op, decision)) return decision;
  if (!asks_store_) {
    decision.why = tuning_->options().mode == Mode::off ? "BACKPLANE_TUNE=off" : "nothing is stored for this device";
    return decision;
  }
  const Key key = Key::of(op);
  std::optional<Known> before;
  if (tuning_->options().mode != Mode::force) {
    if (const auto history = tuning_->store().history(key, fingerprint_); !history.empty())
      before = best_of(history, op, device_->variants(op), decision.why);
  }
  const bool whole = before && before->since.empty();
  if (!whole && tuning_->measures() && measured(op, key, decision, keep)) return decision;
  if (before) {
    const Outcome& found = before->record.outcome;
    return {found.chosen, Level::exact, found.why + (whole ? "" : "; " + before->since)};
  }
  if (tuning_->options().mode != Mode::locked && guessed(op, key, decision)) return decision;
  if (decision.why.empty()) decision.why = "not measured; backplane tune does it";
  return decision;
}

bool Tuner::pinned(const bp_op& op, Decision& out) {
  for (const Pin& pin : tuning_->options().pins) {
    if (pin.operation != operation_name(op.code) || device_->has(BP_DEVICE_REFERENCE)) continue;
    std::string objection = "BACKPLANE_VARIANT names a variant that " + device_->name() + " does not have here";
    for (const host::Variant& variant : device_->variants(op)) {
      if (!host::glob_match(pin.variant, variant.name)) continue;
      objection = forbidden(op, variant);
      if (!objection.empty()) continue;
      out = {variant.name, Level::pinned, "BACKPLANE_VARIANT"};
      return true;
    }
    host::log(BP_LOG_WARNING, "autotune",
              "[" + pin.operation + "] " + pin.variant + " is not used for " + Key::of(op).shapes + ": " + objection);
  }
  return false;
}

bool Tuner::guessed(const bp_op& op, const Key& key, Decision& out) {
  const std::string alike = class_of(key.problem);
  const std::lock_guard lock(experience_mutex_);
  std::unique_ptr<Experience>& known = experience_[alike + " " + key.policy];
  if (known == nullptr) known = std::make_unique<Experience>(relatives(key), device_->info().compute_units);
  const std::vector<host::Variant> variants = device_->variants(op);
  const auto take = [&](Guess guess, Level level) {
    if (!guess.variant.empty())
      out = {std::move(guess.variant), level, std::move(guess.why)};
    else if (out.why.empty())
      out.why = std::move(guess.why);
    return out.level == level;
  };
  if (take(known->neighbours.choose(op, key, variants), Level::nearest)) return true;
  return op.code != BP_OP_CUSTOM && take(known->model.choose(op, key, variants), Level::model);
}

size_t Tuner::choices(const bp_op& op) {
  size_t allowed = 0;
  for (const host::Variant& each : device_->variants(op)) allowed += forbidden(op, each).empty();
  return allowed;
}

bool Tuner::measured(const bp_op& op, const Key& key, Decision& out, bool* keep) {
  if (choices(op) < 2) {
    out.why = "there is one variant";
    return false;
  }
  const std::string flight = key.text();
  {
    const std::lock_guard lock(mutex_);
    if (std::ranges::find(in_flight_, flight) != in_flight_.end()) {
      *keep = false;
      return true;
    }
    in_flight_.push_back(flight);
  }
  bool decided = false;
  try {
    const uint64_t budget = tuning_->take_budget();
    if (budget == 0) {
      out.why = "not measured: the budget of BACKPLANE_TUNE_BUDGET_MS is spent";
    } else {
      Watch watch;
      watch.budget_ns = budget;
      watch.anew = tuning_->options().mode == Mode::force;
      watch.total_ns = budget + tuning_->left();  // builds may use what is not taken
      const Outcome outcome = measure(op, watch);
      tuning_->give_back(budget, outcome.spent_ns + outcome.build_ns);
      decided = outcome.decided && objection(op, device_->variants(op), outcome.chosen).empty();
      if (decided) out = {outcome.chosen, Level::exact, outcome.why};
      if (!decided) out.why = "measured without a decision: " + outcome.why;
    }
  } catch (const std::exception& error) {
    out.why = std::string("measuring failed: ") + error.what();
    host::log(BP_LOG_WARNING, "autotune", "[tune] " + key.text() + " on " + device_->name() + ": " + error.what());
  }
  const std::lock_guard lock(mutex_);
  std::erase(in_flight_, flight);
  return decided;
}

Request Tuner::request_for(const bp_op& op, const Key& key, const Watch& watch) {
  Store& store = tuning_->store();
  Request request;
  request.budget_ns = watch.budget_ns != 0 ? watch.budget_ns : tuning_->options().key_budget_ns;
  request.seed = watch.seed != 0 ? watch.seed : host::hash64(key.text());
  request.cancelled = watch.cancelled;
  request.oracle = oracle_for(device_);
  request.distortion = tuning_->options().distortion;
  request.priors = store.times(key, fingerprint_);
  request.total_ns = watch.total_ns;
  request.try_risky = trial_in_child(device_, request.oracle, {.seed = request.seed});
  request.blocked = store.blocked(key, fingerprint_);
  if (const std::vector<Record> history = store.history(key, fingerprint_); !history.empty())
    use_history(request, history, op, watch);
  request.suspicious = request.blocked.erase(kRace) > 0;
  if (request.priors.empty()) {
    // What was fast for the most similar shape is tried first here.
    const StoredChoice* closest = nullptr;
    const auto neighbours = store.neighbours(key, fingerprint_);
    for (const StoredChoice& each : neighbours) {
      if (closest == nullptr || distance(key.extents, each.extents) < distance(key.extents, closest->extents))
        closest = &each;
    }
    if (closest != nullptr) {
      Key other = key;
      other.shapes = closest->shapes;
      request.priors = store.times(other, fingerprint_);
    }
  }
  return request;
}

Outcome Tuner::measure(const bp_op& op, const Watch& watch) {
  const Key key = Key::of(op);
  Store& store = tuning_->store();
  Request request = request_for(op, key, watch);
  std::string at_work;
  request.progress = [&](const Progress& progress) {
    // Before the first launch of each variant: should it take the process down, the next one knows what it was.
    const std::string& now = progress.variant.empty() ? kRace : progress.variant;
    if (now != at_work) store.begin_trial(key, fingerprint_, at_work = now);
    if (watch.progress) watch.progress(progress);
  };
  ++measurements_;
  const Outcome outcome = [&] {
    try {
      return tuning_->measure()(device_, op, request);
    } catch (...) {
      store.end_trial(key, fingerprint_);
      throw;
    }
  }();
  store.end_trial(key, fingerprint_);
  const bool cancelled = watch.cancelled != nullptr && watch.cancelled->load();
  if (watch.keep && (!cancelled || outcome.decided)) {
    const std::string text = op.code != BP_OP_CUSTOM ? op_to_json(host::KernelOp::of(op)) : std::string();
    store.put({key, fingerprint_, outcome, text, std::time(nullptr)});
  }
  return outcome;
}

}  // namespace backplane::autotune
