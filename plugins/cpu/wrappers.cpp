// SPDX-License-Identifier: Apache-2.0
#include "wrappers.h"

#include "pointwise.h"

namespace backplane::cpu {
namespace {

constexpr size_t kMostOperands = 40;

bool differs(const bp_tensor_desc& a, const bp_tensor_desc& b) {
  if (a.dtype != b.dtype) return true;
  for (uint32_t i = 0; i < a.rank; ++i) {
    if (a.shape[i] > 1 && a.strides[i] != b.strides[i]) return true;
  }
  return false;
}

class ViaCopies final : public Work {
 public:
  ViaCopies(const Op& op, const Op& wide, WorkPtr inner) : inner_(std::move(inner)) {
    uint64_t offset = 0;
    const auto add = [&](const bp_tensor_desc& outer, const bp_tensor_desc& dense, bool is_input) {
      Part part;
      if (differs(outer, dense)) {
        part.offset = offset;
        part.copy = is_input ? make_copy(outer, dense) : make_copy(dense, outer);
        offset += round_up(bytes_of(dense));
      }
      return part;
    };
    for (size_t i = 0; i < op.in.size(); ++i) in_.push_back(add(op.in[i], wide.in[i], true));
    for (size_t j = 0; j < op.out.size(); ++j) out_.push_back(add(op.out[j], wide.out[j], false));
    inner_offset_ = offset;
    workspace = offset + inner_->workspace;
  }
  void run(const Args& args) const override {
    char* in[kMostOperands];
    char* out[kMostOperands];
    for (size_t i = 0; i < in_.size(); ++i) {
      in[i] = args.in[i];
      if (in_[i].copy == nullptr) continue;
      in[i] = args.workspace + in_[i].offset;
      in_[i].copy->run({&args.in[i], &in[i], nullptr});
    }
    for (size_t j = 0; j < out_.size(); ++j) {
      out[j] = out_[j].copy != nullptr ? args.workspace + out_[j].offset : args.out[j];
    }
    inner_->run({in, out, args.workspace + inner_offset_});
    for (size_t j = 0; j < out_.size(); ++j) {
      if (out_[j].copy != nullptr) out_[j].copy->run({&out[j], &args.out[j], nullptr});
    }
  }

 private:
  struct Part {
    WorkPtr copy;
    uint64_t offset = 0;
  };
  WorkPtr inner_;
  std::vector<Part> in_, out_;
  uint64_t inner_offset_ = 0;
};

/// The plain operation into the output (or a dense f32 copy of it), then the program over it in place.
class WithEpilogue final : public Work {
 public:
  WithEpilogue(const Op& op, const Op& plain, uint32_t own_inputs, WorkPtr inner)
      : inner_(std::move(inner)), own_(own_inputs) {
    std::vector<bp_tensor_desc> in{plain.out[0]};
    in.insert(in.end(), op.in.begin() + own_inputs, op.in.end());
    program_ = make_pointwise(*op.program, in, op.out);
    result_bytes_ = round_up(bytes_of(plain.out[0]));
    workspace = result_bytes_ + inner_->workspace;
  }
  void run(const Args& args) const override {
    char* result = args.workspace;
    inner_->run({args.in, &result, args.workspace + result_bytes_});
    char* in[kMostOperands];
    in[0] = result;
    for (size_t i = 1; i < extra_count(); ++i) in[i] = args.in[own_ + i - 1];
    program_->run({in, args.out, nullptr});
  }
  size_t extra = 0;  // extra inputs of the epilogue

 private:
  size_t extra_count() const { return extra + 1; }
  WorkPtr inner_, program_;
  uint32_t own_;
  uint64_t result_bytes_ = 0;
};

uint32_t result_dtype(uint32_t dtype) { return dtype == BP_F64 ? BP_F64 : BP_F32; }

}  // namespace

void list_via_f32(const Op& op, void (*list)(const Op&, Candidates&), Candidates& out) {
  Op wide = op;
  const auto widen = [](bp_tensor_desc& desc) {
    if (is_narrow(desc.dtype)) desc = dense_like(desc, BP_F32);
  };
  for (bp_tensor_desc& desc : wide.in) widen(desc);
  for (bp_tensor_desc& desc : wide.out) widen(desc);
  list_via_copies(op, wide, "f32-", list, out);
}

void list_via_copies(const Op& op, const Op& inner, const char* prefix, void (*list)(const Op&, Candidates&),
                     Candidates& out) {
  uint64_t copies = 0;
  const auto count = [&](const std::vector<bp_tensor_desc>& outer, const std::vector<bp_tensor_desc>& dense) {
    for (size_t i = 0; i < outer.size(); ++i) {
      if (differs(outer[i], dense[i])) copies += round_up(bytes_of(dense[i]));
    }
  };
  count(op.in, inner.in);
  count(op.out, inner.out);
  Candidates candidates;
  list(inner, candidates);
  for (Candidate& candidate : candidates) {
    Candidate wrapped = candidate;
    wrapped.name = prefix + candidate.name;
    wrapped.workspace += copies;
    wrapped.build = [op, inner, build = std::move(candidate.build)]() -> WorkPtr {
      return std::make_shared<ViaCopies>(op, inner, build());
    };
    out.push_back(std::move(wrapped));
  }
}

void list_with_epilogue(const Op& op, uint32_t own_inputs, void (*list)(const Op&, Candidates&), Candidates& out) {
  Op plain = op;
  plain.program.reset();
  plain.in.resize(own_inputs);
  plain.out[0] = dense_like(op.out[0], result_dtype(op.in[0].dtype));
  Candidates inner;
  list(plain, inner);
  const size_t extra = op.in.size() - own_inputs;
  for (Candidate& candidate : inner) {
    Candidate wrapped = candidate;
    wrapped.name += "+pass";
    wrapped.workspace += round_up(bytes_of(plain.out[0]));
    wrapped.build = [op, plain, own_inputs, extra, build = std::move(candidate.build)]() -> WorkPtr {
      auto work = std::make_shared<WithEpilogue>(op, plain, own_inputs, build());
      work->extra = extra;
      return work;
    };
    out.push_back(std::move(wrapped));
  }
}

std::string refuse_epilogue(const Op& op, uint32_t own_inputs) {
  if (!sdk::is_float(op.in[0].dtype) && !sdk::is_f8(op.in[0].dtype)) return "an epilogue needs float operands";
  std::vector<uint32_t> dtypes{result_dtype(op.in[0].dtype)};
  for (size_t i = own_inputs; i < op.in.size(); ++i) {
    if (!same_shape(op.in[i], op.out[0])) return "an epilogue operand differs in shape from the result";
    dtypes.push_back(op.in[i].dtype);
  }
  return refuse_program(*op.program, dtypes);
}

}  // namespace backplane::cpu
