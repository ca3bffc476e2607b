// SPDX-License-Identifier: Apache-2.0
// oneDNN called directly, with the plain layouts that ours have: products, convolutions without groups, softmax.
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "peers/module.h"

namespace backplane::bench {

namespace {

using dnnl::memory;

memory::desc plain(const Shape& shape) {
  static const memory::format_tag tags[] = {memory::format_tag::undef, memory::format_tag::a,
                                            memory::format_tag::ab,    memory::format_tag::abc,
                                            memory::format_tag::abcd,  memory::format_tag::abcde};
  return {memory::dims(shape.begin(), shape.end()), memory::data_type::f32, tags[shape.rank()]};
}

/// A primitive with its operands, run on a team of so many threads.
class Direct : public PeerCall {
 public:
  Direct(int threads, const std::vector<const float*>& values, const std::vector<Shape>& inputs, const Shape& output)
      : threads_(threads), engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs_.emplace_back(plain(inputs[i]), engine_, const_cast<float*>(values[i]));
    }
    output_values_.resize(static_cast<size_t>(output.elements()));
    output_ = memory(plain(output), engine_, output_values_.data());
  }

  template <class Descriptor, class PrimitiveDesc, class Primitive>
  void use(const Descriptor& descriptor, std::initializer_list<int> input_args) {
    const Team team(threads_);  // before creation: oneDNN prepares for so many
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const PrimitiveDesc pd(descriptor, attr, engine_);
    primitive_ = Primitive(pd);
    size_t i = 0;
    for (int arg : input_args) args_.emplace(arg, inputs_[i++]);
    args_.emplace(DNNL_ARG_DST, output_);
    args_.emplace(DNNL_ARG_SCRATCHPAD, memory(pd.scratchpad_desc(), engine_));
  }

  void enqueue() override {
    const Team team(threads_);
    primitive_.execute(stream_, args_);
    stream_.wait();
  }
  std::vector<float> output() override { return output_values_; }

 private:
  /// The cpu card sets its own number on this thread as well: each has to find what it left.
  struct Team {
    explicit Team(int threads) { omp_set_num_threads(threads); }
    ~Team() { omp_set_num_threads(before); }
    int before = omp_get_max_threads();
  };
  int threads_;
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<memory> inputs_;
  std::vector<float> output_values_;
  memory output_;
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> args_;
};

const float* floats(const std::vector<std::byte>& bytes) { return reinterpret_cast<const float*>(bytes.data()); }

std::unique_ptr<Direct> product(const Product& p, int threads) {
  auto direct = std::make_unique<Direct>(threads, std::vector{p.a, p.b}, std::vector{Shape{p.m, p.k}, Shape{p.k, p.n}},
                                         Shape{p.m, p.n});
  direct->use<dnnl::matmul::desc, dnnl::matmul::primitive_desc, dnnl::matmul>(
      dnnl::matmul::desc(plain({p.m, p.k}), plain({p.k, p.n}), plain({p.m, p.n})), {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS});
  return direct;
}

/// Spatial lists of the op, one entry for both axes where it says none.
memory::dims spatial(const graph::Attrs& attrs, const char* name, int64_t usual) {
  const auto list = attrs.ints(name);
  return list.empty() ? memory::dims{usual, usual} : memory::dims(list.begin(), list.end());
}

std::unique_ptr<Direct> convolution(const Case& c, const Values& values, int threads) {
  const graph::Attrs attrs(c.op->name, c.op->attrs, c.attrs);
  const std::vector<Type> in = {c.operands[0].type, c.operands[1].type};
  const Shape &x = in[0].shape, &w = in[1].shape, y = graph::infer_types(*c.op, attrs, in, {})[0].shape;
  const memory::dims dilation = spatial(attrs, "dilation", 1);
  if (x.rank() != 4 || attrs.i64("groups") != 1 || dilation != memory::dims{1, 1}) return nullptr;
  auto direct =
      std::make_unique<Direct>(threads, std::vector{floats(values[0]), floats(values[1])}, std::vector{x, w}, y);
  direct->use<dnnl::convolution_forward::desc, dnnl::convolution_forward::primitive_desc, dnnl::convolution_forward>(
      dnnl::convolution_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct, plain(x),
                                      plain(w), plain(y), spatial(attrs, "stride", 1), spatial(attrs, "pad_low", 0),
                                      spatial(attrs, "pad_high", 0)),
      {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS});
  return direct;
}

std::unique_ptr<Direct> softmax(const Case& c, const Values& values, int threads) {
  const Shape& x = c.operands[0].type.shape;
  const int64_t axis = graph::Attrs(c.op->name, c.op->attrs, c.attrs).i64("axis");
  auto direct = std::make_unique<Direct>(threads, std::vector{floats(values[0])}, std::vector{x}, x);
  direct->use<dnnl::softmax_forward::desc, dnnl::softmax_forward::primitive_desc, dnnl::softmax_forward>(
      dnnl::softmax_forward::desc(dnnl::prop_kind::forward_inference, plain(x),
                                  static_cast<int>(axis < 0 ? axis + x.rank() : axis)),
      {DNNL_ARG_SRC});
  return direct;
}

class Onednn : public Peer {
 public:
  explicit Onednn(int threads) : threads_(threads) {}
  std::string name() const override { return "oneDNN"; }
  std::unique_ptr<PeerCall> prepare(const Case& c, const Values& values) override {
    if (const std::optional<Product> p = Product::of(c, values)) return product(*p, threads_);
    if (c.dtype != DType::f32) return nullptr;
    if (c.op == &graph::op::convolution) return convolution(c, values, threads_);
    if (c.op == &graph::op::softmax) return softmax(c, values, threads_);
    return nullptr;
  }

 private:
  int threads_;
};

}  // namespace

std::shared_ptr<Peer> make_onednn(int threads) { return std::make_shared<Onednn>(threads); }

}  // namespace backplane::bench
