// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention with grouped heads, masks and causality, and its gradient as an op of its own.
//
// Both keep, per query, only lse = log(sum(exp(scores))): p = exp(scores - lse) is formed again where it is needed (Dao et
// al. 2022, FlashAttention). A query that sees no key has lse = -inf and gives zeros. Half types are computed in f32.
#include <cmath>

#include "ops/nn.h"

namespace backplane::graph {

namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
const Ints kKeys = {3};  ///< the axis of scores[B,H,Sq,Sk] that softmax runs along

std::vector<AttrSpec> attention_attrs() {
  return {{"causal", AttrKind::boolean, false, "query i sees key j only where j <= i + (keys - queries)"},
          {"scale", AttrKind::real, 0.0, "factor of q k^T; 0 = 1 / sqrt(D)"}};
}

double scale_of(const Attrs& attrs, int64_t depth) {
  const double scale = attrs.f64("scale");
  return scale != 0 ? scale : 1 / std::sqrt(static_cast<double>(std::max<int64_t>(1, depth)));
}

/// Checks q, k, v in operands `first` ... and the mask behind operand `mask`; gives the type of the scores.
Type check_operands(const InferArgs& args, size_t first, size_t mask) {
  require_one_float_dtype(args, first, first + 3);
  const Type &q = args.in[first], &k = args.in[first + 1], &v = args.in[first + 2];
  for (size_t i = first; i < first + 3; ++i) {
    if (args.in[i].shape.rank() != 4) args.fail("q, k and v must be [batch, heads, length, depth]");
  }
  if (!same_extent(q.shape[0], k.shape[0]) || !same_extent(k.shape[0], v.shape[0])) args.fail("batch extents differ");
  if (k.shape[1] != v.shape[1] || k.shape[2] != v.shape[2]) args.fail("k and v differ in heads or length");
  if (q.shape[3] != k.shape[3]) args.fail("q and k differ in depth");
  if (k.shape[1] < 1 || q.shape[1] % k.shape[1] != 0) {
    args.fail("the heads of q are not a multiple of the heads of k", "each key head serves heads(q) / heads(k) query heads");
  }
  const Type scores{accumulator(q.dtype), {q.shape[0], q.shape[1], q.shape[2], k.shape[2]}};
  if (args.in.size() > mask) {
    const Type& m = args.in[mask];
    if (m.dtype != DType::boolean && m.dtype != scores.dtype) {
      args.fail("the mask must be bool (true = attend) or " + std::string(name_of(scores.dtype)) + " (added to the scores)");
    }
    if (!same_shape(m.shape, scores.shape)) {
      args.fail("the mask must have the shape of the scores, " + scores.shape.to_string(), "expand() it");
    }
  }
  return scores;
}

template <uint32_t kCode>
void encode_attention(const Attrs& attrs, std::span<const Type> in, std::span<const Type>, KernelOp& op) {
  bp_attention_attrs native{};
  native.size = sizeof native;
  native.causal = attrs.flag("causal") ? 1 : 0;
  native.scale = scale_of(attrs, in[kCode == BP_OP_ATTENTION ? 0 : 1].shape[3]);
  op.code = kCode;
  op.set_attrs(native);
}

/// a[B,H,M,K] x b[B,Hk,K,N] where each head of b serves H / Hk heads of a: they are stacked along M, not repeated.
Sym grouped_product(Sym a, Sym b) {
  const Shape sa = a.shape(), sb = b.shape();
  const int64_t group = sb[1] == 0 ? 1 : sa[1] / sb[1];
  const Sym c = apply1(op::batch_matmul, {}, {reshape(a, {sa[0], sb[1], group * sa[2], sa[3]}), b});
  return reshape(c, {sa[0], sa[1], sa[2], sb[3]});
}

/// a[B,H,S,M], b[B,H,S,N] -> sum over S and the heads of each group, [B,Hk,M,N].
Sym grouped_outer(Sym a, Sym b, int64_t key_heads) {
  const Shape sa = a.shape(), sb = b.shape();
  const int64_t rows = sa[1] / key_heads * sa[2];
  return apply1(op::batch_matmul, {}, {transpose(reshape(a, {sa[0], key_heads, rows, sa[3]})),
                                       reshape(b, {sb[0], key_heads, rows, sb[3]})});
}

/// True where query i may see key j, [queries, keys].
Sym causal_mask(Builder& builder, int64_t queries, int64_t keys) {
  const Sym last_seen = iota(builder, queries, DType::f32) + static_cast<double>(keys - queries);
  return binary(op::le, reshape(iota(builder, keys, DType::f32), {1, keys}), reshape(last_seen, {queries, 1}));
}

/// scale * q k^T with the masks applied, [B,H,Sq,Sk]. `mask` may be empty.
Sym scores_of(const Attrs& attrs, Sym q, Sym k, Sym mask) {
  Sym s = grouped_product(q, transpose(k)) * scale_of(attrs, q.shape()[3]);
  const Sym never = scalar(*s.builder, -kInfinity, s.dtype());
  if (mask) s = mask.dtype() == DType::boolean ? where(mask, s, never) : s + mask;
  if (attrs.flag("causal")) s = where(causal_mask(*s.builder, q.shape()[2], k.shape()[2]), s, never);
  return s;
}

/// x with -inf replaced by 0.
Sym finite(Sym x) {
  const Sym never = scalar(*x.builder, -kInfinity, x.dtype());
  return where(binary(op::eq, x, never), scalar(*x.builder, 0, x.dtype()), x);
}

struct Backward {
  Sym p, ds;  ///< probabilities, and the gradient of the masked scores; both [B,H,Sq,Sk]
};

/// The gradient of the scores from that of o, and of lse where `dlse` is not empty.
Backward backward_of(const Attrs& attrs, Sym d_o, Sym dlse, Sym q, Sym k, Sym v, Sym o, Sym lse, Sym mask) {
  Backward b;
  b.p = exp(scores_of(attrs, q, k, mask) - unsqueeze(finite(lse), 3));
  const Sym delta = reduce_sum(d_o * o, kKeys);
  const Sym dp = grouped_product(d_o, transpose(v));
  b.ds = b.p * (dp - (dlse ? delta - unsqueeze(dlse, 3) : delta));
  return b;
}

std::vector<Sym> operand_gradients(const Attrs& attrs, const Backward& b, Sym d_o, Sym q, Sym k) {
  const double scale = scale_of(attrs, q.shape()[3]);
  const int64_t key_heads = k.shape()[1];
  return {grouped_product(b.ds, k) * scale, grouped_outer(b.ds, q, key_heads) * scale, grouped_outer(b.p, d_o, key_heads)};
}

void attention_vjp(VjpArgs& args) {
  const Sym q = args.in[0], k = args.in[1], v = args.in[2], o = args.out[0], lse = args.out[1];
  const Sym mask = args.in.size() > 3 ? args.in[3] : Sym{};
  const Sym d_o = args.dy[0] ? args.dy[0] : zeros_like(o);
  const bool wants_mask = mask && args.wants[3] && is_float(mask.dtype());
  if (!args.dy[1] && (args.wants[0] || args.wants[1] || args.wants[2])) {
    std::vector<Sym> in = {d_o, q, k, v, o, lse};
    if (mask) in.push_back(mask);
    const std::vector<Sym> g = apply(op::attention_grad, args.attrs.args(), in);
    std::copy(g.begin(), g.end(), args.dx.begin());
    if (!wants_mask) return;
  }
  // What the op attention_grad has no operand or result for: a gradient that arrives at lse, one that the mask wants.
  const Backward b = backward_of(args.attrs, widen(d_o), args.dy[1], widen(q), widen(k), widen(v), widen(o), lse, mask);
  if (args.dy[1]) {
    const std::vector<Sym> g = operand_gradients(args.attrs, b, widen(d_o), widen(q), widen(k));
    for (size_t i = 0; i < 3; ++i) args.dx[i] = cast(g[i], args.in[i].dtype());
  }
  if (wants_mask) args.dx[3] = b.ds;
}

/// Four flops per score and element of depth forward, ten backward; half of it where causality leaves half the scores.
Cost cost_of_attention(const Attrs& attrs, std::span<const Type> in, std::span<const Type> out, size_t first, double factor) {
  const Shape &q = in[first].shape, &k = in[first + 1].shape, &v = in[first + 2].shape;
  Cost cost;
  cost.flops = factor * static_cast<double>(q[0] * q[1] * q[2] * k[2]) * static_cast<double>(q[3] + v[3]);
  if (attrs.flag("causal") && q[2] == k[2]) cost.flops /= 2;
  for (const Type& type : in) cost.bytes += static_cast<double>(type.bytes());
  for (const Type& type : out) cost.bytes += static_cast<double>(type.bytes());
  return cost;
}

Sample attention_sample(Shape q, Shape k, Shape v, std::vector<AttrArg> attrs = {}) {
  return {{sample(q), sample(k), sample(v)}, std::move(attrs)};
}

/// o and lse have to belong to q, k and v: with q = 0 all keys count the same, and with v = 1 so is o.
Sample grad_sample(Shape q, Shape k, Shape v, std::vector<AttrArg> attrs = {}) {
  const Shape o{q[0], q[1], q[2], v[3]}, lse{q[0], q[1], q[2]};
  const double log_keys = std::log(static_cast<double>(k[2]));
  return {{sample(o), sample(q, 0, 0), sample(k), sample(v, 1, 1), sample(o, 1, 1), sample(lse, log_keys, log_keys)},
          std::move(attrs), false};
}

Sample with_mask(Sample s, Shape scores, DType dtype) {
  s.inputs.push_back(dtype == DType::boolean ? sample(scores, 0, 2, dtype) : sample(scores, -1, 1, dtype));
  return s;
}

std::vector<Type> infer_attention(const InferArgs& args) {
  const Type scores = check_operands(args, 0, 3);
  const Shape& s = scores.shape;
  return {{args.in[0].dtype, {s[0], s[1], s[2], args.in[2].shape[3]}}, {scores.dtype, {s[0], s[1], s[2]}}};
}

std::vector<Sym> decompose_attention(const DecomposeArgs& args) {
  const Sym q = widen(args.in[0]), k = widen(args.in[1]), v = widen(args.in[2]);
  const Sym s = scores_of(args.attrs, q, k, args.in.size() > 3 ? args.in[3] : Sym{});
  const Sym top = finite(reduce_max(s, kKeys));
  const Sym e = exp(s - top);
  const Sym sum = reduce_sum(e, kKeys);
  const Sym zero = scalar(args.builder, 0, s.dtype()), one = scalar(args.builder, 1, s.dtype());
  const Sym blind = binary(op::eq, sum, zero);
  const Sym o = grouped_product(e / where(blind, one, sum), v);
  const Sym lse = where(blind, scalar(args.builder, -kInfinity, s.dtype()), top + log(where(blind, one, sum)));
  return {cast(o, args.in[0].dtype()), squeeze(lse, 3)};
}

std::vector<Type> infer_attention_grad(const InferArgs& args) {
  const Type scores = check_operands(args, 1, 6);
  const Shape& s = scores.shape;
  const Type o{args.in[1].dtype, {s[0], s[1], s[2], args.in[3].shape[3]}};
  for (size_t i : {size_t{0}, size_t{4}}) {
    if (args.in[i].dtype != o.dtype || !same_shape(args.in[i].shape, o.shape)) args.fail("do and o must be " + o.to_string());
  }
  const Type lse{scores.dtype, {s[0], s[1], s[2]}};
  if (args.in[5].dtype != lse.dtype || !same_shape(args.in[5].shape, lse.shape)) args.fail("lse must be " + lse.to_string());
  return {args.in[1], args.in[2], args.in[3]};
}

std::vector<Sym> decompose_attention_grad(const DecomposeArgs& args) {
  const Sym d_o = widen(args.in[0]), q = widen(args.in[1]), k = widen(args.in[2]), v = widen(args.in[3]);
  const Sym mask = args.in.size() > 6 ? args.in[6] : Sym{};
  const Backward b = backward_of(args.attrs, d_o, {}, q, k, v, widen(args.in[4]), args.in[5], mask);
  std::vector<Sym> g = operand_gradients(args.attrs, b, d_o, q, k);
  for (size_t i = 0; i < 3; ++i) g[i] = cast(g[i], args.in[1 + i].dtype());
  return g;
}

/// A mask that hides nothing, so that o and lse of a grad_sample stay right.
Sample see_all(Sample s, Shape scores) {
  s.inputs.push_back(sample(scores, 1, 2, DType::boolean));
  return s;
}

}  // namespace

