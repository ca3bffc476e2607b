// SPDX-License-Identifier: Apache-2.0
// `backplane tune show`, `explain` and `verify`: what is stored, what a look-up would answer and why, and whether it is
// still true.
#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "backplane/autotune/recorder.h"
#include "backplane/graph/runtime.h"
#include "backplane/host/error.h"
#include "cli/interrupt.h"
#include "cli/progress.h"
#include "cli/tune.h"

namespace backplane::cli {
namespace {

using autotune::Candidate;
using autotune::Outcome;
using autotune::Record;
using autotune::Verdict;

/// Records of `query`'s operation and device; all devices when none is named.
std::vector<Record> select(autotune::Store& store, const TuneQuery& query) {
  autotune::Store::Filter filter;
  filter.operation = query.op;
  if (!query.device.empty())
    filter.device = autotune::Fingerprint::of(*use_device(query.device).stream()->device()).device;
  return store.records(filter);
}

std::string when(int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  gmtime_r(&time, &utc);
  char text[32];
  return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M", &utc));
}

void print_record(const Record& r) {
  fmt::print("{} {} {}\n  on {} (build {}), {} UTC\n", r.key.problem, r.key.shapes, r.key.policy, r.device.device,
             r.device.build, when(r.written));
  fmt::print("  {}: {}\n  noise {:+.2f} % [{:+.2f}, {:+.2f}], {} rounds, {} measuring, {} building, checked by {}\n",
             r.outcome.decided ? "chosen " + r.outcome.chosen : "not decided, so not used and measured again",
             r.outcome.why, 100 * r.outcome.noise.mean, 100 * r.outcome.noise.low, 100 * r.outcome.noise.high, r.outcome.rounds,
             time_text(static_cast<double>(r.outcome.spent_ns)), time_text(static_cast<double>(r.outcome.build_ns)),
             r.outcome.checked_by.empty() ? "nobody" : r.outcome.checked_by);
  print_table(candidate_rows(r.outcome));
}

struct Answer {
  host::KernelOp op;
  autotune::Key key;
  autotune::Decision decision;
};

std::vector<Answer> answers(const Device& device, const TuneQuery& query) {
  std::vector<Answer> list;
  for (host::KernelOp& op : operations_for(device, query.op, query.shape, query.dtype)) {
    op.with_op([&](const bp_op& raw) {
      list.push_back({op, autotune::Key::of(raw), device.stream()->tuner().decide(raw)});
    });
  }
  return list;
}

struct Verified {
  Record record;
  std::string best, trouble;
  double regret = 0;
};

/// Races the problem again; how much slower what was chosen is than the best of this time.
Verified verify(const Record& record, autotune::Tuner& tuner, uint64_t seed) {
  Verified result{record, {}, {}, 0};
  try {
    const host::KernelOp op = autotune::op_from_json(record.op);
    autotune::Tuner::Watch watch;
    watch.seed = seed;
    watch.keep = false;
    watch.anew = true;
    watch.cancelled = &interrupted();
    const Outcome now = op.with_op([&](const bp_op& raw) { return tuner.measure(raw, watch); });
    const Candidate* chosen = now.find(record.outcome.chosen);
    const Candidate* best = nullptr;
    for (const Candidate& each : now.candidates) {
      if (each.verdict != Verdict::raced && each.verdict != Verdict::eliminated) continue;
      if (best == nullptr || each.log_ratio.mean < best->log_ratio.mean) best = &each;
    }
    if (chosen == nullptr || best == nullptr || !is_right(chosen->verdict)) {
      result.trouble = chosen == nullptr ? "the device does not offer it any more"
                                         : std::string(name_of(chosen->verdict)) + ": " + chosen->reason;
      return result;
    }
    result.best = best->variant;
    // What left at first sight was never compared within rounds.
    result.regret = chosen->verdict == Verdict::slow ? chosen->times.median_ns / best->times.median_ns - 1
                                                     : std::exp(chosen->log_ratio.mean - best->log_ratio.mean) - 1;
  } catch (const host::Error& error) {
    result.trouble = error.what();
  }
  return result;
}

/// Records that would answer now.
std::vector<Record> sample_of(std::vector<Record> records, autotune::Tuner& tuner, int64_t count, uint64_t seed) {
  const auto answers = [&](const Record& r) {
    if (r.op.empty() || !r.outcome.decided) return false;
    try {
      const auto known = autotune::op_from_json(r.op).with_op([&](const bp_op& op) { return tuner.known(op); });
      return known && known->record.key == r.key && known->record.device.build == r.device.build;
    } catch (const host::Error&) {
      return false;  // the device does not do it any more
    }
  };
  std::erase_if(records, [&](const Record& r) { return !answers(r); });
  std::mt19937_64 engine(seed);
  std::ranges::shuffle(records, engine);
  if (static_cast<int64_t>(records.size()) > count) records.resize(static_cast<size_t>(count));
  return records;
}

}  // namespace

std::string time_text(double ns) {
  if (ns >= 1e9) return fmt::format("{:.2f} s", ns * 1e-9);
  if (ns >= 1e6) return fmt::format("{:.2f} ms", ns * 1e-6);
  if (ns >= 1e3) return fmt::format("{:.2f} us", ns * 1e-3);
  return fmt::format("{:.0f} ns", ns);
}

std::vector<std::vector<std::string>> candidate_rows(const Outcome& outcome) {
  std::vector<std::vector<std::string>> rows{
      {"  VARIANT", "TIME", "OF DEFAULT", "INTERVAL", "ERROR", "CODE", "VERDICT", "REASON"}};
  for (const Candidate& c : outcome.candidates) {
    const bool timed = c.times.samples > 0, compared = c.verdict == Verdict::raced || c.verdict == Verdict::eliminated;
    const auto percent = [](double log_ratio) { return fmt::format("{:.1f} %", 100 * std::exp(log_ratio)); };
    rows.push_back({(c.variant == outcome.chosen ? "* " : "  ") + c.variant + (c.is_default ? " (default)" : ""),
                    timed ? time_text(c.times.median_ns) : "-", compared ? percent(c.log_ratio.mean) : "-",
                    compared ? percent(c.log_ratio.low) + " ... " + percent(c.log_ratio.high) : "-",
                    is_right(c.verdict) || c.error > 0 ? fmt::format("{:.1e}", c.error) : "-",
                    c.code_hash != 0 ? fmt::format("{:08x}", c.code_hash >> 32) : "-", std::string(name_of(c.verdict)),
                    c.reason});
  }
  return rows;
}

ExitCode run_tune_show(const TuneQuery& query) {
  if (query.arbitration) return show_arbitration(query);
  const auto store = open_store(autotune::Store::Access::read);
  const std::vector<Record> records = select(*store, query);
  if (query.json) {
    fmt::print("{}", autotune::to_json(records));
    return ExitCode::ok;
  }
  for (const Record& each : records) print_record(each);
  fmt::print("{} problems in {}\n", records.size(), store->file().string());
  return ExitCode::ok;
}

ExitCode run_tune_explain(const TuneQuery& query) {
  const Device device = use_device(query.device);
  const auto store = open_store(autotune::Store::Access::read);
  Json rows = Json::array();
  for (const Answer& each : answers(device, query)) {
    const auto& d = each.decision;
    if (query.json) {
      rows.push_back({{"problem", each.key.problem},
                      {"shapes", each.key.shapes},
                      {"policy", each.key.policy},
                      {"variant", d.variant},
                      {"level", name_of(d.level)},
                      {"why", d.why}});
      continue;
    }
    fmt::print("{} {} {}\n  {} ({}): {}\n", each.key.problem, each.key.shapes, each.key.policy,
               d.variant.empty() ? "the device's default" : d.variant, name_of(d.level), d.why);
    const std::string fingerprint = device.stream()->tuner().fingerprint().device;
    for (const Record& r : store->records({fingerprint, each.key.operation(), each.key.shapes, each.key.policy})) {
      if (r.key == each.key) print_record(r);
    }
  }
  if (query.json) print_json({{"schema", 1}, {"command", "tune explain"}, {"device", device.name()}, {"rows", rows}});
  return ExitCode::ok;
}

ExitCode run_tune_verify(const TuneQuery& query) {
  const Device device = use_device(query.device);
  const auto tuner = make_tuner(device, 0);
  TuneQuery own = query;
  own.device = device.name();
  const std::vector<Record> sample =
      sample_of(select(tuner->tuning().store(), own), *tuner, query.sample, query.seed);
  catch_interrupt();
  std::vector<std::vector<std::string>> rows{{"PROBLEM", "CHOSEN", "BEST NOW", "REGRET"}};
  std::vector<double> regrets;
  size_t troubled = 0;
  Json list = Json::array();
  StatusLine status(query.json ? stderr : stdout);
  for (size_t i = 0; i < sample.size() && !interrupted(); ++i) {
    if (status.due()) status.show(fmt::format("{}/{} {}", i + 1, sample.size(), sample[i].key.shapes));
    const Verified v = verify(sample[i], *tuner, query.seed + i);
    troubled += !v.trouble.empty();
    if (v.trouble.empty()) regrets.push_back(v.regret);
    const std::string text = v.trouble.empty() ? fmt::format("{:.2f} %", 100 * v.regret) : v.trouble;
    rows.push_back({v.record.key.problem + " " + v.record.key.shapes, v.record.outcome.chosen, v.best, text});
    list.push_back({{"problem", v.record.key.problem},
                    {"shapes", v.record.key.shapes},
                    {"chosen", v.record.outcome.chosen},
                    {"best", v.best},
                    {"regret", v.trouble.empty() ? Json(v.regret) : Json()},
                    {"trouble", v.trouble}});
  }
  std::ranges::sort(regrets);
  const double median = regrets.empty() ? 0 : regrets[regrets.size() / 2], most = regrets.empty() ? 0 : regrets.back();
  if (query.json) {
    print_json({{"schema", 1}, {"command", "tune verify"}, {"device", device.name()}, {"verified", regrets.size()},
                {"median_regret", median}, {"largest_regret", most}, {"troubled", troubled}, {"rows", list}});
  } else {
    status.rest();
    print_table(rows);
    fmt::print(
        "{} decisions measured again on {}: regret {:.2f} % in the median, {:.2f} % at most; {} cannot be used any "
        "more\n",
        regrets.size(), device.name(), 100 * median, 100 * most, troubled);
  }
  if (interrupted()) return ExitCode::interrupted;
  return troubled == 0 ? ExitCode::ok : ExitCode::failure;
}

}  // namespace backplane::cli
