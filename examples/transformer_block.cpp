// SPDX-License-Identifier: Apache-2.0
// Trains one transformer block of the kind of GPT-2 (Radford et al. 2019; pre-norm, causal attention, GELU) and says
// how many tokens per second it did: forward, backward and AdamW are one compiled step. Products and attention are computed
// in bf16 (--dtype), weights and their moments stay f32, and so does the residual stream.
//
// What it learns: at each position the mean of all tokens so far, which attention over the past can give exactly.
// The defaults are GPT-2's: 16 x 1,024 tokens, width 768, 12 heads.
#include <CLI/CLI.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iostream>
#include <string>
#include <vector>

#include "backplane/backplane.h"
#include "backplane/nn.h"
#include "backplane/optim.h"
#include "backplane/random.h"

namespace {

struct Options {
  int64_t batch = 16, tokens = 1024, width = 768, heads = 12;
  int steps = 20, warmup = 3;
  double learning_rate = 1e-3;
  bp::DType dtype = bp::bf16;
};

struct Block : bp::nn::Module {
  int64_t heads;
  bp::DType dtype;
  bp::nn::LayerNorm before_attention, before_mlp;
  bp::nn::Linear qkv, out, up, down;

  explicit Block(const Options& o)
      : heads(o.heads), dtype(o.dtype), before_attention({o.width}), before_mlp({o.width}), qkv(o.width, 3 * o.width),
        out(o.width, o.width), up(o.width, 4 * o.width), down(4 * o.width, o.width) {}
  BP_FIELDS(before_attention, before_mlp, qkv, out, up, down)

  /// x[..., in] of any dtype -> [..., out] of the block's dtype.
  bp::Tensor product(const bp::nn::Linear& layer, const bp::Tensor& x) const {
    return bp::matmul(bp::cast(x, dtype), bp::cast(layer.weight, dtype)) + bp::cast(layer.bias, dtype);
  }
  /// x f32[B, T, width] -> the same.
  bp::Tensor operator()(const bp::Tensor& x) const {
    const int64_t b = x.shape()[0], t = x.shape()[1], width = x.shape()[2];
    const bp::Tensor all = bp::reshape(product(qkv, before_attention(x)), {b, t, 3, heads, width / heads});
    const auto part = [&](int64_t i) {  // [B, heads, T, width / heads]
      return bp::permute(bp::squeeze(bp::slice(all, 2, i, i + 1), 2), {0, 2, 1, 3});
    };
    const bp::Tensor mixed = bp::attention(part(0), part(1), part(2), {}, /*causal=*/true);
    const bp::Tensor joined = bp::reshape(bp::permute(mixed, {0, 2, 1, 3}), {b, t, width});
    const bp::Tensor h = x + bp::cast(product(out, joined), bp::f32);
    const bp::Tensor wide = bp::gelu(product(up, before_mlp(h)), /*approximate=*/true);
    return h + bp::cast(product(down, wide), bp::f32);
  }
};

/// f32[t, t]: row i has 1 / (i + 1) up to column i.
bp::Tensor mean_of_past(int64_t t) {
  const bp::Tensor row = bp::reshape(bp::arange(t), {t, 1}), column = bp::reshape(row, {1, t});
  return bp::where(bp::less_equal(column, row), 1 / (bp::cast(row, bp::f32) + 1), 0.0);
}

int run(const Options& o) {
  bp::manual_seed(1);
  Block block(o);
  bp::optim::AdamW adam(bp::nn::parameters(block), {.learning_rate = o.learning_rate, .weight_decay = 0.01});
  const bp::Tensor x = bp::random_normal({o.batch, o.tokens, o.width});
  const bp::Tensor y = bp::matmul(mean_of_past(o.tokens), x);

  auto step = bp::compile([&](const bp::Tensor& in, const bp::Tensor& wanted) {
    const bp::Tensor loss = bp::mse_loss(block(in), wanted);
    adam.zero_grad();
    loss.backward();
    adam.step();
    return loss;
  });
  const double first = step(x, y).item();  // traced and compiled here
  for (int i = 1; i < o.warmup; ++i) step(x, y).item();
  std::vector<double> seconds;
  double last = first;
  for (int i = 0; i < o.steps; ++i) {
    const auto start = std::chrono::steady_clock::now();
    last = step(x, y).item();  // waits
    seconds.push_back(std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  std::sort(seconds.begin(), seconds.end());
  const double median = seconds[seconds.size() / 2];
  const auto [on_device, on_host] = step.node_counts();
  std::cout << "transformer_block on " << bp::default_device().name() << ": " << o.batch << " x " << o.tokens
            << " tokens, width " << o.width << ", " << o.heads << " heads, " << bp::name_of(o.dtype) << ", "
            << bp::nn::count_parameters(block) << " weights\n";
  std::cout << "loss " << first << " -> " << last << " in " << o.warmup + o.steps << " steps\n";
  std::cout << median * 1e3 << " ms a step (median of " << o.steps << "), "
            << std::llround(static_cast<double>(o.batch * o.tokens) / median) << " tokens/s, " << on_device
            << " launches a step, " << on_host << " on the host\n";
  if (std::isfinite(last) && last < first) return 0;
  std::cerr << "transformer_block: it has not learned\n";
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  Options o;
  CLI::App app{"Trains a transformer block of the kind of GPT-2 and measures tokens per second. Device: BACKPLANE_DEVICE"};
  std::string dtype = "bf16";
  const auto number = [&app](const char* name, auto& value, const char* what) {
    app.add_option(name, value, what)->check(CLI::PositiveNumber)->capture_default_str();
  };
  number("--batch", o.batch, "sequences per step");
  number("--tokens", o.tokens, "tokens per sequence");
  number("--width", o.width, "features per token, a multiple of --heads");
  number("--heads", o.heads, "attention heads");
  number("--steps", o.steps, "steps that are timed");
  number("--warmup", o.warmup, "steps before them; the first one compiles");
  number("--lr", o.learning_rate, "learning rate of AdamW");
  app.add_option("--dtype", dtype, "of products and attention")
      ->check(CLI::IsMember({"f32", "bf16", "f16"}))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  o.dtype = bp::dtype_from_name(dtype);
  if (o.width % o.heads != 0) {
    std::cerr << "transformer_block: --width " << o.width << " is not a multiple of --heads " << o.heads << "\n";
    return 2;
  }
  try {
    return run(o);
  } catch (const std::exception& error) {
    std::cerr << "transformer_block: " << error.what() << "\n";
    return 1;
  }
}
