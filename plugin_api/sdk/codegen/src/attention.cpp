// SPDX-License-Identifier: Apache-2.0
// ATTENTION and ATTENTION_GRAD with memory for one block of keys (or queries) per work-item: lanes are neighbouring
// queries, in the gradients of k and v neighbouring keys. On a GPU a work-group brings the keys and values that its
// queries share to local memory, and where heads are wide some work-items of a subgroup divide a query among them.
//
// Not here: heads of more than kMostDepth elements, which no register file holds; f64 for GLSL, which has no
// exponential of a double.
#include <algorithm>
#include <cstring>
#include <string>

#include "backplane/sdk/op.hpp"
#include "dialect.h"
#include "family.h"
#include "lanes.h"
#include "source.h"
#include "team.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

constexpr int64_t kMostDepth = 256;

enum class Pass { forward, grad_query, grad_key };

struct Problem {
  explicit Problem(const bp_op& o)
      : op(o),
        grad(o.code == BP_OP_ATTENTION_GRAD),
        q(o.inputs[grad ? 1 : 0]),
        k(o.inputs[grad ? 2 : 1]),
        v(o.inputs[grad ? 3 : 2]),
        mask(o.num_inputs > (grad ? 6u : 3u) ? &o.inputs[grad ? 6 : 3] : nullptr) {}
  int64_t rows(Pass pass) const { return q.shape[0] * (pass == Pass::grad_key ? k.shape[1] : q.shape[1]); }
  int64_t lanes(Pass pass) const { return pass == Pass::grad_key ? k.shape[2] : q.shape[2]; }
  uint32_t dtype() const { return q.dtype == BP_F64 ? BP_F64 : BP_F32; }
  int64_t deltas() const { return q.shape[0] * q.shape[1] * q.shape[2]; }

  const bp_op& op;
  bool grad;
  const bp_tensor_desc &q, &k, &v;
  const bp_tensor_desc* mask;
};

struct Form {
  uint32_t width = 1, keys = 8, group = 1;
  uint32_t tile = 0;   // keys (queries, by key) in local memory at a time; 0: every work-item reads them itself
  uint32_t share = 1;  // work-items that divide the elements of one query (key)
  uint32_t at_once = 1;  // elements in one turn of the loops over them
  int64_t members() const { return tile != 0 ? group / share : width; }
};

/// A buffer with its strides as "x_s0" ..., and lanes along axis 2 if it has them.
class Operands {
 public:
  Operands(Source& source, const Form& form) : source_(source), form_(form) {}
  void input(const char* name, uint32_t index, const bp_tensor_desc& desc, bool lanes) {
    source_.input(name, index, desc);
    strides(name, desc, lanes, false);
  }
  void output(const char* name, uint32_t index, const bp_tensor_desc& desc) {
    source_.output(name, index, desc);
    strides(name, desc, true, true);
  }

 private:
  void strides(const std::string& name, const bp_tensor_desc& desc, bool lanes, bool written) {
    for (uint32_t axis = 0; axis < desc.rank; ++axis) {
      declare_stride(source_, name + "_s" + std::to_string(axis), desc.strides[axis]);
    }
    if (lanes) declare_lane_access(source_, name, desc.dtype, form_.width, desc.strides[2], written);
  }
  Source& source_;
  const Form& form_;
};

/// 0 or -inf for a bool mask; a float mask as it is.
void declare_mask(Source& source, const Problem& p, const Form& form, Pass pass) {
  source.define("MASK", p.mask != nullptr);
  if (p.mask == nullptr) return;
  const bp_tensor_desc& mask = *p.mask;
  source.input("mask", p.grad ? 6 : 3, mask);
  for (uint32_t axis = 0; axis < 4; ++axis) declare_stride(source, "mask_s" + std::to_string(axis), mask.strides[axis]);
  source.define("LOAD_shown(i)", mask.dtype == BP_BOOL ? "(LOAD_mask(i) ? ZERO : -INF)" : "LOAD_mask(i)");
  const bool by_key = pass == Pass::grad_key;
  // Named by no buffer, so that it is read element by element.
  declare_lane_access(source, "shown", BP_BOOL, form.width, mask.strides[by_key ? 3 : 2], false);
  const std::string row = "batch * mask_s0 + head * mask_s1 + ";
  source.define("SEEN(j)", "GET_shown(" + row +
                               (by_key ? "(j) * mask_s2 + first * mask_s3" : "first * mask_s2 + (j) * mask_s3") +
                               ", left, ZERO)");
}

