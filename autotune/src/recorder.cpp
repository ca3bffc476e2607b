// SPDX-License-Identifier: Apache-2.0
#include "backplane/autotune/recorder.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <nlohmann/json.hpp>

#include "backplane/host/environment.h"
#include "backplane/host/error.h"
#include "backplane/host/log.h"

namespace backplane::autotune {

void Recorded::timed(uint64_t ns) {
  uint64_t known = launch_ns.load(std::memory_order_relaxed);
  while ((known == 0 || ns < known) && !launch_ns.compare_exchange_weak(known, ns, std::memory_order_relaxed)) {
  }
}

Recorder* Recorder::instance() {
  // Never destroyed: plans in static variables may outlive any order of destruction.
  static Recorder* const recorder = [] () -> Recorder* {
    const auto file = host::environment("BACKPLANE_TUNE_RECORD");
    if (!file) return nullptr;
    auto* made = new Recorder(std::filesystem::absolute(*file));
    std::atexit([] { instance()->flush(); });
    return made;
  }();
  return recorder;
}

std::shared_ptr<Recorded> Recorder::entry(const host::KernelOp& op, const std::string& device) {
  const std::lock_guard lock(mutex_);
  std::shared_ptr<Recorded>& found = entries_[device + '\0' + op.signature()];
  if (found == nullptr) {
    found = std::make_shared<Recorded>();
    found->op = op;
    found->device = device;
  }
  return found;
}

bool Recorder::flush() {
  const std::lock_guard lock(mutex_);
  std::string lines;
  for (auto& [signature, each] : entries_) {
    const uint64_t calls = each->calls.load(std::memory_order_relaxed);
    if (calls == each->written_calls || each->op.code == BP_OP_CUSTOM) continue;
    nlohmann::ordered_json line = {{"device", each->device},
                                   {"calls", calls - each->written_calls},
                                   {"launch_ns", each->launch_ns.load(std::memory_order_relaxed)},
                                   {"op", nlohmann::ordered_json::parse(op_to_json(each->op))}};
    lines += line.dump() + "\n";
    each->written_calls = calls;
  }
  if (lines.empty()) return true;
  // One write, so that lines of several processes do not mix.
  const int fd = ::open(file_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  const bool written = fd >= 0 && ::write(fd, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
  if (fd >= 0) ::close(fd);
  if (!written && !complained_) {
    complained_ = true;
    host::log(BP_LOG_ERROR, "autotune",
              "[recording] " + file_.string() + " cannot be written; set BACKPLANE_TUNE_RECORD to a file that can");
  }
  return written;
}

std::vector<Workload> read_recording(const std::filesystem::path& file, size_t* damaged) {
  std::ifstream in(file);
  if (!in)
    throw host::Error(BP_E_NOT_FOUND,
                      "[recording] " + file.string() + " cannot be read; BACKPLANE_TUNE_RECORD makes one");
  std::map<std::string, Workload> merged;
  size_t broken = 0;
  for (std::string line; std::getline(in, line);) {
    if (line.empty()) continue;
    try {
      const auto j = nlohmann::ordered_json::parse(line);
      Workload each{op_from_json(j.at("op").dump()), j.at("device").get<std::string>(), j.at("calls").get<uint64_t>(),
                    j.at("launch_ns").get<uint64_t>()};
      Workload& sum = merged[each.device + '\0' + each.op.signature()];
      const uint64_t calls = sum.calls + each.calls;
      const uint64_t shortest = sum.launch_ns == 0    ? each.launch_ns
                                : each.launch_ns == 0 ? sum.launch_ns
                                                      : std::min(sum.launch_ns, each.launch_ns);
      sum = std::move(each);
      sum.calls = calls, sum.launch_ns = shortest;
    } catch (const std::exception&) {
      ++broken;  // the last line of a process that was killed
    }
  }
  if (damaged != nullptr) *damaged = broken;
  if (merged.empty()) {
    throw host::Error(BP_E_INVALID_ARGUMENT,
                      "[recording] " + file.string() + " holds no operation; BACKPLANE_TUNE_RECORD makes a recording");
  }
  std::vector<Workload> list;
  for (auto& [signature, each] : merged) list.push_back(std::move(each));
  std::ranges::stable_sort(list, std::greater<>(), &Workload::weight);
  return list;
}

}  // namespace backplane::autotune
