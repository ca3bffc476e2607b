// SPDX-License-Identifier: Apache-2.0
// The device through the plugin's table against oneDNN called directly, the same plain layouts, interleaved. Results are
// compared first: a row whose outputs differ by more than rounding is an error.
#include <omp.h>

#include <cmath>
#include <cstring>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "kernels.h"
#include "peer.h"
#include "rows.h"

namespace backplane::bench {

namespace {

using dnnl::memory;

memory::desc plain(const Shape& shape) {
  static const memory::format_tag tags[] = {memory::format_tag::undef, memory::format_tag::a,
                                            memory::format_tag::ab,    memory::format_tag::abc,
                                            memory::format_tag::abcd,  memory::format_tag::abcde};
  return {memory::dims(shape.begin(), shape.end()), memory::data_type::f32, tags[shape.rank()]};
}

/// A primitive with its operands, run on the calling thread's team of cores_used() threads.
class Direct : public PeerCall {
 public:
  Direct(const std::vector<const float*>& values, const std::vector<Shape>& inputs, const Shape& output)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs_.emplace_back(plain(inputs[i]), engine_, const_cast<float*>(values[i]));
    }
    output_values_.resize(static_cast<size_t>(output.elements()));
    output_ = memory(plain(output), engine_, output_values_.data());
  }

  template <class Descriptor, class PrimitiveDesc, class Primitive>
  void use(const Descriptor& descriptor, std::initializer_list<int> input_args) {
    const Team team;  // before creation: oneDNN prepares for so many
    dnnl::primitive_attr attr;
    attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    const PrimitiveDesc pd(descriptor, attr, engine_);
    primitive_ = Primitive(pd);
    implementation_ = pd.impl_info_str();
    size_t i = 0;
    for (int arg : input_args) args_.emplace(arg, inputs_[i++]);
    args_.emplace(DNNL_ARG_DST, output_);
    args_.emplace(DNNL_ARG_SCRATCHPAD, memory(pd.scratchpad_desc(), engine_));
  }

  void enqueue() override {
    const Team team;
    primitive_.execute(stream_, args_);
    stream_.wait();
  }
  std::vector<float> output() override { return output_values_; }
  const std::string& implementation() const { return implementation_; }

 private:
  /// The cpu card sets its own number on this thread as well: each has to find what it left.
  struct Team {
    Team() { omp_set_num_threads(cores_used()); }
    ~Team() { omp_set_num_threads(before); }
    int before = omp_get_max_threads();
  };
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<memory> inputs_;
  std::vector<float> output_values_;
  memory output_;
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> args_;
  std::string implementation_;
};

std::unique_ptr<Direct> matmul(int64_t m, int64_t n, int64_t k, const float* a, const float* b) {
  auto direct = std::make_unique<Direct>(std::vector{a, b}, std::vector{Shape{m, k}, Shape{k, n}}, Shape{m, n});
  direct->use<dnnl::matmul::desc, dnnl::matmul::primitive_desc, dnnl::matmul>(
      dnnl::matmul::desc(plain({m, k}), plain({k, n}), plain({m, n})), {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS});
  return direct;
}

class Onednn : public Peer {
 public:
  std::string name() const override { return "oneDNN"; }
  std::unique_ptr<PeerCall> matmul(int64_t m, int64_t n, int64_t k, const float* a, const float* b) override {
    return bench::matmul(m, n, k, a, b);
  }
};

/// Largest difference relative to the largest result.
double difference(const std::vector<std::byte>& ours, const std::vector<float>& b) {
  std::vector<float> a(b.size());
  std::memcpy(a.data(), ours.data(), ours.size());
  double worst = 0, largest = 1e-30;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return std::isfinite(worst) ? worst / largest : INFINITY;
}

const float* floats(const std::vector<std::byte>& bytes) { return reinterpret_cast<const float*>(bytes.data()); }

