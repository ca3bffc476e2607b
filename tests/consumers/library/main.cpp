// SPDX-License-Identifier: Apache-2.0
// Computes on the default device, and checks that its plugin was loaded from below the directory given.
#include <backplane/backplane.h>
#include <backplane/data/images.h>
#include <backplane/io/safetensors.h>
#include <backplane/nn.h>
#include <backplane/optim.h>
#include <backplane/parallel.h>

#include <cmath>
#include <cstdio>
#include <exception>
#include <fstream>
#include <string>

/// Where the plugin of device "cpu:0" was loaded from.
static std::string loaded_plugin(const std::string& device) {
  const std::string file = "/libbackplane_" + device.substr(0, device.find(':')) + ".so";
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find(file) != std::string::npos) return line.substr(line.find('/'));
  }
  return "";
}

int main(int argc, char** argv) try {
  if (argc != 2) return 2;
  const bp::Tensor x = bp::Tensor::from({1, 2, 3, 4, 5, 6}, {2, 3});
  const bp::Tensor w = bp::ones({3, 2}).requires_grad();
  const bp::Tensor loss = bp::sum(bp::square(bp::matmul(x, w)));
  loss.backward();
  const double want = 2 * 36 + 2 * 225;              // rows sum to 6 and 15
  const double gradient = bp::sum(w.grad()).item();  // d/dw_ij = sum_n 2 x_ni row_n
  const std::string device = bp::default_device().name();
  const std::string plugin = loaded_plugin(device);
  std::printf("device %s, loss %g, sum of gradients %g, plugin %s\n", device.c_str(), loss.item(), gradient,
              plugin.c_str());
  const bool right = std::abs(loss.item() - want) < 1e-3 && std::abs(gradient - 2 * 2 * (6 * 6 + 15 * 15)) < 1e-2;
  if (!right) std::puts("wrong result");
  // Without /proc there is nothing to compare with.
  const bool here = plugin.rfind(argv[1], 0) == 0 || !std::ifstream("/proc/self/maps");
  if (!here) std::printf("the plugin is not from %s\n", argv[1]);
  return right && here ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
