// SPDX-License-Identifier: Apache-2.0
// One small network fitted to a sine by several devices at once:  data_parallel [--host] DEVICE...
// Without --host the devices' plugin adds up their gradients (for CUDA that is NCCL).
#include <cmath>
#include <cstdio>
#include <cstring>

#include "backplane/backplane.h"
#include "backplane/nn.h"
#include "backplane/optim.h"
#include "backplane/parallel.h"

namespace {

struct Curve : bp::nn::Module {
  bp::nn::Linear a{1, 32}, b{32, 1};
  bp::Tensor operator()(const bp::Tensor& x) const { return b(bp::tanh(a(x))); }
  BP_FIELDS(a, b)
};

bp::parallel::Replica make_replica() {
  const auto model = std::make_shared<Curve>();
  return {model, std::make_shared<bp::optim::Adam>(bp::nn::parameters(*model), bp::optim::AdamOptions{.learning_rate = 0.01}),
          [model](std::span<const bp::Tensor> batch) { return bp::mse_loss((*model)(batch[0]), batch[1]); }};
}

}  // namespace

int main(int argc, char** argv) try {
  bp::parallel::DataParallelOptions options;
  std::vector<bp::Device> devices;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--host") == 0) options.reduction = bp::parallel::Reduction::host;
    else devices.emplace_back(argv[i]);
  }
  if (devices.empty()) devices.emplace_back();
  bp::manual_seed(1);
  bp::parallel::DataParallel training(devices, make_replica, options);
  std::printf("%s\n", training.describe().c_str());

  constexpr int kSamples = 101, kSteps = 500;  // no even number of devices divides the samples
  std::vector<float> x(kSamples), y(kSamples);
  for (int i = 0; i < kSamples; ++i) {
    x[i] = -3.0f + 6.0f * static_cast<float>(i) / (kSamples - 1);
    y[i] = std::sin(x[i]);
  }
  const bp::Tensor inputs = bp::Tensor::from(x, {kSamples, 1}, devices[0]), targets = bp::Tensor::from(y, {kSamples, 1}, devices[0]);
  double loss = 0;
  for (int step = 1; step <= kSteps; ++step) {
    const bp::Tensor now = training.step({inputs, targets});
    if (step % 100 == 0) std::printf("step %d: loss %.5f\n", step, loss = now.item());
  }
  return loss < 0.01 ? 0 : 1;
} catch (const bp::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