/// A number in the argument list, so that it is no part of the text.
void declare_scale(Source& source, double scale, bool wide) {
  if (wide) {
    int32_t halves[2];
    std::memcpy(halves, &scale, 8);
    source.param("scale_high", halves[1]);
    source.param("scale_low", halves[0]);
    return source.define("SCALE", "MAKE_F64(TO_UINT(scale_high), TO_UINT(scale_low))");
  }
  const float value = static_cast<float>(scale);
  int32_t bits;
  std::memcpy(&bits, &value, 4);
  source.param("scale_bits", bits);
  source.define("SCALE", "AS_FLOAT(scale_bits)");
}

void declare_numbers(Source& source, const Problem& p, const Form& form, Pass pass) {
  const bool wide = p.dtype() == BP_F64;
  source.define("DEPTH", std::max<int64_t>(p.q.shape[3], 1));
  source.define("VALUES", std::max<int64_t>(p.v.shape[3], 1));
  source.define("KEYS", form.keys);
  source.define("ZERO", wide ? "TO_F64(0)" : "0.0f");
  source.define("ONE", wide ? "TO_F64(1)" : "1.0f");
  source.define("LEAST", "1.0e-37f");  // probabilities below count as 0
  source.define("TO_REAL(i)", wide ? "TO_F64(i)" : "TO_FLOAT(i)");
  std::string numbers = "0";
  for (uint32_t lane = 1; lane < form.width; ++lane) numbers += ", " + std::to_string(lane);
  source.define("LANE_NUMBERS", form.width == 1                           ? "ZERO"
                                : source.facts().dialect == Dialect::glsl ? "vec4(" + numbers + ")"
                                                                          : "(LANES)(" + numbers + ")");
  const auto& attrs = sdk::attrs<bp_attention_attrs>(p.op);
  source.define("CAUSAL", attrs.causal != 0 ? "true" : "false");
  declare_scale(source, attrs.scale, wide);
  source.param("heads", p.q.shape[1]);
  source.param("key_heads", p.k.shape[1]);
  source.param("heads_per_key", p.q.shape[1] / std::max<int64_t>(p.k.shape[1], 1));
  source.param("queries", p.q.shape[2]);
  source.param("keys", p.k.shape[2]);
  source.param("chunks", (p.lanes(pass) + form.members() - 1) / form.members());
}

/// The names of kernels/attention_items.kernel.
void declare_items(Source& source, const Problem& p, const Form& form, Pass pass) {
  source.define("STAGED", form.tile != 0);
  source.define("SHARE", form.share);
  source.define("AT_ONCE", form.at_once);
  std::string sum;
  for (uint32_t step = 1; step < form.share; step *= 2) sum += "v += SUB_SHUFFLE(v, " + std::to_string(step) + "); ";
  source.define("SHARE_SUM(v)", sum);
  if (form.share > 1) declare_subgroup(source);
  source.define("WORK_ITEM", form.share > 1 ? "(SUB_ID * SUB_SIZE + SUB_RANK)" : "LOCAL_ID(0)");
  source.include("attention_items");
  if (form.tile == 0) return;
  source.define("TILE", form.tile);
  source.define("MEMBERS", form.members());
  const bool by_key = pass == Pass::grad_key;
  const std::string_view real = compute_type(p.dtype());
  source.local_array(real, by_key ? "q_tile" : "k_tile", "TILE * DEPTH");
  source.local_array(real, by_key ? "dy_tile" : "v_tile", "TILE * VALUES");
}