/// The device's default for `c` and, made by `make` from the same values, oneDNN's primitive.
template <class Make>
void add_race(const Case& c, bool contraction, Make make) {
  add_row("onednn/" + c.name, [=](benchmark::State& state) {
    const auto values = make_values(c);
    const Prepared ours(std::make_shared<Operands>(device_under_test(), c, values));
    const std::unique_ptr<Direct> theirs = make(values);
    ours.launch();
    theirs->enqueue();
    const double error = difference(ours.operands().outputs()[0], theirs->output());
    if (!(error < 1e-3)) throw Error("results differ from oneDNN's by " + std::to_string(error) + " of the largest");
    const Measurement m = measure({[&] { ours.launch(); }, theirs->contestant()}, {.cores = cores_used()});
    const double work = contraction ? c.cost().flops : c.cost().bytes;
    const char* unit = contraction ? "GFLOP_per_s" : "GB_per_s";
    state.counters["onednn_us"] = m.of[1].median_ns * 1e-3;
    state.counters["ratio"] = m.of[0].median_ns / m.of[1].median_ns;
    state.counters[unit] = work / m.of[0].median_ns;
    state.counters[std::string("onednn_") + unit] = work / m.of[1].median_ns;
    state.SetLabel(ours.variant() + " against " + theirs->implementation());
    return m;
  });
}

void add_convolution(int64_t n, int64_t c, int64_t extent, int64_t o, int64_t k, int64_t stride) {
  const int64_t pad = k / 2, out = (extent + 2 * pad - k) / stride + 1;
  const Shape x{n, c, extent, extent}, w{o, c, k, k}, y{n, o, out, out};
  const Case problem{"convolution/" + by({n, c, extent, o, k, stride}),
                     &graph::op::convolution,
                     {{"stride", std::vector<int64_t>{stride, stride}}, {"pad_low", std::vector<int64_t>{pad, pad}}},
                     {{{DType::f32, x}}, {{DType::f32, w}}}};
  add_race(problem, true, [=](const auto& values) {
    auto direct = std::make_unique<Direct>(std::vector{floats(values[0]), floats(values[1])}, std::vector{x, w}, y);
    direct->template use<dnnl::convolution_forward::desc, dnnl::convolution_forward::primitive_desc,
                         dnnl::convolution_forward>(
        dnnl::convolution_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                                        plain(x), plain(w), plain(y), {stride, stride}, {pad, pad}, {pad, pad}),
        {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS});
    return direct;
  });
}

void add_softmax(int64_t rows, int64_t columns) {
  const Shape shape{rows, columns};
  const Case problem{"softmax/" + by({rows, columns}), &graph::op::softmax, {}, {{{DType::f32, shape}}}};
  add_race(problem, false, [=](const auto& values) {
    auto direct = std::make_unique<Direct>(std::vector{floats(values[0])}, std::vector{shape}, shape);
    direct->template use<dnnl::softmax_forward::desc, dnnl::softmax_forward::primitive_desc, dnnl::softmax_forward>(
        dnnl::softmax_forward::desc(dnnl::prop_kind::forward_inference, plain(shape), 1), {DNNL_ARG_SRC});
    return direct;
  });
}

}  // namespace

std::shared_ptr<Peer> make_onednn() { return std::make_shared<Onednn>(); }

void add_onednn_rows() {
  const int64_t matmuls[][3] = {{32, 32, 32},   {64, 64, 64},    {256, 256, 256}, {1024, 1024, 1024}, {64, 256, 784},
                                {128, 10, 256}, {256, 65, 384}, {1, 4096, 4096}, {1024, 3072, 768}};
  for (const auto& s : matmuls) {
    add_race(matmul_case(s[0], s[1], s[2]), true, [m = s[0], n = s[1], k = s[2]](const auto& values) {
      return matmul(m, n, k, floats(values[0]), floats(values[1]));
    });
  }
  const int64_t convolutions[][6] = {{32, 1, 28, 32, 3, 1},  {32, 64, 32, 64, 3, 1}, {1, 64, 56, 64, 3, 1},
                                     {1, 256, 56, 64, 1, 1}, {32, 16, 32, 32, 3, 2}, {8, 3, 224, 64, 7, 2}};
  for (const auto& s : convolutions) add_convolution(s[0], s[1], s[2], s[3], s[4], s[5]);
  const int64_t softmaxes[][2] = {{32, 10}, {1024, 1024}, {128, 4096}, {4096, 64}};
  for (const auto& s : softmaxes) add_softmax(s[0], s[1]);
}

}  // namespace backplane::bench
