// SPDX-License-Identifier: Apache-2.0
#include "plan/recordings.h"

#include <algorithm>
#include <cstring>

namespace backplane::graph {

bool Recordings::run(const std::string& key, const std::function<void()>& enqueue) {
  auto found = usable_ ? entries_.find(key) : entries_.end();
  if (found == entries_.end()) {
    enqueue();
    if (usable_) {
      make_room();
      entries_[key].last_use = ++clock_;
    }
    return false;
  }
  Entry& entry = found->second;
  entry.last_use = ++clock_;
  if (!entry.recording) record(entry, enqueue);
  return replay(entry) || (enqueue(), false);
}

void Recordings::record(Entry& entry, const std::function<void()>& enqueue) {
  const bp_capture_api& capture = *device_.capture();
  bp_error error = host::make_error();
  const auto declined = [&](bp_status status) {
    if (status != BP_E_UNSUPPORTED) host::check(status, error, device_.name() + ": recording a plan");
    usable_ = status == BP_OK;
    return !usable_;
  };
  if (declined(capture.begin(queue_, &error))) return;
  bp_recording* made = nullptr;
  try {
    enqueue();
  } catch (...) {
    bp_error ignored = host::make_error();
    if (capture.end(queue_, &made, &ignored) >= 0) capture.destroy(made);
    throw;
  }
  if (declined(capture.end(queue_, &made, &error))) return;
  entry.recording = host::Recording(made, capture.destroy, device_.shared_from_this());
}

bool Recordings::replay(const Entry& entry) {
  if (!entry.recording) return false;
  bp_error error = host::make_error();
  host::check(device_.capture()->replay(queue_, entry.recording.get(), &error), error,
              device_.name() + ": replaying a plan");
  return true;
}

void Recordings::make_room() {
  if (entries_.size() < kMost) return;
  const auto oldest = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
    return a.second.last_use < b.second.last_use;
  });
  if (oldest->second.recording) {
    bp_error ignored = host::make_error();  // a failure of queued work is reported by the next call that waits
    device_.queues().finish(queue_, &ignored);
  }
  entries_.erase(oldest);
}

template <class Condition>
void Recordings::drop(Condition condition) {
  if (entries_.empty()) return;
  bp_error ignored = host::make_error();
  device_.queues().finish(queue_, &ignored);
  std::erase_if(entries_, [&](const auto& entry) { return condition(entry.first); });
}

void Recordings::clear(std::string_view prefix) {
  drop([&](const std::string& key) { return key.starts_with(prefix); });
}

void Recordings::forget(const bp_buffer* buffer) {
  const auto names = [&](const std::string& key) {
    for (size_t at = 0; at + sizeof(buffer) <= key.size(); at += sizeof(buffer)) {
      if (std::memcmp(key.data() + at, &buffer, sizeof(buffer)) == 0) return true;
    }
    return false;
  };
  if (std::any_of(entries_.begin(), entries_.end(), [&](const auto& entry) { return names(entry.first); })) drop(names);
}

}  // namespace backplane::graph
