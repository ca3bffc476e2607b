// SPDX-License-Identifier: Apache-2.0
// `backplane bench report`: pages and tables of results that are there, of one sweep or of several together.
#include <filesystem>
#include <fstream>
#include <ostream>

#include <fmt/format.h>

#include "report/merge.h"
#include "report/reports.h"
#include "report/results_json.h"

namespace backplane::bench::report {

namespace {

constexpr int kOk = 0, kUsage = 2, kFile = 4;

constexpr const char* kHelp =
    "backplane bench report RESULTS... [--output FOLDER]\n"
    "  RESULTS   files of results, .json or .jsonl; several become one page, where the newer of two equal rows stands\n"
    "  --output  folder of results.html, .json, .csv and .md (default: backplane-report)\n";

struct Arguments {
  std::vector<std::string> files;
  std::filesystem::path output = "backplane-report";
  bool help = false;
};

Arguments parsed(const std::vector<std::string>& args) {
  Arguments result;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--help" || arg == "-h") {
      result.help = true;
    } else if (arg.starts_with("--output=")) {
      result.output = arg.substr(9);
    } else if (arg == "--output") {
      if (++i == args.size()) throw Error("[bench] --output needs a folder");
      result.output = args[i];
    } else if (arg.starts_with("-")) {
      throw Error(fmt::format("[bench] report has no option '{}'; see --help", arg));
    } else {
      result.files.push_back(arg);
    }
  }
  if (!result.help && result.files.empty()) throw Error("[bench] report needs files of results; see --help");
  return result;
}

}  // namespace

void write_reports(const Run& run, const std::filesystem::path& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  const auto write = [&](const char* name, const std::string& text) {
    std::ofstream file(folder / name, std::ios::binary);
    file << text;
    if (!file.flush()) throw Error(fmt::format("[bench] cannot write {}", (folder / name).string()));
  };
  write("results.json", to_json(run));
  write("results.csv", csv(run));
  write("results.md", markdown(run));
  write("results.html", html(run));
}

int report_main(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
  Arguments arguments;
  try {
    arguments = parsed(args);
  } catch (const Error& error) {
    err << error.what() << "\n";
    return kUsage;
  }
  if (arguments.help) {
    out << kHelp;
    return kOk;
  }
  try {
    std::vector<Run> runs;
    for (const std::string& file : arguments.files) runs.push_back(read_run(file));
    const Run run = combined(std::move(runs));
    write_reports(run, arguments.output);
    out << fmt::format("{} rows of {} files; {}/results.html, .json, .csv, .md\n", run.rows.size(),
                       arguments.files.size(), arguments.output.string());
    return kOk;
  } catch (const Error& error) {
    err << error.what() << "\n";
    return kFile;
  }
}

}  // namespace backplane::bench::report
