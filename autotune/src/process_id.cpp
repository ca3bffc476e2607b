// SPDX-License-Identifier: Apache-2.0
#include "process_id.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

namespace backplane::autotune {
namespace {

constexpr int kNumberBits = 22;  // Linux: PID_MAX_LIMIT
constexpr int64_t kNumbers = int64_t{1} << kNumberBits;

/// Clock ticks from the start of the machine; 0: not known. The 22nd word of /proc/<pid>/stat (proc(5)), where the
/// second is the program's name in parentheses and may hold anything.
int64_t started(int64_t number) {
  std::ifstream file("/proc/" + std::to_string(number) + "/stat");
  std::string text;
  std::getline(file, text, '\0');
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  std::istringstream words(text.substr(name_end + 1));
  std::string word;
  for (int i = 3; i <= 22 && words >> word; ++i) {
    if (i == 22) return std::strtoll(word.c_str(), nullptr, 10);
  }
  return 0;
}

int64_t identity(int64_t number) { return started(number) << kNumberBits | number; }

}  // namespace

int64_t this_process() {
  static thread_local int64_t number = 0, known = 0;  // a forked child is another process
  if (number != getpid()) number = getpid(), known = identity(number);
  return known;
}

bool is_alive(int64_t process) {
  const int64_t number = process % kNumbers;
  if (kill(static_cast<pid_t>(number), 0) != 0 && errno == ESRCH) return false;
  return process < kNumbers || identity(number) == process;
}

}  // namespace backplane::autotune
