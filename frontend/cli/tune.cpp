// SPDX-License-Identifier: Apache-2.0
// `backplane tune`: problems from flags or from a recording, measured one after the other, heaviest first, each stored
// at once. What is decided already is left alone, so that a run that was interrupted goes on where it stopped.
#include <cmath>
#include <map>

#include <fmt/format.h>

#include "backplane/autotune/recorder.h"
#include "backplane/graph/runtime.h"
#include "backplane/host/error.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/tune.h"

namespace backplane::cli {
namespace {

using Clock = std::chrono::steady_clock;
using autotune::Outcome;

constexpr double kLeastBudgetMs = 20;

struct Problem : TuneProblem {
  std::string state;  ///< why it is not measured; empty: it is
  Outcome outcome;
  bool measured = false;
};

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void add(std::vector<TuneProblem>& problems, host::KernelOp op, double weight, uint64_t calls) {
  const autotune::Key key = op.with_op([](const bp_op& raw) { return autotune::Key::of(raw); });
  for (TuneProblem& each : problems) {
    if (!(each.key == key)) continue;
    each.weight += weight;
    each.calls += calls;
    return;
  }
  problems.push_back({std::move(op), key, weight, calls});
}

/// Sets `state` where there is nothing to measure.
void sort_out(Problem& problem, autotune::Tuner& tuner, bool again) {
  problem.op.with_op([&](const bp_op& raw) {
    if (tuner.device()->query(raw).verdict != BP_SUPPORT_YES) {
      problem.state = "not done by the device";
      return;
    }
    if (tuner.choices(raw) < 2) {
      problem.state = "one variant";
      return;
    }
    if (again) return;
    if (const auto known = tuner.known(raw); known && known->since.empty()) problem.state = "decided before";
  });
}

class Run {
 public:
  Run(const TuneOptions& options, autotune::Tuner& tuner, std::vector<Problem>& problems)
      : options_(options), tuner_(tuner), problems_(problems), status_(options.json ? stderr : stdout) {
    for (const Problem& each : problems) {
      if (each.state.empty()) ++count_, weight_left_ += each.weight;
    }
  }

  void go() {
    for (Problem& each : problems_) {
      if (!each.state.empty()) continue;
      if (interrupted()) break;
      if (options_.total_s > 0 && seconds_left() <= 0) {
        each.state = "no time left";
        continue;
      }
      measure(each);
      weight_left_ -= each.weight;
      ++done_;
    }
  }
  double seconds() const { return seconds_since(start_); }
  /// Of the time in all; builds count, too.
  double seconds_left() const { return options_.total_s - seconds(); }
  size_t count() const { return count_; }
  void line(const std::string& text) { status_.line(text); }

 private:
  /// With a limit in all, what is heavy gets more of it.
  uint64_t budget_for(const Problem& problem) const {
    double ms = options_.budget_ms;
    if (options_.total_s > 0) {
      ms = std::min(4 * ms, 1e3 * seconds_left() * problem.weight / std::max(weight_left_, 1e-300));
    }
    return static_cast<uint64_t>(std::max(ms, kLeastBudgetMs) * 1e6);
  }

  void measure(Problem& problem) {
    autotune::Tuner::Watch watch;
    watch.cancelled = &interrupted();
    watch.anew = options_.again;
    watch.budget_ns = budget_for(problem);
    if (options_.total_s > 0) watch.total_ns = static_cast<uint64_t>(1e9 * std::max(seconds_left(), 0.0));
    watch.progress = [&](const autotune::Progress& progress) {
      if (status_.due()) status_.show(headline(problem, progress));
    };
    try {
      problem.outcome = problem.op.with_op([&](const bp_op& raw) { return tuner_.measure(raw, watch); });
      problem.measured = true;
      status_.line(fmt::format("{} {}: {}", problem.key.problem, problem.key.shapes, verdict(problem.outcome)));
    } catch (const host::Error& error) {
      problem.state = error.what();
      status_.line(fmt::format("{} {}: {}", problem.key.problem, problem.key.shapes, error.what()));
    }
  }

