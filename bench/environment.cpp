// SPDX-License-Identifier: Apache-2.0
#include "environment.h"

#include <sys/utsname.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "backplane/plugin.h"
#include "bench_commit.h"

namespace backplane::bench {

namespace {

/// Those that kernels are chosen by.
const std::set<std::string> kFlags = {"sse4_2", "avx",      "avx2",        "fma",          "f16c",         "avx512f",
                                      "avx512vl", "avx512bw", "avx512_vnni", "avx512_bf16",  "avx512_fp16",  "amx_tile",
                                      "amx_bf16", "amx_int8", "asimd",       "asimdhp",      "bf16",         "sve"};

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// What stands behind "name : " in /proc/cpuinfo.
std::string cpu_field(const std::string& name) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name) && line.find(": ") != std::string::npos) return line.substr(line.find(": ") + 2);
  }
  return {};
}

std::string cpu_flags() {
  std::string all = cpu_field("flags"), some;
  if (all.empty()) all = cpu_field("Features");
  std::istringstream words(all);
  for (std::string word; words >> word;) {
    if (kFlags.contains(word)) some += (some.empty() ? "" : " ") + word;
  }
  return some;
}

const char* kind_of(const bp_device_info& info) {
  if ((info.flags & BP_DEVICE_SOFTWARE) != 0) return "software";
  switch (info.kind) {
    case BP_KIND_CPU: return "cpu";
    case BP_KIND_GPU: return "gpu";
    case BP_KIND_INTEGRATED_GPU: return "integrated gpu";
    case BP_KIND_ACCELERATOR: return "accelerator";
    default: return "other";
  }
}

}  // namespace

int cores_used() {
  if (const char* text = std::getenv("BACKPLANE_NUM_THREADS")) return std::max(1, std::atoi(text));
  return std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
}

std::optional<double> load_average() {
  double load = 0;
  return getloadavg(&load, 1) == 1 ? std::optional(load) : std::nullopt;
}

std::string utc_now() {
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  std::tm parts{};
  gmtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return text;
}

report::Environment environment() {
  report::Environment e;
  e.versions = {{"backplane", BACKPLANE_VERSION},
                {"plugin ABI", std::to_string(BP_ABI_VERSION >> 16) + "." + std::to_string(BP_ABI_VERSION & 0xFFFF)}};
  e.commit = BACKPLANE_BENCH_COMMIT, e.build = BACKPLANE_BENCH_BUILD, e.compiler = BACKPLANE_BENCH_COMPILER;
  utsname name{};
  if (uname(&name) == 0) e.system = std::string(name.sysname) + " " + name.release;
  e.cpu_model = cpu_field("model name"), e.cpu_flags = cpu_flags();
  e.cores = static_cast<int>(std::thread::hardware_concurrency()), e.threads = cores_used();
  e.governor = first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
  e.load_start = load_average();
  return e;
}

report::Device describe(const host::Device& device) {
  const bp_device_info& info = device.info();
  return {device.name(), device.plugin_name(), device.plugin_build_id(), info.name, kind_of(info),
          info.architecture, info.driver, ""};
}

std::string difference(const report::Run& there, const report::Run& here) {
  const auto differ = [](const std::string& what, const std::string& a, const std::string& b) {
    return a == b ? std::string() : "another " + what + ": '" + a + "' there, '" + b + "' here";
  };
  const report::Environment &a = there.environment, &b = here.environment;
  for (const std::string& each :
       {differ("commit", a.commit, b.commit), differ("build", a.build, b.build),
        differ("compiler", a.compiler, b.compiler), differ("processor", a.cpu_model, b.cpu_model),
        differ("number of threads", std::to_string(a.threads), std::to_string(b.threads))}) {
    if (!each.empty()) return each;
  }
  for (const report::Device& known : there.devices) {
    for (const report::Device& device : here.devices) {
      if (device.id != known.id) continue;
      for (const std::string& each :
           {differ("build of plugin " + device.plugin, known.plugin_build, device.plugin_build),
            differ("driver of " + device.id, known.driver, device.driver)}) {
        if (!each.empty()) return each;
      }
    }
  }
  return {};
}

}  // namespace backplane::bench
