// SPDX-License-Identifier: Apache-2.0
#include "blocks.h"

#include <algorithm>

#include <ucontext.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace emulator {
namespace {

constexpr size_t kStack = 64 << 10;
constexpr int kWarp = 32;

enum class State { unstarted, running, waits_for_block, waits_for_warp, done };

/// A stack that threads of blocks run on, one after another unless one has to wait.
struct Fiber {
  ucontext_t context{};
  std::unique_ptr<char[]> stack{new char[kStack]};
  int thread = -1;  // the one that runs or waits here
};

class Block {
 public:
  Block(Entry entry, const uint3& size, const uint3& grid, void** arguments)
      : entry_(entry), arguments_(arguments), threads_(size.x * size.y * size.z), states_(threads_.size()),
        fiber_of_(threads_.size()) {
    const int count = static_cast<int>(threads_.size());
    for (int i = 0; i < count; ++i) {
      EmulatedThread& t = threads_[i];
      const unsigned n = static_cast<unsigned>(i);
      t = {{n % size.x, n / size.x % size.y, n / size.x / size.y}, {}, size, grid, i, count, 0, &Block::wait};
    }
  }

  std::string run(const uint3& at, bool backwards) {
    active_ = this;
    for (EmulatedThread& t : threads_) t.block = at;
    std::fill(states_.begin(), states_.end(), State::unstarted);
    next_ = 0;
    while (next_ < threads_.size()) {  // start a fiber; it runs threads until one waits
      Fiber* fiber = take_fiber();
      getcontext(&fiber->context);
      fiber->context.uc_stack.ss_sp = fiber->stack.get();
      fiber->context.uc_stack.ss_size = kStack;
      fiber->context.uc_link = &scheduler_;
      current_ = fiber;
      makecontext(&fiber->context, &Block::fiber_main, 0);
      swapcontext(&scheduler_, &fiber->context);
      if (fiber->thread < 0) idle_.push_back(fiber);
    }
    return finish(backwards);
  }

 private:
  /// Resumes threads whose barrier is complete until all are done.
  std::string finish(bool backwards) {
    for (;;) {
      std::vector<int> ready = complete_warps();
      if (ready.empty()) {
        int waiting = 0, live = 0;
        for (const State s : states_) live += s != State::done, waiting += s == State::waits_for_block;
        if (live == 0) return {};
        if (waiting != live) {
          return std::to_string(waiting) + " threads wait for the block and " + std::to_string(live - waiting) +
                 " for their warps, for ever";
        }
        for (size_t i = 0; i < states_.size(); ++i) {
          if (states_[i] == State::waits_for_block) ready.push_back(static_cast<int>(i));
        }
      }
      for (size_t i = 0; i < ready.size(); ++i) resume(ready[backwards ? ready.size() - 1 - i : i]);
    }
  }

  std::vector<int> complete_warps() const {
    std::vector<int> ready;
    for (size_t first = 0; first < states_.size(); first += kWarp) {
      const size_t end = std::min(first + kWarp, states_.size());
      size_t live = 0, waiting = 0;
      for (size_t i = first; i < end; ++i) live += states_[i] != State::done, waiting += states_[i] == State::waits_for_warp;
      if (waiting == 0 || waiting != live) continue;
      for (size_t i = first; i < end; ++i) {
        if (states_[i] == State::waits_for_warp) ready.push_back(static_cast<int>(i));
      }
    }
    return ready;
  }

  void resume(int thread) {
    Fiber* fiber = fiber_of_[thread];
    states_[thread] = State::running;
    current_ = fiber;
    swapcontext(&scheduler_, &fiber->context);
    if (fiber->thread < 0) idle_.push_back(fiber);
  }

  Fiber* take_fiber() {
    if (idle_.empty()) {
      fibers_.push_back(std::make_unique<Fiber>());
      return fibers_.back().get();
    }
    Fiber* fiber = idle_.back();
    idle_.pop_back();
    return fiber;
  }

  /// Runs threads that nobody has started until there are none; a thread that waits keeps its fiber.
  static void fiber_main() {
    Block& block = *active_;
    Fiber* const fiber = block.current_;
    while (block.next_ < block.threads_.size()) {
      const int thread = static_cast<int>(block.next_++);
      fiber->thread = thread;
      block.states_[thread] = State::running;
      block.entry_(&block.threads_[thread], block.arguments_);
      block.states_[thread] = State::done;
    }
    fiber->thread = -1;
  }

  static void wait(EmulatedThread* self, int kind) {
    Block& block = *active_;
    Fiber* const fiber = block.current_;
    block.states_[self->linear] = kind == 0 ? State::waits_for_block : State::waits_for_warp;
    block.fiber_of_[self->linear] = fiber;
    swapcontext(&fiber->context, &block.scheduler_);
  }

  static thread_local Block* active_;

  Entry entry_;
  void** arguments_;
  std::vector<EmulatedThread> threads_;
  std::vector<State> states_;
  std::vector<Fiber*> fiber_of_;
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
  Fiber* current_ = nullptr;
  size_t next_ = 0;
  ucontext_t scheduler_{};
};

thread_local Block* Block::active_ = nullptr;

}  // namespace

std::string run_grid(Entry entry, const uint3& grid, const uint3& block, void** arguments) {
  Block runner(entry, block, grid, arguments);
  for (unsigned z = 0; z < grid.z; ++z) {
    for (unsigned y = 0; y < grid.y; ++y) {
      for (unsigned x = 0; x < grid.x; ++x) {
        // The order of threads after a barrier is not defined: every other block takes the other one.
        std::string problem = runner.run({x, y, z}, (x + y + z) % 2 != 0);
        if (!problem.empty()) return problem;
      }
    }
  }
  return {};
}

}  // namespace emulator
