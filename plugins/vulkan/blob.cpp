// SPDX-License-Identifier: Apache-2.0
#include "blob.h"

#include <cstdio>
#include <cstring>

namespace backplane::vulkan {
namespace {

struct Header {
  char magic[8];
  uint64_t bytes;
  Digest belongs_to;
  Digest content;
};
constexpr char kMagic[8] = {'B', 'P', 'V', 'K', 'B', 'L', 'B', '1'};

uint64_t mix(uint64_t hash) {
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdull;
  hash ^= hash >> 33;
  return hash;
}

}  // namespace

Digest digest(const void* data, size_t bytes) {
  // Two chains of multiply and rotate over 8 bytes at a time; the constants are primes of xxHash and FNV.
  uint64_t a = 0x9e3779b185ebca87ull ^ bytes, b = 0xcbf29ce484222325ull;
  const char* at = static_cast<const char*>(data);
  while (bytes != 0) {
    uint64_t word = 0;
    const size_t n = bytes < 8 ? bytes : 8;
    std::memcpy(&word, at, n);
    a = (a ^ word) * 0xc2b2ae3d27d4eb4full;
    a = a << 31 | a >> 33;
    b = (b + word) * 0x100000001b3ull;
    b ^= b >> 29;
    at += n;
    bytes -= n;
  }
  return {{mix(a), mix(b ^ a)}};
}

std::string Digest::hex() const {
  char text[33];
  std::snprintf(text, sizeof(text), "%016llx%016llx", static_cast<unsigned long long>(words[0]),
                static_cast<unsigned long long>(words[1]));
  return text;
}

std::optional<std::vector<std::byte>> load_blob(const sdk::Host& host, const std::string& key,
                                                const Digest& belongs_to) {
  auto data = host.cache_get(key.c_str());
  Header header;
  if (!data || data->size() < sizeof(header)) return std::nullopt;
  std::memcpy(&header, data->data(), sizeof(header));
  const size_t bytes = data->size() - sizeof(header);
  if (std::memcmp(header.magic, kMagic, sizeof(kMagic)) != 0 || header.bytes != bytes ||
      header.belongs_to != belongs_to || header.content != digest(data->data() + sizeof(header), bytes)) {
    return std::nullopt;
  }
  data->erase(data->begin(), data->begin() + sizeof(header));
  return data;
}

void store_blob(const sdk::Host& host, const std::string& key, const Digest& belongs_to, const void* data,
                size_t bytes) {
  Header header;
  std::memcpy(header.magic, kMagic, sizeof(kMagic));
  header.bytes = bytes;
  header.belongs_to = belongs_to;
  header.content = digest(data, bytes);
  std::vector<char> blob(sizeof(header) + bytes);
  std::memcpy(blob.data(), &header, sizeof(header));
  std::memcpy(blob.data() + sizeof(header), data, bytes);
  host.cache_put(key.c_str(), blob.data(), blob.size());
}

}  // namespace backplane::vulkan
