// SPDX-License-Identifier: Apache-2.0
#include "peers/race.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include <fmt/format.h>

namespace backplane::bench {

namespace {

constexpr size_t kKept = 4;  // settings that are tried again on later problems
constexpr const char* kTuned = " tuned";

double difference(const std::vector<float>& theirs, const std::vector<std::byte>& right) {
  std::vector<float> ours(right.size() / sizeof(float));
  std::memcpy(ours.data(), right.data(), right.size());
  if (ours.size() != theirs.size()) return INFINITY;
  double worst = 0, largest = 1e-30;
  for (size_t i = 0; i < ours.size(); ++i) {
    const double d = std::abs(static_cast<double>(ours[i]) - theirs[i]);
    if (!std::isfinite(d)) return INFINITY;
    worst = std::max(worst, d);
    largest = std::max(largest, std::abs(static_cast<double>(ours[i])));
  }
  return worst / largest;
}

Contender prepare(Peer& peer, const std::string& name, const Case& c, const Values& values,
                  const std::vector<std::byte>& right) {
  Contender contender;
  contender.name = name;
  try {
    contender.call = peer.prepare(c, values);
    if (!contender.call) {
      contender.reason = "the library does not do this";
      return contender;
    }
    contender.call->enqueue();
    contender.call->finish();
    contender.error = difference(contender.call->output(), right);
    if (!(contender.error <= kPeerAllowed)) {
      contender.reason = fmt::format("its result differs by {:.1e} of the largest", contender.error);
      contender.call.reset();
    }
  } catch (const std::exception& error) {
    contender.call.reset();
    contender.reason = error.what();
  }
  return contender;
}

/// Settings worth trying, the fastest first. All are tried on the first problem of a run, later only the best of those.
std::vector<std::string>& settings_to_try(const Peer& peer) {
  static std::map<std::string, std::vector<std::string>> known;
  return known.try_emplace(peer.name(), peer.settings()).first->second;
}

Contender prepare_best(Peer& peer, const Case& c, const Values& values, const std::vector<std::byte>& right) {
  std::vector<std::string>& names = settings_to_try(peer);
  std::vector<std::pair<double, std::string>> order;
  std::string reason;
  for (const std::string& setting : names) {
    peer.use(setting);
    const Contender tried = prepare(peer, setting, c, values, right);  // not every setting fits every problem
    if (tried.call) order.emplace_back(quick_time(tried.call->contestant(), 5'000'000, 50'000'000), setting);
    else reason = tried.reason;
  }
  std::ranges::sort(order);
  if (order.empty()) return {peer.name() + kTuned, nullptr, reason, 0};
  if (names.size() > kKept) {
    names.clear();
    for (size_t i = 0; i < std::min(kKept, order.size()); ++i) names.push_back(order[i].second);
  }
  peer.use(order[0].second);
  return prepare(peer, peer.name() + kTuned, c, values, right);
}

}  // namespace

std::vector<std::string> contender_names(const Peers& peers) {
  std::vector<std::string> names;
  for (const auto& peer : peers) {
    names.push_back(peer->name());
    if (peer->settings().size() > 1) names.push_back(peer->name() + kTuned);
  }
  return names;
}

std::string options_for(const Peers& peers) {
  std::string text;
  for (const auto& peer : peers) {
    if (const std::string option = peer->option(); !option.empty()) text += " " + option;
  }
  return text;
}

std::vector<Contender> prepare_contenders(const Peers& peers, const Case& c, const Values& values,
                                          const std::vector<std::byte>& right) {
  std::vector<Contender> contenders;
  for (const auto& peer : peers) {
    peer->use("default");
    contenders.push_back(prepare(*peer, peer->name(), c, values, right));
    if (peer->settings().size() > 1) contenders.push_back(prepare_best(*peer, c, values, right));
  }
  return contenders;
}

}  // namespace backplane::bench