const OpDef op::attention = {
    .name = "attention",
    .doc = "o = softmax(scale * q k^T + mask) v for q[B,H,Sq,D], k[B,Hk,Sk,D], v[B,Hk,Sk,Dv], H a multiple of Hk; mask is "
           "[B,H,Sq,Sk], bool (true = attend) or f32 (added; f64 with f64). Gives o[B,H,Sq,Dv] and lse[B,H,Sq], the "
           "logarithm of the softmax's denominator. A query that sees no key gives zeros, and lse = -inf.",
    .min_inputs = 3,
    .max_inputs = 4,
    .outputs = 2,
    .attrs = attention_attrs(),
    .infer = infer_attention,
    .decompose = decompose_attention,
    .vjp = attention_vjp,
    .native = {BP_OP_ATTENTION, encode_attention<BP_OP_ATTENTION>},
    .cost = [](const Attrs& attrs, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_attention(attrs, in, out, 0, 2);
    },
    .samples = [] {
      Sample blind = attention_sample({1, 1, 5, 3}, {1, 1, 3, 3}, {1, 1, 3, 2}, {{"causal", true}});
      blind.gradcheck = false;  // the first queries see nothing: lse is -inf there
      return std::vector<Sample>{
          attention_sample({2, 3, 4, 5}, {2, 3, 6, 5}, {2, 3, 6, 5}),
          attention_sample({1, 4, 5, 3}, {1, 2, 5, 3}, {1, 2, 5, 2}, {{"causal", true}, {"scale", 0.7}}),
          attention_sample({1, 2, 3, 4}, {1, 1, 5, 4}, {1, 1, 5, 4}, {{"causal", true}}),
          with_mask(attention_sample({1, 2, 3, 4}, {1, 2, 5, 4}, {1, 2, 5, 3}), {1, 2, 3, 5}, DType::f32),
          attention_sample({1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}),
          attention_sample({0, 2, 3, 4}, {0, 2, 3, 4}, {0, 2, 3, 4}),
          blind,
      };
    },
};

