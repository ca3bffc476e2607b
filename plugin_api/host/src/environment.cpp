// SPDX-License-Identifier: Apache-2.0
#include "backplane/host/environment.h"

#include <sys/auxv.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <string>

#include "backplane/host/error.h"
#include "backplane/host/text.h"

extern char** environ;

namespace backplane::host {
namespace {

constexpr std::string_view kPrefix = "BACKPLANE_";

constexpr EnvironmentVariable kTable[] = {
    {"BACKPLANE_ALLOW_INSECURE_PLUGINS", "0, 1", "0",
     "Load plugins although others may change the file or its directory.", true},
    {"BACKPLANE_CACHE_DIR", "a directory", "$XDG_CACHE_HOME/backplane, else ~/.cache/backplane",
     "Where probe results and compiled kernels are kept.", true},
    {"BACKPLANE_CAPTURE", "on, off", "on",
     "Record a plan's launches and replay them as one submission, on devices that can."},
    {"BACKPLANE_DATA_DIR", "directories, separated by ':'", "the usual system directories",
     "Where data sets are looked for first.", true},
    {"BACKPLANE_DETERMINISTIC", "0, 1", "0", "Use only kernels that give the same bits in every run."},
    {"BACKPLANE_DEVICE", "a device selector: cuda:0,vulkan:gpu,cpu", "auto",
     "The device of programs that do not name one; the first usable one of the list."},
    {"BACKPLANE_DUMP", "names of passes, or all", "", "Print the graph after these passes."},
    {"BACKPLANE_FALLBACK", "allow, error", "allow",
     "Whether operations that a device declines may run on the host instead."},
    {"BACKPLANE_LOG", "[component:]level, ...; levels off, error, warning, info, debug, trace", "warning",
     "What is written to stderr."},
    {"BACKPLANE_MATH", "strict, tf32, fast", "strict",
     "How much precision matmul, convolution and attention of f32 may give up for speed."},
    {"BACKPLANE_MAX_WORKSPACE_MB", "0 ...", "no limit", "Scratch memory that one kernel may ask for, in MiB."},
    {"BACKPLANE_NUM_THREADS", "1 ...", "one for each core", "Threads of CPU devices."},
    {"BACKPLANE_PASSES", "-name, ... or none", "", "Graph passes to switch off."},
    {"BACKPLANE_PLUGINS", "globs, separated by ','; -glob denies", "*", "Plugins that may be used."},
    {"BACKPLANE_PLUGIN_PATH", "directories, separated by ':'", "", "Searched for plugins before the installed ones.",
     true},
    {"BACKPLANE_PROBE", "auto, fresh, off", "auto",
     "Try plugins in a child process first: auto remembers the result, fresh does not, off loads them at once.", true},
    {"BACKPLANE_PROBE_TIMEOUT_MS", "1 ... 600000", "10000", "How long a plugin may take to be probed."},
    {"BACKPLANE_TRACE", "a file", "", "Write a time line of every launch.", true},
    {"BACKPLANE_TUNE", "off, cached, on, force, locked", "cached",
     "Choose kernels by what was measured: cached never measures, on measures what is missing, locked wants exact hits."},
    {"BACKPLANE_TUNE_BUDGET_MS", "milliseconds for one problem, or those and milliseconds in all: 500,60000", "500,60000",
     "How long on and force may measure."},
    {"BACKPLANE_TUNE_DISTORT", "none, inverse, random", "none",
     "For tests: measured times lie, so that any right kernel may win."},
    {"BACKPLANE_TUNE_RECORD", "a file", "", "Append the operations that ran, for backplane tune --from.", true},
    {"BACKPLANE_VARIANT", "operation=variant; ...", "",
     "Kernels that are used whatever was measured: matmul=tiled@*."},
};

constexpr std::array<std::string_view, 5> kProjectPlugins = {"cpu", "cuda", "opencl", "reference", "vulkan"};

const EnvironmentVariable* find(std::string_view name) {
  for (const EnvironmentVariable& variable : kTable) {
    if (variable.name == name) return &variable;
  }
  return nullptr;
}

std::string upper(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return out;
}

bool belongs_to(std::string_view variable, std::string_view plugin) {
  const std::string prefix = std::string(kPrefix) + upper(plugin) + "_";
  return variable.size() > prefix.size() && variable.substr(0, prefix.size()) == prefix;
}

}  // namespace

std::span<const EnvironmentVariable> environment_table() { return kTable; }
std::span<const std::string_view> project_plugins() { return kProjectPlugins; }

bool privileged_process() { return getauxval(AT_SECURE) != 0; }

std::filesystem::path cache_directory() {
  if (const auto chosen = environment("BACKPLANE_CACHE_DIR")) return std::filesystem::absolute(*chosen);
  // secure_getenv: a privileged process writes nowhere that its caller chooses.
  if (const char* xdg = secure_getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg == '/') {
    return std::filesystem::path(xdg) / "backplane";
  }
  if (const char* home = secure_getenv("HOME"); home != nullptr && *home == '/') {
    return std::filesystem::path(home) / ".cache" / "backplane";
  }
  return {};
}

std::optional<std::string> environment(std::string_view name) {
  const EnvironmentVariable* variable = find(name);
  if (variable == nullptr) {
    throw Error(BP_E_INTERNAL, "internal: [environment] " + std::string(name) + " is not in the table of variables");
  }
  if (variable->path && privileged_process()) return std::nullopt;
  const char* value = std::getenv(std::string(name).c_str());
  if (value == nullptr || *value == '\0') return std::nullopt;
  return value;
}

std::vector<std::string> unknown_environment_variables(const std::vector<std::string>& plugins) {
  std::vector<std::string> names, warnings;
  for (const EnvironmentVariable& variable : kTable) names.emplace_back(variable.name);
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::string_view name = text.substr(0, text.find('='));
    if (name.substr(0, kPrefix.size()) != kPrefix) continue;
    if (const EnvironmentVariable* variable = find(name)) {
      if (variable->path && privileged_process()) {
        warnings.push_back("[environment] " + std::string(name) +
                           " is ignored, because this process has more rights than its caller");
      }
      continue;
    }
    const auto owns = [&](std::string_view plugin) { return belongs_to(name, plugin); };
    if (std::any_of(plugins.begin(), plugins.end(), owns)) continue;
    if (std::any_of(kProjectPlugins.begin(), kProjectPlugins.end(), owns)) continue;
    const std::string guess = nearest(name, names);
    warnings.push_back("[environment] " + clean_text(name, 80) + " is set, but nothing reads it" +
                       (guess.empty() ? "" : "; did you mean " + guess + "?"));
  }
  return warnings;
}

}  // namespace backplane::host
