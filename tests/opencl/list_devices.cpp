// SPDX-License-Identifier: Apache-2.0
// list_devices <plugin>: what the plugin says of its devices, one line each, or the status and the reason; a process of
// its own, because drivers and their loader are found once per process.
#include <cstdio>

#include "cards/loaded_plugin.h"

int main(int, char** arguments) {
  card_test::LoadedPlugin loaded(arguments[1]);
  bp_device_info infos[8];
  for (bp_device_info& info : infos) info.size = sizeof(info);
  uint32_t count = 0;
  bp_error error{};
  error.size = sizeof(error);
  const bp_status status = loaded.api->devices(loaded.plugin, infos, sizeof(bp_device_info), 8, &count, &error);
  if (status < 0) {
    std::printf("status %d: %s\n", status, error.message);
    return 0;
  }
  for (uint32_t i = 0; i < count; ++i) {
    std::printf("device %u kind %u flags %u id %s name %s driver %s\n", i, infos[i].kind, infos[i].flags, infos[i].id,
                infos[i].name, infos[i].driver);
  }
  return 0;
}