  std::string headline(const Problem& problem, const autotune::Progress& progress) const {
    const double part = static_cast<double>(done_) / static_cast<double>(std::max<size_t>(count_, 1));
    const double elapsed = seconds_since(start_);
    const std::string eta =
        done_ == 0 ? "-" : clock_text(elapsed / static_cast<double>(done_) * static_cast<double>(count_ - done_));
    const auto build_ns = static_cast<double>(progress.build_ns);
    const std::string builds = build_ns < 1e8 ? "" : fmt::format("  ({} of builds)", time_text(build_ns));
    return fmt::format("[{}] {}/{}  ETA {}  {} {}  {} {}{}", bar_text(part), done_ + 1, count_, eta,
                       problem.key.operation(), problem.key.shapes, progress.stage, progress.variant, builds);
  }

  static std::string verdict(const Outcome& outcome) {
    if (outcome.chosen.empty()) return "no variant gives right results: " + outcome.why;
    const autotune::Candidate* chosen = outcome.find(outcome.chosen);
    const std::string time =
        chosen != nullptr && chosen->times.samples > 0 ? ", " + time_text(chosen->times.median_ns) : "";
    return fmt::format("{} ({:.2f} x the default's speed{}){}", outcome.chosen, gain_of(outcome), time,
                       outcome.decided ? "" : "; not decided: " + outcome.why);
  }

