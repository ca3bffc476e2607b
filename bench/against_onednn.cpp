// SPDX-License-Identifier: Apache-2.0
// The device through the plugin's table against oneDNN called directly, the same plain layouts, interleaved. Results are
// compared first: a row whose outputs differ by more than rounding is an error.
#include <omp.h>

#include <cmath>
#include <oneapi/dnnl/dnnl.hpp>
#include <unordered_map>

#include "cases.h"
#include "kernels.h"

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
class Direct {
 public:
  Direct(const Prepared& same_inputs, const std::vector<Shape>& inputs, const Shape& output)
      : engine_(dnnl::engine::kind::cpu, 0), stream_(engine_) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      inputs_.emplace_back(plain(inputs[i]), engine_, const_cast<float*>(same_inputs.input(i)));
    }
    output_values_.resize(static_cast<size_t>(output.elements()));
    output_ = memory(plain(output), engine_, output_values_.data());
  }

  template <class Descriptor, class PrimitiveDesc, class Primitive>
  void use(const Descriptor& descriptor, std::initializer_list<int> input_args) {
    omp_set_num_threads(cores_used());  // before creation: oneDNN prepares for so many
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

  void launch() {
    omp_set_num_threads(cores_used());
    primitive_.execute(stream_, args_);
    stream_.wait();
  }
  dnnl::engine& engine() { return engine_; }
  const std::vector<float>& output() const { return output_values_; }
  const std::string& implementation() const { return implementation_; }

 private:
  dnnl::engine engine_;
  dnnl::stream stream_;
  std::vector<memory> inputs_;
  std::vector<float> output_values_;
  memory output_;
  dnnl::primitive primitive_;
  std::unordered_map<int, memory> args_;
  std::string implementation_;
};

/// Largest difference relative to the largest result.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0, largest = 1e-30;
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(a[i]) - b[i]));
    largest = std::max(largest, std::abs(static_cast<double>(b[i])));
  }
  return std::isfinite(worst) ? worst / largest : INFINITY;
}

Measurement race(benchmark::State& state, const Prepared& ours, Direct& theirs, double work, const char* unit) {
  ours.launch();
  theirs.launch();
  const double error = difference(ours.output(), theirs.output());
  if (!(error < 1e-3)) throw Error("results differ from oneDNN's by " + std::to_string(error) + " of the largest");
  const int own_threads = omp_get_max_threads();
  const Measurement m = measure({[&] { ours.launch(); }, [&] { theirs.launch(); }}, {.cores = cores_used()});
  omp_set_num_threads(own_threads);
  state.counters["onednn_us"] = m.of[1].median_ns * 1e-3;
  state.counters["ratio"] = m.of[0].median_ns / m.of[1].median_ns;
  state.counters[unit] = work / m.of[0].median_ns;
  state.counters[std::string("onednn_") + unit] = work / m.of[1].median_ns;
  state.SetLabel(ours.variant() + " against " + theirs.implementation());
  return m;
}

std::string join(std::initializer_list<int64_t> values) {
  std::string text;
  for (int64_t v : values) text += (text.empty() ? "" : "x") + std::to_string(v);
  return text;
}

void add_matmul(int64_t m, int64_t n, int64_t k) {
  add_row("onednn/matmul/" + join({m, n, k}), [=](benchmark::State& state) {
    const std::vector<Shape> in = {{1, m, k}, {1, k, n}};
    const Prepared ours(device_under_test(), graph::op::batch_matmul, {}, in);
    const std::vector<Shape> flat = {{m, k}, {k, n}};
    Direct theirs(ours, flat, {m, n});
    theirs.use<dnnl::matmul::desc, dnnl::matmul::primitive_desc, dnnl::matmul>(
        dnnl::matmul::desc(plain(flat[0]), plain(flat[1]), plain({m, n})), {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS});
    return race(state, ours, theirs, 2.0 * static_cast<double>(m * n * k), "GFLOP_per_s");
  });
}

void add_convolution(int64_t n, int64_t c, int64_t extent, int64_t o, int64_t k, int64_t stride) {
  add_row("onednn/convolution/" + join({n, c, extent, o, k, stride}), [=](benchmark::State& state) {
    const int64_t pad = k / 2, out = (extent + 2 * pad - k) / stride + 1;
    const std::vector<Shape> in = {{n, c, extent, extent}, {o, c, k, k}};
    const Prepared ours(device_under_test(), graph::op::convolution,
                        {{"stride", std::vector<int64_t>{stride, stride}}, {"pad_low", std::vector<int64_t>{pad, pad}}},
                        in);
    const Shape y{n, o, out, out};
    Direct theirs(ours, in, y);
    theirs.use<dnnl::convolution_forward::desc, dnnl::convolution_forward::primitive_desc, dnnl::convolution_forward>(
        dnnl::convolution_forward::desc(dnnl::prop_kind::forward_inference, dnnl::algorithm::convolution_direct,
                                        plain(in[0]), plain(in[1]), plain(y), {stride, stride}, {pad, pad}, {pad, pad}),
        {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS});
    return race(state, ours, theirs, 2.0 * static_cast<double>(y.elements() * c * k * k), "GFLOP_per_s");
  });
}

void add_softmax(int64_t rows, int64_t columns) {
  add_row("onednn/softmax/" + join({rows, columns}), [=](benchmark::State& state) {
    const Shape shape{rows, columns};
    const Prepared ours(device_under_test(), graph::op::softmax, {}, {shape});
    Direct theirs(ours, {shape}, shape);
    theirs.use<dnnl::softmax_forward::desc, dnnl::softmax_forward::primitive_desc, dnnl::softmax_forward>(
        dnnl::softmax_forward::desc(dnnl::prop_kind::forward_inference, plain(shape), 1), {DNNL_ARG_SRC});
    return race(state, ours, theirs, 8.0 * static_cast<double>(rows * columns), "GB_per_s");
  });
}

}  // namespace

void add_onednn_rows() {
  const int64_t matmuls[][3] = {{32, 32, 32},   {64, 64, 64},    {256, 256, 256}, {1024, 1024, 1024}, {64, 256, 784},
                                {128, 10, 256}, {256, 65, 384}, {1, 4096, 4096}, {1024, 3072, 768}};
  for (const auto& s : matmuls) add_matmul(s[0], s[1], s[2]);
  const int64_t convolutions[][6] = {{32, 1, 28, 32, 3, 1},  {32, 64, 32, 64, 3, 1}, {1, 64, 56, 64, 3, 1},
                                     {1, 256, 56, 64, 1, 1}, {32, 16, 32, 32, 3, 2}, {8, 3, 224, 64, 7, 2}};
  for (const auto& s : convolutions) add_convolution(s[0], s[1], s[2], s[3], s[4], s[5]);
  const int64_t softmaxes[][2] = {{32, 10}, {1024, 1024}, {128, 4096}, {4096, 64}};
  for (const auto& s : softmaxes) add_softmax(s[0], s[1]);
}

}  // namespace backplane::bench
