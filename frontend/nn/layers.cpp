// SPDX-License-Identifier: Apache-2.0
#include "backplane/nn/layers.h"

#include "backplane/nn/init.h"
#include "backplane/random.h"

namespace backplane::nn {
namespace {

void require_positive(std::string_view layer, std::string_view what, int64_t value, Here here) {
  if (value > 0) return;
  fail(layer, std::string(what) + " is " + std::to_string(value), {}, here.loc, "give a positive number");
}

}  // namespace

Linear::Linear(int64_t in, int64_t out, bool with_bias, Here here) {
  require_positive("nn::Linear", "the number of inputs", in, here);
  require_positive("nn::Linear", "the number of outputs", out, here);
  weight = Variable(init::xavier_uniform({in, out}), "weight", true, here);
  if (with_bias) bias = Variable(init::zeros({out}), "bias", true, here);
}

Tensor Linear::forward(const Tensor& x, Here here) const {
  const Tensor y = matmul(In(x, here), In(weight, here));
  return bias.defined() ? In(y, here) + In(bias, here) : y;
}

Conv2d::Conv2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& chosen, Here here) : options(chosen) {
  require_positive("nn::Conv2d", "the number of input channels", in, here);
  require_positive("nn::Conv2d", "the number of output channels", out, here);
  require_positive("nn::Conv2d", "the kernel's extent", kernel, here);
  require_positive("nn::Conv2d", "groups", options.groups, here);
  if (in % options.groups != 0 || out % options.groups != 0) {
    fail("nn::Conv2d",
         "groups = " + std::to_string(options.groups) + " does not divide " + std::to_string(in) + " input and " +
             std::to_string(out) + " output channels",
         {}, here.loc);
  }
  weight = Variable(init::he_uniform({out, in / options.groups, kernel, kernel}), "weight", true, here);
  if (options.bias) bias = Variable(init::zeros({out}), "bias", true, here);
}

Tensor Conv2d::forward(const Tensor& x, Here here) const {
  const Tensor y = convolution(In(x, here), In(weight, here),
                               {.stride = {options.stride},
                                .padding = {options.padding},
                                .dilation = {options.dilation},
                                .groups = options.groups});
  if (!bias.defined()) return y;
  return In(y, here) + In(reshape(In(bias, here), {bias.shape()[0], 1, 1}), here);
}

Embedding::Embedding(int64_t count, int64_t width, Here here) {
  require_positive("nn::Embedding", "the number of rows", count, here);
  require_positive("nn::Embedding", "the width", width, here);
  weight = Variable(init::normal({count, width}, 0, 1), "weight", true, here);
}

Tensor Embedding::forward(const Tensor& indices, Here here) const {
  return embedding(In(weight, here), In(indices, here));
}

Dropout::Dropout(double chosen, Here here) : rate(chosen) {
  if (rate >= 0 && rate < 1) return;
  fail("nn::Dropout", "rate is " + std::to_string(rate), {}, here.loc, "give a probability in [0, 1)");
}

Tensor Dropout::forward(const Tensor& x, Here here) const {
  return training && rate > 0 ? dropout(In(x, here), rate) : x;
}

Tensor MaxPool2d::forward(const Tensor& x, Here here) const {
  const int64_t step = stride > 0 ? stride : window;
  return max_pool(In(x, here), {.window = {window, window}, .stride = {step, step}, .padding = {padding, padding}});
}

Tensor AvgPool2d::forward(const Tensor& x, Here here) const {
  const int64_t step = stride > 0 ? stride : window;
  return average_pool(In(x, here),
                      {.window = {window, window}, .stride = {step, step}, .padding = {padding, padding}});
}

Tensor Flatten::forward(const Tensor& x, Here here) const { return flatten(In(x, here), 1); }

}  // namespace backplane::nn
