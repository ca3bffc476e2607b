// SPDX-License-Identifier: Apache-2.0
// The table of bp.collective for a plugin to give out as an extra_interface. The author's Device declares
//
//   using Group;                                                     // has the four calls and abort() as collective.h names them
//   bp_group_id make_group_id();
//   std::unique_ptr<Group> join(const bp_group_id& id, uint32_t ranks, uint32_t rank);
#pragma once

#include <memory>

#include "backplane/collective.h"
#include "backplane/sdk/error.hpp"

namespace backplane::sdk {

template <class Device>
struct CollectiveThunks {
  using Group = typename Device::Group;
  using Queue = typename Device::Queue;

  static void need(bool condition, const char* what) {
    if (!condition) throw Failure(BP_E_INVALID_ARGUMENT, what);
  }
  static bp_status make_id(bp_device* device, bp_group_id* out, bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && out != nullptr, "[collective] device or out is NULL");
      *out = reinterpret_cast<Device*>(device)->make_group_id();
    });
  }
  static bp_status join(bp_device* device, const bp_group_id* id, uint32_t ranks, uint32_t rank, bp_group** out,
                        bp_error* error) noexcept {
    return guard(error, [&] {
      need(device != nullptr && id != nullptr && out != nullptr, "[collective] device, id or out is NULL");
      need(rank < ranks, "[collective] a rank has to be less than the number of ranks");
      *out = reinterpret_cast<bp_group*>(reinterpret_cast<Device*>(device)->join(*id, ranks, rank).release());
    });
  }
  static void leave(bp_group* group) noexcept { delete reinterpret_cast<Group*>(group); }
  static void abort(bp_group* group) noexcept {
    if (group != nullptr) reinterpret_cast<Group*>(group)->abort();
  }

  /// The four calls differ in their name and their last arguments only.
  template <auto call, class... Arguments>
  static bp_status run(bp_queue* queue, bp_group* group, bp_view target, bp_view source, uint64_t count,
                       uint32_t dtype, Arguments... arguments, bp_error* error) noexcept {
    return guard(error, [&] {
      need(queue != nullptr && group != nullptr, "[collective] queue or group is NULL");
      (reinterpret_cast<Group*>(group)->*call)(*reinterpret_cast<Queue*>(queue), target, source, count, dtype,
                                               arguments...);
    });
  }

  static constexpr bp_collective_api kTable{sizeof(bp_collective_api),
                                            BP_VERSION(1, 0),
                                            make_id,
                                            join,
                                            leave,
                                            run<&Group::all_reduce, uint32_t>,
                                            run<&Group::broadcast, uint32_t>,
                                            run<&Group::all_gather>,
                                            run<&Group::reduce_scatter, uint32_t>,
                                            abort};
};

}  // namespace backplane::sdk
