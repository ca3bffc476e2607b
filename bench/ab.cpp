// SPDX-License-Identifier: Apache-2.0
#include "ab.h"

#include <CLI/CLI.hpp>
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <filesystem>
#include <iostream>
#include <set>

#include "backplane/graph/types.h"
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
constexpr double kLeastSliceS = 1.5;

struct Options {
  std::string a, b, output = "backplane-ab", slow_b, fail_on;
  int rounds = 24;
  double slice_s = 8, budget_s = 1e9;
  std::vector<std::string> rows;  ///< options of `backplane bench` that say which
};

fs::path program_of(const std::string& build) { return fs::path(build) / "bin/backplane-bench"; }

/// Throws CLI::ParseError, and Error.
void parse(CLI::App& app, std::vector<std::string> arguments, Options& o) {
  std::string slice, budget;
  app.add_option("--a", o.a, "Build tree, or installation, of the old version")->required();
  app.add_option("--b", o.b, "Of the new one")->required();
  app.add_option("--rounds", o.rounds, "At the most")->capture_default_str()->check(CLI::Range(kFirstRounds, 1000));
  app.add_option("--slice", slice, "Time for one run of all rows (default: 8s)");
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

void run(const std::vector<std::string>& words, const fs::path& log) {
  std::vector<char*> argv;
  for (const std::string& each : words) argv.push_back(const_cast<char*>(each.c_str()));
  argv.push_back(nullptr);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &files, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&files);
  int status = 0;
  if (error == 0) {
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
  }
  if (cli::interrupted()) throw cli::CommandError(cli::ExitCode::interrupted, "[bench] interrupted");
  if (error != 0 || status != 0)
    throw cli::CommandError(cli::ExitCode::failure, "[bench] " + words[0] + " failed / see " + log.string());
}

class Duel {
 public:
  explicit Duel(Options options) : o_(std::move(options)) {}

  int fight() {
    fs::create_directories(o_.output);
    Comparison comparison;
    const int64_t start = now_ns();
    const auto in_time = [&] { return static_cast<double>(now_ns() - start) * 1e-9 < o_.budget_s; };
    for (int looks = 1; rounds_ < o_.rounds && in_time(); ++looks) {
      const int until = std::min(o_.rounds, looks == 1 ? kFirstRounds : rounds_ + kNextRounds);
      while (rounds_ < until && in_time()) round();
      comparison = report::compare_paired(before_, after_, looks);
      open_.clear();
      for (const report::Pair& pair : comparison.pairs) {
        if (pair.verdict == Verdict::ambiguous) open_.insert(identity(*pair.after));
      }
      fmt::print(stderr, "{} rounds: {} of {} rows are not decided\n", rounds_, open_.size(), comparison.pairs.size());
      if (open_.empty()) break;
    }
    print(comparison, std::cout);
    return judged(comparison, o_.fail_on.empty() ? INFINITY : report::share_of(o_.fail_on), std::cout);
  }

 private:
  /// The one that begins changes: whoever comes second finds another machine.
  void round() {
    for (const bool second : {rounds_ % 2 == 1, rounds_ % 2 == 0}) {
      const fs::path folder = fs::path(o_.output) / fmt::format("{}{}", second ? "b" : "a", rounds_ + 1);
      const double part = before_.empty() || open_.empty() ? 1
                          : static_cast<double>(open_.size()) / static_cast<double>(before_[0].rows.size());
      std::vector<std::string> words = {program_of(second ? o_.b : o_.a).string()};
      words.insert(words.end(), o_.rows.begin(), o_.rows.end());
      words.insert(words.end(), {"--no-ceilings", "--output", folder.string(), "--budget",
                                 fmt::format("{:.1f}s", std::max(kLeastSliceS, o_.slice_s * part))});
      if (!open_.empty()) words.insert(words.end(), {"--filter", pattern_for(open_)});
      if (second && !o_.slow_b.empty()) words.insert(words.end(), {"--slow", o_.slow_b});
      run(words, fs::path(o_.output) / (folder.filename().string() + ".log"));
      (second ? after_ : before_).push_back(report::read_run((folder / "results.json").string()));
    }
    ++rounds_;
  }

  Options o_;
  std::vector<report::Run> before_, after_;
  std::set<std::string> open_;  ///< rows to measure; empty: all
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
