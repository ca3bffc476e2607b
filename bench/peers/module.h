// SPDX-License-Identifier: Apache-2.0
// The peers of the module; which of them are in it, CMake decides.
#pragma once

#include "peers/peer.h"

namespace backplane::bench {

std::shared_ptr<Peer> make_onednn(int threads);
std::shared_ptr<Peer> make_openblas(int threads);
std::shared_ptr<Peer> make_eigen(int threads);
/// Null where it does not reach the device.
std::shared_ptr<Peer> make_clblast(const host::DevicePtr& device);

}  // namespace backplane::bench
