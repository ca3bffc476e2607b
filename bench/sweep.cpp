// SPDX-License-Identifier: Apache-2.0
#include "sweep.h"

#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>

#include "backplane/graph/types.h"
#include "busy.h"
#include "ceilings.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "environment.h"
#include "journal.h"
#include "noise.h"
#include "peers/build_peers.h"
#include "plan_jobs.h"
#include "report/reports.h"
#include "roofline.h"
#include "row_line.h"
#include "slow.h"
#include "turns.h"

namespace backplane::bench {

namespace {

using report::Row;
using report::Status;

constexpr const char* kCeilings = "ceilings";
constexpr double kUsualTuneS = 0.5, kUsualMeasureS = 3, kCeilingsS = 8;

double seconds_since(int64_t start_ns) { return static_cast<double>(now_ns() - start_ns) * 1e-9; }

/// Rows are printed by the sweep itself, and kept in the report's own files.
class Silent : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }
  void ReportRuns(const std::vector<Run>&) override {}
};

class Sweep {
 public:
  explicit Sweep(const SweepOptions& options)
      : options_(options),
        slow_(options.slow),
        selection_(select_lines(options)),
        devices_(open_devices(options.devices)),
        status_(stderr) {
    run_.started = utc_now();
    run_.command_line = options.command_line;
    run_.environment = environment();
    for (const OpenedDevice& each : devices_) {
      const std::string plugin = each.name.substr(0, each.name.find(':'));
      const report::Device described{each.name, plugin, "", "", "", "", "", each.trouble};
      run_.devices.push_back(each.device != nullptr ? describe(*each.device) : described);
    }
  }

  int list() {
    for (const auto& job : jobs([](const Row&) { return true; })) {
      for (const Row& row : job->rows())
        fmt::print("{}{}\n", report::identity(row), row.reason.empty() ? "" : "  refused: " + row.reason);
    }
    return 0;
  }

  int run() {
    Journal journal(options_.output, options_.resume);
    if (options_.resume) journal.resume(run_, !options_.incidents.empty());
    journal_ = &journal;
    jobs_ = jobs([&](const Row& row) {
      places_.emplace(report::identity(row), places_.size());
      return !journal.has(row);
    });
    if (jobs_.empty() && !options_.resume)
      throw Error("[bench] nothing is left to measure; look at --list, --filter and --shapes");
    for (const auto& job : jobs_) {
      const auto known = [&](const report::Device& each) { return each.id == job->rows().front().device; };
      if (job->device() != nullptr && std::ranges::none_of(run_.devices, known))
        run_.devices.push_back(describe(*job->device()));
    }
    if (!options_.turns.empty()) turns_.emplace(options_.turns);
    start_ns_ = options_.start_ns > 0 ? options_.start_ns : now_ns();
    give_up_deadly_devices();
    journal.header(run_);
    const auto left_s = [&] { return selection_.budget_s ? left_s_until(*selection_.budget_s / 3) : 1e9; };
    build_peers(jobs_, {tried_, left_s, options_.incidents, [&](const std::string& text) { status_.show(text); },
                        &cli::interrupted()});
    if (options_.ceilings) measure_ceilings_of_all();
    noise_.emplace(all_devices());
    run_jobs();
    // In the order of the suites, whatever was measured first; last what only an earlier sweep asked for.
    std::ranges::stable_sort(run_.rows, {}, [&](const Row& row) {
      const auto place = places_.find(report::identity(row));
      return place != places_.end() ? place->second : places_.size();
    });
    raise_to_rows(run_.ceilings, run_.rows);
    for (Row& row : run_.rows) Roofline(run_.ceilings, row.device).judge(row);
    Attempt::shared().at("", "");
    run_.environment.load_end = load_average();
    run_.environment.noise_floor = noise_->value();
    journal.header(run_);
    write_reports();
    return static_cast<int>(cli::interrupted() ? cli::ExitCode::interrupted : cli::ExitCode::ok);
  }

