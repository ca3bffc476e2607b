// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "backplane/host/environment.h"
#include "backplane/host/text.h"
#include "backplane/plugin.h"

namespace backplane::host {
namespace {

constexpr std::int32_t kOff = -1;
struct LevelName {
  std::string_view name;
  std::int32_t level;
  spdlog::level::level_enum spd;
};
constexpr LevelName kLevels[] = {
    {"off", kOff, spdlog::level::off},
    {"error", BP_LOG_ERROR, spdlog::level::err},
    {"warning", BP_LOG_WARNING, spdlog::level::warn},
    {"info", BP_LOG_INFO, spdlog::level::info},
    {"debug", BP_LOG_DEBUG, spdlog::level::debug},
    {"trace", BP_LOG_TRACE, spdlog::level::trace},
};

struct Rule {
  std::string component;  // empty: everything
  std::int32_t level;
};

struct Log {
  std::vector<Rule> rules;
  std::vector<std::string> mistakes;
  std::shared_ptr<spdlog::logger> logger;

  Log() {
    logger = std::make_shared<spdlog::logger>("backplane", std::make_shared<spdlog::sinks::stderr_color_sink_mt>());
    logger->set_pattern("[backplane %^%l%$] %v");
    logger->set_level(spdlog::level::trace);
    logger->flush_on(spdlog::level::trace);
    if (const auto setting = environment("BACKPLANE_LOG")) parse(*setting);
  }

  void parse(const std::string& setting) {
    std::vector<std::string> names;
    for (const LevelName& entry : kLevels) names.emplace_back(entry.name);
    for (const std::string& part : split(setting, ',')) {
      const std::string_view rule = trim(part);
      const std::size_t colon = rule.rfind(':');
      const std::string_view word = trim(colon == std::string_view::npos ? rule : rule.substr(colon + 1));
      const std::string_view component = colon == std::string_view::npos ? "" : trim(rule.substr(0, colon));
      const auto level = std::find_if(std::begin(kLevels), std::end(kLevels), [&](auto& e) { return e.name == word; });
      if (level != std::end(kLevels)) {
        rules.push_back({std::string(component), level->level});
        continue;
      }
      const std::string guess = nearest(word, names);
      mistakes.push_back("BACKPLANE_LOG: no level is called \"" + clean_text(word, 80) + "\"" +
                         (guess.empty() ? "; there are " + join(names, ", ") : "; did you mean \"" + guess + "\"?"));
    }
  }

  std::int32_t limit(std::string_view component) const {
    std::int32_t level = BP_LOG_WARNING;
    std::size_t best = 0;  // the longest matching component wins, the last of equals
    for (const Rule& rule : rules) {
      const std::size_t n = rule.component.size();
      const bool covers = n == 0 || (component.substr(0, n) == rule.component &&
                                     (component.size() == n || component[n] == '.'));
      if (covers && n >= best) {
        best = n;
        level = rule.level;
      }
    }
    return level;
  }
};

/// Never destroyed: plugins may log while the process ends.
Log& instance() {
  static Log* const log = [] {
    auto* made = new Log;
    for (const std::string& mistake : made->mistakes) made->logger->warn("[log] {}", mistake);
    return made;
  }();
  return *log;
}

}  // namespace

bool log_enabled(std::int32_t level, std::string_view component) { return level <= instance().limit(component); }

void log(std::int32_t level, std::string_view component, std::string_view message) {
  if (!log_enabled(level, component)) return;
  auto spd = spdlog::level::trace;  // an unknown level of a newer plugin counts as the most detailed one
  for (const LevelName& entry : kLevels) {
    if (entry.level == level && level >= 0) spd = entry.spd;
  }
  const bool tagged = !message.empty() && message.front() == '[';  // messages that name their component themselves
  if (tagged) {
    instance().logger->log(spd, "{}", clean_text(message));
  } else {
    instance().logger->log(spd, "[{}] {}", clean_text(component, 64), clean_text(message));
  }
}

}  // namespace backplane::host
