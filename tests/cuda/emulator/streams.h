// SPDX-License-Identifier: Apache-2.0
// Streams and events as lists of work that is run as late as it may be: when somebody waits. What the plugin forgot to wait
// for has therefore not happened yet, and what it gave back too early is gone.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

namespace emulator {

/// Returns a CUresult; not 0 breaks the context.
using Work = std::function<int()>;

struct Stream;

/// A place in a stream: everything put in before has run once `done` >= `at`.
struct Place {
  std::shared_ptr<Stream> stream;
  uint64_t at = 0;
};

/// A captured piece of work; `put` is told where it stands whenever it is put into a stream.
struct Piece {
  Work work;
  std::function<void(const Place&)> put;
};

struct Stream : std::enable_shared_from_this<Stream> {
  std::deque<Work> waiting;
  uint64_t put = 0, done = 0;
  bool capturing = false;
  std::vector<Piece> captured;

  void add(Work work) {
    if (capturing) {
      captured.push_back({std::move(work), nullptr});
    } else {
      waiting.push_back(std::move(work));
      ++put;
    }
  }
  Place here() { return {shared_from_this(), put}; }
};

/// Runs a stream's work up to a place; the first code that is not 0 ends it.
int run_until(const Place& place);
/// Runs one piece of work, if there is one before the place. True when the place is reached.
bool step(const Place& place, int* code);

}  // namespace emulator
