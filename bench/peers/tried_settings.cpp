// SPDX-License-Identifier: Apache-2.0
// The file has a line for each try, fields with tabs between; the latest of several for the same counts.
#include "peers/tried_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>

#include "backplane/host/environment.h"
#include "backplane/host/text.h"

namespace backplane::bench {

namespace {

std::string one_field(std::string text) {
  std::ranges::replace_if(text, [](char c) { return c == '\t' || c == '\n'; }, ' ');
  return text;
}

}  // namespace

std::filesystem::path TriedSettings::cache_file() {
  const std::filesystem::path cache = host::cache_directory();
  return cache.empty() ? cache : cache / "bench-peers.tsv";
}

TriedSettings::TriedSettings(std::filesystem::path file) : file_(std::move(file)) {
  std::ifstream in(file_);
  for (std::string line; std::getline(in, line);) {
    const std::vector<std::string> fields = host::split(line, '\t');
    double ns = 0;
    if (fields.size() != 6) continue;  // cut off while it was written
    const char* end = fields[4].data() + fields[4].size();
    if (std::from_chars(fields[4].data(), end, ns).ptr != end) continue;
    results_[{fields[0], fields[1], fields[2]}][fields[3]] = {.ns = ns, .reason = fields[5]};
  }
}

const TriedSettings::Result* TriedSettings::find(const std::string& device, const std::string& peer,
                                                 const std::string& work, const std::string& setting) const {
  const auto problem = results_.find({device, peer, work});
  if (problem == results_.end()) return nullptr;
  const auto result = problem->second.find(setting);
  return result == problem->second.end() ? nullptr : &result->second;
}

void TriedSettings::add(const std::string& device, const std::string& peer, const std::string& work,
                        const std::string& setting, const Result& result) {
  results_[{device, peer, work}][setting] = result;
  if (result.left_out || file_.empty()) return;
  std::error_code error;
  std::filesystem::create_directories(file_.parent_path(), error);
  // A cache that cannot be written costs the next run time, and nothing else.
  std::ofstream(file_, std::ios::app) << fmt::format("{}\t{}\t{}\t{}\t{}\t{}\n", one_field(device), one_field(peer),
                                                     one_field(work), one_field(setting), result.ns,
                                                     one_field(result.reason));
}

std::vector<std::string> TriedSettings::fastest(const std::string& device, const std::string& peer,
                                                const std::string& work) const {
  std::vector<std::pair<double, std::string>> order;
  if (const auto problem = results_.find({device, peer, work}); problem != results_.end()) {
    for (const auto& [setting, result] : problem->second) {
      if (result.ns > 0) order.emplace_back(result.ns, setting);
    }
  }
  std::ranges::sort(order);
  std::vector<std::string> settings;
  for (const auto& [ns, setting] : order) settings.push_back(setting);
  return settings;
}

}  // namespace backplane::bench
