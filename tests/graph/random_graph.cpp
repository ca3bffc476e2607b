// SPDX-License-Identifier: Apache-2.0
// Ops are drawn from the registry and tried on random values of the graph; what inference refuses is drawn again.
#include "random_graph.h"

#include <algorithm>
#include <cmath>

#include "backplane/graph/ops.h"

namespace backplane::graph::test {

namespace {

using Ints = std::vector<int64_t>;
constexpr int64_t kMaxElements = 4096;

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed), graph_(std::make_unique<Graph>()) {
    for (const OpDef* op : all_ops()) {
      if (op->tier == Tier::scalar) scalar_ops_.push_back(op);
      if (op->tier == Tier::composite || op->tier == Tier::primitive || op->tier == Tier::assemble) {
        if (op->samples != nullptr && op->pure) sampled_ops_.push_back(op);
      }
    }
  }

  size_t below(size_t n) { return static_cast<size_t>(random_() % n); }
  template <class Range>
  auto pick(const Range& range) {
    return range[below(std::size(range))];
  }

  std::unique_ptr<Graph> run(size_t nodes) {
    const Shape shapes[] = {{4, 6}, {6}, {4, 1}, {2, 4, 6}, {}, {6, 6}};
    for (const Shape& shape : shapes) {
      keep(graph_->sym(graph_->add_input(Input::Kind::placeholder, {pick(kAllDTypes), shape}, name())));
      keep(graph_->sym(graph_->add_input(Input::Kind::variable, {f32, shape}, name())));
    }
    while (graph_->size() < nodes) {
      graph_->loc = {"random.cpp", static_cast<uint32_t>(graph_->size())};
      step();
    }
    graph_->set_outputs(unused_values());
    return std::move(graph_);
  }

 private:
  /// What nothing reads becomes an output; a few of them stay dead ends.
  std::vector<Value> unused_values() {
    std::vector<bool> used(graph_->size(), false);
    for (NodeId id = 0; id < graph_->size(); ++id) {
      for (Value v : graph_->inputs_of(id)) used[v.node] = true;
    }
    std::vector<Value> outputs;
    for (Sym s : values_) {
      if (!used[s.id] && below(6) != 0) outputs.push_back(graph_->value(s));
    }
    if (outputs.empty()) outputs.push_back(graph_->value(values_.back()));
    return outputs;
  }

  /// Recent values more often than old ones, so that graphs get deep.
  Sym value() {
    const size_t n = values_.size(), back = below(4) == 0 ? below(n) : below(std::min<size_t>(n, 12));
    return values_[n - 1 - back];
  }
  std::string name() { return "in" + std::to_string(values_.size()); }

  void keep(Sym s) {
    if (s.type().elements() <= kMaxElements) values_.push_back(s);
  }

  void step() {
    try {
      switch (below(12)) {
        case 0: return view();
        case 1: return reduce();
        case 2: return product();
        case 3: return composite();
        case 4: return constant();
        default: return scalar_op();
      }
    } catch (const Error&) {
      // Operands that do not fit: draw again.
    }
  }

  void scalar_op() {
    const OpDef& op = *pick(scalar_ops_);
    std::vector<Sym> in;
    std::vector<AttrArg> attrs;
    for (int i = 0; i < op.max_inputs; ++i) in.push_back(value());
    for (const AttrSpec& spec : op.attrs) {
      if (spec.kind == AttrKind::dtype) attrs.push_back({spec.name, pick(kAllDTypes)});
    }
    // Most of the time the operands are made to fit.
    if (below(6) != 0) make_fit(op, in);
    // x ^ 2 = x * x holds within one unit in the last place only (see the rule), so exponents vary here.
    mark();
    if (&op == &op::pow && constant_[in[1].id]) return;
    add(op, attrs, in);
    if (below(8) == 0) add(op, attrs, in);  // the same work again
  }

  /// One dtype, floats for most of what wants floats, shapes that broadcast.
  void make_fit(const OpDef& op, std::vector<Sym>& in) {
    const size_t first = in.size() == 3 ? 1 : 0;
    const bool wants_float = op.scalar_code >= BP_S_EXP && op.scalar_code <= BP_S_CEIL;
    if (wants_float || (below(2) == 0 && op.scalar_code < BP_S_AND)) {
      in[first] = cast(in[first], below(8) == 0 ? f16 : f32);
    }
    for (size_t i = 0; i < in.size(); ++i) {
      if (i == first) continue;
      for (int tries = 0; tries < 8 && !broadcasts(in[i].shape(), in[first].shape()); ++tries) in[i] = value();
      in[i] = cast(in[i], i < first ? boolean : in[first].dtype());
    }
  }

  static bool broadcasts(const Shape& a, const Shape& b) {
    for (int i = 1; i <= std::min(a.rank(), b.rank()); ++i) {
      const int64_t x = a[a.rank() - i], y = b[b.rank() - i];
      if (x != y && x != 1 && y != 1) return false;
    }
    return true;
  }

