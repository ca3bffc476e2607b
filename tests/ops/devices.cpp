// SPDX-License-Identifier: Apache-2.0
#include "ops/devices.h"

#include <cstdlib>
#include <sstream>
#include <stdexcept>

#include "backplane/host/registry.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {
/// So that the executable also runs by hand: the toy card lies outside the directory of installed plugins.
host::Registry& registry() {
  static const int once = setenv("BACKPLANE_PLUGIN_PATH", BACKPLANE_DEFAULT_PLUGIN_PATH, 0);
  (void)once;
  return host::Registry::instance();
}
}  // namespace

const std::vector<StreamPtr>& devices_under_test() {
  static const std::vector<StreamPtr> streams = [] {
    const char* list = std::getenv("BACKPLANE_TEST_DEVICES");
    std::istringstream names(list != nullptr && *list != '\0' ? list : BACKPLANE_DEFAULT_TEST_DEVICES);
    std::vector<StreamPtr> out;
    for (std::string name; std::getline(names, name, ',');) {
      out.push_back(Stream::of(registry().open(name)));
    }
    return out;
  }();
  return streams;
}

const StreamPtr& oracle() {
  static const StreamPtr stream = Stream::of(registry().reference());
  return stream;
}

Evaluator::Evaluator(const Graph& graph, const StreamPtr& stream, const PassConfig& passes) : stream_(stream) {
  plan_ = Plan::compile(graph, {.stream = stream, .passes = passes, .fallback = Fallback::allow});
}

std::vector<Literal> Evaluator::operator()(std::span<const Literal> inputs) const {
  std::vector<Bound> bound;
  for (const Literal& literal : inputs) {
    StoragePtr storage = stream_->alloc(literal.bytes.size());
    stream_->upload(storage, 0, literal.bytes.data(), literal.bytes.size());
    bound.push_back({std::move(storage), literal.type, dense_layout(literal.type.shape)});
  }
  std::vector<Literal> result;
  for (const Bound& out : plan_->run(bound)) {
    Literal literal{out.type, std::vector<std::byte>(static_cast<size_t>(out.type.bytes()))};
    if (!is_dense(out.type.shape, out.layout)) throw std::logic_error("a plan's output is not dense");
    stream_->download(literal.bytes.data(), out.storage,
                      static_cast<uint64_t>(out.layout.offset * size_of(out.type.dtype)), literal.bytes.size());
    result.push_back(std::move(literal));
  }
  return result;
}

}  // namespace backplane::test