const OpDef op::attention_grad = {
    .name = "attention_grad",
    .doc = "(dq, dk, dv) of attention from (do, q, k, v, o, lse [, mask]): p = exp(scores - lse), dp = do v^T, "
           "ds = p * (dp - sum(do * o)), dq = scale * ds k, dk = scale * ds^T q, dv = p^T do.",
    .min_inputs = 6,
    .max_inputs = 7,
    .outputs = 3,
    .attrs = attention_attrs(),
    .infer = infer_attention_grad,
    .decompose = decompose_attention_grad,
    .native = {BP_OP_ATTENTION_GRAD, encode_attention<BP_OP_ATTENTION_GRAD>},
    .saves = Saves::inputs,
    .cost = [](const Attrs& attrs, std::span<const Type> in, std::span<const Type> out) {
      return cost_of_attention(attrs, in, out, 1, 5);
    },
    .samples = [] {
      return std::vector<Sample>{
          grad_sample({2, 3, 4, 5}, {2, 3, 6, 5}, {2, 3, 6, 5}),
          grad_sample({1, 4, 5, 3}, {1, 2, 5, 3}, {1, 2, 5, 2}, {{"scale", 0.7}}),
          grad_sample({1, 2, 1, 4}, {1, 1, 5, 4}, {1, 1, 5, 3}, {{"causal", true}}),
          see_all(grad_sample({1, 2, 3, 4}, {1, 2, 5, 4}, {1, 2, 5, 3}), {1, 2, 3, 5}),
          grad_sample({1, 1, 1, 1}, {1, 1, 1, 1}, {1, 1, 1, 1}),
          grad_sample({0, 2, 3, 4}, {0, 2, 3, 4}, {0, 2, 3, 4}),
      };
    },
};

}  // namespace backplane::graph
