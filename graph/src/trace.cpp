// SPDX-License-Identifier: Apache-2.0
#include "backplane/graph/trace.h"

#include <atomic>
#include <cstdio>
#include <fstream>
#include <map>

#include "backplane/graph/types.h"

namespace backplane::graph {

namespace {

std::atomic<Trace*> active_trace{nullptr};

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return result + "\"";
}

double microseconds(std::chrono::steady_clock::duration d) {
  return std::chrono::duration<double, std::micro>(d).count();
}

}  // namespace

Trace::Trace(std::filesystem::path file) : file_(std::move(file)) {}

Trace::~Trace() {
  Trace* self = this;
  active_trace.compare_exchange_strong(self, nullptr);
  try {
    if (!written_) write();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "backplane: %s\n", error.what());
  }
}

Trace* Trace::active() { return active_trace.load(std::memory_order_acquire); }
void Trace::activate() { active_trace.store(this, std::memory_order_release); }

void Trace::add(std::string name, std::string track, Time begin, Time end) {
  const std::lock_guard lock(mutex_);
  events_.push_back({std::move(name), std::move(track), microseconds(begin - start_), microseconds(end - begin)});
}

void Trace::write() {
  const std::lock_guard lock(mutex_);
  written_ = true;
  std::filesystem::path temporary = file_;
  temporary += ".tmp";
  std::ofstream out(temporary);
  std::map<std::string, int> tracks;
  out << "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  for (const Event& event : events_) {
    const int track = tracks.try_emplace(event.track, static_cast<int>(tracks.size())).first->second;
    out << "{\"ph\":\"X\",\"pid\":1,\"tid\":" << track << ",\"name\":" << quoted(event.name) << ",\"ts\":" << event.begin_us
        << ",\"dur\":" << event.duration_us << "},\n";
  }
  const char* separator = "";
  for (const auto& [name, track] : tracks) {
    out << separator << "{\"ph\":\"M\",\"pid\":1,\"tid\":" << track << ",\"name\":\"thread_name\",\"args\":{\"name\":"
        << quoted(name) << "}}";
    separator = ",\n";
  }
  out << "\n]}\n";
  out.close();
  std::error_code renamed;
  if (out) std::filesystem::rename(temporary, file_, renamed);
  if (!out || renamed) {
    std::filesystem::remove(temporary, renamed);
    throw Error("[trace] cannot write " + file_.string() + "\n  check that the directory exists and the disk is not full");
  }
}

}  // namespace backplane::graph
