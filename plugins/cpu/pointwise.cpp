// SPDX-License-Identifier: Apache-2.0
// The block loop of POINTWISE, see pointwise.h. It does not compile anything and allocates nothing while it runs.
#include "pointwise.h"

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

#include "cpu_features.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kArenaBytes = 24 * 1024;     // slots of one block: most of a 32 KiB first-level cache
constexpr int64_t kArenaMost = 64 * 1024;      // what a program with very many values takes at 64 elements a block
constexpr int64_t kBlockMost = 512, kBlockLeast = 64;  // operands, constants and the next block share 48 KB of L1
constexpr uint64_t kStreamBytes = 16u << 20;   // outputs above this bypass the caches

int log2_size(uint32_t dtype) { return std::countr_zero(sdk::dtype_size(dtype)); }
void copy_bits(void* target, const void* source, uint32_t size) { std::memcpy(target, source, size); }

/// Which elements a block holds: `rows` rows from flat row index `row`, columns [column, column + columns).
struct Block {
  int64_t row, rows, column, columns;
  int64_t count() const { return rows * columns; }
};

enum class Access { direct, scalar, periodic, packed };

class Pointwise final : public Work {
 public:
  Pointwise(const Program& program, const std::vector<bp_tensor_desc>& inputs,
            const std::vector<bp_tensor_desc>& outputs)
      : space_(collapse_space(inputs, outputs)), program_(compile_program(program, inputs)) {
    choose_blocks(inputs);
    for (size_t i = 0; i < inputs.size(); ++i) inputs_.push_back(make_input(i, inputs[i].dtype));
    for (size_t j = 0; j < outputs.size(); ++j) outputs_.push_back(make_output(j, program.outputs[j], outputs[j]));
    plan_chains();
    drop_repeated_direct();
    find_hazards();
    make_constants();
    plan_grain();
  }

  void run(const Args& args) const override {
    if (space_.count == 0) return;
    const uint32_t direct = direct_outputs(args);
    parallel_ranges(blocks_, grain_, [&](int64_t begin, int64_t end) { run_blocks(args, direct, begin, end); });
  }

 private:
  enum class Shape { rows, packed, tiles };
  struct Input {
    uint32_t dtype;
    Compute type;
    int log2;
    Access access;
    bool dense;  // a block's elements lie side by side
    bool used;
  };
  struct Output {
    uint32_t dtype;
    Compute type;
    int log2;
    int address;    // of the value
    bool dense;
    bool direct;    // the value's slot may be the output's memory
    bool streamed;
    size_t operand;  // in space_.strides
  };
  struct Hazard {
    uint32_t output, input;
  };

  // --- preparation ---------------------------------------------------------------------------------------------------
  int64_t inner() const { return space_.extent[space_.rank - 1]; }
  int64_t middle() const { return space_.rank > 1 ? space_.extent[space_.rank - 2] : 1; }
  int64_t all_rows() const { return space_.count / std::max<int64_t>(1, inner()); }
  int64_t inner_stride(size_t operand) const { return space_.strides[operand][space_.rank - 1]; }

