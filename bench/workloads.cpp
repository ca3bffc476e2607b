// SPDX-License-Identifier: Apache-2.0
// The cases that devices and their variants are measured with. Within an op they go from small to large: what a variant
// reached on one case tells whether it is worth trying on the next (variants.cpp).
#include "case.h"

namespace backplane::bench {

namespace {

using Ints = std::vector<int64_t>;
namespace op = graph::op;

Operand floats(Shape shape, double low = -1, double high = 1) { return {{DType::f32, shape}, low, high}; }
Operand broadcast(Shape shape, Shape stored, double low = -1, double high = 1) {
  return {{DType::f32, shape}, low, high, stored};
}
Operand indices(int64_t count, int64_t below) { return {{DType::i32, {count}}, 0, static_cast<double>(below)}; }

struct ConvolutionShape {
  const char* kind;
  int64_t n, c, extent, o, k, stride, groups;
};
// Filters of 3x3 (plain, strided, grouped, depthwise, first layer), 1x1, 5x5 and 7x7; padded by k / 2.
constexpr ConvolutionShape kConvolutions[] = {
    {"3x3", 64, 1, 28, 16, 3, 1, 1},      {"3x3", 64, 16, 14, 32, 3, 1, 1},      {"3x3", 8, 64, 32, 64, 3, 1, 1},
    {"3x3 stride 2", 16, 16, 32, 32, 3, 2, 1}, {"1x1", 1, 256, 56, 64, 1, 1, 1}, {"grouped", 8, 32, 28, 32, 3, 1, 4},
    {"depthwise", 8, 32, 28, 32, 3, 1, 32}, {"5x5", 16, 16, 28, 32, 5, 1, 1},    {"7x7 stride 2", 2, 3, 112, 32, 7, 2, 1},
};

void add_convolutions(std::vector<Case>& cases) {
  const auto add = [&](const char* group, const graph::OpDef& op, const auto& operands, bool wants_shape, bool filter) {
    for (const ConvolutionShape& s : kConvolutions) {
      const int64_t pad = s.k / 2, out = (s.extent + 2 * pad - s.k) / s.stride + 1;
      const Shape x{s.n, s.c, s.extent, s.extent}, w{s.o, s.c / s.groups, s.k, s.k}, y{s.n, s.o, out, out};
      Case c{std::string(group) + "/" + s.kind + "/" + by({s.n, s.c, s.extent, s.o}), &op, {}, operands(x, w, y)};
      c.attrs = {{"stride", Ints{s.stride, s.stride}}, {"pad_low", Ints{pad, pad}}, {"groups", s.groups}};
      if (wants_shape) c.attrs.push_back({"shape", filter ? Ints{s.k, s.k} : Ints{s.extent, s.extent}});
      cases.push_back(std::move(c));
    }
  };
  using Operands = std::vector<Operand>;
  add("convolution", op::convolution, [](Shape x, Shape w, Shape) { return Operands{floats(x), floats(w)}; }, false,
      false);
  add("convolution_grad_data", op::convolution_grad_data,
      [](Shape, Shape w, Shape y) { return Operands{floats(y), floats(w)}; }, true, false);
  add("convolution_grad_filter", op::convolution_grad_filter,
      [](Shape x, Shape, Shape y) { return Operands{floats(x), floats(y)}; }, true, true);
}

void add_rows(std::vector<Case>& cases) {
  // Classifier heads, attention scores, long rows and one row, all along the last axis.
  const Shape shapes[] = {{64, 10}, {4096, 64}, {1024, 1024}, {128, 4096}, {8, 32768}};
  struct {
    const char* name;
    const graph::OpDef* op;
    bool gradient;
  } const ops[] = {{"softmax", &op::softmax, false},
                   {"log_softmax", &op::log_softmax, false},
                   {"softmax_grad", &op::softmax_grad, true},
                   {"log_softmax_grad", &op::log_softmax_grad, true}};
  for (const auto& o : ops) {
    for (const Shape& s : shapes) {
      // A gradient's first operand is y: probabilities, or their logarithms.
      const bool log = o.op == &op::log_softmax_grad;
      std::vector<Operand> operands = {o.gradient ? floats(s, log ? -8 : 0, log ? -2 : 0.01) : floats(s, -2, 2)};
      if (o.gradient) operands.push_back(floats(s));
      cases.push_back({std::string(o.name) + "/" + by({s[0], s[1]}), o.op, {{"axis", int64_t{-1}}}, operands});
    }
  }
}

struct NormShape {
  const char* name;
  int64_t kind;
  Shape x, statistics, parameters;
  Ints axes, parameter_axes;
};

void add_norms(std::vector<Case>& cases) {
  std::vector<NormShape> norms;
  for (const Shape& s : {Shape{512, 128}, Shape{64, 4096}, Shape{4096, 768}}) {
    for (int64_t kind : {BP_NORMALIZE_MEAN_VARIANCE, BP_NORMALIZE_RMS})
      norms.push_back({kind == BP_NORMALIZE_RMS ? "rms" : "layer", kind, s, {s[0], 1}, {1, s[1]}, {1}, {0}});
  }
  for (const Shape& s : {Shape{64, 16, 28, 28}, Shape{16, 64, 32, 32}})
    norms.push_back({"batch", BP_NORMALIZE_MEAN_VARIANCE, s, {1, s[1], 1, 1}, {1, s[1], 1, 1}, {0, 2, 3}, {0, 2, 3}});
  const auto name = [](const NormShape& n) {
    std::string text;
    for (int64_t extent : n.x) text += (text.empty() ? "" : "x") + std::to_string(extent);
    return std::string(n.name) + "/" + text;
  };
  for (const NormShape& n : norms) {
    cases.push_back({"normalize/" + name(n),
                     &op::normalize,
                     {{"kind", n.kind}, {"axes", n.axes}},
                     {floats(n.x), broadcast(n.x, n.parameters), broadcast(n.x, n.parameters)}});
  }
  for (const NormShape& n : norms) {
    cases.push_back({"normalize_grad/" + name(n),
                     &op::normalize_grad,
                     {{"kind", n.kind}, {"axes", n.axes}, {"param_axes", n.parameter_axes}},
                     {floats(n.x), floats(n.x), floats(n.statistics, -0.1, 0.1), floats(n.statistics, 1.5, 2),
                      broadcast(n.x, n.parameters)}});
  }
}

void add_reductions(std::vector<Case>& cases) {
  struct {
    const char* name;
    const graph::OpDef* op;
    Shape shape;
    Ints axes;
  } const reductions[] = {
      {"sum/rows/1024x1024", &op::reduce_sum, {1024, 1024}, {1}},
      {"sum/columns/1024x1024", &op::reduce_sum, {1024, 1024}, {0}},
      {"sum/channels/64x16x28x28", &op::reduce_sum, {64, 16, 28, 28}, {0, 2, 3}},
      {"max/rows/4096x64", &op::reduce_max, {4096, 64}, {1}},
      {"argmax/rows/4096x64", &op::reduce_argmax, {4096, 64}, {1}},
      {"sum/all/4194304", &op::reduce_sum, {4194304}, {0}},
  };
  for (const auto& r : reductions)
    cases.push_back({std::string("reduce/") + r.name, r.op, {{"axes", r.axes}}, {floats(r.shape)}});
}

void add_windows_and_indices(std::vector<Case>& cases) {
  for (int64_t kind : {BP_POOL_MAX, BP_POOL_AVERAGE}) {
    const std::string name = std::string(kind == BP_POOL_MAX ? "max" : "average") + "/2x2/64x16x28x28";
    const std::vector<graph::AttrArg> attrs = {{"kind", kind}, {"window", Ints{2, 2}}};
    const Operand x = floats({64, 16, 28, 28});
    Operand y = floats({64, 16, 14, 14});
    cases.push_back({"pool/" + name, &op::pool, attrs, {x}});
    y.made_by = &op::pool, y.attrs = attrs, y.from = {0};
    cases.push_back({"pool_grad/" + name, &op::pool_grad, attrs, {x, y, floats({64, 16, 14, 14})}});
  }
  cases.push_back({"gather/4096 of 32000x256", &op::gather_rows, {}, {floats({1, 32000, 256}), indices(4096, 32000)}});
  cases.push_back({"gather/one of 10 in 4096", &op::gather_rows, {}, {floats({1, 40960, 1}), indices(4096, 40960)}});
  cases.push_back({"scatter_add/4096 into 32000x256",
                   &op::scatter_add_rows,
                   {},
                   {floats({1, 32000, 256}), indices(4096, 32000), floats({1, 4096, 256})}});
}

void add_attention(std::vector<Case>& cases) {
  struct {
    int64_t batch, heads, length, depth;
  } const shapes[] = {{12, 4, 64, 32}, {1, 8, 256, 64}, {1, 4, 1024, 64}};
  const std::vector<graph::AttrArg> causal = {{"causal", true}};
  for (const auto& s : shapes) {
    const Operand rows = floats({s.batch, s.heads, s.length, s.depth});
    cases.push_back({"attention/causal/" + by({s.batch, s.heads, s.length, s.depth}), &op::attention, causal,
                     {rows, rows, rows}});
  }
  for (const auto& s : shapes) {
    const Operand rows = floats({s.batch, s.heads, s.length, s.depth});
    Operand o = rows, lse = floats({s.batch, s.heads, s.length});
    o.made_by = lse.made_by = &op::attention;
    o.attrs = lse.attrs = causal;
    o.from = lse.from = {1, 2, 3};
    lse.output = 1;
    cases.push_back({"attention_grad/causal/" + by({s.batch, s.heads, s.length, s.depth}), &op::attention_grad, causal,
                     {rows, rows, rows, rows, o, lse}});
  }
}

}  // namespace

Case matmul_case(int64_t m, int64_t n, int64_t k, int64_t batch) {
  return {"matmul/" + (batch == 1 ? by({m, n, k}) : by({batch}) + " of " + by({m, n, k})),
          &op::batch_matmul,
          {},
          {floats({batch, m, k}), floats({batch, k, n})}};
}

const std::vector<Case>& workloads() {
  static const std::vector<Case> cases = [] {
    std::vector<Case> all;
    const int64_t products[][3] = {{32, 32, 32},      {64, 64, 64},      {127, 129, 65},     {128, 10, 256},
                                   {255, 257, 63},    {256, 65, 384},    {64, 256, 784},     {256, 256, 256},
                                   {1, 4096, 4096},   {4096, 1, 4096},   {512, 512, 512},    {1023, 1023, 1023},
                                   {1024, 1024, 1024}, {1024, 3072, 768}, {1024, 1024, 4096}, {2048, 2048, 2048}};
    for (const auto& s : products) all.push_back(matmul_case(s[0], s[1], s[2]));
    all.push_back(matmul_case(16, 16, 16, 1024));
    all.push_back(matmul_case(64, 64, 32, 48));
    add_convolutions(all);
    add_rows(all);
    add_norms(all);
    add_reductions(all);
    add_windows_and_indices(all);
    add_attention(all);
    return all;
  }();
  return cases;
}

}  // namespace backplane::bench