 private:
  std::vector<std::unique_ptr<Job>> jobs(const std::function<bool(const Row&)>& keep) const {
    const std::regex pattern = pattern_of(options_.filter, "--filter");
    return make_jobs(options_, selection_, devices_, [&](const Row& row) {
      return keep(row) && std::regex_search(report::identity(row), pattern);
    });
  }
  std::vector<host::DevicePtr> all_devices() const {
    std::vector<host::DevicePtr> all;
    for (const OpenedDevice& each : devices_) {
      if (each.device != nullptr) all.push_back(each.device);
    }
    return all;
  }
  double left_s_until(double seconds) const { return seconds - seconds_since(start_ns_); }
  double left_s() const { return selection_.budget_s ? left_s_until(*selection_.budget_s) : 1e9; }

  /// Each death takes time from the others: so many, and the device has no more rows.
  void give_up_deadly_devices() {
    constexpr int kMostDeaths = 8;
    std::map<std::string, int> deaths;
    for (const Incident& each : options_.incidents) {
      if (each.work == kBuildPeers) continue;  // not the device's doing
      if (++deaths[each.device] == kMostDeaths)
        lost_[each.device] = fmt::format("it took the process down {} times in this sweep", kMostDeaths);
    }
  }

  void measure_ceilings_of_all() {
    for (const host::DevicePtr& device : all_devices()) {
      if (cli::interrupted()) return;
      const auto deadly = [&](const Incident& each) { return each.device == device->name() && each.work == kCeilings; };
      if (lost_.contains(device->name()) || std::ranges::any_of(options_.incidents, deadly)) continue;
      const auto known = [&](const report::Ceiling& each) { return each.device == device->name(); };
      if (std::ranges::any_of(run_.ceilings, known)) continue;
      const Asked asked = asked_of(device, jobs_);
      if (asked.dtypes.empty()) continue;
      status_.show(fmt::format("ceilings of {}", device->name()));
      Attempt::shared().at(device->name(), kCeilings);
      try {
        Allowance allowance{.total_s = kCeilingsS, .cores = cores_used(), .cancelled = &cli::interrupted()};
        // A tenth of all for all devices.
        const double devices = static_cast<double>(devices_.size());
        if (selection_.budget_s) allowance.total_s = std::min(kCeilingsS, *selection_.budget_s / 10 / devices);
        const std::vector<report::Ceiling> found = measure_ceilings(device, asked, allowance);
        run_.ceilings.insert(run_.ceilings.end(), found.begin(), found.end());
      } catch (const std::exception& error) {
        status_.line(fmt::format("no ceilings of {}: {}", device->name(), error.what()));
      }
    }
    journal_->header(run_);
  }

  void run_jobs() {
    for (size_t j = 0; j < jobs_.size(); ++j) {
      for (size_t i = 0; i < jobs_[j]->rows().size(); ++i) {
        const std::string name = report::identity(jobs_[j]->rows()[i]);
        benchmark::RegisterBenchmark(name.c_str(), [this, j, i](benchmark::State& state) { run_row(state, j, i); })
            ->Iterations(1)
            ->UseManualTime()
            ->Unit(benchmark::kMicrosecond);
      }
    }
    Silent silent;
    benchmark::RunSpecifiedBenchmarks(&silent, std::string("all"));
  }

  /// The first row of a job measures all of them.
  void run_row(benchmark::State& state, size_t j, size_t i) {
    if (i == 0) run_job(*jobs_[j]);
    const Row& row = jobs_[j]->rows()[i];
    for (auto _ : state) state.SetIterationTime(row.median_ns.value_or(0) * 1e-9);
    if (!row.median_ns) state.SkipWithError(row.reason.c_str());
    if (row.flops) state.counters["flops"] = *row.flops;
    if (row.bytes) state.counters["bytes"] = *row.bytes;
  }

