// SPDX-License-Identifier: Apache-2.0
// NCCL (libnccl.so.2), opened when a group is first asked for: bp.collective. Its header is not part of the CUDA toolkit, so
// the few types and numbers of NCCL 2's ABI that are needed stand here.
#pragma once

#include <cuda.h>

#include <condition_variable>
#include <mutex>

#include "backplane/collective.h"
#include "queue.h"

namespace backplane::cuda {

struct NcclId {  // ncclUniqueId, passed by value
  char bytes[BP_GROUP_ID_BYTES];
};
using NcclComm = void*;

struct Nccl {
  const char* (*GetErrorString)(int code) = nullptr;
  int (*GetUniqueId)(NcclId* out) = nullptr;
  int (*CommInitRank)(NcclComm* out, int ranks, NcclId id, int rank) = nullptr;
  int (*CommDestroy)(NcclComm comm) = nullptr;
  int (*CommAbort)(NcclComm comm) = nullptr;
  int (*AllReduce)(const void* source, void* target, size_t count, int type, int op, NcclComm, CUstream) = nullptr;
  int (*Broadcast)(const void* source, void* target, size_t count, int type, int root, NcclComm, CUstream) = nullptr;
  int (*AllGather)(const void* source, void* target, size_t count, int type, NcclComm, CUstream) = nullptr;
  int (*ReduceScatter)(const void* source, void* target, size_t count, int type, int op, NcclComm, CUstream) = nullptr;
};

/// Opened once per process: setting `cuda.nccl`, or libnccl.so.2. Throws BP_E_UNAVAILABLE with the reason.
const Nccl& nccl(const sdk::Host& host);

/// One rank. Calls are put into a queue of its device.
class Group {
 public:
  Group(Device& device, const Nccl& nccl, const bp_group_id& id, uint32_t ranks, uint32_t rank);
  ~Group();
  Group(const Group&) = delete;
  Group& operator=(const Group&) = delete;

  void all_reduce(Queue& queue, bp_view target, bp_view source, uint64_t count, uint32_t dtype, uint32_t reduction);
  void broadcast(Queue& queue, bp_view target, bp_view source, uint64_t count, uint32_t dtype, uint32_t root);
  void all_gather(Queue& queue, bp_view target, bp_view source, uint64_t count, uint32_t dtype);
  void reduce_scatter(Queue& queue, bp_view target, bp_view source, uint64_t count, uint32_t dtype, uint32_t reduction);
  void abort() noexcept;

 private:
  struct Call;
  struct Parts;
  /// Makes a call of NCCL unless the group was given up, and notes that a thread is inside.
  template <class F>
  void submit(const char* name, F call);
  Call prepare(Queue& queue, bp_view target, bp_view source, uint64_t count, Parts parts, uint32_t dtype) const;

  Device& device_;
  const Nccl& nccl_;
  NcclComm comm_ = nullptr;
  uint32_t ranks_, rank_;
  std::mutex mutex_;
  std::condition_variable left_;
  bool inside_ = false, aborted_ = false;
};

}  // namespace backplane::cuda
