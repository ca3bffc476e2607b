// SPDX-License-Identifier: Apache-2.0
// What an implementation of an operation is here: a Work that runs on plain addresses, and a Candidate that can make
// one.
//
// Each family of operations gives an ordered list of candidates, the default first and the generic fallback always
// present; plugin.cpp turns it into variants. A Work is immutable once built, so one serves any number of threads.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "op.h"

namespace backplane::cpu {

struct Args {
  char* const* in;
  char* const* out;
  char* workspace;  // 64-byte aligned
};

class Work {
 public:
  virtual ~Work() = default;
  virtual void run(const Args& args) const = 0;
  uint64_t workspace = 0;  // bytes
};
using WorkPtr = std::shared_ptr<const Work>;

struct Candidate {
  std::string name;
  uint64_t workspace = 0;
  double prior = 1;  // expected time relative to the default
  uint32_t notes = 0;
  uint32_t determinism = BP_DETERMINISM_RUN;
  uint32_t flags = 0;
  std::function<WorkPtr()> build;
};
using Candidates = std::vector<Candidate>;

/// A candidate whose work is cheap to make, so that it is made at once.
inline Candidate ready(std::string name, WorkPtr work, double prior = 1) {
  const uint64_t workspace = work->workspace;
  return {std::move(name), workspace, prior, 0, BP_DETERMINISM_RUN, 0, [work] { return work; }};
}

struct Family {
  uint32_t code;
  /// Empty when the card can do it, else the condition that is not met.
  std::string (*refuse)(const Op& op);
  void (*list)(const Op& op, Candidates& out);
};

/// NULL when this card has nothing for the code.
const Family* find_family(uint32_t code);
/// All candidates for an operation that its family does not refuse.
Candidates candidates_for(const Op& op);

}  // namespace backplane::cpu
