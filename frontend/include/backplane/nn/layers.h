// SPDX-License-Identifier: Apache-2.0
// The layers. Weights are f32, made on the default device; `here` is the line that error messages show.
#pragma once

#include <functional>
#include <string>

#include "backplane/functions.h"
#include "backplane/nn/module.h"

namespace backplane::nn {

/// x[..., in] -> x weight + bias, weight[in, out] (Xavier uniform), bias[out] (zeros).
struct Linear : Layer {
  Variable weight, bias;
  Linear() = default;
  Linear(int64_t in, int64_t out, bool with_bias = true, Here here = {});
  Tensor forward(const Tensor& x, Here here) const override;
  BP_FIELDS(weight, bias)
};

struct Conv2dOptions {
  int64_t stride = 1, padding = 0, dilation = 1, groups = 1;
  bool bias = true;
};
/// x[N, in, H, W] -> [N, out, H', W'] with weight[out, in / groups, kernel, kernel] (He uniform), bias[out] (zeros).
struct Conv2d : Layer {
  Variable weight, bias;
  Conv2dOptions options;
  Conv2d() = default;
  Conv2d(int64_t in, int64_t out, int64_t kernel, const Conv2dOptions& options = {}, Here here = {});
  Tensor forward(const Tensor& x, Here here) const override;
  BP_FIELDS(weight, bias)
};

/// Integer indices of any shape -> rows of weight[count, width] (normal, deviation 1).
struct Embedding : Layer {
  Variable weight;
  Embedding() = default;
  Embedding(int64_t count, int64_t width, Here here = {});
  Tensor forward(const Tensor& indices, Here here) const override;
  BP_FIELDS(weight)
};

/// Normalises over the trailing axes of extent `shape`.
struct LayerNorm : Layer {
  Variable weight, bias;
  double epsilon = 1e-5;
  LayerNorm() = default;
  explicit LayerNorm(const Shape& shape, double epsilon = 1e-5, Here here = {});
  Tensor forward(const Tensor& x, Here here) const override;
  BP_FIELDS(weight, bias)
};

/// Divides by the root of the mean square over the last axis.
struct RMSNorm : Layer {
  Variable weight;
  double epsilon = 1e-6;
  RMSNorm() = default;
  explicit RMSNorm(int64_t width, double epsilon = 1e-6, Here here = {});
  Tensor forward(const Tensor& x, Here here) const override;
  BP_FIELDS(weight)
};

/// x[N, C, H, W] normalised per channel (Ioffe and Szegedy 2015). In training by the batch, which also moves the
/// running statistics: running <- (1 - momentum) running + momentum batch, with the biased variance. Otherwise by
/// these. In a define-then-run graph the moving is an effect: see StateUpdates.
struct BatchNorm2d : Layer {
  Variable weight, bias, running_mean, running_var;
  double epsilon = 1e-5, momentum = 0.1;
  BatchNorm2d() = default;
  explicit BatchNorm2d(int64_t channels, double epsilon = 1e-5, double momentum = 0.1, Here here = {});
  Tensor forward(const Tensor& x, Here here) const override;
  BP_FIELDS(weight, bias, running_mean, running_var)

 private:
  Tensor by_batch(const Tensor& x, Here here) const;
};

/// In training, zeroes each element with probability `rate` and scales the others by 1 / (1 - rate); else nothing.
struct Dropout : Layer {
  double rate = 0.5;
  explicit Dropout(double rate = 0.5, Here here = {});
  Tensor forward(const Tensor& x, Here here) const override;
};

/// Windows over the last two axes; a stride of 0 means the window.
struct MaxPool2d : Layer {
  int64_t window, stride, padding;
  explicit MaxPool2d(int64_t window, int64_t stride = 0, int64_t padding = 0)
      : window(window), stride(stride), padding(padding) {}
  Tensor forward(const Tensor& x, Here here) const override;
};
struct AvgPool2d : Layer {
  int64_t window, stride, padding;
  explicit AvgPool2d(int64_t window, int64_t stride = 0, int64_t padding = 0)
      : window(window), stride(stride), padding(padding) {}
  Tensor forward(const Tensor& x, Here here) const override;
};

/// [N, ...] -> [N, product of the rest].
struct Flatten : Layer {
  Tensor forward(const Tensor& x, Here here) const override;
};

/// Any function of one tensor as a layer.
struct Lambda : Layer {
  std::function<Tensor(const In&)> function;
  explicit Lambda(std::function<Tensor(const In&)> f) : function(std::move(f)) {}
  Tensor forward(const Tensor& x, Here here) const override { return function(In(x, here)); }
};
struct ReLU : Layer {
  Tensor forward(const Tensor& x, Here here) const override { return relu(In(x, here)); }
};
struct GELU : Layer {
  Tensor forward(const Tensor& x, Here here) const override { return gelu(In(x, here)); }
};
struct SiLU : Layer {
  Tensor forward(const Tensor& x, Here here) const override { return silu(In(x, here)); }
};
struct Sigmoid : Layer {
  Tensor forward(const Tensor& x, Here here) const override { return sigmoid(In(x, here)); }
};
struct Tanh : Layer {
  Tensor forward(const Tensor& x, Here here) const override { return tanh(In(x, here)); }
};

}  // namespace backplane::nn
