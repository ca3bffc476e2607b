// SPDX-License-Identifier: Apache-2.0
#include "calls.h"

#include <algorithm>
#include <string>

namespace backplane::parallel {
namespace {

std::string text_of(const Call& call) {
  return std::string(call.name) + " of " + std::to_string(call.elements) + " " + std::string(name_of(call.dtype)) +
         (call.name == "broadcast" ? " from rank " + std::to_string(call.root) : "");
}

[[noreturn]] void disagree(const std::string& what) {
  fail("parallel", what, {}, {}, "make the same calls in the same order on every rank");
}

}  // namespace

void Calls::make(uint32_t rank, const Call& call) {
  const std::lock_guard lock(mutex_);
  const uint64_t number = made_[rank];
  for (uint32_t other = 0; other < ranks(); ++other) {
    if (ended_[other] && made_[other] <= number) {
      disagree("rank " + std::to_string(other) + " has ended without its " + text_of(call));
    }
  }
  if (number - first_ == calls_.size()) {
    calls_.push_back(call);
  } else if (const Call& theirs = calls_[number - first_]; !(theirs == call)) {
    disagree("this rank calls " + text_of(call) + ", another " + text_of(theirs));
  }
  ++made_[rank];
  const uint64_t by_all = *std::min_element(made_.begin(), made_.end());
  for (; first_ < by_all; ++first_) calls_.pop_front();
}

void Calls::end(uint32_t rank) {
  const std::lock_guard lock(mutex_);
  ended_[rank] = true;
  const uint64_t next = made_[rank] - first_;
  if (next < calls_.size()) disagree("this rank has ended without its " + text_of(calls_[next]));
}

void Calls::start() {
  const std::lock_guard lock(mutex_);
  std::fill(ended_.begin(), ended_.end(), false);
}

}  // namespace backplane::parallel
