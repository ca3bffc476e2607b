// SPDX-License-Identifier: Apache-2.0
#include "cli/interrupt.h"

#include <csignal>

namespace backplane::cli {
namespace {
std::atomic<bool> flag{false};
}

void catch_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) { flag = true; };
  action.sa_flags = SA_RESETHAND;
  sigaction(SIGINT, &action, nullptr);
}

const std::atomic<bool>& interrupted() { return flag; }

}  // namespace backplane::cli
