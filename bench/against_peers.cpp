// SPDX-License-Identifier: Apache-2.0
// Rows "peers/matmul/MxNxK": the device's default and best product against each library that a user could call for it on
// the same driver, and against that library's best setting where it has settings, all interleaved.
#include <algorithm>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "peer.h"
#include "rows.h"
#include "trial.h"

namespace backplane::bench {

namespace {

struct Problem {
  int64_t m, n, k;
  std::vector<std::vector<std::byte>> values;
  const float* a() const { return reinterpret_cast<const float*>(values[0].data()); }
  const float* b() const { return reinterpret_cast<const float*>(values[1].data()); }
};

/// The peer's result must be the product, in f32 or, since some round operands to f16, near it.
void check(const Case& c, const Expected& right, PeerCall& call, const std::string& who) {
  call.enqueue();
  call.finish();
  const std::vector<float> result = call.output();
  std::vector<std::byte> bytes(result.size() * sizeof(float));
  std::memcpy(bytes.data(), result.data(), bytes.size());
  const Difference d = compare(c, right, {bytes}, BP_NOTE_REDUCED_INPUTS);
  if (!d.ok()) throw Error("[bench] " + who + " is wrong by " + std::to_string(d.error) + " of the largest");
}

void write_detail(const Case& c, const std::string& peer, const std::string& setting, double us,
                  const std::string& why) {
  if (settings().details.empty()) return;
  nlohmann::ordered_json line = {{"device", settings().device}, {"peer", peer}, {"case", c.name}, {"setting", setting}};
  if (why.empty()) line["us"] = us;
  else line["why"] = why;
  std::ofstream(settings().details, std::ios::app) << line.dump() << '\n';
}

/// Settings worth trying, the fastest first. All are tried on the first problem of a run, later only the best of those.
std::vector<std::string>& settings_to_try(Peer& peer) {
  static std::map<std::string, std::vector<std::string>> known;
  const auto [at, is_new] = known.try_emplace(peer.name(), peer.settings());
  return at->second;
}

/// The setting that is fastest at first sight among those that give the right result.
std::string best_setting(Peer& peer, const Case& c, const Expected& right, const Problem& p) {
  std::vector<std::string>& names = settings_to_try(peer);
  if (names.size() == 1) return names[0];
  std::vector<std::pair<double, std::string>> order;
  for (const std::string& name : names) {
    try {
      peer.use(name);
      const std::unique_ptr<PeerCall> call = peer.matmul(p.m, p.n, p.k, p.a(), p.b());
      check(c, right, *call, name);
      order.emplace_back(quick_time(call->contestant(), 5'000'000, 50'000'000), name);
      write_detail(c, peer.name(), name, order.back().first * 1e-3, "");
    } catch (const std::exception& error) {  // not every setting fits every problem
      write_detail(c, peer.name(), name, 0, error.what());
    }
  }
  if (order.empty()) return names[0];
  std::sort(order.begin(), order.end());
  constexpr size_t kKept = 4;
  if (names.size() > kKept) {
    names.clear();
    for (const auto& o : order) {
      if (names.size() < kKept) names.push_back(o.second);
    }
  }
  return order[0].second;
}

/// Our best is the first contestant, so that it is the row's time.
struct Contest {
  double ours_ns = 0, default_ns = 0, theirs_ns = 0;
  Measurement of;
};

Contest contest(const Trial& trial, PeerCall& theirs) {
  std::vector<Contestant> contestants = {trial.winner().kernel->contestant(), theirs.contestant()};
  if (trial.best != 0) contestants.push_back(trial.default_variant().kernel->contestant());
  const Measurement m = measure(contestants, {.rounds = 9, .budget_s = 6, .cores = cores_used()});
  return {m.of[0].median_ns, m.of[trial.best != 0 ? 2 : 0].median_ns, m.of[1].median_ns, m};
}

Measurement against_all(benchmark::State& state, int64_t m, int64_t n, int64_t k) {
  const Case c = matmul_case(m, n, k);
  const Problem p{m, n, k, make_values(c)};
  const host::DevicePtr device = device_under_test();
  const std::vector<std::shared_ptr<Peer>> peers = peers_for(device);
  if (peers.empty()) throw Error("[bench] no peer for " + device->name());
  const Trial trial = try_variants(device, c, p.values);
  const Expected right = expected(c, p.values);
  Measurement result;
  std::string label = trial.winner().name;
  const auto report = [&](const std::string& key, const std::string& setting, const Contest& fought) {
    state.counters[key + "_us"] = fought.theirs_ns * 1e-3;
    state.counters[key + "_speedup"] = fought.theirs_ns / fought.ours_ns;
    state.counters[key + "_default_speedup"] = fought.theirs_ns / fought.default_ns;
    if (!setting.empty()) label += ", " + key + ": " + setting;
    if (result.of.empty()) {
      result = fought.of;
      state.counters["default_us"] = fought.default_ns * 1e-3;
      state.counters["GFLOP_per_s"] = c.cost().flops / fought.ours_ns;
    }
    result.quiet = result.quiet && fought.of.quiet;
  };
  for (const std::shared_ptr<Peer>& peer : peers) {
    peer->use("default");
    std::unique_ptr<PeerCall> call = peer->matmul(m, n, k, p.a(), p.b());
    if (!call) continue;
    check(c, right, *call, peer->name());
    report(peer->name(), "", contest(trial, *call));
    if (peer->settings().size() == 1) continue;
    const std::string best = best_setting(*peer, c, right, p);
    peer->use(best);
    call = peer->matmul(m, n, k, p.a(), p.b());
    report(peer->name() + "_tuned", best, contest(trial, *call));
  }
  state.SetLabel(label);
  return result;
}

}  // namespace

void add_peer_rows() {
  // The first is where settings are chosen from, so it is neither small nor slow.
  const int64_t products[][3] = {{512, 512, 512}, {256, 256, 256},   {127, 129, 65},     {255, 257, 63},
                                 {1023, 1023, 1023}, {1024, 1024, 1024}, {1024, 1024, 4096}, {2048, 2048, 2048}};
  for (const auto& s : products) {
    add_row("peers/matmul/" + by({s[0], s[1], s[2]}),
            [m = s[0], n = s[1], k = s[2]](benchmark::State& state) { return against_all(state, m, n, k); });
  }
}

}  // namespace backplane::bench
