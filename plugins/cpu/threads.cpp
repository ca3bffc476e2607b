// SPDX-License-Identifier: Apache-2.0
#include "threads.h"

#include <sched.h>

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#if defined(BACKPLANE_CPU_ONEDNN)
#include <omp.h>
#endif

namespace backplane::cpu {
namespace {

constexpr int kSpins = 2000;  // some 20-80 us of pause instructions

inline void pause() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

class Pool {
 public:
  explicit Pool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this] { serve(); });
  }
  ~Pool() {
    stop_ = true;
    generation_.fetch_add(1);
    generation_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  int threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// False when another caller has the pool.
  bool run(int64_t count, void (*task)(void*, int64_t), void* context) {
    if (busy_.exchange(true, std::memory_order_acquire)) return false;
    task_ = task, context_ = context, count_ = count;
    next_.store(0, std::memory_order_relaxed);
    open_.store(true);
    generation_.fetch_add(1);
    generation_.notify_all();
    work();
    open_.store(false);
    for (int spin = 0; active_.load() != 0; ++spin) {
      if (spin < kSpins) pause();
      else sched_yield();
    }
    busy_.store(false, std::memory_order_release);
    return true;
  }

 private:
  void work() {
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) task_(context_, i);
  }
  void serve() {
#if defined(BACKPLANE_CPU_ONEDNN)
    omp_set_num_threads(1);
#endif
    uint32_t seen = 0;
    while (true) {
      uint32_t now = generation_.load();
      for (int spin = 0; now == seen && spin < kSpins; ++spin) {
        pause();
        now = generation_.load();
      }
      if (now == seen) {
        generation_.wait(seen);
        now = generation_.load();
      }
      seen = now;
      if (stop_) return;
      // The caller closes the job, then waits for active_ to drop: who comes late sees it closed and touches nothing.
      active_.fetch_add(1);
      if (open_.load()) work();
      active_.fetch_sub(1);
    }
  }

  std::atomic<bool> busy_{false};
  void (*task_)(void*, int64_t) = nullptr;
  void* context_ = nullptr;
  int64_t count_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int32_t> active_{0};
  std::atomic<bool> open_{false};
  std::atomic<bool> stop_{false};
  alignas(64) std::atomic<uint32_t> generation_{0};
  std::vector<std::thread> workers_;
};

std::mutex g_mutex;
int g_users = 0;
Pool* g_pool = nullptr;  // plain pointer: no destructor runs at process exit

/// Distinct cores (not hyperthreads) among the processors this process may use.
int physical_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  std::set<std::string> cores;
  int processors = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (!CPU_ISSET(cpu, &set)) continue;
    ++processors;
    const std::string path = "/sys/devices/system/cpu/cpu" + std::to_string(cpu) + "/topology/thread_siblings_list";
    char line[256] = {};
    if (std::FILE* file = std::fopen(path.c_str(), "re")) {
      if (std::fgets(line, sizeof(line), file) != nullptr) cores.insert(line);
      std::fclose(file);
    }
  }
  if (cores.empty()) return processors > 0 ? processors : 1;
  return static_cast<int>(cores.size());
}

}  // namespace

int available_cores() {
  static const int cores = physical_cores();
  return cores;
}

void retain_threads(int threads) {
  std::lock_guard<std::mutex> lock(g_mutex);
  if (g_users == 0) g_pool = new Pool(threads > 0 ? threads : available_cores());
  ++g_users;
}

void release_threads() {
  std::lock_guard<std::mutex> lock(g_mutex);
  if (--g_users > 0) return;
  delete g_pool;
  g_pool = nullptr;
}

int thread_count() { return g_pool != nullptr ? g_pool->threads() : 1; }

void parallel_tasks(int64_t count, void (*task)(void*, int64_t), void* context) {
  if (count > 1 && g_pool != nullptr && g_pool->threads() > 1 && g_pool->run(count, task, context)) return;
  for (int64_t i = 0; i < count; ++i) task(context, i);
}

}  // namespace backplane::cpu