  void run_job(Job& job) {
    show_progress(job);
    const auto leave_out = [&](Status status, const std::string& why) {
      for (Row& row : job.rows()) {
        if (row.status == Status::unmeasured) row.status = status, row.reason = why;
      }
    };
    const std::string device = job.rows().front().device;
    if (cli::interrupted()) {
      leave_out(Status::skipped, "interrupted");
    } else if (const auto lost = lost_.find(device); lost != lost_.end()) {
      leave_out(Status::lost, lost->second);
    } else if (left_s() <= 0) {
      leave_out(Status::skipped, fmt::format("the budget of {:g} s was used up", *selection_.budget_s));
    } else {
      measure(job);
    }
    const Roofline roofline(run_.ceilings, device);
    for (Row& row : job.rows()) {
      roofline.judge(row);
      run_.rows.push_back(row);
      journal_->row(row);
      status_.line(line_of(row));
    }
    ++done_;
    if (!cli::interrupted() && !turns_) noise_->look();
  }

  void measure(Job& job) {
    // What takes its usual time must not look as if it hung.
    Allowance allowance{.tune_s = std::min(kUsualTuneS, options_.limit_s / 4),
                        .measure_s = std::min(kUsualMeasureS, options_.limit_s / 4),
                        .cores = cores_used(),
                        .cancelled = &cli::interrupted()};
    if (selection_.budget_s) {
      // What is left is shared evenly; half of a share is for builds, right results and starting up.
      const double share = left_s() / static_cast<double>(jobs_.size() - done_);
      allowance.tune_s = std::clamp(share / 4, 0.02, allowance.tune_s);
      allowance.measure_s = std::clamp(share / (turns_ ? 1.5 : 4), 0.05, allowance.measure_s);
      allowance.total_s = 3 * share;  // where builds take long; cheaper cases make up for it
    }
    const std::string name = job.rows().front().device;
    for (const Incident& each : options_.incidents) {
      if (each.device != name || each.work != job.key()) continue;
      if (each.variant.empty()) allowance.deaths.push_back(each.what);
      else allowance.deadly.emplace(each.variant, each.what);
    }
    allowance.tried = &tried_;
    allowance.turns = turns_ ? &*turns_ : nullptr;
    allowance.repeat = slow_.factor(report::identity(job.rows().front()));
    Attempt::shared().at(name, job.key());
    try {
      job.run(allowance);
    } catch (const DeviceLost& lost) {
      lost_[name] = std::string("earlier in this sweep: ") + lost.what();
      noise_->forget(job.device());
      for (report::Device& device : run_.devices) {
        if (device.id == name) device.lost = lost.what();
      }
      status_.line(fmt::format("{} is lost, its other rows are left out: {}", name, lost.what()));
    }
  }

  void show_progress(const Job& job) {
    if (!status_.terminal() && !status_.due()) return;
    const double part = static_cast<double>(done_) / static_cast<double>(jobs_.size());
    const double elapsed = seconds_since(start_ns_);
    const double rest =
        done_ == 0 ? 0 : elapsed / static_cast<double>(done_) * static_cast<double>(jobs_.size() - done_);
    const std::string eta = done_ == 0 ? "-" : cli::clock_text(std::min(rest, std::max(left_s(), 0.0)));
    const Row& row = job.rows().front();
    status_.show(fmt::format("[{}] {}/{}  ETA {}  {} {} {}", cli::bar_text(part), done_ + 1, jobs_.size(), eta,
                             row.device, row.name, row.dtype));
  }

  void write_reports() {
    report::write_reports(run_, options_.output);
    fmt::print("{}", report::terminal(run_));
    fmt::print("{} rows in {:.0f} s; {}/results.json, .csv, .md, .html\n", run_.rows.size(), seconds_since(start_ns_),
               options_.output);
  }

  const SweepOptions& options_;
  TriedSettings tried_{TriedSettings::cache_file()};
  Slow slow_;
  std::optional<Turns> turns_;
  Selection selection_;
  std::vector<OpenedDevice> devices_;
  cli::StatusLine status_;
  report::Run run_;
  std::vector<std::unique_ptr<Job>> jobs_;
  Journal* journal_ = nullptr;
  std::optional<NoiseFloor> noise_;
  std::map<std::string, std::string> lost_;
  std::map<std::string, size_t> places_;  ///< of rows, by identity
  int64_t start_ns_ = 0;
  size_t done_ = 0;
};

}  // namespace

int run_sweep(const SweepOptions& options) {
  Sweep sweep(options);
  return options.list ? sweep.list() : sweep.run();
}

}  // namespace backplane::bench
