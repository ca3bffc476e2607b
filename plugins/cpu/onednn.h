// SPDX-License-Identifier: Apache-2.0
// oneDNN behind this card's ideas: a Work is a few primitives per slice, one slice a thread, each primitive made for
// one thread. Nothing is created or allocated when it runs: memory objects are made beforehand, for a fixed number of
// concurrent runs, and only pointed at the operands. Scratchpads are the caller's workspace.
// Speaks oneDNN 2.x (operation descriptors); everything that does is in onednn*.cpp.
#pragma once

#include <atomic>
#include <dnnl.hpp>
#include <memory>
#include <vector>

#include "work.h"

namespace backplane::cpu {

const dnnl::engine& onednn_engine();
dnnl::memory::data_type onednn_dtype(uint32_t dtype);
/// f32 and bf16, the latter where the processor has instructions for it.
bool onednn_takes(uint32_t dtype);

/// While it lives, oneDNN makes and runs primitives for one thread on this thread.
class OneThread {
 public:
  OneThread();
  ~OneThread();
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

/// Where an argument lies: an operand, or the workspace, at a byte offset.
struct Place {
  enum Kind { input, output, scratch } kind;
  int index;
  int64_t offset;
};
struct StepArgument {
  int id;  // DNNL_ARG_*
  dnnl::memory::desc desc;
  Place place;
};
struct PrimitiveStep {
  dnnl::primitive primitive;
  std::vector<StepArgument> arguments;
};
using PrimitiveSlice = std::vector<PrimitiveStep>;

/// Lays out a workspace.
class ScratchPlan {
 public:
  explicit ScratchPlan(uint64_t start = 0) : size_(start) {}
  Place take(uint64_t bytes) {
    const Place place{Place::scratch, 0, static_cast<int64_t>(size_)};
    size_ += round_up(bytes);
    return place;
  }
  uint64_t size() const { return size_; }

 private:
  uint64_t size_;
};

/// A copy from one layout to another. oneDNN's own scratchpads belong to the thread that made the primitive, so its
/// scratch is taken from the workspace as well. Throws dnnl::error where there is no such copy.
class ReorderStep {
 public:
  ReorderStep(const dnnl::memory::desc& from, const dnnl::memory::desc& to, ScratchPlan& scratch);
  PrimitiveStep make(Place from, Place to) const;

 private:
  dnnl::memory::desc from_, to_;
  dnnl::reorder::primitive_desc pd_;
  Place scratch_{Place::scratch, 0, 0};
};

/// Says which part of an input has to be free of NaN and infinities for oneDNN's result to be the operation's, and what
/// computes the slice where it is not. Operands of both are dense f32.
struct FiniteOnly {
  int input = 0;
  int64_t first = 0, count = 0;   // elements
  WorkPtr own;                    // needs no workspace
  std::vector<int64_t> in_bytes;  // where the slice begins in each input
  int64_t out_bytes = 0;
};

class PrimitiveWork : public Work {
 public:
  struct Options {
    std::vector<std::shared_ptr<FiniteOnly>> guards;  // one a slice, or none
    std::function<void(const Args&)> after;           // runs when all slices have
  };
  PrimitiveWork(std::vector<PrimitiveSlice> slices, uint64_t workspace_bytes, Options options = {});
  void run(const Args& args) const override;

 private:
  static constexpr int kConcurrent = 4;
  struct Bound {
    dnnl_exec_arg_t* begin;
    int count;
  };
  /// Memory objects of one run in flight.
  struct Context {
    std::atomic<bool> busy{false};
    std::vector<dnnl::memory> memories;
    std::vector<dnnl_exec_arg_t> arguments;
  };
  void run_slices(const Args& args) const;
  void run_slice(const Args& args, Context& context, size_t slice) const;

  Options options_;
  std::vector<PrimitiveSlice> slices_;
  std::vector<std::vector<size_t>> first_argument_;  // [slice][step] -> index into a context's arrays
  mutable std::unique_ptr<Context[]> contexts_;
};

/// All implementations that oneDNN offers for an operation descriptor, best first. The descriptor has to stay alive.
template <class PrimitiveDesc>
std::vector<PrimitiveDesc> all_implementations(PrimitiveDesc first) {
  std::vector<PrimitiveDesc> list;
  if (!first) return list;
  do {
    list.push_back(first);
  } while (list.size() < 16 && first.next_impl());
  return list;
}
/// "brg:avx512_core" without characters that a variant's name must not hold.
std::string implementation_name(const char* info);
/// Time relative to the best: references are slower by two orders of magnitude.
double implementation_prior(const std::string& name, size_t rank);

/// An epilogue that oneDNN's post-ops express: an optional bias (an extra input that varies along `axis` only), then
/// relu or tanh.
struct FusedEpilogue {
  int bias = -1;  // index among the operation's inputs
  bool relu = false, tanh = false;
};
/// False when the program is something else.
bool match_epilogue(const Op& op, uint32_t own_inputs, uint32_t axis, FusedEpilogue& result);
dnnl::primitive_attr epilogue_attributes(const FusedEpilogue& epilogue);

}  // namespace backplane::cpu
