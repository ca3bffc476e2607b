// SPDX-License-Identifier: Apache-2.0
#include "onednn.h"

#include <omp.h>
#include <sched.h>

#include "backplane/sdk/error.hpp"
#include "cpu_features.h"
#include "onednn_version.h"
#include "threads.h"

namespace backplane::cpu {

const char* onednn_version() {
  static const std::string text = [] {
    const dnnl_version_t* v = dnnl_version();
    return "oneDNN " + std::to_string(v->major) + "." + std::to_string(v->minor) + "." + std::to_string(v->patch);
  }();
  return text.c_str();
}

const dnnl::engine& onednn_engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::memory::data_type onednn_dtype(uint32_t dtype) {
  return dtype == BP_BF16 ? dnnl::memory::data_type::bf16 : dnnl::memory::data_type::f32;
}

bool onednn_takes(uint32_t dtype) {
  if (dtype == BP_F32) return true;
  // Below AVX-512 oneDNN 2.x refuses bf16 by throwing; there the way by f32 is taken.
  static const bool bf16 = __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                           __builtin_cpu_supports("avx512dq") &&
                           dnnl::get_effective_cpu_isa() >= dnnl::cpu_isa::avx512_core;
  return dtype == BP_BF16 && bf16;
}

OneThread::OneThread() : before_(omp_get_max_threads()) {
  if (before_ != 1) omp_set_num_threads(1);
}
OneThread::~OneThread() {
  if (before_ != 1) omp_set_num_threads(before_);
}

namespace {
const dnnl::stream& onednn_stream() {
  static const dnnl::stream stream(onednn_engine());
  return stream;
}
}  // namespace

ReorderStep::ReorderStep(const dnnl::memory::desc& from, const dnnl::memory::desc& to, ScratchPlan& scratch)
    : from_(from), to_(to) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  pd_ = dnnl::reorder::primitive_desc(onednn_engine(), from, onednn_engine(), to, attributes);
  scratch_ = scratch.take(pd_.scratchpad_desc().get_size());
}

PrimitiveStep ReorderStep::make(Place from, Place to) const {
  return {dnnl::reorder(pd_), {{DNNL_ARG_FROM, from_, from}, {DNNL_ARG_TO, to_, to},
                               {DNNL_ARG_SCRATCHPAD, pd_.scratchpad_desc(), scratch_}}};
}

namespace {
/// True when the slice held what oneDNN must not see, and has been computed.
bool run_own(const Args& args, const FiniteOnly& guard) {
  const auto* x = reinterpret_cast<const float*>(args.in[guard.input]) + guard.first;
  if (isa().all_finite(x, guard.count)) return false;
  char* in[4] = {};
  for (size_t i = 0; i < guard.in_bytes.size(); ++i) in[i] = args.in[i] + guard.in_bytes[i];
  char* out = args.out[0] + guard.out_bytes;
  guard.own->run({in, &out, nullptr});
  return true;
}
}  // namespace

PrimitiveWork::PrimitiveWork(std::vector<PrimitiveSlice> slices, uint64_t workspace_bytes, Options options)
    : options_(std::move(options)), slices_(std::move(slices)), contexts_(new Context[kConcurrent]) {
  workspace = workspace_bytes;
  size_t count = 0;
  for (const PrimitiveSlice& slice : slices_) {
    first_argument_.emplace_back();
    for (const PrimitiveStep& step : slice) first_argument_.back().push_back(count), count += step.arguments.size();
  }
  for (int c = 0; c < kConcurrent; ++c) {
    Context& context = contexts_[static_cast<size_t>(c)];
    for (const PrimitiveSlice& slice : slices_) {
      for (const PrimitiveStep& step : slice) {
        for (const StepArgument& argument : step.arguments) {
          context.memories.push_back(dnnl::memory(argument.desc, onednn_engine(), DNNL_MEMORY_NONE));
          context.arguments.push_back({argument.id, context.memories.back().get()});
        }
      }
    }
  }
  onednn_stream();
}

void PrimitiveWork::run(const Args& args) const {
  run_slices(args);
  if (options_.after) options_.after(args);
}

void PrimitiveWork::run_slices(const Args& args) const {
  Context* mine = nullptr;
  for (size_t c = 0; mine == nullptr; c = (c + 1) % kConcurrent) {
    if (!contexts_[c].busy.exchange(true, std::memory_order_acquire)) mine = &contexts_[c];
    else if (c + 1 == kConcurrent) sched_yield();
  }
  struct Release {
    Context* context;
    ~Release() { context->busy.store(false, std::memory_order_release); }
  } release{mine};
  if (slices_.size() == 1) return run_slice(args, *mine, 0);
  std::atomic<int> failed{0};  // exceptions do not cross threads
  parallel_tasks(static_cast<int64_t>(slices_.size()), [&](int64_t i) {
    try {
      run_slice(args, *mine, static_cast<size_t>(i));
    } catch (...) {
      failed = 1;
    }
  });
  if (failed != 0)
    throw sdk::Failure(BP_E_INTERNAL, "[cpu] oneDNN failed to run a primitive", BP_SCOPE_QUEUE, 0, "onednn");
}

