// SPDX-License-Identifier: Apache-2.0
#include "peers/race.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "attempt.h"
#include "busy.h"

namespace backplane::bench {

namespace {

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

Contender prepare(Peer& peer, const std::string& name, const Problem& problem) {
  Contender contender;
  contender.name = name;
  const int64_t start_ns = now_ns();
  try {
    contender.call = peer.prepare(problem.c, problem.values);
    if (!contender.call) {
      contender.reason = "the library does not do this";
      return contender;
    }
    contender.call->enqueue();
    contender.call->finish();
    contender.build_ns = static_cast<double>(now_ns() - start_ns);
    contender.error = difference(contender.call->output(), problem.right);
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

/// With a setting that was tried; without a call where the try says that it cannot be used.
Contender prepare_tried(Peer& peer, const std::string& name, const std::string& setting, const Problem& problem,
                        const TriedSettings& tried) {
  const TriedSettings::Result* known = tried.find(problem.device, peer.name(), problem.work, setting);
  if (known != nullptr && known->ns <= 0) {
    Contender contender;
    contender.name = name, contender.reason = known->reason, contender.left_out = known->left_out;
    return contender;
  }
  peer.use(setting);
  Contender contender = prepare(peer, name, problem);
  if (known != nullptr) contender.build_ns = std::max(contender.build_ns, known->build_ns);
  return contender;
}

/// The first setting that was not usable, to say why none is; the own choice when nothing was tried.
std::string to_complain_of(const Peer& peer, const Problem& problem, const TriedSettings& tried) {
  for (const std::string& setting : peer.settings()) {
    if (tried.find(problem.device, peer.name(), problem.work, setting) != nullptr) return setting;
  }
  return kOwnChoice;
}

}  // namespace

std::string peer_device(const host::Device& device) {
  const bp_device_info& info = device.info();
  return device.plugin_name() + " " + info.name + " " + info.driver;
}

TriedSettings::Result try_setting(Peer& peer, const std::string& setting, const Problem& problem) {
  peer.use(setting);
  const Contender contender = prepare(peer, setting, problem);
  if (!contender.call) return {.reason = contender.reason, .build_ns = contender.build_ns};
  return {.ns = quick_time(contender.call->contestant(), 5'000'000, 50'000'000), .build_ns = contender.build_ns};
}

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

std::vector<Contender> prepare_contenders(const Peers& peers, const Problem& problem, const TriedSettings& tried) {
  std::vector<Contender> contenders;
  for (const auto& peer : peers) {
    Attempt::shared().at_variant(peer->name());
    contenders.push_back(prepare_tried(*peer, peer->name(), kOwnChoice, problem, tried));
    if (peer->settings().size() < 2) continue;
    const std::vector<std::string> best = tried.fastest(problem.device, peer->name(), problem.work);
    const std::string setting = best.empty() ? to_complain_of(*peer, problem, tried) : best.front();
    contenders.push_back(prepare_tried(*peer, peer->name() + kTuned, setting, problem, tried));
  }
  Attempt::shared().at_variant("");
  return contenders;
}

}  // namespace backplane::bench
