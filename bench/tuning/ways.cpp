// SPDX-License-Identifier: Apache-2.0
#include "ways.h"

#include <algorithm>
#include <chrono>
#include <iostream>
#include <iterator>
#include <random>
#include <thread>
#include <vector>

#include <nlohmann/json.hpp>

#include "backplane/host/error.h"
#include "backplane/host/text.h"
#include "busy.h"
#include "kernels.h"
#include "measure.h"
#include "shapes.h"

namespace backplane::bench {
namespace {

using Json = nlohmann::ordered_json;

constexpr int64_t kSampleNs = 1'000'000, kMostCalls = 4096, kRecorded = 64;
constexpr double kNear = 2;  // x the fastest: others are not looked at

struct Racer {
  std::string name;
  bool is_default = false;
  std::shared_ptr<Prepared> kernel;
  std::unique_ptr<DeviceClock> clock;  // null where the device has none
  host::Recording recording;           // null where the device does not record
  int64_t calls = 1;                   // of a sample
  double first_ns = 0;
  std::vector<std::vector<double>> ns;  // of one launch: way by way, a sample for each round
};

void enqueue(const Racer& racer, int64_t calls) {
  for (int64_t i = 0; i < calls; ++i) racer.kernel->enqueue();
}
double run(const Racer& racer, int64_t calls) {
  const int64_t start = now_ns();
  enqueue(racer, calls);
  racer.kernel->finish();
  return static_cast<double>(now_ns() - start) / static_cast<double>(calls);
}
void pause() { std::this_thread::sleep_for(std::chrono::microseconds(300)); }

double by_device(Racer& racer) {
  if (racer.clock == nullptr) return 0;
  enqueue(racer, racer.calls / 5 + 1);
  racer.clock->start();
  enqueue(racer, racer.calls);
  racer.clock->stop();
  racer.kernel->finish();
  return racer.clock->ns() / static_cast<double>(racer.calls);
}
double by_host(Racer& racer) {
  run(racer, racer.calls / 5 + 1);
  return run(racer, racer.calls);
}
double replayed(Racer& racer) {
  if (racer.recording.get() == nullptr) return 0;
  const graph::StreamPtr& stream = racer.kernel->operands().stream();
  const auto replay = [&] {
    bp_error error = host::make_error();
    host::check(stream->device()->capture()->replay(stream->queue(), racer.recording.get(), &error), error, "replay");
    racer.kernel->finish();
  };
  replay();
  const int64_t replays = std::max<int64_t>(racer.calls / kRecorded, 1), start = now_ns();
  for (int64_t i = 0; i < replays; ++i) replay();
  return static_cast<double>(now_ns() - start) / static_cast<double>(replays * kRecorded);
}
double after_pause(Racer& racer) {
  pause();
  run(racer, 1);
  return run(racer, racer.calls);
}
double awake(Racer& racer) {
  pause();
  run(racer, std::max<int64_t>(racer.calls / 2, 1));
  return run(racer, racer.calls);
}
double apart(Racer& racer) {
  const int64_t calls = std::max<int64_t>(racer.calls / 16, 1), start = now_ns();
  for (int64_t i = 0; i < calls; ++i) racer.kernel->launch();
  return static_cast<double>(now_ns() - start) / static_cast<double>(calls);
}

constexpr struct {
  const char* name;
  double (*time)(Racer& racer);  ///< of one launch; 0 where the device cannot be timed so
} kWays[] = {{"device", by_device},   {"host", by_host}, {"replay", replayed},
             {"pause", after_pause}, {"awake", awake},  {"apart", apart}};

host::Recording record(const Racer& racer) {
  const graph::StreamPtr& stream = racer.kernel->operands().stream();
  const bp_capture_api* capture = stream->device()->capture();
  if (capture == nullptr) return {};
  bp_error error = host::make_error();
  bp_recording* recording = nullptr;
  host::check(capture->begin(stream->queue(), &error), error, "begin recording");
  enqueue(racer, kRecorded);
  host::check(capture->end(stream->queue(), &recording, &error), error, "end recording");
  return {recording, capture->destroy, stream->device()};
}

std::vector<Racer> racers_of(const std::shared_ptr<const Operands>& operands) {
  std::vector<Racer> racers;
  double least = 0;
  for (const host::Variant& variant : operands->variants()) {
    Racer racer;
    racer.name = variant.name, racer.is_default = (variant.flags & BP_VARIANT_DEFAULT) != 0;
    racer.kernel = std::make_shared<Prepared>(operands, variant.name);
    racer.clock = device_clock(operands->stream());
    racer.recording = record(racer);
    racer.first_ns = quick_time(racer.kernel->contestant(), kSampleNs, 20 * kSampleNs);
    racer.calls = std::clamp(static_cast<int64_t>(kSampleNs / racer.first_ns), int64_t{1}, kMostCalls);
    racer.ns.resize(std::size(kWays));
    least = racers.empty() ? racer.first_ns : std::min(least, racer.first_ns);
    racers.push_back(std::move(racer));
  }
  std::erase_if(racers, [&](const Racer& r) { return !r.is_default && r.first_ns > kNear * least; });
  return racers;
}

Json compare(const Case& c, const host::DevicePtr& device, int rounds) {
  const host::KernelOp op = c.kernel_op();
  std::vector<Racer> racers = racers_of(std::make_shared<Operands>(device, op, suitable_values(op)));
  std::vector<size_t> order(racers.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::mt19937 engine(1);
  for (int round = 0; round < rounds; ++round) {
    for (size_t way = 0; way < std::size(kWays); ++way) {
      std::ranges::shuffle(order, engine);
      for (const size_t i : order) racers[i].ns[way].push_back(kWays[way].time(racers[i]));
    }
  }
  const Racer& usual = *std::ranges::find_if(racers, &Racer::is_default);
  Json ways = Json::object();
  for (size_t way = 0; way < std::size(kWays); ++way) {
    for (const Racer& each : racers) {
      std::vector<double> ratios;
      for (size_t r = 0; r < each.ns[way].size(); ++r) ratios.push_back(each.ns[way][r] / usual.ns[way][r]);
      const double ns = quantile(each.ns[way], 0.5);
      if (ns > 0) ways[kWays[way].name][each.name] = {1e-3 * ns, quantile(std::move(ratios), 0.5)};
    }
  }
  return {{"case", c.name}, {"default", usual.name}, {"ways", ways}};
}

}  // namespace

int compare_ways(const host::DevicePtr& device, const std::string& cases, int rounds) {
  for (const std::string& name : host::split(cases, ';')) {
    for (const Case& c : sweep_cases()) {
      if (c.name == name) std::cout << compare(c, device, rounds).dump() << std::endl;
    }
  }
  return 0;
}

}  // namespace backplane::bench