  void view() {
    const Sym x = value();
    const int rank = x.rank();
    switch (below(5)) {
      case 0: return add(op::reshape, {{"shape", Ints{-1}}}, {x});
      case 1: {
        Ints axes(static_cast<size_t>(rank));
        for (size_t i = 0; i < axes.size(); ++i) axes[i] = static_cast<int64_t>(i);
        std::shuffle(axes.begin(), axes.end(), random_);
        return add(op::permute, {{"axes", axes}}, {x});
      }
      case 2: {
        Ints shape = x.shape().vector();
        for (int64_t& extent : shape) extent = extent == 1 ? 1 + static_cast<int64_t>(below(4)) : extent;
        if (below(2) == 0 && rank < 4) shape.insert(shape.begin(), 2);
        return add(op::expand, {{"shape", shape}}, {x});
      }
      case 3: {
        Ints start, stop, step;
        for (int64_t extent : x.shape()) {
          const bool backwards = below(3) == 0;
          const auto by = 1 + static_cast<int64_t>(below(2));
          const auto from = extent > 1 ? static_cast<int64_t>(below(2)) : 0;
          start.push_back(backwards ? extent - 1 - from : from);
          stop.push_back(backwards ? -1 : extent);
          step.push_back(backwards ? -by : by);
        }
        return add(op::slice, {{"start", start}, {"stop", stop}, {"step", step}}, {x});
      }
      default: return add(op::flip, {{"axes", Ints{}}}, {x});
    }
  }

  void reduce() {
    const OpDef* const ops[] = {&op::reduce_sum,  &op::reduce_max, &op::reduce_min,
                                &op::reduce_prod, &op::mean,       &op::softmax};
    const OpDef& op = *pick(ops);
    const Sym x = value();
    if (x.rank() == 0) return;
    const auto axis = static_cast<int64_t>(below(static_cast<size_t>(x.rank())));
    if (&op == &op::softmax) return add(op, {{"axis", axis}}, {x});
    add(op, {{"axes", Ints{axis}}}, {x});
  }

  void product() {
    const Sym a = value(), b = value();
    add(op::matmul, {}, {a, cast(below(2) == 0 || b.rank() < 2 ? b : transpose(b), a.dtype())});
  }

  /// An op with the attributes and operand types of one of its samples, fed from values of the graph.
  void composite() {
    const OpDef& op = *pick(sampled_ops_);
    const auto samples = op.samples();
    if (samples.empty()) return;
    const Sample& sample = pick(samples);
    std::vector<Sym> in;
    for (const SampleInput& wanted : sample.inputs) {
      if (wanted.type.elements() > kMaxElements || is_integer(wanted.type.dtype)) return;  // indices have a range
      in.push_back(resized(value(), wanted.type));
    }
    if (in.empty()) return;
    add(op, sample.attrs, in);
  }

  /// Elements of `x`, as many as `type` needs.
  Sym resized(Sym x, const Type& type) {
    const Sym flat = reshape(cast(x, type.dtype), {x.type().elements()});
    const int64_t have = flat.type().elements(), want = type.elements();
    if (have == 0) return full(*graph_, 0.5, type.dtype, type.shape);
    const Ints start = {0}, stop = {std::min(have, want)}, step = {1};
    if (have >= want) return reshape(slice(flat, start, stop, step), type.shape);
    const Shape units(Ints(static_cast<size_t>(type.shape.rank()), 1));
    return expand(reshape(slice(flat, start, Ints{1}, step), units), type.shape);
  }

  void constant() {
    const double numbers[] = {0, 1, -1, 0.5, 2, -0.0, 4};
    const Shape shapes[] = {{}, {6}, {4, 6}, {1, 1}};
    const Shape shape = pick(shapes);
    const DType dtype = pick(kAllDTypes);
    const Sym s = below(3) != 0 ? full(*graph_, pick(numbers), dtype, shape)
                                : graph_->constant({dtype, shape}, random_literal({dtype, shape}, random_, false).bytes);
    mark();
    keep(s);
  }

  void add(const OpDef& op, const std::vector<AttrArg>& attrs, const std::vector<Sym>& in) {
    const std::vector<Sym> out = apply(op, std::span<const AttrArg>(attrs), std::span<const Sym>(in));
    mark();
    for (Sym s : out) keep(s);
  }

  /// Which nodes depend on constants only.
  void mark() {
    while (constant_.size() < graph_->size()) {
      const auto id = static_cast<NodeId>(constant_.size());
      const auto in = graph_->inputs_of(id);
      constant_.push_back(graph_->node(id).op != &op::input &&
                          std::all_of(in.begin(), in.end(), [&](Value v) { return bool(constant_[v.node]); }));
    }
  }

  Random random_;
  std::unique_ptr<Graph> graph_;
  std::vector<Sym> values_;
  std::vector<bool> constant_;
  std::vector<const OpDef*> scalar_ops_, sampled_ops_;
};

}  // namespace

std::unique_ptr<Graph> random_graph(uint64_t seed, size_t nodes) { return Generator(seed).run(nodes); }

}  // namespace backplane::graph::test
