// SPDX-License-Identifier: Apache-2.0
#include "nccl.h"

#include <dlfcn.h>

#include <chrono>
#include <cstring>
#include <mutex>

#include "device.h"

namespace backplane::cuda {
namespace {

constexpr const char* kLibrary = "libnccl.so.2";
/// ncclCommAbort frees what a call on its way in would still read. A call that has not come back after this time waits
/// inside, which is what ncclCommAbort ends.
constexpr auto kOnItsWay = std::chrono::milliseconds(200);

struct Type {
  uint32_t dtype;
  int number;  // ncclDataType_t
};
constexpr Type kTypes[] = {{BP_F32, 7}, {BP_F64, 8}, {BP_F16, 6}, {BP_BF16, 9}, {BP_I32, 2}, {BP_I64, 4}};
constexpr int kBytes = 1;  // ncclUint8

struct Reduction {
  uint32_t kind;
  int number;  // ncclRedOp_t
};
constexpr Reduction kReductions[] = {{BP_REDUCE_SUM, 0}, {BP_REDUCE_PROD, 1}, {BP_REDUCE_MAX, 2}, {BP_REDUCE_MIN, 3}};

std::string load(const std::string& path, Nccl& api) {
  std::string problem;
  void* library = open_library(path.c_str(), problem);
  if (library == nullptr) return "no NCCL (" + std::string(kLibrary) + "): " + problem;
  const auto find = [&](auto& function, const char* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    if (function == nullptr && problem.empty()) problem = path + " has no " + name + "; NCCL 2 is needed";
  };
  find(api.GetErrorString, "ncclGetErrorString");
  find(api.GetUniqueId, "ncclGetUniqueId");
  find(api.CommInitRank, "ncclCommInitRank");
  find(api.CommDestroy, "ncclCommDestroy");
  find(api.CommAbort, "ncclCommAbort");
  find(api.AllReduce, "ncclAllReduce");
  find(api.Broadcast, "ncclBroadcast");
  find(api.AllGather, "ncclAllGather");
  find(api.ReduceScatter, "ncclReduceScatter");
  return problem;
}

void check_nccl(const Nccl& api, int code, const char* what) {
  if (code == 0) return;
  throw sdk::Failure(BP_E_INTERNAL, std::string("[collective] ") + what + " failed: " + api.GetErrorString(code) +
                                        "; NCCL_DEBUG=WARN says more",
                     BP_SCOPE_CALL, 0, "nccl", code);
}

int number_of(uint32_t reduction, uint32_t dtype) {
  for (const Reduction& row : kReductions) {
    if (row.kind == reduction && dtype != BP_BOOL) return row.number;
  }
  throw sdk::Failure(BP_E_UNSUPPORTED, std::string("[collective] reduction ") + std::to_string(reduction) + " of " +
                                           sdk::dtype_name(dtype) + "; sum, product, maximum and minimum of numbers exist");
}

}  // namespace

const Nccl& nccl(const sdk::Host& host) {
  static std::mutex mutex;
  static bool opened = false;
  static Nccl api;
  static std::string problem;
  std::lock_guard<std::mutex> lock(mutex);
  if (!opened) {
    problem = load(host.config("cuda.nccl").value_or(kLibrary), api);
    opened = true;
  }
  if (!problem.empty()) throw sdk::Failure(BP_E_UNAVAILABLE, "[collective] " + problem);
  return api;
}

bp_group_id Device::make_group_id() {
  const Current current = enter();
  const Nccl& api = nccl(host_);
  NcclId id;
  check_nccl(api, api.GetUniqueId(&id), "ncclGetUniqueId");
  bp_group_id out;
  std::memcpy(out.bytes, id.bytes, sizeof(out.bytes));
  return out;
}

std::unique_ptr<Group> Device::join(const bp_group_id& id, uint32_t ranks, uint32_t rank) {
  const Current current = enter();
  return std::make_unique<Group>(*this, nccl(host_), id, ranks, rank);
}

Group::Group(Device& device, const Nccl& nccl, const bp_group_id& id, uint32_t ranks, uint32_t rank)
    : device_(device), nccl_(nccl), ranks_(ranks), rank_(rank) {
  NcclId theirs;
  std::memcpy(theirs.bytes, id.bytes, sizeof(theirs.bytes));
  check_nccl(nccl_, nccl_.CommInitRank(&comm_, static_cast<int>(ranks), theirs, static_cast<int>(rank)), "ncclCommInitRank");
}

Group::~Group() {
  if (aborted_) return;  // which has freed it
  const Current current(device_.context());
  nccl_.CommDestroy(comm_);
}

void Group::abort() noexcept {
  std::unique_lock lock(mutex_);
  if (aborted_) return;
  aborted_ = true;
  left_.wait_for(lock, kOnItsWay, [&] { return !inside_; });
  lock.unlock();
  const Current current(device_.context());
  nccl_.CommAbort(comm_);
}

template <class F>
void Group::submit(const char* name, F call) {
  const auto go_on = [&] {
    if (aborted_) throw sdk::Failure(BP_E_CANCELLED, "[collective] the group was given up");
  };
  std::unique_lock lock(mutex_);
  go_on();
  inside_ = true;
  lock.unlock();
  const int code = call();
  lock.lock();
  inside_ = false;
  left_.notify_all();
  go_on();
  check_nccl(nccl_, code, name);
}

/// Addresses and NCCL's number of the dtype, for as long as the device's context is current.
struct Group::Call {
  Current current;
  void* target;
  const void* source;
  CUstream stream;
  int type;
};

/// How many times `count` elements the target and the source have.
struct Group::Parts {
  uint64_t target = 1, source = 1;
};

Group::Call Group::prepare(Queue& queue, bp_view target, bp_view source, uint64_t count, Parts parts,
                           uint32_t dtype) const {
  const uint64_t size = sdk::dtype_size(dtype);
  if (size == 0 || count > UINT64_MAX / size / ranks_) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[collective] an unknown dtype, or more elements than any memory holds");
  }
  if (&queue.device() != &device_) {
    throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[collective] the queue belongs to another device than the group's rank");
  }
  queue.not_while_capturing("a collective");
  int type = kBytes;
  for (const Type& row : kTypes) {
    if (row.dtype == dtype) type = row.number;
  }
  return {device_.enter(), reinterpret_cast<void*>(checked(target, parts.target * count * size)),
          reinterpret_cast<const void*>(checked(source, parts.source * count * size)), queue.get(), type};
}