  const TuneOptions& options_;
  autotune::Tuner& tuner_;
  std::vector<Problem>& problems_;
  StatusLine status_;
  Clock::time_point start_ = Clock::now();
  size_t count_ = 0, done_ = 0;
  double weight_left_ = 0;
};

struct Summary {
  size_t measured = 0, decided = 0, faster = 0, faulty = 0;
  double mean_gain = 1;                 ///< geometric
  double before_ns = 0, after_ns = 0;   ///< of the recorded program's launches that were measured
  std::map<std::string, size_t> left_out;
};

Summary summarise(const std::vector<Problem>& problems) {
  Summary s;
  double logs = 0;
  for (const Problem& each : problems) {
    if (!each.state.empty()) ++s.left_out[each.state];
    if (!each.measured) continue;
    const double gain = gain_of(each.outcome);
    ++s.measured;
    s.decided += each.outcome.decided;
    s.faster += gain > 1.02;
    logs += std::log(gain);
    for (const autotune::Candidate& c : each.outcome.candidates) {
      s.faulty += is_faulty(c.verdict);
      if (!c.is_default || c.times.samples == 0) continue;
      s.before_ns += static_cast<double>(each.calls) * c.times.median_ns;
      s.after_ns += static_cast<double>(each.calls) * c.times.median_ns / gain;
    }
  }
  if (s.measured > 0) s.mean_gain = std::exp(logs / static_cast<double>(s.measured));
  return s;
}

void print(const Summary& s, const Run& run, const autotune::Tuner& tuner, const autotune::Store& store) {
  fmt::print(
      "{} problems measured on {} in {:.1f} s, {} decided; {} run faster than by default, {:.3f} x in the mean\n",
      s.measured, tuner.device()->name(), run.seconds(), s.decided, s.faster, s.mean_gain);
  if (s.before_ns > 0) {
    fmt::print("launches of the recording that were measured: {} by default, {} as chosen ({:.2f} x)\n",
               time_text(s.before_ns), time_text(s.after_ns), s.before_ns / s.after_ns);
  }
  if (s.faulty > 0) fmt::print("{} variants failed a check; backplane tune show says which and how\n", s.faulty);
  for (const auto& [why, count] : s.left_out) fmt::print("{} left out: {}\n", count, why);
  fmt::print("stored in {}\n", store.file().string());
}

Json summary_json(const Summary& s, const Run& run, const autotune::Tuner& tuner,
                  const std::vector<Problem>& problems) {
  Json rows = Json::array(), left_out = Json::object();
  for (const Problem& each : problems) {
    Json row = {
        {"problem", each.key.problem}, {"shapes", each.key.shapes}, {"policy", each.key.policy}, {"calls", each.calls}};
    if (each.measured) {
      row["chosen"] = each.outcome.chosen, row["decided"] = each.outcome.decided, row["gain"] = gain_of(each.outcome);
      row["why"] = each.outcome.why, row["spent_ms"] = 1e-6 * static_cast<double>(each.outcome.spent_ns);
      row["build_ms"] = 1e-6 * static_cast<double>(each.outcome.build_ns);
    } else {
      row["left_out"] = each.state;
    }
    rows.push_back(std::move(row));
  }
  for (const auto& [why, count] : s.left_out) left_out[why] = count;
  return {{"schema", 1},
          {"command", "tune"},
          {"device", tuner.device()->name()},
          {"seconds", run.seconds()},
          {"measured", s.measured},
          {"decided", s.decided},
          {"faster", s.faster},
          {"faulty_variants", s.faulty},
          {"mean_gain", s.mean_gain},
          {"recorded_ns", {{"default", s.before_ns}, {"chosen", s.after_ns}}},
          {"left_out", left_out},
          {"interrupted", interrupted().load()},
          {"rows", rows}};
}

}  // namespace

std::vector<TuneProblem> collect_problems(const TuneOptions& o, const Device& device) {
  if (o.from.empty() && (o.ops.empty() || o.shapes.empty())) {
    throw CommandError(
        ExitCode::usage,
        "[tune] there is nothing to tune / name it with --ops and --shapes, or give a recording with --from");
  }
  std::vector<TuneProblem> problems;
  if (!o.from.empty()) {
    size_t damaged = 0;
    for (autotune::Workload& each : autotune::read_recording(o.from, &damaged)) {
      add(problems, std::move(each.op), each.weight(), each.calls);
    }
    if (damaged > 0) fmt::print(stderr, "{}: {} damaged lines are left out\n", o.from, damaged);
  }
  for (const std::string& op : o.ops) {
    for (const std::string& shape : o.shapes) {
      for (host::KernelOp& each : operations_for(device, op, shape, o.dtype)) add(problems, std::move(each), 1, 0);
    }
  }
  std::ranges::stable_sort(problems, std::greater<>(), &TuneProblem::weight);
  return problems;
}

double gain_of(const Outcome& outcome) {
  const autotune::Candidate* chosen = outcome.find(outcome.chosen);
  return chosen != nullptr && !chosen->is_default ? std::exp(-chosen->log_ratio.mean) : 1;
}

std::unique_ptr<autotune::Store> open_store(autotune::Store::Access access) {
  const std::filesystem::path file = autotune::default_store_path();
  if (file.empty()) {
    throw CommandError(ExitCode::file, "[tune] there is no place for measurements / set BACKPLANE_CACHE_DIR or HOME");
  }
  auto store = std::make_unique<autotune::Store>(file, access);
  if (!store->usable() && !store->trouble().empty()) throw CommandError(ExitCode::file, "[tune] " + store->trouble());
  return store;
}

std::unique_ptr<autotune::Tuner> make_tuner(const Device& device, double budget_ms) {
  autotune::TuningOptions options = autotune::TuningOptions::from_environment();
  options.mode = autotune::Mode::on;
  options.store = open_store(autotune::Store::Access::write)->file();
  if (budget_ms > 0) options.key_budget_ns = static_cast<uint64_t>(budget_ms * 1e6);
  return std::make_unique<autotune::Tuner>(device.stream()->device(), std::make_shared<autotune::Tuning>(options));
}

ExitCode run_tune(const TuneOptions& o, const std::string& selector) {
  const Device device = use_device(selector);
  if (o.arbitrate) return run_tune_arbitrate(o, device);
  std::vector<Problem> problems;
  for (TuneProblem& each : collect_problems(o, device)) problems.push_back({std::move(each), {}, {}, false});
  const auto tuner = make_tuner(device, o.budget_ms);
  for (Problem& each : problems) sort_out(each, *tuner, o.again);
  catch_interrupt();
  Run run(o, *tuner, problems);
  run.line(fmt::format("{} problems on {}, {} of them to be measured", problems.size(), device.name(), run.count()));
  run.go();
  const Summary summary = summarise(problems);
  if (o.json) {
    print_json(summary_json(summary, run, *tuner, problems));
  } else {
    print(summary, run, *tuner, tuner->tuning().store());
  }
  return interrupted() ? ExitCode::interrupted : ExitCode::ok;
}

}  // namespace backplane::cli