  void choose_blocks(const std::vector<bp_tensor_desc>& inputs) {
    int64_t slots = static_cast<int64_t>(program_.slot_addresses.size());
    slots += static_cast<int64_t>(inputs.size());
    slot_bytes_of_element_ = program_.wide ? 8 : 4;
    int64_t block = kArenaBytes / (std::max<int64_t>(slots, 1) * slot_bytes_of_element_);
    block_ = std::clamp(block / 64 * 64, kBlockLeast, kBlockMost);
    if (space_.count == 0) return;
    if (inner() < 256 && inner() <= block_ && space_.rank > 1) shape_ = Shape::packed;
    for (size_t i = 0; i < inputs.size() && space_.rank > 1; ++i) {
      const auto& strides = space_.strides[i];
      const int64_t in = strides[space_.rank - 1], mid = strides[space_.rank - 2];
      if (mid == 1 && std::abs(in) > 1 && inner() >= 16 && middle() >= 8 && block_ >= 256) shape_ = Shape::tiles;
    }
    if (shape_ == Shape::rows) {
      column_blocks_ = (inner() + block_ - 1) / block_;
      blocks_ = all_rows() * column_blocks_;
    } else if (shape_ == Shape::packed) {
      tile_rows_ = std::max<int64_t>(1, block_ / inner());
      blocks_ = (all_rows() + tile_rows_ - 1) / tile_rows_;
    } else {
      tile_rows_ = std::min<int64_t>(16, middle());
      tile_columns_ = std::min(inner(), block_ / 16);
      row_blocks_ = (middle() + tile_rows_ - 1) / tile_rows_;
      column_blocks_ = (inner() + tile_columns_ - 1) / tile_columns_;
      blocks_ = all_rows() / middle() * row_blocks_ * column_blocks_;
    }
  }
  bool dense_in_block(size_t operand) const {
    if (shape_ == Shape::tiles) return false;
    const auto& strides = space_.strides[operand];
    int64_t expected = 1;
    for (int d = space_.rank - 1; d >= 0; --d) {
      if (strides[d] != expected && space_.extent[d] > 1) return false;
      if (shape_ == Shape::rows) return true;
      expected *= space_.extent[d];
    }
    return true;
  }
  Input make_input(size_t i, uint32_t dtype) const {
    const auto& strides = space_.strides[i];
    bool scalar = true, outer_zero = true;
    for (int d = 0; d < space_.rank; ++d) {
      scalar = scalar && (strides[d] == 0 || space_.extent[d] == 1);
      if (d + 1 < space_.rank) outer_zero = outer_zero && strides[d] == 0;
    }
    Input in{dtype, compute_of(dtype), log2_size(dtype), Access::packed, dense_in_block(i), false};
    const bool native = !is_narrow(dtype) && dtype != BP_BOOL;
    if (scalar && space_.count > 1) in.access = Access::scalar;
    else if (in.dense && native) in.access = Access::direct;
    else if (shape_ == Shape::packed && outer_zero && inner() * tile_rows_ <= block_) in.access = Access::periodic;
    for (const Step& step : program_.steps) in.used = in.used || step.a == i || step.b == i || step.c == i;
    return in;
  }
  Output make_output(size_t j, uint16_t value, const bp_tensor_desc& desc) {
    const size_t operand = inputs_.size() + j;
    Output out{desc.dtype, compute_of(desc.dtype), log2_size(desc.dtype), program_.value_address[value],
               dense_in_block(operand), false, false, operand};
    const bool defined_here = program_.value_defined[value] >= 0;
    out.direct = out.dense && defined_here && !is_narrow(desc.dtype);
    out.streamed = out.dense && !is_narrow(desc.dtype) && static_cast<uint64_t>(space_.count) *
                   sdk::dtype_size(desc.dtype) >= kStreamBytes;
    if (out.streamed) out.direct = false, streams_ = true;
    if (value < inputs_.size()) inputs_[value].used = true;
    defined_.push_back(program_.value_defined[value]);
    return out;
  }
  void plan_chains() {
    ChainWishes wishes;
    for (const Output& out : outputs_) {
      wishes.keep[out.address] = true;
      wishes.stream[out.address] = out.streamed && out.dtype == BP_F32;
    }
    for (size_t i = 0; i < inputs_.size() && streams_; ++i) {
      const Input& in = inputs_[i];
      if (in.used && in.access == Access::direct && in.dtype == BP_F32) wishes.prefetch.push_back(static_cast<int>(i));
    }
    wishes.distance = static_cast<int32_t>(block_);
    runs_ = plan_runs(program_, wishes);
    for (const StepRun& run : runs_) {
      asks_ahead_ = asks_ahead_ || !run.stages.empty();
      for (const Stage& stage : run.stages) {
        if (stage.run != isa().stream_stage) continue;
        for (Output& out : outputs_) out.direct = out.direct || out.address == stage.address;
      }
    }
  }
  void drop_repeated_direct() {
    for (size_t j = 1; j < outputs_.size(); ++j) {
      for (size_t k = 0; k < j; ++k) {
        if (outputs_[k].address == outputs_[j].address) outputs_[j].direct = false;
      }
    }
  }
  void find_hazards() {
    for (size_t j = 0; j < outputs_.size(); ++j) {
      for (size_t i = 0; i < inputs_.size(); ++i) {
        const bool later = program_.value_last_use[i] > defined_[j];
        if (outputs_[j].direct && inputs_[i].access == Access::direct && later) {
          hazards_.push_back({static_cast<uint32_t>(j), static_cast<uint32_t>(i)});
        }
      }
    }
  }
  void make_constants() {
    if (program_.constants.empty()) return;
    const size_t bytes = static_cast<size_t>(block_) * 8;
    constants_.reset(static_cast<char*>(std::aligned_alloc(64, bytes * program_.constants.size())));
    if (constants_ == nullptr) throw std::bad_alloc();
    for (size_t k = 0; k < program_.constants.size(); ++k) {
      const auto& constant = program_.constants[k];
      isa().fill[std::countr_zero(compute_size(constant.type))](constants_.get() + k * bytes, &constant.bits, block_);
    }
  }
  void plan_grain() {
    int64_t bytes = 0;
    for (const Input& in : inputs_) bytes += in.access == Access::scalar ? 0 : int64_t{1} << in.log2;
    for (const Output& out : outputs_) bytes += int64_t{1} << out.log2;
    bytes += static_cast<int64_t>(program_.steps.size()) * 2;  // arithmetic, as if it were traffic
    const int64_t per_block = std::max<int64_t>(1, bytes * space_.count / std::max<int64_t>(1, blocks_));
    grain_ = bytes * space_.count < kParallelBytes ? blocks_ : std::max<int64_t>(1, kParallelBytes / 4 / per_block);
  }

