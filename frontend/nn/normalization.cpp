// SPDX-License-Identifier: Apache-2.0
// Layers that normalise. Statistics come from the ops themselves, so a device's native normalisation serves them all.
#include <numeric>

#include "backplane/graph/ops.h"
#include "backplane/nn/init.h"
#include "backplane/nn/layers.h"

namespace backplane::nn {
namespace {

constexpr int kChannelAxis = 1;

/// The last `count` of `rank` axes.
Axes last_axes(int rank, int count) {
  Axes axes(static_cast<size_t>(count));
  std::iota(axes.begin(), axes.end(), static_cast<int64_t>(rank - count));
  return axes;
}

void require_trailing(std::string_view layer, const Tensor& x, const Variable& weight, Here here) {
  const int count = weight.shape().rank();
  bool fits = x.rank() >= count;
  for (int i = 0; fits && i < count; ++i) fits = x.shape()[x.rank() - count + i] == weight.shape()[i];
  if (fits) return;
  const Type operands[] = {x.type(), weight.type()};
  fail(layer, "the trailing extents of x are not those the layer was made for", operands, here.loc,
       "make the layer with the extents of x's last axes");
}

void require_channels(const Tensor& x, const Variable& weight, Here here) {
  if (x.rank() == 4 && x.shape()[kChannelAxis] == weight.shape()[0]) return;
  const Type operands[] = {x.type(), weight.type()};
  fail("nn::BatchNorm2d", "x is not [N, C, H, W] with C = " + std::to_string(weight.shape()[0]), operands, here.loc,
       "make the layer with x's number of channels");
}

}  // namespace

LayerNorm::LayerNorm(const Shape& shape, double eps, Here here)
    : weight(init::constant(shape, 1), "weight", true, here),
      bias(init::zeros(shape), "bias", true, here),
      epsilon(eps) {}

Tensor LayerNorm::forward(const Tensor& x, Here here) const {
  require_trailing("nn::LayerNorm", x, weight, here);
  const graph::AttrArg attrs[] = {{"axes", last_axes(x.rank(), weight.shape().rank())}, {"epsilon", epsilon}};
  const Tensor inputs[] = {x, weight.read(here), bias.read(here)};
  return apply(graph::op::layer_norm, attrs, inputs, here)[0];
}

RMSNorm::RMSNorm(int64_t width, double eps, Here here)
    : weight(init::constant({width}, 1), "weight", true, here), epsilon(eps) {}

Tensor RMSNorm::forward(const Tensor& x, Here here) const {
  require_trailing("nn::RMSNorm", x, weight, here);
  return rms_norm(In(x, here), In(weight, here), epsilon);
}

BatchNorm2d::BatchNorm2d(int64_t channels, double eps, double speed, Here here)
    : weight(init::constant({channels}, 1), "weight", true, here),
      bias(init::zeros({channels}), "bias", true, here),
      running_mean(init::zeros({channels}), "running_mean", false, here),
      running_var(init::constant({channels}, 1), "running_var", false, here),
      epsilon(eps),
      momentum(speed) {}

Tensor BatchNorm2d::by_batch(const Tensor& x, Here here) const {
  const int64_t channels = weight.shape()[0];
  const Shape column{channels, 1, 1};
  const graph::AttrArg attrs[] = {{"axes", Axes{0, 2, 3}}, {"epsilon", epsilon}};
  const Tensor inputs[] = {x, reshape(In(weight, here), column), reshape(In(bias, here), column)};
  const std::vector<Tensor> out = apply(graph::op::layer_norm, attrs, inputs, here);

  const NoGrad no_grad;
  const auto move = [&](const Variable& running, const Tensor& batch) {
    const Tensor seen = reshape(stop_gradient(In(batch, here)), {channels});
    StateUpdates::note(running.assign(running.read(here) * (1 - momentum) + seen * momentum, here));
  };
  move(running_mean, out[1]);
  // The op gives 1 / sqrt(variance + epsilon). Rounding must not make the variance negative.
  move(running_var, maximum(reciprocal(square(out[2])) - epsilon, 0.0));
  return out[0];
}

Tensor BatchNorm2d::forward(const Tensor& x, Here here) const {
  require_channels(x, weight, here);
  if (training) return by_batch(x, here);
  const graph::AttrArg attrs[] = {{"axis", int64_t{kChannelAxis}}, {"epsilon", epsilon}};
  const Tensor inputs[] = {x, weight.read(here), bias.read(here), running_mean.read(here), running_var.read(here)};
  return apply(graph::op::batch_norm_inference, attrs, inputs, here)[0];
}

}  // namespace backplane::nn
