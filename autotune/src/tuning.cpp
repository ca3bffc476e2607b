// SPDX-License-Identifier: Apache-2.0
// Settings of the tuner, from the environment, and what all tuners of a process share.
#include <algorithm>
#include <charconv>

#include "backplane/autotune/tuner.h"
#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/text.h"
#include "catalogue.h"

namespace backplane::autotune {
namespace {

constexpr std::string_view kModeNames[] = {"off", "cached", "on", "force", "locked"};

[[noreturn]] void refuse(std::string_view variable, const std::string& value, const std::string& what) {
  throw host::Error(BP_E_INVALID_ARGUMENT, "[environment] " + std::string(variable) + "='" + value + "' " + what);
}

Mode mode_of(const std::string& text) {
  for (size_t i = 0; i < std::size(kModeNames); ++i) {
    if (text == kModeNames[i]) return static_cast<Mode>(i);
  }
  refuse("BACKPLANE_TUNE", text, "is none of off, cached, on, force, locked");
}

Distortion distortion_of(const std::string& text) {
  if (text == "none") return Distortion::none;
  if (text == "inverse") return Distortion::inverse;
  if (text == "random") return Distortion::random;
  refuse("BACKPLANE_TUNE_DISTORT", text, "is none of none, inverse, random");
}

uint64_t milliseconds(std::string_view text, const std::string& all) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  constexpr uint64_t kMost = 1'000'000'000;
  if (error != std::errc() || end != text.data() + text.size() || value == 0 || value > kMost) {
    refuse("BACKPLANE_TUNE_BUDGET_MS", all,
           "is not milliseconds for one problem, or those and milliseconds in all: 500,60000");
  }
  return value * 1'000'000;
}

std::vector<Pin> pins_of(const std::string& text) {
  std::vector<Pin> pins;
  for (const std::string& part : host::split(text, ';')) {
    const std::string_view each = host::trim(part);
    if (each.empty()) continue;
    const size_t equals = each.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == each.size()) {
      refuse("BACKPLANE_VARIANT", text, "is not OPERATION=VARIANT; ...: matmul=tiled@*");
    }
    Pin pin{std::string(each.substr(0, equals)), std::string(each.substr(equals + 1))};
    if (find_entry(pin.operation) == nullptr)
      refuse("BACKPLANE_VARIANT", text, "names an operation that does not exist: " + pin.operation);
    pins.push_back(std::move(pin));
  }
  return pins;
}

}  // namespace

std::string_view name_of(Level level) {
  static constexpr std::string_view kNames[] = {"pinned", "exact", "nearest", "model", "default"};
  return kNames[static_cast<size_t>(level)];
}

TuningOptions TuningOptions::from_environment() {
  TuningOptions options;
  options.store = default_store_path();
  if (const auto text = host::environment("BACKPLANE_TUNE")) options.mode = mode_of(*text);
  if (const auto text = host::environment("BACKPLANE_TUNE_BUDGET_MS")) {
    const size_t comma = text->find(',');
    options.key_budget_ns = milliseconds(std::string_view(*text).substr(0, comma), *text);
    if (comma != std::string::npos)
      options.total_budget_ns = milliseconds(std::string_view(*text).substr(comma + 1), *text);
  }
  if (const auto text = host::environment("BACKPLANE_TUNE_DISTORT")) options.distortion = distortion_of(*text);
  if (const auto text = host::environment("BACKPLANE_VARIANT")) options.pins = pins_of(*text);
  return options;
}

Tuning::Tuning(TuningOptions options, Measure measure)
    : options_(std::move(options)), measure_(measure ? std::move(measure) : Measure(tune)),
      store_(std::make_unique<Store>(options_.mode == Mode::off ? std::filesystem::path() : options_.store,
                                     measures() ? Store::Access::write : Store::Access::read)) {}

const std::shared_ptr<Tuning>& Tuning::instance() {
  // Never destroyed: devices in static variables may outlive any order of destruction.
  static const auto* const tuning =
      new std::shared_ptr<Tuning>(std::make_shared<Tuning>(TuningOptions::from_environment()));
  return *tuning;
}

uint64_t Tuning::take_budget() {
  uint64_t spent = spent_ns_.load(), take = 0;
  do {
    take = spent >= options_.total_budget_ns ? 0 : std::min(options_.key_budget_ns, options_.total_budget_ns - spent);
  } while (!spent_ns_.compare_exchange_weak(spent, spent + take));
  return take;
}

uint64_t Tuning::left() const {
  const uint64_t spent = spent_ns_.load();
  return spent >= options_.total_budget_ns ? 0 : options_.total_budget_ns - spent;
}

void Tuning::give_back(uint64_t taken_ns, uint64_t spent_ns) {
  if (spent_ns < taken_ns) spent_ns_ -= taken_ns - spent_ns;
  if (spent_ns > taken_ns) spent_ns_ += spent_ns - taken_ns;
}

}  // namespace backplane::autotune