  // --- running -------------------------------------------------------------------------------------------------------
  uint32_t direct_outputs(const Args& args) const {
    uint32_t mask = 0;
    for (size_t j = 0; j < outputs_.size(); ++j) mask |= outputs_[j].direct ? 1u << j : 0;
    for (const Hazard& hazard : hazards_) {
      if (args.out[hazard.output] == args.in[hazard.input]) mask &= ~(1u << hazard.output);
    }
    return mask;
  }
  Block block_at(int64_t index) const {
    if (shape_ == Shape::rows) {
      const int64_t row = column_blocks_ == 1 ? index : index / column_blocks_;
      const int64_t column = (index - row * column_blocks_) * block_;
      return {row, 1, column, std::min(block_, inner() - column)};
    }
    if (shape_ == Shape::packed) {
      const int64_t row = index * tile_rows_;
      return {row, std::min(tile_rows_, all_rows() - row), 0, inner()};
    }
    // Rows first: a transposed operand is then read along its dense axis, a few columns at a time.
    const int64_t within = index % row_blocks_ * tile_rows_;
    index /= row_blocks_;
    const int64_t column = index % column_blocks_ * tile_columns_, run = index / column_blocks_;
    return {run * middle() + within, std::min(tile_rows_, middle() - within), column,
            std::min(tile_columns_, inner() - column)};
  }
  /// Calls f(offset in elements) for the start of each of the block's rows.
  template <class F>
  void each_row(size_t operand, const Block& block, F&& f) const {
    const auto& strides = space_.strides[operand];
    int64_t digit[BP_MAX_RANK] = {}, offset = block.column * inner_stride(operand);
    int64_t rest = block.row;
    for (int d = space_.rank - 2; d >= 0 && rest != 0; --d) {
      digit[d] = rest % space_.extent[d];
      rest /= space_.extent[d];
      offset += digit[d] * strides[d];
    }
    for (int64_t r = 0;;) {
      f(offset);
      if (++r == block.rows) return;
      for (int d = space_.rank - 2; d >= 0; --d) {
        offset += strides[d];
        if (++digit[d] < space_.extent[d]) break;
        offset -= strides[d] * space_.extent[d];
        digit[d] = 0;
      }
    }
  }
  int64_t first_offset(size_t operand, const Block& block) const {
    int64_t result = 0;
    each_row(operand, {block.row, 1, block.column, block.columns}, [&](int64_t offset) { result = offset; });
    return result;
  }

