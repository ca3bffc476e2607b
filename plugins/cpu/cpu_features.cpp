// SPDX-License-Identifier: Apache-2.0
#include "cpu_features.h"

#include <unistd.h>

#include <atomic>
#include <fstream>

namespace backplane::cpu {
namespace {

bool runs_v3() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("f16c");
}
bool runs_v4() {
  return runs_v3() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vl");
}
struct Choice {
  const char* name;
  const IsaTable& (*table)();
  bool (*runs)();
};
constexpr Choice kChoices[] = {{"x86-64-v4", isa_v4::table, runs_v4},
                               {"x86-64-v3", isa_v3::table, runs_v3},
                               {"x86-64-v2", isa_v2::table, [] { return true; }}};
std::atomic<const IsaTable*> g_table{nullptr};

const IsaTable* best(size_t first) {
  __builtin_cpu_init();
  for (size_t i = first; i < std::size(kChoices); ++i) {
    if (kChoices[i].runs()) return &kChoices[i].table();
  }
  return &isa_v2::table();
}

}  // namespace

const IsaTable& isa() {
  const IsaTable* table = g_table.load(std::memory_order_acquire);
  if (table == nullptr) g_table.store(table = best(0), std::memory_order_release);
  return *table;
}

bool limit_isa(const std::string& name) {
  for (size_t i = 0; i < std::size(kChoices); ++i) {
    if (name == kChoices[i].name) {
      g_table.store(best(i), std::memory_order_release);
      return true;
    }
  }
  return false;
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("model name", 0) != 0) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "CPU";
}

uint64_t total_memory() {
  const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGE_SIZE);
  return pages > 0 && page > 0 ? static_cast<uint64_t>(pages) * static_cast<uint64_t>(page) : 0;
}

}  // namespace backplane::cpu