void Group::all_reduce(Queue& queue, bp_view target, bp_view source, uint64_t count, uint32_t dtype, uint32_t reduction) {
  const int op = number_of(reduction, dtype);
  const Call c = prepare(queue, target, source, count, {}, dtype);
  submit("ncclAllReduce", [&] { return nccl_.AllReduce(c.source, c.target, count, c.type, op, comm_, c.stream); });
}

void Group::broadcast(Queue& queue, bp_view target, bp_view source, uint64_t count, uint32_t dtype, uint32_t root) {
  if (root >= ranks_) throw sdk::Failure(BP_E_INVALID_ARGUMENT, "[collective] the root is no rank of the group");
  const Call c = prepare(queue, target, rank_ == root ? source : target, count, {}, dtype);
  const int from = static_cast<int>(root);
  submit("ncclBroadcast", [&] { return nccl_.Broadcast(c.source, c.target, count, c.type, from, comm_, c.stream); });
}

void Group::all_gather(Queue& queue, bp_view target, bp_view source, uint64_t count, uint32_t dtype) {
  const Call c = prepare(queue, target, source, count, {ranks_, 1}, dtype);
  submit("ncclAllGather", [&] { return nccl_.AllGather(c.source, c.target, count, c.type, comm_, c.stream); });
}

void Group::reduce_scatter(Queue& queue, bp_view target, bp_view source, uint64_t count, uint32_t dtype, uint32_t reduction) {
  const int op = number_of(reduction, dtype);
  const Call c = prepare(queue, target, source, count, {1, ranks_}, dtype);
  submit("ncclReduceScatter", [&] { return nccl_.ReduceScatter(c.source, c.target, count, c.type, op, comm_, c.stream); });
}

}  // namespace backplane::cuda
