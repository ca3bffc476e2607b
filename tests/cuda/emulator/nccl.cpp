// SPDX-License-Identifier: Apache-2.0
// NCCL's functions that the plugin calls, for ranks that are threads of one process. A call waits until every rank has made
// it; the work itself runs as late as other work of the streams. Halves are not reduced.
#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "control.h"

namespace {

constexpr int kInvalidArgument = 4, kRemoteError = 6;  // ncclResult_t
constexpr auto kPatience = std::chrono::seconds(30);

enum class What { all_reduce, broadcast, all_gather, reduce_scatter };

struct Part {
  const char* source;
  std::function<int()> before;  ///< all earlier work of its stream
};
/// One call, as all ranks make it.
struct Round {
  What what;
  size_t count;
  int type, argument;  // reduction or root
  std::vector<Part> parts;
  size_t arrived = 0;
  std::vector<std::string> sources;  ///< as they were before any rank wrote; empty until the first one runs

  bool same(const Round& o) const {
    return what == o.what && count == o.count && type == o.type && argument == o.argument;
  }
};

struct Ranks {
  std::mutex mutex;
  std::condition_variable changed;
  size_t joined = 0;
  std::vector<bool> aborted;  ///< by rank
  std::map<uint64_t, std::shared_ptr<Round>> rounds;
};

std::mutex mutex;
std::map<std::string, std::shared_ptr<Ranks>> groups;  // by id
uint64_t next_id = 1;

size_t size_of(int type) {
  switch (type) {
    case 1: return 1;
    case 6: case 9: return 2;
    case 2: case 7: return 4;
    default: return 8;
  }
}

template <class T>
void fold(char* into, const char* from, size_t count, int op) {
  T* a = reinterpret_cast<T*>(into);
  const T* b = reinterpret_cast<const T*>(from);
  for (size_t i = 0; i < count; ++i) {
    a[i] = op == 0 ? a[i] + b[i] : op == 1 ? a[i] * b[i] : op == 2 ? std::max(a[i], b[i]) : std::min(a[i], b[i]);
  }
}

/// The reduction of `count` elements from `first` on, into `target`.
void reduce(const Round& round, size_t first, char* target) {
  const size_t size = size_of(round.type), bytes = round.count * size;
  std::string sum = round.sources[0].substr(first * size, bytes);
  for (size_t r = 1; r < round.sources.size(); ++r) {
    const char* from = round.sources[r].data() + first * size;
    switch (round.type) {
      case 2: fold<int32_t>(sum.data(), from, round.count, round.argument); break;
      case 4: fold<int64_t>(sum.data(), from, round.count, round.argument); break;
      case 7: fold<float>(sum.data(), from, round.count, round.argument); break;
      case 8: fold<double>(sum.data(), from, round.count, round.argument); break;
    }
  }
  std::memcpy(target, sum.data(), bytes);
}

int run(Round& round, size_t rank, char* target) {
  const size_t bytes = round.count * size_of(round.type);
  if (round.sources.empty()) {
    for (const Part& part : round.parts) {
      if (const int code = part.before()) return code;
    }
    const size_t all = round.what == What::reduce_scatter ? bytes * round.parts.size() : bytes;
    for (const Part& part : round.parts) round.sources.emplace_back(part.source, all);
  }
  switch (round.what) {
    case What::all_reduce: reduce(round, 0, target); break;
    case What::reduce_scatter: reduce(round, rank * round.count, target); break;
    case What::broadcast: std::memcpy(target, round.sources[static_cast<size_t>(round.argument)].data(), bytes); break;
    case What::all_gather:
      for (size_t r = 0; r < round.sources.size(); ++r) std::memcpy(target + r * bytes, round.sources[r].data(), bytes);
      break;
  }
  return 0;
}

}  // namespace

struct Comm {
  std::shared_ptr<Ranks> ranks;
  size_t count, rank;
  uint64_t calls = 0;

  /// While it waits, another thread may abort and so delete this.
  int call(Round&& wanted, const void* source, void* target, void* stream) {
    if ((wanted.type == 6 || wanted.type == 9) && (wanted.what == What::all_reduce || wanted.what == What::reduce_scatter)) {
      return kInvalidArgument;
    }
    const std::shared_ptr<Ranks> all = ranks;
    const size_t own = rank, wait_for = count;
    std::unique_lock lock(all->mutex);
    std::shared_ptr<Round>& made = all->rounds[calls++];
    if (made == nullptr) {
      made = std::make_shared<Round>(std::move(wanted));
      made->parts.resize(count);
    } else if (!made->same(wanted)) {
      return kInvalidArgument;
    }
    const std::shared_ptr<Round> round = made;
    round->parts[own] = {static_cast<const char*>(source), cuda_emulator_work_so_far(stream)};
    ++round->arrived;
    all->changed.notify_all();
    const auto over = [&] { return all->aborted[own] || round->arrived == wait_for; };
    if (!all->changed.wait_for(lock, kPatience, over) || all->aborted[own]) return kRemoteError;
    cuda_emulator_enqueue(stream, [round, own, target] { return run(*round, own, static_cast<char*>(target)); });
    return 0;
  }
};

struct Id {
  char bytes[128];
};

extern "C" {

const char* ncclGetErrorString(int code) { return code == kInvalidArgument ? "invalid argument" : "an emulated error"; }
int ncclGetUniqueId(Id* out) {
  std::lock_guard lock(mutex);
  std::memset(out, 0, sizeof(*out));
  std::memcpy(out->bytes, &next_id, sizeof(next_id));
  ++next_id;
  return 0;
}
int ncclCommInitRank(Comm** out, int count, Id id, int rank) {
  std::shared_ptr<Ranks> ranks;
  {
    std::lock_guard lock(mutex);
    std::shared_ptr<Ranks>& known = groups[std::string(id.bytes, sizeof(id.bytes))];
    if (known == nullptr) known = std::make_shared<Ranks>();
    ranks = known;
  }
  std::unique_lock lock(ranks->mutex);
  ++ranks->joined;
  ranks->aborted.resize(static_cast<size_t>(count));
  ranks->changed.notify_all();
  const auto wanted = static_cast<size_t>(count);
  if (!ranks->changed.wait_for(lock, kPatience, [&] { return ranks->joined >= wanted; })) return kRemoteError;
  *out = new Comm{ranks, wanted, static_cast<size_t>(rank)};
  return 0;
}
int ncclCommDestroy(Comm* comm) { delete comm; return 0; }
int ncclCommAbort(Comm* comm) {
  const std::shared_ptr<Ranks> ranks = comm->ranks;
  const std::lock_guard lock(ranks->mutex);
  ranks->aborted[comm->rank] = true;
  ranks->changed.notify_all();
  delete comm;
  return 0;
}

int ncclAllReduce(const void* source, void* target, size_t count, int type, int op, Comm* comm, void* stream) {
  return comm->call({What::all_reduce, count, type, op, {}, 0, {}}, source, target, stream);
}
int ncclBroadcast(const void* source, void* target, size_t count, int type, int root, Comm* comm, void* stream) {
  return comm->call({What::broadcast, count, type, root, {}, 0, {}}, source, target, stream);
}
int ncclAllGather(const void* source, void* target, size_t count, int type, Comm* comm, void* stream) {
  return comm->call({What::all_gather, count, type, 0, {}, 0, {}}, source, target, stream);
}
int ncclReduceScatter(const void* source, void* target, size_t count, int type, int op, Comm* comm, void* stream) {
  return comm->call({What::reduce_scatter, count, type, op, {}, 0, {}}, source, target, stream);
}

}  // extern "C"
