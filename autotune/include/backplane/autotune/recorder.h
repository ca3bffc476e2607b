// SPDX-License-Identifier: Apache-2.0
// Which operations a program runs, how often, and how long they take: what `backplane tune --from` spends its budget
// by.
//
// A file of lines of JSON, appended to, so that several processes may write one: lines of one operation add up.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backplane/host/kernel_op.h"

namespace backplane::autotune {

/// One operation on one device. Launch loops count here without a look-up.
struct Recorded {
  host::KernelOp op;
  std::string device;                   ///< "cpu:0"
  std::atomic<uint64_t> calls{0};
  std::atomic<uint64_t> launch_ns{0};   ///< shortest launch that was timed; 0 = none
  uint64_t written_calls = 0;           ///< by the recorder
  /// Takes the time of one launch.
  void timed(uint64_t ns);
};

class Recorder {
 public:
  explicit Recorder(std::filesystem::path file) : file_(std::move(file)) {}
  ~Recorder() { flush(); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// BACKPLANE_TUNE_RECORD's; null when it is not set. Written at the end of the process.
  static Recorder* instance();

  std::shared_ptr<Recorded> entry(const host::KernelOp& op, const std::string& device);
  /// Appends what has come since the last time. False when the file cannot be written.
  bool flush();

 private:
  std::filesystem::path file_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Recorded>> entries_;
  bool complained_ = false;
};

/// An operation of a program with its weight.
struct Workload {
  host::KernelOp op;
  std::string device;
  uint64_t calls = 0;
  uint64_t launch_ns = 0;
  double weight() const { return static_cast<double>(calls) * static_cast<double>(launch_ns > 0 ? launch_ns : 1); }
};

/// The operations of a recording, heaviest first; damaged lines are counted in `*damaged` and left out. Throws
/// host::Error when the file cannot be read or holds no operation at all.
std::vector<Workload> read_recording(const std::filesystem::path& file, size_t* damaged = nullptr);

/// One operation on one line of JSON, and back. Throws host::Error naming what is wrong.
std::string op_to_json(const host::KernelOp& op);
host::KernelOp op_from_json(const std::string& text);

}  // namespace backplane::autotune
