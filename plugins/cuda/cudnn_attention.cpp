// SPDX-License-Identifier: Apache-2.0
#include "cudnn_attention.h"

#include <bit>
#include <limits>

namespace backplane::cuda::dnn {
namespace {

using A = Attribute;

constexpr size_t kOldest = 92100;      // the graph inside: 9.21
constexpr int64_t kWidestHead = 128, kHeadStep = 8;

/// The operation's operands in its own order, as attributes.
struct Row {
  uint32_t code;
  Kind kind;
  std::vector<A> inputs, outputs;
  uint32_t q;  ///< which input; k and v follow
  A scale, scores, scores_in, scores_out;
};
const Row& row_of(uint32_t code) {
  static const Row kForward{BP_OP_ATTENTION, Kind::attention, {A::attention_q, A::attention_k, A::attention_v},
                            {A::attention_o, A::attention_lse}, 0, A::attention_scale, A::attention_scores,
                            A::attention_scores_in, A::attention_scores_out};
  static const Row kGrad{BP_OP_ATTENTION_GRAD, Kind::attention_grad,
                         {A::grad_do, A::grad_q, A::grad_k, A::grad_v, A::grad_o, A::grad_lse},
                         {A::grad_dq, A::grad_dk, A::grad_dv}, 1, A::grad_scale, A::grad_scores, A::grad_scores_in,
                         A::grad_scores_out};
  return code == BP_OP_ATTENTION ? kForward : kGrad;
}

const bp_attention_attrs& attrs_of(const bp_op& op) { return *static_cast<const bp_attention_attrs*>(op.attrs); }

/// Queries' logarithms, [B, H, S], as cuDNN has them: [B, H, S, 1].
bp_tensor_desc with_one_column(bp_tensor_desc desc) {
  desc.shape[desc.rank] = desc.strides[desc.rank] = 1;
  ++desc.rank;
  return desc;
}

/// A tensor of one element that the launch passes by value.
const Descriptor& add_constant(const Api& api, Graph& graph, int64_t uid, int data_type, uint32_t bits) {
  const bool yes = true;
  Descriptor made = new_tensor(api, uid, data_type, {1, 1, 1, 1}, {1, 1, 1, 1});
  made.set(A::tensor_is_by_value, Type::boolean, &yes).finalize("a constant");
  graph.constants.push_back({uid, bits});
  graph.parts.push_back(std::move(made));
  return graph.parts.back();
}

enum : int64_t { kScale = 21, kScores, kMasked, kShift, kHidden };  // uids beyond those of operands

/// The scores' way through the band, in f32 and nowhere in memory.
void add_causal(const Api& api, const Target& target, const bp_op& op, const Row& row, Graph& graph, Descriptor& node) {
  const bp_tensor_desc &q = op.inputs[row.q], &k = op.inputs[row.q + 1];
  const int64_t rows = q.shape[2], columns = k.shape[2];
  Descriptor band(api, Kind::band_mask);
  for (const auto& [uid, place] : {std::pair{kScores, A::band_x}, {kMasked, A::band_y}}) {
    const bool yes = true;
    Descriptor scores = new_tensor(api, uid, data_type(BP_F32), {q.shape[0], q.shape[1], rows, columns},
                                   {q.shape[1] * rows * columns, rows * columns, columns, 1});
    scores.set(A::tensor_is_virtual, Type::boolean, &yes).finalize("the scores");
    band.set(place, scores);
    graph.parts.push_back(std::move(scores));
  }
  band.set(A::band_shift, add_constant(api, graph, kShift, kInt32, static_cast<uint32_t>(columns - rows)));
  const float hidden = -std::numeric_limits<float>::infinity();
  band.set(A::band_fill, add_constant(api, graph, kHidden, data_type(BP_F32), std::bit_cast<uint32_t>(hidden)));
  band.set(A::band_comparison, Type::pointwise_mode, kAtLeast);
  graph.finish(api, target, std::move(band));  // a graph like the whole one, but inside
  node.set(row.scores, graph.whole()).set(row.scores_in, int64_t{kScores}).set(row.scores_out, int64_t{kMasked});
}

}  // namespace

bool is_attention(const bp_op& op) { return op.code == BP_OP_ATTENTION || op.code == BP_OP_ATTENTION_GRAD; }

std::string refuse_attention(const bp_op& op) {
  const Row& row = row_of(op.code);
  const bp_tensor_desc *q = op.inputs + row.q, *k = q + 1, *v = q + 2;
  if (op.num_inputs != row.inputs.size()) return "a mask";
  if (q->dtype != BP_F16 && q->dtype != BP_BF16) return "a dtype that is no half";
  for (const bp_tensor_desc* desc : {q, v}) {
    const int64_t width = desc->shape[3];
    if (width > kWidestHead || width % kHeadStep != 0) return "a head's width";
  }
  if (attrs_of(op).causal != 0 && k->shape[2] < q->shape[2]) return "queries that see no key";
  const auto fits = [](const bp_tensor_desc& desc) { return suits(desc) && (desc.rank < 4 || desc.strides[3] == 1); };
  for (uint32_t i = 0; i < op.num_inputs; ++i) {
    if (!fits(op.inputs[i])) return "an operand that is empty, or whose heads are no runs";
  }
  for (uint32_t i = 0; i < op.num_outputs; ++i) {
    if (!fits(op.outputs[i])) return "an output that is empty, or whose heads are no runs";
  }
  return {};
}

Graph make_attention(const Api& api, const Target& target, const bp_op& op) {
  if (api.GetVersion() < kOldest) throw sdk::Failure(BP_E_UNSUPPORTED, "[cuda] attention takes cuDNN 9.21 or newer");
  const Row& row = row_of(op.code);
  Graph graph;
  Descriptor node(api, row.kind);
  const auto add = [&](bool is_output, uint32_t index, A place) {
    const bp_tensor_desc& desc = is_output ? op.outputs[index] : op.inputs[index];
    const bp_tensor_desc wide = desc.rank == 3 ? with_one_column(desc) : desc;
    node.set(place, graph.add(api, op, is_output, index, &wide));
  };
  for (uint32_t i = 0; i < op.num_inputs; ++i) add(false, i, row.inputs[i]);
  for (uint32_t i = 0; i < op.num_outputs; ++i) add(true, i, row.outputs[i]);
  const auto scale = static_cast<float>(attrs_of(op).scale);
  node.set(row.scale, add_constant(api, graph, kScale, data_type(BP_F32), std::bit_cast<uint32_t>(scale)));
  if (attrs_of(op).causal != 0) add_causal(api, target, op, row, graph, node);
  graph.finish(api, target, std::move(node));
  return graph;
}

}  // namespace backplane::cuda::dnn
