// SPDX-License-Identifier: Apache-2.0
// distortion_check FOLDER: what the tunings with distorted times left in their database. Fails when too few problems
// chose anything but the default, since the suite has then shown nothing, and when a variant failed its checks.
#include <cstdio>
#include <filesystem>

#include "backplane/autotune/store.h"

namespace {

constexpr size_t kLeast = 10;  // problems

}  // namespace

int main(int argc, char** argv) {
  using namespace backplane::autotune;
  if (argc != 2) return 2;
  Store store(std::filesystem::path(argv[1]) / Store::kFileName, Store::Access::read);
  size_t problems = 0, decided = 0, others = 0, faulty = 0;
  for (const Record& record : store.records({})) {
    const Outcome& outcome = record.outcome;
    const Candidate* chosen = outcome.find(outcome.chosen);
    ++problems;
    decided += outcome.decided;
    others += outcome.decided && chosen != nullptr && !chosen->is_default;
    for (const Candidate& each : outcome.candidates) {
      if (!is_faulty(each.verdict) || each.verdict == Verdict::slow_build) continue;  // that is the machine's load
      ++faulty;
      std::printf("%s %s: %s is %s: %s\n", record.key.problem.c_str(), record.key.shapes.c_str(), each.variant.c_str(),
                  std::string(name_of(each.verdict)).c_str(), each.reason.c_str());
    }
  }
  std::printf("%zu problems, %zu decided, %zu of them not for the default; %zu faulty variants\n", problems, decided,
              others, faulty);
  return others >= kLeast && faulty == 0 ? 0 : 1;
}