void PrimitiveWork::run_slice(const Args& args, Context& context, size_t slice) const {
  if (!options_.guards.empty() && run_own(args, *options_.guards[slice])) return;
  const OneThread guard;
  const PrimitiveSlice& steps = slices_[slice];
  for (size_t s = 0; s < steps.size(); ++s) {
    const size_t first = first_argument_[slice][s];
    for (size_t a = 0; a < steps[s].arguments.size(); ++a) {
      const Place& place = steps[s].arguments[a].place;
      char* base = place.kind == Place::input    ? args.in[place.index]
                   : place.kind == Place::output ? args.out[place.index]
                                                 : args.workspace;
      const dnnl_status_t status = dnnl_memory_set_data_handle(context.memories[first + a].get(), base + place.offset);
      if (status != dnnl_success)
        throw sdk::Failure(BP_E_INTERNAL, "[cpu] oneDNN refused an operand", BP_SCOPE_CALL, 0, "onednn", status);
    }
    const dnnl_status_t status =
        dnnl_primitive_execute(steps[s].primitive.get(), onednn_stream().get(),
                               static_cast<int>(steps[s].arguments.size()), &context.arguments[first]);
    if (status != dnnl_success)
      throw sdk::Failure(BP_E_INTERNAL, "[cpu] oneDNN failed to run a primitive", BP_SCOPE_CALL, 0, "onednn", status);
  }
}

std::string implementation_name(const char* info) {
  std::string name = info;
  for (char& c : name) {
    if (c == ',' || c == '=' || c == '@' || c == ' ') c = '-';
  }
  return name;
}

double implementation_prior(const std::string& name, size_t rank) {
  if (name.find("ref") != std::string::npos) return 300;
  if (name.find("simple_n") != std::string::npos) return 5;  // plain loops over nchw or nhwc
  const double old_instructions = name.find("sse41") != std::string::npos ? 3 : 1;
  return (1 + 0.25 * static_cast<double>(rank)) * old_instructions;
}

bool match_epilogue(const Op& op, uint32_t own_inputs, uint32_t axis, FusedEpilogue& result) {
  const Program& p = *op.program;
  const auto is_zero = [&](uint16_t value) {
    if (value < p.num_inputs) return false;
    const bp_instr& i = p.instrs[value - p.num_inputs];
    return i.code == BP_S_CONST && i.imm.f == 0.0;
  };
  uint16_t current = 0;
  for (size_t k = 0; k < p.instrs.size(); ++k) {
    const bp_instr& i = p.instrs[k];
    if (i.code == BP_S_CONST) continue;
    const bool on_a = i.a == current;
    const uint16_t other = on_a ? i.b : i.a;
    const bool activated = result.relu || result.tanh;
    if (!on_a && i.b != current) return false;
    if (i.code == BP_S_ADD && !activated && result.bias < 0 && other != 0 && other < p.num_inputs) {
      const bp_tensor_desc& bias = op.in[own_inputs + other - 1];
      if (bias.dtype != BP_F32) return false;
      for (uint32_t d = 0; d < bias.rank; ++d) {
        if (bias.shape[d] > 1 && bias.strides[d] != (d == axis ? 1 : 0)) return false;
      }
      result.bias = static_cast<int>(own_inputs + other - 1);
    } else if (i.code == BP_S_MAX && !activated && is_zero(other)) {
      result.relu = true;
    } else if (i.code == BP_S_TANH && !activated && on_a) {
      result.tanh = true;
    } else if (i.code == BP_S_CAST && i.dtype == op.out[0].dtype && k + 1 == p.instrs.size() && on_a) {
      // the store rounds
    } else {
      return false;
    }
    current = static_cast<uint16_t>(p.num_inputs + k);
  }
  return p.outputs.size() == 1 && p.outputs[0] == current && op.in.size() == own_inputs + (result.bias >= 0 ? 1u : 0u);
}

dnnl::primitive_attr epilogue_attributes(const FusedEpilogue& epilogue) {
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  if (epilogue.relu) ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_relu, 0.0f, 0.0f);
  if (epilogue.tanh) ops.append_eltwise(1.0f, dnnl::algorithm::eltwise_tanh, 0.0f, 0.0f);
  attributes.set_post_ops(ops);
  return attributes;
}

}  // namespace backplane::cpu
