// SPDX-License-Identifier: Apache-2.0
// The command line of `backplane bench`, which runs this executable with its arguments.
//
// Exit codes are those of `backplane` (docs/cli.md).
#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <iostream>

#include "ab.h"
#include "backplane/graph/types.h"
#include "backplane/host/text.h"
#include "cli/command.h"
#include "cli/interrupt.h"
#include "command_text.h"
#include "report/compare.h"
#include "report/reports.h"
#include "suite.h"
#include "supervise.h"
#include "sweep.h"

namespace backplane::bench {
namespace {

using cli::ExitCode;

void add_sweep(CLI::App& app, SweepOptions& o, std::string& budget, std::string& limit) {
  app.add_option("--suite", o.suites,
                 "Suites, or files of lines: " + host::join(installed_suites(), ", ") + " (default: smoke)")
      ->delimiter(',');
  app.add_option("--case", o.cases, "A line of a suite, as a row's command gives it; instead of suites");
  app.add_option("--devices", o.devices, "Device selectors, or all")->delimiter(',')->capture_default_str();
  app.add_option("--ops", o.ops, "Only lines of these ops")->delimiter(',');
  app.add_option("--shapes", o.shapes, "Dimensions instead of the suite's: M=64-4096*2,N=M");
  app.add_option("--dtypes", o.dtypes, "Instead of the suite's: f32,f16,bf16")->delimiter(',');
  app.add_option("--variants", o.variants, "default, tuned, all, or names with * in them")->capture_default_str();
  app.add_option("--filter", o.filter, "Regular expression over rows: 'matmul.* cpu:0 tuned$'");
  app.add_option("--budget", budget, "Time for all: 90s, 10m, 1h (default: the suite's, or none)");
  app.add_option("--limit", limit, "Time for one variant or measurement; longer, and it hangs (default: 2m)");
  app.add_option("--output", o.output, "Folder of the results")->capture_default_str();
  if (o.peers) {
    app.add_option("--peers", o.peer_libraries, "Libraries of peers (bench/peers/peer_library.h)")->delimiter(':');
    app.add_option("--beside", o.peer_devices, "Devices whose defaults are raced beside those of --devices")
        ->delimiter(',');
  }
  app.add_option("--slow", o.slow, "PATTERN=1.1: repeat calls of these rows, to see what compare notices");
  app.add_option("--turns", o.turns)->group("");  // backplane bench ab
  app.add_flag("--resume", o.resume, "Go on where a sweep into that folder stopped");
  app.add_flag("--list", o.list, "List the rows, measure nothing");
  app.add_flag("!--no-ceilings", o.ceilings, "Leave out ceilings and shares of the roofline");
}

int complain(ExitCode code, const std::exception& error) {
  std::fflush(stdout);
  std::fprintf(stderr, "backplane bench: %s\n", error.what());
  return static_cast<int>(code);
}

int guarded(const std::function<int()>& action) {
  try {
    return action();
  } catch (const cli::CommandError& error) {
    return complain(error.code(), error);
  } catch (const report::Error& error) {
    return complain(ExitCode::file, error);
  } catch (const Error& error) {
    return complain(ExitCode::usage, error);
  } catch (const std::exception& error) {
    return complain(ExitCode::failure, error);
  }
}

int main_with(int argc, char** argv) {
  if (argc > 1 && std::string_view(argv[1]) == "compare") {
    return report::compare_main({argv + 2, argv + argc}, std::cout, std::cerr);
  }
  if (argc > 1 && std::string_view(argv[1]) == "report") {
    return report::report_main({argv + 2, argv + argc}, std::cout, std::cerr);
  }
  if (argc > 1 && std::string_view(argv[1]) == "ab") return guarded([&] { return ab_main({argv + 2, argv + argc}); });
  SweepOptions options;
  options.command_line = "backplane bench";
  for (int i = 1; i < argc; ++i) options.command_line += " " + quoted(argv[i]);
  options.peers = argc > 1 && std::string_view(argv[1]) == "peers";
  if (options.peers) --argc, ++argv;
  CLI::App app{"Measure ops, models and the library itself on every device, and report", "backplane bench"};
  app.footer(
      "backplane bench peers ...: beside what a user would pick instead, in one interleaved run.\n"
      "backplane bench compare old.json new.json: faster, slower, same or ambiguous, row by row.\n"
      "backplane bench report a.json b.json --output FOLDER: one page of several sweeps.\n"
      "backplane bench ab --a OLD --b NEW ...: the same of two builds that take turns, until each row is decided.");
  std::string budget, limit;
  add_sweep(app, options, budget, limit);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(ExitCode::usage);
  }
  return guarded([&] {
    if (!budget.empty()) options.budget_s = parse_duration(budget);
    if (!limit.empty()) options.limit_s = parse_duration(limit);
    if (options.limit_s < 1)
      throw Error("[bench] --limit " + limit + " is shorter than measuring takes; give 1s or more");
    if (options.list) return run_sweep(options);
    return supervise(options, [](const SweepOptions& all) {
      return guarded([&] {
        cli::catch_interrupt();
        return run_sweep(all);
      });
    });
  });
}

}  // namespace
}  // namespace backplane::bench

int main(int argc, char** argv) { return backplane::bench::main_with(argc, argv); }
