// SPDX-License-Identifier: Apache-2.0
#include "backplane/devicekit/blob.h"

#include <cstring>

namespace backplane::devicekit {
namespace {

struct Header {
  char magic[8];
  uint64_t bytes;
  Digest key, belongs_to, content;
};
constexpr char kMagic[8] = {'B', 'P', 'B', 'L', 'O', 'B', '0', '2'};

Header header_for(const std::string& key, const Digest& belongs_to, const void* data, size_t bytes) {
  Header header{{}, bytes, digest(key), belongs_to, digest(data, bytes)};
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  return header;
}

}  // namespace

std::optional<std::vector<std::byte>> load_blob(const sdk::Host& host, const std::string& key,
                                                const Digest& belongs_to) {
  auto data = host.cache_get(key.c_str());
  if (!data || data->size() <= sizeof(Header)) return std::nullopt;
  const Header expected =
      header_for(key, belongs_to, data->data() + sizeof(Header), data->size() - sizeof(Header));
  if (std::memcmp(&expected, data->data(), sizeof(Header)) != 0) {
    host.log(BP_LOG_DEBUG, "cache", "a damaged or foreign entry is rebuilt: " + key);
    return std::nullopt;
  }
  data->erase(data->begin(), data->begin() + sizeof(Header));
  return data;
}

void store_blob(const sdk::Host& host, const std::string& key, const Digest& belongs_to, const void* data,
                size_t bytes) {
  const Header header = header_for(key, belongs_to, data, bytes);
  std::vector<char> blob(sizeof(header) + bytes);
  std::memcpy(blob.data(), &header, sizeof(header));
  std::memcpy(blob.data() + sizeof(header), data, bytes);
  host.cache_put(key.c_str(), blob.data(), blob.size());
}

}  // namespace backplane::devicekit
