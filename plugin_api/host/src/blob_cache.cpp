// SPDX-License-Identifier: Apache-2.0
#include "blob_cache.h"

#include <cstdint>
#include <cstring>

#include "backplane/host/text.h"
#include "files.h"

namespace backplane::host {
namespace {

constexpr char kMagic[8] = {'B', 'P', 'B', 'L', 'O', 'B', '1', '\n'};
constexpr std::size_t kMaxBlob = std::size_t{256} << 20;

struct Header {
  char magic[8];
  std::uint64_t key_bytes;
  std::uint64_t data_bytes;
  std::uint64_t checksum;  // of key and data
};

std::string full_key(std::string_view owner, std::string_view key) {
  return std::string(owner) + "\n" + std::string(key);
}

}  // namespace

std::filesystem::path BlobCache::path_of(std::string_view full) const {
  return directory_ / "blobs" / (hex(hash64(full)) + hex(hash64(full, 0x9ae16a3b2f90404fu)));
}

std::optional<std::string> BlobCache::get(std::string_view owner, std::string_view key) const {
  if (directory_.empty()) return std::nullopt;
  const std::string full = full_key(owner, key);
  std::optional<std::string> file = read_file(path_of(full), kMaxBlob + full.size() + sizeof(Header));
  Header header{};
  if (!file || file->size() < sizeof header) return std::nullopt;
  std::memcpy(&header, file->data(), sizeof header);
  const std::string_view body = std::string_view(*file).substr(sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0 || header.key_bytes != full.size() ||
      header.key_bytes > body.size() || header.data_bytes != body.size() - header.key_bytes ||
      body.substr(0, full.size()) != full || header.checksum != hash64(body)) {
    return std::nullopt;
  }
  return std::string(body.substr(full.size()));
}

bool BlobCache::put(std::string_view owner, std::string_view key, std::string_view data) const {
  if (directory_.empty() || data.size() > kMaxBlob) return false;
  const std::string full = full_key(owner, key);
  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.key_bytes = full.size();
  header.data_bytes = data.size();
  std::string file(sizeof header, '\0');
  file += full;
  file += data;
  header.checksum = hash64(std::string_view(file).substr(sizeof header));
  std::memcpy(file.data(), &header, sizeof header);
  return write_file(path_of(full), file);
}

}  // namespace backplane::host
