// SPDX-License-Identifier: Apache-2.0
#include "ab.h"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <future>
#include <iostream>
#include <set>

#include "backplane/graph/types.h"
#include "backplane/host/child_process.h"
#include "busy.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "report/paired.h"
#include "report/results_json.h"
#include "suite.h"

namespace backplane::bench {

namespace {

namespace fs = std::filesystem;
using report::Comparison;
using report::Verdict;

constexpr int kFirstRounds = 6;   // of all rows; then of those that are not decided
constexpr int kNextRounds = 2;    // until they are compared again
constexpr double kLeastSliceS = 2;

struct Options {
  std::string a, b, output = "backplane-ab", slow_b, fail_on;
  int rounds = 24;
  double slice_s = 5, budget_s = 1e9;
  std::vector<std::string> rows;  ///< options of `backplane bench` that say which
};

fs::path program_of(const std::string& build) { return fs::path(build) / "bin/backplane-bench"; }

/// Throws CLI::ParseError, and Error.
void parse(CLI::App& app, std::vector<std::string> arguments, Options& o) {
  std::string slice, budget;
  app.add_option("--a", o.a, "Build tree, or installation, of the old version")->required();
  app.add_option("--b", o.b, "Of the new one")->required();
  app.add_option("--rounds", o.rounds, "At the most")->capture_default_str()->check(CLI::Range(kFirstRounds, 1000));
  app.add_option("--slice", slice, "Time for all rows in one round, of each build (default: 5s)");
  app.add_option("--budget", budget, "Time for all: no round begins later");
  app.add_option("--output", o.output, "Folder of the runs")->capture_default_str();
  app.add_option("--slow-b", o.slow_b, "PATTERN=1.1: B repeats calls of these rows, to see what is noticed");
  app.add_option("--fail-on", o.fail_on, "Exit code 1 when a case is confirmed to be slower by more than this share");
  app.allow_extras();
  app.footer("--suite, --case, --devices, --ops, --shapes, --dtypes and --variants are those of backplane bench.");
  std::ranges::reverse(arguments);  // as CLI11 wants them
  app.parse(arguments);
  o.rows = app.remaining();
  if (std::ranges::count(o.rows, "--variants") == 0) o.rows.insert(o.rows.end(), {"--variants", "default"});
  if (std::ranges::count(o.rows, "--filter") > 0)
    throw Error("[bench] ab chooses rows by --filter itself; use --ops or --case");
  if (!slice.empty()) o.slice_s = parse_duration(slice);
  if (!budget.empty()) o.budget_s = parse_duration(budget);
  for (const std::string& build : {o.a, o.b}) {
    if (!fs::exists(program_of(build)))
      throw Error("[bench] " + program_of(build).string() + " does not exist; build target backplane_bench there");
  }
}

/// A regular expression for exactly these rows; nothing for all.
std::string pattern_for(const std::set<std::string>& rows) {
  std::string pattern;
  for (const std::string& row : rows) {
    pattern += pattern.empty() ? "^(" : "|";
    for (const char c : row) {
      if (std::isalnum(static_cast<unsigned char>(c)) == 0) pattern += '\\';
      pattern += c;
    }
  }
  return pattern.empty() ? "" : pattern + ")$";
}

void run(const fs::path& program, std::vector<std::string> arguments, const fs::path& log) {
  const host::ChildRun run = host::run_child({.executable = program,
                                              .arguments = std::move(arguments),
                                              .limit = std::nullopt,
                                              .output_file = log,
                                              .cancelled = &cli::interrupted()});
  if (run.cancelled) throw cli::CommandError(cli::ExitCode::interrupted, "[bench] interrupted");
  if (!run.trouble.empty()) throw cli::CommandError(cli::ExitCode::failure, "[bench] " + run.trouble);
  if (run.exit_code != 0)
    throw cli::CommandError(cli::ExitCode::failure, "[bench] " + program.string() + " failed / see " + log.string());
}

class Duel {
 public:
  explicit Duel(Options options) : o_(std::move(options)) {}

