// SPDX-License-Identifier: Apache-2.0
#include "left_out.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

#include <nlohmann/json.hpp>

#include "backplane/autotune/tuner.h"
#include "backplane/host/text.h"
#include "oracle_race.h"
#include "shapes.h"

namespace backplane::bench {
namespace {

using Json = nlohmann::ordered_json;
constexpr uint64_t kFolds = 5;

uint64_t fold_of(const autotune::Key& key) { return host::hash64(key.text()) % kFolds; }

std::map<std::string, Json> rows_of(const std::string& file) {
  std::map<std::string, Json> rows;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    const Json row = Json::parse(line, nullptr, false);
    if (row.is_object() && row.contains("ratios")) rows.emplace(row.at("case"), row);
  }
  return rows;
}

/// A store with all records but those of one fold; goes away again.
struct Copy {
  Copy(const std::vector<autotune::Record>& all, uint64_t fold)
      : path(std::filesystem::temp_directory_path() / ("backplane-left-out-" + std::to_string(getpid()) + "-" +
                                                       std::to_string(fold))) {
    std::vector<autotune::Record> kept;
    for (const autotune::Record& each : all) {
      if (fold_of(each.key) != fold) kept.push_back(each);
    }
    if (!autotune::Store(path).put(kept)) throw Error("[sweep] " + path.string() + " cannot be written");
  }
  ~Copy() {
    for (const char* suffix : {"", "-wal", "-shm", ".lock"}) std::filesystem::remove(path.string() + suffix);
  }
  Copy(const Copy&) = delete;
  Copy& operator=(const Copy&) = delete;
  std::filesystem::path path;
};

struct Judged {
  double regret, default_regret;
};
/// By the rows; what was only looked at there is raced now, since one look may be far off.
Judged judge(const host::DevicePtr& device, const graph::KernelOp& op, const Json& row, const std::string& variant) {
  const std::string usual = row.at("default"), best = row.at("best");
  const Json& ratios = row.at("ratios");
  if (ratios.at(variant).at(1)) return {ratios.at(variant).at(0), ratios.at(usual).at(0)};
  const auto operands = std::make_shared<Operands>(device, op, suitable_values(op));
  std::vector<std::string> others;
  for (const host::Variant& each : operands->variants()) {
    if (each.name != variant && each.name != usual && each.name != best) others.push_back(each.name);
  }
  const OracleResult right = race_all(operands, {variant, usual, best}, others);
  return {right.ratio.at(variant), right.ratio.at(usual)};
}

}  // namespace

int judge_left_out(const host::DevicePtr& device, const std::string& file) {
  const auto rows = rows_of(file);
  const auto records = autotune::Store(autotune::default_store_path(), autotune::Store::Access::read).records();
  for (uint64_t fold = 0; fold < kFolds; ++fold) {
    const Copy copy(records, fold);
    autotune::TuningOptions options;
    options.store = copy.path;
    autotune::Tuner tuner(device, std::make_shared<autotune::Tuning>(options));
    for (const Case& c : sweep_cases()) {
      const auto row = rows.find(c.name);
      if (row == rows.end()) continue;
      const graph::KernelOp op = c.kernel_op();
      const auto [decision, asked] = op.with_op([&](const bp_op& raw) {
        const bool mine = fold_of(autotune::Key::of(raw)) == fold;
        return std::pair{mine ? tuner.decide(raw) : autotune::Decision{}, mine};
      });
      if (!asked) continue;
      const std::string usual = row->second.at("default");
      const std::string variant = decision.variant.empty() ? usual : decision.variant;
      if (!row->second.at("ratios").contains(variant)) continue;  // wrong or failed in the rows
      const Judged judged = judge(device, op, row->second, variant);
      std::cout << Json{{"device", device->name()},
                        {"case", c.name},
                        {"level", name_of(decision.level)},
                        {"variant", variant},
                        {"why", decision.why},
                        {"regret", judged.regret},
                        {"default_regret", judged.default_regret}}
                       .dump()
                << "\n";
    }
  }
  return 0;
}

}  // namespace backplane::bench
