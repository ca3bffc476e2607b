// SPDX-License-Identifier: Apache-2.0
// Which peers there are: those of the module beside the program, and those that --peers names.
#include <dlfcn.h>

#include <filesystem>

#include "command_text.h"
#include "environment.h"
#include "peers/peer.h"
#include "peers/peer_library.h"

namespace backplane::bench {

namespace {

class LoadedCall : public PeerCall {
 public:
  LoadedCall(const backplane_bench_peer& peer, void* call, size_t results)
      : peer_(peer), call_(call), results_(results) {}
  ~LoadedCall() override { peer_.destroy(call_); }
  void enqueue() override { peer_.enqueue(call_); }
  void finish() override { peer_.finish(call_); }
  std::vector<float> output() override {
    std::vector<float> c(results_);
    peer_.read(call_, c.data());
    return c;
  }

 private:
  const backplane_bench_peer& peer_;
  void* call_;
  size_t results_;
};

class LoadedPeer : public Peer {
 public:
  LoadedPeer(const backplane_bench_peer& peer, std::string path) : peer_(peer), path_(std::move(path)) {}
  std::string name() const override { return peer_.name; }
  std::string option() const override { return "--peers " + quoted(path_); }
  std::unique_ptr<PeerCall> prepare(const Case& c, const Values& values) override {
    const std::optional<Product> p = Product::of(c, values);
    void* call = p ? peer_.matmul(p->m, p->n, p->k, p->a, p->b) : nullptr;
    return call == nullptr ? nullptr : std::make_unique<LoadedCall>(peer_, call, static_cast<size_t>(p->m * p->n));
  }

 private:
  const backplane_bench_peer& peer_;
  const std::string path_;
};

/// Libraries with threads do not survive being closed, so none is.
void* open_library(const std::filesystem::path& path) { return dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL); }

std::shared_ptr<Peer> load(const std::string& path, const host::DevicePtr& device) {
  void* library = open_library(path);
  if (library == nullptr) throw Error("[bench] --peers: " + std::string(dlerror()));
  const auto open = reinterpret_cast<backplane_bench_peer_v1_fn>(dlsym(library, "backplane_bench_peer_v1"));
  if (open == nullptr) throw Error("[bench] " + path + " does not export backplane_bench_peer_v1");
  const backplane_bench_peer* peer = open(0);
  if (peer == nullptr || peer->size != sizeof(*peer))
    throw Error("[bench] " + path + " found no device, or is of another version");
  if (peer->plugin != nullptr && device->plugin_name() != peer->plugin) return nullptr;
  return std::make_shared<LoadedPeer>(*peer, path);
}

}  // namespace

Peers peers_for(const host::DevicePtr& device, const std::vector<std::string>& libraries) {
  Peers peers;
  const auto module = std::filesystem::read_symlink("/proc/self/exe").parent_path() / "backplane-bench-peers.so";
  if (std::filesystem::exists(module)) {
    void* library = open_library(module);
    const auto make = library != nullptr ? reinterpret_cast<MakePeers>(dlsym(library, kMakePeers)) : nullptr;
    if (make == nullptr) throw Error("[bench] " + std::string(dlerror()));
    make(&peers, &device, cores_used());
  }
  for (const std::string& path : libraries) {
    if (auto peer = load(path, device)) peers.push_back(std::move(peer));
  }
  return peers;
}

}  // namespace backplane::bench
