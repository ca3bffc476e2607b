// SPDX-License-Identifier: Apache-2.0
// What a user would pick instead, run beside ours on the same problem. A peer is optional: without its library there are
// no rows of it. oneDNN and CLBlast are linked where CMake finds them; others come as a library that exports the C
// interface of peer_library.h and is named by --peers.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "backplane/graph/types.h"
#include "backplane/host/device.h"
#include "measure.h"

namespace backplane::bench {

/// One product, ready to run.
class PeerCall {
 public:
  virtual ~PeerCall() = default;
  virtual void enqueue() = 0;
  virtual void finish() {}
  virtual std::vector<float> output() = 0;
  Contestant contestant() {
    return {[this] { enqueue(); }, [this] { finish(); }};
  }
};

class Peer {
 public:
  virtual ~Peer() = default;
  virtual std::string name() const = 0;
  /// c[m,n] = a[m,k] b[k,n], f32, row-major; null when it cannot.
  virtual std::unique_ptr<PeerCall> matmul(int64_t m, int64_t n, int64_t k, const float* a, const float* b) = 0;
  /// Ways to set it up, the library's own choice first. use() holds for calls made afterwards.
  virtual std::vector<std::string> settings() const { return {"default"}; }
  virtual void use(const std::string& /*setting*/) {}
};

/// Those that share the device's driver or processor; each is made once.
std::vector<std::shared_ptr<Peer>> peers_for(const host::DevicePtr& device);

/// Null without the library, or where it does not reach the device.
std::shared_ptr<Peer> make_onednn();
std::shared_ptr<Peer> make_clblast(const host::DevicePtr& device);
std::vector<std::shared_ptr<Peer>> make_loaded_peers(const host::DevicePtr& device);

}  // namespace backplane::bench
