// SPDX-License-Identifier: Apache-2.0
// backplane_tuning_sweep: how good the tuner's choices are on a real device. bench/tuning_sweep runs it.
//
//   backplane_tuning_sweep rows --device=cpu --out=FILE      tunes each shape into the store of BACKPLANE_CACHE_DIR and
//                                                            races all variants beside it: one line of JSON each
//   backplane_tuning_sweep left-out --device=cpu --out=FILE  what a look-up says of shapes that were left out of the
//                                                            store, judged by the rows of FILE; variants that those
//                                                            did not race are raced now
//   backplane_tuning_sweep repeat --device=cpu --cases=A;B --times=10
//                                                            tuner and oracle in turns on the same shapes (repeat.h)
//   backplane_tuning_sweep ways --device=cpu --cases=A;B --times=50
//                                                            the same launches timed in several ways (ways.h)
//
// `rows` goes on where it stopped: what FILE has already is not measured again.
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <random>
#include <set>
#include <string_view>

#include <nlohmann/json.hpp>

#include "backplane/autotune/tuner.h"
#include "busy.h"
#include "left_out.h"
#include "oracle_race.h"
#include "repeat.h"
#include "shapes.h"
#include "ways.h"

namespace backplane::bench {

namespace {

using Json = nlohmann::ordered_json;

volatile std::sig_atomic_t stop = 0;

std::shared_ptr<autotune::Tuning> tuning() {
  autotune::TuningOptions options = autotune::TuningOptions::from_environment();
  options.mode = autotune::Mode::on;
  return std::make_shared<autotune::Tuning>(options);
}

Json measure_row(const Case& c, autotune::Tuner& tuner) {
  const host::KernelOp op = c.kernel_op();
  const auto operands = std::make_shared<Operands>(tuner.device(), op, suitable_values(op));
  const auto before = Moment::now();
  const int64_t start = now_ns();
  const autotune::Outcome outcome =
      operands->op().with_op([&](const bp_op& op) { return tuner.measure(op); });
  const double tune_s = static_cast<double>(now_ns() - start) * 1e-9;
  std::vector<std::string> wrong;
  std::string usual;
  size_t timed = 0;
  for (const autotune::Candidate& each : outcome.candidates) {
    if (is_faulty(each.verdict) || each.verdict == autotune::Verdict::policy) wrong.push_back(each.variant);
    if (each.is_default) usual = each.variant;
    timed += each.times.samples > 0;
  }
  // The second race judges what the tuner chose and what the first named best alike: a tuner without any fault could
  // have done no better than that.
  const std::string best_before = race_all(operands, {outcome.chosen, usual}, wrong).best;
  const OracleResult right = race_all(operands, {outcome.chosen, usual, best_before}, wrong);
  const auto after = Moment::now();
  const double share = before && after ? others_share(*before, *after) : 0;
  Json ratios = Json::object();
  for (const auto& [name, ratio] : right.ratio) ratios[name] = {ratio, right.raced.at(name)};
  return {{"device", tuner.device()->name()},
          {"case", c.name},
          {"variants", outcome.candidates.size()},
          {"timed", timed},
          {"faulty", wrong.size()},
          {"decided", outcome.decided},
          {"why", outcome.why},
          {"default", usual},
          {"chosen", outcome.chosen},
          {"best", right.best},
          {"best_us", right.best_ns * 1e-3},
          {"regret", right.ratio.at(outcome.chosen)},
          {"self_regret", right.ratio.at(best_before)},
          {"gain", right.ratio.at(usual) - right.ratio.at(outcome.chosen)},
          {"possible", right.ratio.at(usual)},
          {"spent_ms", static_cast<double>(outcome.spent_ns) * 1e-6},
          {"build_ms", static_cast<double>(outcome.build_ns) * 1e-6},
          {"tune_s", tune_s},
          {"oracle_rounds", right.rounds},
          {"others", share},
          {"ratios", ratios}};
}

std::set<std::string> done_in(const std::string& file) {
  std::set<std::string> names;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const Json row = Json::parse(line, nullptr, false);
    if (row.is_object() && row.contains("case")) names.insert(row.at("case"));
  }
  return names;
}

int measure_rows(const host::DevicePtr& device, const std::string& file) {
  autotune::Tuner tuner(device, tuning());
  const std::set<std::string> done = done_in(file);
  std::vector<Case> cases = sweep_cases();
  std::ranges::shuffle(cases, std::mt19937(1));  // interrupted at any time, it has seen some of everything
  std::ofstream out(file, std::ios::app);
  size_t count = done.size();
  for (const Case& c : cases) {
    if (stop != 0) break;
    if (done.contains(c.name)) continue;
    Json row;
    try {
      row = measure_row(c, tuner);
    } catch (const std::exception& error) {
      row = {{"device", device->name()}, {"case", c.name}, {"error", error.what()}};
    }
    out << row.dump() << "\n" << std::flush;
    std::fprintf(stderr, "%zu/%zu %s %s: %s\n", ++count, cases.size(), device->name().c_str(), c.name.c_str(),
                 row.contains("error") ? row["error"].get<std::string>().c_str()
                                       : (row["chosen"].get<std::string>() + ", regret " +
                                          std::to_string(100 * row["regret"].get<double>()) + " %")
                                             .c_str());
  }
  return 0;
}

std::string option(const std::vector<std::string>& arguments, std::string_view name) {
  const std::string prefix = "--" + std::string(name) + "=";
  for (const std::string& each : arguments) {
    if (each.starts_with(prefix)) return each.substr(prefix.size());
  }
  throw Error("[sweep] " + prefix + " is missing; see the head of bench/tuning/main.cpp");
}

int run(const std::vector<std::string>& arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  const host::DevicePtr device = host::Registry::instance().open(option(arguments, "device"));
  if (what == "left-out") return judge_left_out(device, option(arguments, "out"));
  if (what == "rows") return measure_rows(device, option(arguments, "out"));
  if (what == "repeat") {
    autotune::Tuner tuner(device, tuning());
    const int times = std::stoi(option(arguments, "times"));
    if (times < 2) throw Error("[sweep] --times is how often the oracle is asked: at least 2, to judge it, too");
    return repeat_cases(tuner, option(arguments, "cases"), times);
  }
  if (what == "ways") return compare_ways(device, option(arguments, "cases"), std::stoi(option(arguments, "times")));
  throw Error("[sweep] say what to do: rows, left-out, repeat or ways");
}

}  // namespace
}  // namespace backplane::bench

int main(int argc, char** argv) {
  std::signal(SIGINT, [](int) { backplane::bench::stop = 1; });
  try {
    return backplane::bench::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