  /// Gathers the block's elements of a packed input, in the compute type, into `slot`.
  void load(size_t i, const char* base, const Block& block, char* slot) const {
    const Input& in = inputs_[i];
    const IsaTable& t = isa();
    const VectorLoop convert = is_narrow(in.dtype) ? t.narrow[narrow_of(in.dtype)].load
                               : in.dtype == BP_BOOL ? t.normalize_bool : nullptr;
    const char* source = nullptr;
    if (in.dense) {
      source = base + (first_offset(i, block) << in.log2);
    } else {
      // Narrow elements wait at the slot's end: widening them in ascending order never overtakes what is unread.
      char* raw = is_narrow(in.dtype) ? slot + block_ * (4 - (int64_t{1} << in.log2)) : slot;
      gather(i, base, block, raw);
      source = raw;
    }
    if (convert != nullptr) convert(slot, source, nullptr, nullptr, block.count());
    else if (source != slot) std::memcpy(slot, source, static_cast<size_t>(block.count()) << in.log2);
  }
  void gather(size_t i, const char* base, const Block& block, char* raw) const {
    const Input& in = inputs_[i];
    const IsaTable& t = isa();
    const int64_t stride = inner_stride(i);
    if (shape_ == Shape::tiles && space_.strides[i][space_.rank - 2] == 1 && stride > 1) {
      const char* corner = base + (first_offset(i, block) << in.log2);
      t.transpose[in.log2](raw, block.columns, corner, stride, block.rows, block.columns);
      return;
    }
    const int64_t row_bytes = block.columns << in.log2;
    each_row(i, block, [&](int64_t offset) {
      const char* x = base + offset * (int64_t{1} << in.log2);
      if (stride == 0) t.fill[in.log2](raw, x, block.columns);
      else t.gather[in.log2](raw, x, stride, block.columns);
      raw += row_bytes;
    });
  }
  /// Writes a computed value to an output that could not be the slot itself.
  void store(const Output& out, char* base, const Block& block, const char* value, char* scratch) const {
    const IsaTable& t = isa();
    const int64_t n = block.count();
    const VectorLoop narrow = is_narrow(out.dtype) ? t.narrow[narrow_of(out.dtype)].store : nullptr;
    if (out.dense) {
      char* target = base + (first_offset(out.operand, block) << out.log2);
      const size_t bytes = static_cast<size_t>(n) << out.log2;
      if (narrow != nullptr) narrow(target, value, nullptr, nullptr, n);
      else if (out.streamed && (reinterpret_cast<uintptr_t>(target) & 63) == 0) t.stream(target, value, bytes);
      else if (target != value) std::memmove(target, value, bytes);
      return;
    }
    if (narrow != nullptr) {
      narrow(scratch, value, nullptr, nullptr, n);
      value = scratch;
    }
    const int64_t row_bytes = block.columns << out.log2, stride = inner_stride(out.operand);
    each_row(out.operand, block, [&](int64_t offset) {
      t.scatter[out.log2](base + offset * (int64_t{1} << out.log2), value, stride, block.columns);
      value += row_bytes;
    });
  }