  int fight() {
    fs::create_directories(o_.output);
    const int64_t start = now_ns();
    const auto in_time = [&] { return static_cast<double>(now_ns() - start) * 1e-9 < o_.budget_s; };
    look();
    Comparison comparison;
    for (int looks = 1; rounds_ < o_.rounds && in_time() && !open_.empty(); ++looks) {
      const int until = std::min(o_.rounds, looks == 1 ? kFirstRounds : rounds_ + kNextRounds);
      while (rounds_ < until && in_time()) round();
      comparison = report::compare_paired(before_, after_, looks);
      open_.clear();
      for (const report::Pair& pair : comparison.pairs) {
        if (pair.verdict == Verdict::ambiguous) open_.insert(identity(*pair.after));
      }
      fmt::print(stderr, "{} rounds: {} of {} rows are not decided\n", rounds_, open_.size(), comparison.pairs.size());
    }
    print(comparison, std::cout);
    return judged(comparison, o_.fail_on.empty() ? INFINITY : report::share_of(o_.fail_on), std::cout);
  }

 private:
  /// One after the other: kernels are compiled, and then it is known which rows both have.
  void look() {
    for (const bool second : {false, true}) run(program(second), arguments(second), log(second));
    std::set<std::string> of_a;
    for (const bool second : {false, true}) {
      for (const report::Row& row : result(second).rows) {
        if (!row.median_ns) continue;
        if (!second) of_a.insert(identity(row));
        else if (of_a.contains(identity(row))) open_.insert(identity(row));
      }
    }
    rows_ = open_.size();
    if (rows_ == 0) throw Error("[bench] the two builds have no row in common that has a time / see " + o_.output);
  }

  /// Both at once. Who begins changes: the second is started with the other's number.
  void round() {
    ++rounds_;
    const fs::path turns = fs::path(o_.output) / "turns";
    fs::remove(turns);
    std::array<std::future<void>, 2> sides;
    for (const bool second : {false, true}) {
      std::vector<std::string> words = arguments(second);
      words.insert(words.end(), {"--turns", fmt::format("{}:{}", turns.string(), (rounds_ + second) % 2)});
      sides[second] = std::async(std::launch::async, run, program(second), std::move(words), log(second));
    }
    for (std::future<void>& side : sides) side.wait();
    for (std::future<void>& side : sides) side.get();
    before_.push_back(result(false)), after_.push_back(result(true));
  }

  fs::path program(bool second) const { return program_of(second ? o_.b : o_.a); }
  fs::path folder(bool second) const { return fs::path(o_.output) / fmt::format("{}{}", second ? "b" : "a", rounds_); }
  fs::path log(bool second) const { return folder(second).string() + ".log"; }
  report::Run result(bool second) const { return report::read_run((folder(second) / "results.json").string()); }

  std::vector<std::string> arguments(bool second) const {
    std::vector<std::string> words = o_.rows;
    const double part = rows_ == 0 ? 1 : static_cast<double>(open_.size()) / static_cast<double>(rows_);
    words.insert(words.end(), {"--no-ceilings", "--output", folder(second).string(), "--budget",
                               fmt::format("{:.1f}s", std::max(kLeastSliceS, 2 * o_.slice_s * part))});
    if (!open_.empty()) words.insert(words.end(), {"--filter", pattern_for(open_)});
    if (second && !o_.slow_b.empty()) words.insert(words.end(), {"--slow", o_.slow_b});
    return words;
  }

  Options o_;
  std::vector<report::Run> before_, after_;
  std::set<std::string> open_;  ///< rows to measure; empty: all
  size_t rows_ = 0;             ///< of both
  int rounds_ = 0;
};

}  // namespace

int ab_main(std::vector<std::string> arguments) {
  CLI::App app{"Compare two builds that take turns", "backplane bench ab"};
  Options options;
  try {
    parse(app, std::move(arguments), options);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(cli::ExitCode::usage);
  }
  cli::catch_interrupt();
  return Duel(std::move(options)).fight();
}

}  // namespace backplane::bench
