// SPDX-License-Identifier: Apache-2.0
#include "job.h"

#include "backplane/host/error.h"

namespace backplane::bench {

namespace {

bool is_lost(const std::exception& error) {
  if (dynamic_cast<const DeviceLost*>(&error) != nullptr) return true;
  const auto* from_device = dynamic_cast<const host::Error*>(&error);
  return from_device != nullptr && (from_device->code() == BP_E_DEVICE_LOST || from_device->scope() >= BP_SCOPE_DEVICE);
}

}  // namespace

bool died_too_often(std::vector<report::Row>& rows, const Allowance& allowance, size_t most) {
  if (allowance.deaths.size() < most) return false;
  const autotune::Failure& last = allowance.deaths.back();
  for (report::Row& row : rows) {
    if (row.status != report::Status::unmeasured) continue;
    row.status = report::Status::failed;
    row.reason = std::string(name_of(last.verdict)) + ": " + last.reason;
  }
  return true;
}

void end_rows(std::vector<report::Row>& rows, const std::exception& error) {
  const bool lost = is_lost(error);
  for (report::Row& row : rows) {
    if (row.status != report::Status::unmeasured && row.median_ns) continue;
    if (row.status == report::Status::refused || row.status == report::Status::wrong) continue;
    row.status = lost ? report::Status::lost : report::Status::failed;
    row.reason = error.what();
  }
  if (lost) throw DeviceLost(error.what());
}

}  // namespace backplane::bench