void declare_operands(Source& source, const Problem& p, const Form& form, Pass pass) {
  Operands operands(source, form);
  const bp_op& op = p.op;
  const bool by_key = pass == Pass::grad_key;
  const uint32_t q = p.grad ? 1 : 0;
  operands.input("q", q, p.q, !by_key);
  operands.input("k", q + 1, p.k, by_key);
  operands.input("v", q + 2, p.v, by_key);
  if (!p.grad) {
    operands.output("o", 0, op.outputs[0]);
    source.define("LSE", op.num_outputs == 2);
    if (op.num_outputs == 2) operands.output("lse", 1, op.outputs[1]);
    return;
  }
  operands.input("dy", 0, op.inputs[0], !by_key);
  operands.input("lse", 5, op.inputs[5], !by_key);
  source.workspace("delta", p.dtype(), 0, p.deltas(), !by_key);
  if (by_key) {
    operands.output("dk", 1, op.outputs[1]);
    operands.output("dv", 2, op.outputs[2]);
    return;
  }
  operands.input("o", 4, op.inputs[4], true);
  operands.output("dq", 0, op.outputs[0]);
  declare_lane_access(source, "delta", p.dtype(), form.width, 1, true);
}

Launch build_pass(const Problem& p, const DeviceFacts& facts, const Form& form, Pass pass) {
  static constexpr const char* kTexts[] = {"attention", "attention_grad_query", "attention_grad_key"};
  const char* text = kTexts[static_cast<int>(pass)];
  Source source(facts, text);
  declare_lanes(source, form.width, p.dtype());
  declare_numbers(source, p, form, pass);
  declare_items(source, p, form, pass);
  declare_operands(source, p, form, pass);
  declare_mask(source, p, form, pass);
  const int64_t items = p.rows(pass) * ((p.lanes(pass) + form.members() - 1) / form.members());
  source.param("items", items);
  const LinearGrid grid =
      form.tile != 0 ? team_grid(items, Team::group, form.group, facts) : linear_grid(items, facts, form.group);
  return source.finish(kernel_text(text), grid.group, grid.grid);
}

Recipe build(const bp_op& op, const DeviceFacts& facts, const Form& form) {
  const Problem p(op);
  Recipe recipe;
  if (!p.grad) {
    recipe.launches.push_back(build_pass(p, facts, form, Pass::forward));
    return recipe;
  }
  if (p.deltas() != 0) recipe.launches.push_back(build_pass(p, facts, form, Pass::grad_query));
  if (p.rows(Pass::grad_key) * p.k.shape[2] != 0) recipe.launches.push_back(build_pass(p, facts, form, Pass::grad_key));
  return recipe;
}

/// No fewer turns than all loops of a work-item take together.
int64_t turns(const Problem& p, const Form& form, Pass pass) {
  const int64_t depth = p.q.shape[3], values = p.v.shape[3], both = depth + values;
  const bool by_key = pass == Pass::grad_key;
  const int64_t heads = by_key ? p.q.shape[1] / std::max<int64_t>(p.k.shape[1], 1) : 1;
  const int64_t walked = by_key ? p.q.shape[2] : p.k.shape[2];
  const int64_t elements = pass == Pass::forward ? both : pass == Pass::grad_query ? both + depth : 2 * both;
  const int64_t of_block = elements / (int64_t{form.share} * form.at_once) + form.keys + 1;
  const int64_t of_tile = form.tile != 0 ? form.tile * both / form.group + 3 : 0;
  const int64_t tiles = form.tile != 0 ? walked / form.tile + 2 : 0;
  return heads * ((walked / form.keys + 2) * of_block + tiles * of_tile + 1) + 4 * both;
}

int64_t most_turns(const Problem& p, const Form& form) {
  if (!p.grad) return turns(p, form, Pass::forward);
  return std::max(turns(p, form, Pass::grad_query), turns(p, form, Pass::grad_key));
}