  void run_blocks(const Args& args, uint32_t direct, int64_t begin, int64_t end) const {
    alignas(64) char arena[kArenaMost];
    void* address[kMaxAddresses];
    char* next = arena;
    const int64_t slot_bytes = block_ * slot_bytes_of_element_;
    for (size_t k = 0; k < program_.constants.size(); ++k) {
      address[program_.constants[k].address] = constants_.get() + k * static_cast<size_t>(block_) * 8;
    }
    for (int slot : program_.slot_addresses) address[slot] = next, next += slot_bytes;
    preload(args, address, next, slot_bytes);
    char* scratch = next;

    for (int64_t index = begin; index < end; ++index) {
      const Block block = block_at(index);
      for (size_t i = 0; i < inputs_.size(); ++i) {
        const Input& in = inputs_[i];
        if (!in.used) continue;
        if (in.access == Access::direct) address[i] = args.in[i] + first_offset(i, block) * (int64_t{1} << in.log2);
        else if (in.access == Access::packed) load(i, args.in[i], block, static_cast<char*>(address[i]));
      }
      for (size_t j = 0; j < outputs_.size(); ++j) {
        if ((direct >> j & 1u) == 0) continue;
        address[outputs_[j].address] = args.out[j] + first_offset(outputs_[j].operand, block) *
                                                         (int64_t{1} << outputs_[j].log2);
      }
      const int64_t n = block.count();
      if (streams_ && !asks_ahead_ && index + 1 < end) run_steps_ahead(args, address, n, block_at(index + 1));
      else run_all(address, n);
      for (size_t j = 0; j < outputs_.size(); ++j) {
        if ((direct >> j & 1u) != 0) continue;
        store(outputs_[j], args.out[j], block, static_cast<const char*>(address[outputs_[j].address]), scratch);
      }
    }
#if defined(__x86_64__)
    if (streams_) __builtin_ia32_sfence();  // streamed stores are ordered before whoever reads them
#endif
  }
  void run_all(void** address, int64_t n) const {
    const IsaTable& t = isa();
    for (const StepRun& run : runs_) {
      int64_t done = 0;
      if (!run.stages.empty() && n >= t.bundle) {
        done = n - n % t.bundle;
        t.run_chain(run.stages.data(), address, done);
        if (done == n) continue;
      }
      // Where something is done it is of f32. An operand that a step does not have may be no address at all.
      const auto at = [&](uint8_t k) {
        return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(address[k]) + static_cast<uintptr_t>(done) * 4);
      };
      for (size_t s = run.first; s < run.first + run.count; ++s) {
        const Step& step = program_.steps[s];
        step.loop(at(step.y), at(step.a), at(step.b), at(step.c), n - done);
      }
    }
  }
  /// The steps of one block while the operands of the next are on their way: a share of its cache lines is asked for in
  /// front of each step, so that memory does not idle during the arithmetic.
  void run_steps_ahead(const Args& args, void** address, int64_t n, const Block& next) const {
    constexpr int64_t kLine = 64;
    const auto steps = static_cast<int64_t>(program_.steps.size());
    for (int64_t s = 0; s < steps; ++s) {
      for (size_t i = 0; i < inputs_.size(); ++i) {
        const Input& in = inputs_[i];
        if (!in.used || in.access != Access::direct) continue;
        const char* from = args.in[i] + first_offset(i, next) * (int64_t{1} << in.log2);
        const int64_t lines = ((next.count() << in.log2) + kLine - 1) / kLine;
        for (int64_t line = lines * s / steps; line < lines * (s + 1) / steps; ++line) {
          __builtin_prefetch(from + line * kLine);
        }
      }
      const Step& step = program_.steps[static_cast<size_t>(s)];
      step.loop(address[step.y], address[step.a], address[step.b], address[step.c], n);
    }
  }
  /// Slots for the inputs that need one; scalars and periodic inputs are filled for all blocks.
  void preload(const Args& args, void** address, char*& next, int64_t slot_bytes) const {
    const IsaTable& t = isa();
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const Input& in = inputs_[i];
      if (!in.used || in.access == Access::direct) continue;
      char* slot = next;
      address[i] = slot;
      next += slot_bytes;
      if (in.access == Access::scalar) {
        load(i, args.in[i], {0, 1, 0, 1}, slot);
        alignas(8) char one[8];
        copy_bits(one, slot, static_cast<uint32_t>(compute_size(in.type)));
        t.fill[std::countr_zero(compute_size(in.type))](slot, one, std::min(block_, space_.count));
      } else if (in.access == Access::periodic) {
        load(i, args.in[i], {0, std::min(tile_rows_, all_rows()), 0, inner()}, slot);
      }
    }
  }

  struct Free {
    void operator()(char* p) const { std::free(p); }
  };

  Space space_;
  StepProgram program_;
  std::vector<Input> inputs_;
  std::vector<Output> outputs_;
  std::vector<int> defined_;
  std::vector<Hazard> hazards_;
  std::unique_ptr<char, Free> constants_;
  Shape shape_ = Shape::rows;
  std::vector<StepRun> runs_;
  bool streams_ = false, asks_ahead_ = false;  // asks_ahead_: a chain prefetches for the next block
  int64_t slot_bytes_of_element_ = 4;
  int64_t block_ = kBlockMost, blocks_ = 0, grain_ = 1;
  int64_t tile_rows_ = 1, tile_columns_ = 0, row_blocks_ = 1, column_blocks_ = 1;
};

}  // namespace

WorkPtr make_blocks(const Program& program, const std::vector<bp_tensor_desc>& inputs,
                    const std::vector<bp_tensor_desc>& outputs) {
  return std::make_shared<Pointwise>(program, inputs, outputs);
}

}  // namespace backplane::cpu
