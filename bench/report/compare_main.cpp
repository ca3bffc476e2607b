// SPDX-License-Identifier: Apache-2.0
// The command: arguments, what is printed, the exit code.
#include <algorithm>
#include <cmath>
#include <ostream>
#include <sstream>

#include <fmt/format.h>

#include "report/compare.h"
#include "report/contents.h"
#include "report/merge.h"
#include "report/results_json.h"
#include "report/words.h"

namespace backplane::bench::report {

namespace {

constexpr int kOk = 0, kSlowdown = 1, kUsage = 2, kFile = 4;

constexpr const char* kHelp =
    "backplane bench compare OLD NEW [--fail-on 5%]\n"
    "  OLD, NEW   files of results, .json or .jsonl; several runs of one build with commas between count as one\n"
    "  --fail-on  exit code 1 when a case is confirmed to be slower by more than this; without it no slowdown fails\n";

struct Arguments {
  std::vector<std::string> files;
  double fail_on = INFINITY;
  bool help = false;
};

}  // namespace

double share_of(const std::string& text) {
  size_t used = 0;
  double value = -1;
  try {
    value = std::stod(text, &used);
  } catch (const std::exception&) {
  }
  const std::string unit = text.substr(used);
  if (value < 0 || !std::isfinite(value) || (!unit.empty() && unit != "%"))
    throw Error(fmt::format("[bench] --fail-on: '{}' is no share; write 5% or 0.05", text));
  return unit.empty() ? value : value / 100;
}

namespace {

Arguments parsed(const std::vector<std::string>& args) {
  Arguments result;
  for (size_t i = 0; i < args.size(); ++i) {
    const std::string& arg = args[i];
    if (arg == "--help" || arg == "-h") {
      result.help = true;
    } else if (arg.starts_with("--fail-on=")) {
      result.fail_on = share_of(arg.substr(10));
    } else if (arg == "--fail-on") {
      if (++i == args.size()) throw Error("[bench] --fail-on needs a share, such as 5%");
      result.fail_on = share_of(args[i]);
    } else if (arg.starts_with("-")) {
      throw Error(fmt::format("[bench] compare has no option '{}'; see --help", arg));
    } else {
      result.files.push_back(arg);
    }
  }
  if (!result.help && result.files.size() != 2) throw Error("[bench] compare needs two files: the old and the new one");
  return result;
}

std::string interval_text(const Interval& interval) {
  if (!std::isfinite(interval.high)) return std::string(kAbsent);
  return times_text(interval.low) + " – " + times_text(interval.high);
}

Table pairs_table(const std::vector<const Pair*>& pairs) {
  Table table{{{"case"},
               {"dtype"},
               {"device"},
               {"kernel"},
               {"old", true},
               {"new", true},
               {"new / old", true},
               {"95 % interval", true},
               {"why"}},
              {}};
  for (const Pair* p : pairs) {
    std::string kernel = choice_text(*p->after);
    if (p->before->variant != p->after->variant) kernel += ", was " + text_or_absent(p->before->variant);
    table.rows.push_back({p->after->name, p->after->dtype, p->after->device, kernel, time_text(p->before->median_ns),
                          time_text(p->after->median_ns), times_text(p->ratio),
                          interval_text(p->interval), text_or_absent(p->why)});
  }
  return without_empty_columns(std::move(table));
}

/// Geometric means of new / old.
Table means_table(const Comparison& comparison) {
  std::map<std::pair<std::string, std::string>, std::vector<double>> logs;
  for (const Pair& p : comparison.pairs) {
    const double log = std::log(p.ratio);
    if (!std::isfinite(log)) continue;
    for (const char* op : {p.after->op.c_str(), "all"}) logs[{p.after->device, op}].push_back(log);
  }
  Table table{{{"device"}, {"op"}, {"cases", true}, {"new / old, geometric mean", true}}, {}};
  for (const auto& [key, list] : logs) {
    double sum = 0;
    for (const double log : list) sum += log;
    const double mean = std::exp(sum / static_cast<double>(list.size()));
    table.rows.push_back({key.first, key.second, std::to_string(list.size()), fmt::format("{:.3f} ×", mean)});
  }
  return table;
}

std::vector<const Pair*> with(const Comparison& comparison, Verdict verdict) {
  std::vector<const Pair*> list;
  for (const Pair& p : comparison.pairs)
    if (p.verdict == verdict) list.push_back(&p);
  std::stable_sort(list.begin(), list.end(), [](const Pair* a, const Pair* b) {
    return std::abs(std::log(a->ratio)) > std::abs(std::log(b->ratio));
  });
  return list;
}

void print_heads(const Comparison& comparison, std::ostream& out) {
  for (const std::string& difference : comparison.differences)
    out << "These runs differ in more than the code: " << difference << "\n";
  for (const auto& [device, noise] : comparison.run_noise)
    out << fmt::format("{}: from run to run medians differ by {} (standard deviation)\n", device, percent_text(noise));
  out << fmt::format("{} cases in both", comparison.pairs.size());
  for (size_t i = 0; i < kNames<Verdict>.size(); ++i)
    out << fmt::format("{} {} {}", i == 0 ? ":" : ",", with(comparison, static_cast<Verdict>(i)).size(),
                       kNames<Verdict>[i]);
  out << fmt::format("; {} only in one\n", comparison.unpaired);
}

}  // namespace

void print(const Comparison& comparison, std::ostream& out) {
  print_heads(comparison, out);
  for (const Verdict verdict : {Verdict::slower, Verdict::faster, Verdict::ambiguous}) {
    const auto pairs = with(comparison, verdict);
    if (!pairs.empty()) out << "\n" << name_of(verdict) << "\n" << terminal_text(pairs_table(pairs));
    if (verdict != Verdict::ambiguous || pairs.empty()) continue;
    out << "\nMeasure the ambiguous ones again, with both builds:\n";
    for (const Pair* pair : pairs) out << "  " << text_or_absent(pair->after->command) << "\n";
  }
  if (!comparison.vanished.empty()) {
    out << "\nno time any more\n";
    for (const Row* row : comparison.vanished)
      out << fmt::format("  {}: {}, {}\n", identity(*row), name_of(row->status), text_or_absent(row->reason));
  }
  if (!comparison.appeared.empty())
    out << fmt::format("\n{} cases have a time now and had none\n", comparison.appeared.size());
  if (!comparison.pairs.empty()) out << "\n" << terminal_text(means_table(comparison));
}

int judged(const Comparison& comparison, double fail_on, std::ostream& out) {
  const auto confirmed = std::ranges::count_if(
      comparison.pairs, [&](const Pair& pair) { return is_confirmed_slowdown(pair, fail_on); });
  if (confirmed == 0) return kOk;
  out << fmt::format("\n{} cases are slower by more than {}\n", confirmed, percent_text(fail_on));
  return kSlowdown;
}

namespace {

/// "a.json,b.json"
Run read_side(const std::string& files) {
  std::vector<Run> runs;
  std::istringstream list(files);
  for (std::string file; std::getline(list, file, ',');) runs.push_back(read_run(file));
  if (runs.empty()) throw Error("[bench] compare needs a file on each side");
  return joined(std::move(runs));
}

int compare_files(const Arguments& arguments, std::ostream& out) {
  Run before = read_side(arguments.files[0]), after = read_side(arguments.files[1]);
  const Comparison comparison = compare(before, after);
  print(comparison, out);
  return judged(comparison, arguments.fail_on, out);
}

}  // namespace

int compare_main(const std::vector<std::string>& args, std::ostream& out, std::ostream& err) {
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
    return compare_files(arguments, out);
  } catch (const Error& error) {
    err << error.what() << "\n";
    return kFile;
  }
}

}  // namespace backplane::bench::report