/// As few as keep the turns within what the driver allows: each costs time to compile.
uint32_t elements_at_once(const Problem& p, const DeviceFacts& facts, Form form) {
  for (; form.at_once < 4 && most_turns(p, form) > facts.max_loop_steps; form.at_once *= 2) {
    const int64_t next = 2 * int64_t{form.at_once} * form.share;
    if (p.q.shape[3] % next != 0 || p.v.shape[3] % next != 0) break;
  }
  return form.at_once;
}

std::string refuse_attention(const bp_op& op, const DeviceFacts& facts) {
  const Problem p(op);
  if (p.dtype() == BP_F64 && facts.dialect == Dialect::glsl) return "f64 exponentials are not there in GLSL";
  if (p.mask != nullptr && p.mask->dtype == BP_F64 && p.dtype() != BP_F64) return "an f64 mask of narrower operands";
  const int64_t depth = std::max(p.q.shape[3], p.v.shape[3]);
  if (p.q.shape[3] == 0 || p.v.shape[3] == 0) return "heads without elements; they decompose";
  if (depth > kMostDepth) {
    return "heads of " + std::to_string(depth) + " elements; registers hold " + std::to_string(kMostDepth);
  }
  return {};
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) {
  const Problem p(op);
  const auto add = [&](std::string name, Form form) {
    form.at_once = elements_at_once(p, facts, form);
    Variant variant;
    variant.name = std::move(name);
    variant.prior = out.empty() ? 1 : 2;
    if (p.grad) variant.workspace = (static_cast<uint64_t>(p.deltas()) * (p.dtype() == BP_F64 ? 8 : 4) + 63) / 64 * 64;
    variant.steps = static_cast<uint64_t>(most_turns(p, form));
    variant.determinism = BP_DETERMINISM_BATCH;
    variant.build = [&op, facts, form] { return build(op, facts, form); };
    out.push_back(std::move(variant));
  };
  const uint32_t width = lane_width(facts, p.q.dtype, p.q.shape[2]);
  const uint32_t group = !facts.cpu_like                  ? group_size(facts, 64)
                         : facts.dialect == Dialect::glsl ? group_size(facts, 8)
                                                          : 1;
  // llvmpipe takes seconds to compile more.
  const uint32_t keys = facts.cpu_like && facts.dialect == Dialect::glsl ? 4 : 8;
  const std::string of_keys = "keys=" + std::to_string(keys);
  const auto add_tiles = [&] {
    const int64_t depth = p.q.shape[3], values = p.v.shape[3];
    Form form{1, keys, group_size(facts, facts.cpu_like ? 32 : 128)};
    const int64_t held = facts.cpu_like ? 8 : 64;  // elements of q and o (k and v) that a work-item should hold
    const bool shuffles = facts.subgroup_shuffle && p.dtype() != BP_F64 && facts.subgroup_size > 1 &&
                          form.group % facts.subgroup_size == 0;
    while (shuffles && form.share * 2 <= std::min(facts.subgroup_size, 8u) && depth % (2 * form.share) == 0 &&
           values % (2 * form.share) == 0 && (depth + values) / form.share > held) {
      form.share *= 2;
    }
    const int64_t row_bytes = (depth + values) * (p.dtype() == BP_F64 ? 8 : 4);
    for (form.tile = 32; form.tile > keys && form.tile * row_bytes > facts.local_bytes / 2;) form.tile /= 2;
    if (form.group < 2 || form.tile * row_bytes > facts.local_bytes) return;
    add("tiles@" + of_keys + ",tile=" + std::to_string(form.tile) + ",g=" + std::to_string(form.group) +
            ",share=" + std::to_string(form.share),
        form);
  };
  if (!facts.cpu_like) add_tiles();
  if (width > 1) add("queries_per_item@w=" + std::to_string(width) + "," + of_keys, {width, keys, group});
  if (facts.cpu_like) add_tiles();
  add("query_per_item@" + of_keys, {1, keys, group});
}

}  // namespace

extern const Family kAttentionFamily{BP_OP_ATTENTION, refuse_attention, list};
extern const Family kAttentionGradFamily{BP_OP_ATTENTION_GRAD, refuse_attention, list};

}  // namespace backplane::codegen
