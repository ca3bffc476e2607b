// SPDX-License-Identifier: Apache-2.0
// BACKPLANE_PASSES and BACKPLANE_DUMP: words separated by commas, every one of them understood or an error.
#include <algorithm>
#include <string>
#include <vector>

#include "backplane/host/environment.h"
#include "backplane/host/text.h"
#include "passes/passes.h"

namespace backplane::graph {

namespace {

std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> words;
  for (const std::string& part : host::split(text, ',')) {
    if (const std::string_view word = host::trim(part); !word.empty()) words.emplace_back(word);
  }
  return words;
}

const Pass* find_pass(std::string_view name) {
  for (const Pass& pass : pipeline()) {
    if (pass.name == name) return &pass;
  }
  return nullptr;
}

[[noreturn]] void fail_unknown(std::string_view variable, std::string_view name, bool optional_only) {
  std::vector<std::string> names;
  for (const Pass& pass : pipeline()) {
    const bool listed = std::find(names.begin(), names.end(), pass.name) != names.end();
    if ((pass.optional || !optional_only) && !listed) names.emplace_back(pass.name);
  }
  const std::string near = host::nearest(name, names);
  fail(variable, "there is no pass '" + std::string(name) + "'", {}, {},
       (near.empty() ? "" : "did you mean '" + near + "'? ") + std::string("the passes are ") + host::join(names, ", "));
}

void switch_all(PassConfig& config, bool on) {
  config.disabled.clear();
  for (const Pass& pass : pipeline()) {
    if (!on && pass.optional) config.disabled.emplace(pass.name);
  }
}

}  // namespace

PassConfig PassConfig::parse(std::string_view text) {
  PassConfig config;
  for (const std::string& word : words_of(text)) {
    if (word == "all" || word == "none") {
      switch_all(config, word == "all");
      continue;
    }
    const bool off = word.front() == '-', sign = off || word.front() == '+';
    const std::string_view name = std::string_view(word).substr(sign ? 1 : 0);
    const Pass* pass = find_pass(name);
    if (pass == nullptr) fail_unknown("BACKPLANE_PASSES", name, true);
    if (!pass->optional && off) {
      fail("BACKPLANE_PASSES", "pass '" + std::string(name) + "' cannot be switched off", {}, {},
           "plans need it: " + std::string(pass->doc));
    }
    if (off) {
      config.disabled.emplace(name);
    } else {
      config.disabled.erase(std::string(name));
    }
  }
  return config;
}

const PassConfig& PassConfig::from_environment() {
  static const PassConfig config = parse(host::environment("BACKPLANE_PASSES").value_or(""));
  return config;
}

PassConfig PassConfig::none() {
  PassConfig config;
  switch_all(config, false);
  return config;
}

DumpConfig DumpConfig::parse(std::string_view text) {
  constexpr std::string_view kPrefix = "pass:";
  DumpConfig config;
  for (const std::string& word : words_of(text)) {
    if (word == "all" || word == "pass:all") {
      config.all = true;
    } else {
      const std::string name = word.starts_with(kPrefix) ? word.substr(kPrefix.size()) : word;
      if (find_pass(name) == nullptr) fail_unknown("BACKPLANE_DUMP", name, false);
      config.after.insert(name);
    }
  }
  return config;
}

const DumpConfig& DumpConfig::from_environment() {
  static const DumpConfig config = parse(host::environment("BACKPLANE_DUMP").value_or(""));
  return config;
}

}  // namespace backplane::graph
