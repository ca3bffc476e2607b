// SPDX-License-Identifier: Apache-2.0
// The IDX reader: magic number (0, 0, type, rank), then big-endian extents, then big-endian elements.
// Stages: open a regular file; read the header; check what it claims against what the file can hold; read the elements
// in growing steps; insist on the end of the file there; swap to this machine's byte order. Format:
// the description on the MNIST page by LeCun, Cortes and Burges. Does not write IDX.
#include "backplane/data/idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>

#include "backplane/file_error.h"
#include "io/regular_file.h"

namespace backplane::data {
namespace {

constexpr const char* kReplace = "fetch or install the file again";
constexpr int64_t kMaxRank = 8;
// Deflate codes at most 258 bytes in two bits; a header that claims more than this factor is lying (RFC 1951).
constexpr int64_t kMaxDeflateRatio = 1032;
constexpr size_t kReadStep = size_t{1} << 20;

[[noreturn]] void fail(const std::string& problem, const std::string& path, const std::string& remedy = kReplace) {
  throw FileError("idx", problem, path, remedy);
}

/// A regular file, inflated when it begins like gzip. zlib's own gzread is not used: it does not notice a file that
/// ends inside the check sum.
class Source {
 public:
  explicit Source(const std::filesystem::path& file) : file_("idx", file) {}
  ~Source() {
    if (gzip_) ::inflateEnd(&stream_);
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  /// Looks at the first bytes; called once, before read.
  void detect_gzip() {
    refill();
    if (stream_.avail_in < 2 || input_[0] != 0x1f || input_[1] != 0x8b) return;
    if (::inflateInit2(&stream_, 15 + 16) != Z_OK) fail("zlib has no memory", path(), "free some memory");
    gzip_ = true;
  }

  /// As many of `count` bytes as there are. Fails when the compressed data are damaged or end early.
  size_t read(std::byte* into, size_t count) { return gzip_ ? read_gzip(into, count) : read_plain(into, count); }

  int64_t most_bytes() const {
    const auto size = static_cast<int64_t>(file_.size());
    return gzip_ && size < INT64_MAX / kMaxDeflateRatio ? size * kMaxDeflateRatio : size;
  }
  const std::string& path() const { return file_.path(); }

 private:
  void refill() {
    const size_t got = file_.read_some(input_.data(), input_.size());
    stream_.next_in = input_.data();
    stream_.avail_in = static_cast<unsigned>(got);
  }

  size_t read_plain(std::byte* into, size_t count) {
    size_t have = 0;
    while (have < count) {
      if (stream_.avail_in == 0) refill();
      if (stream_.avail_in == 0) break;
      const size_t step = std::min<size_t>(count - have, stream_.avail_in);
      std::memcpy(into + have, stream_.next_in, step);
      stream_.next_in += step;
      stream_.avail_in -= static_cast<unsigned>(step);
      have += step;
    }
    return have;
  }

  size_t read_gzip(std::byte* into, size_t count) {
    stream_.next_out = reinterpret_cast<Bytef*>(into);
    stream_.avail_out = static_cast<unsigned>(count);
    while (stream_.avail_out > 0 && !ended_) {
      if (stream_.avail_in == 0) refill();
      if (stream_.avail_in == 0) fail("truncated: the compressed data end early", path());
      const int code = ::inflate(&stream_, Z_NO_FLUSH);
      if (code == Z_STREAM_END) {
        end_of_stream();
      } else if (code != Z_OK) {
        fail(std::string("damaged compressed data: ") + (stream_.msg != nullptr ? stream_.msg : "no progress"), path());
      }
    }
    return count - stream_.avail_out;
  }

  void end_of_stream() {
    ended_ = true;
    if (stream_.avail_in == 0) refill();
    if (stream_.avail_in != 0) fail("too long: bytes follow the compressed data", path());
  }

  io::RegularFile file_;
  bool gzip_ = false;
  bool ended_ = false;
  z_stream stream_{};
  std::array<Bytef, 65536> input_;
};

uint32_t big_endian(const std::byte* bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) value = value << 8 | std::to_integer<uint32_t>(bytes[i]);
  return value;
}

bool known(uint8_t type) { return type == 0x08 || type == 0x09 || (type >= 0x0B && type <= 0x0E); }

/// Type and shape; fails when they claim more than the file can hold.
IdxArray read_header(Source& source) {
  std::byte magic[4];
  const size_t got = source.read(magic, sizeof magic);
  if (got < sizeof magic) fail("truncated: " + std::to_string(got) + " bytes, no room for a header", source.path());
  const auto type = std::to_integer<uint8_t>(magic[2]);
  const auto rank = std::to_integer<int64_t>(magic[3]);
  if (magic[0] != std::byte{0} || magic[1] != std::byte{0} || !known(type)) {
    fail("not an IDX file: wrong magic number", source.path(), "name an IDX file, plain or gzip-compressed");
  }
  if (rank < 1 || rank > kMaxRank)
    fail("an IDX array of rank " + std::to_string(rank) + "; 1 to 8 are read", source.path());

  IdxArray array;
  array.type = static_cast<IdxType>(type);
  std::byte extents[4 * kMaxRank];
  if (source.read(extents, static_cast<size_t>(4 * rank)) < static_cast<size_t>(4 * rank)) {
    fail("truncated inside the header", source.path());
  }
  for (int64_t i = 0; i < rank; ++i) array.shape.push_back(big_endian(extents + 4 * i));

  // An extent of zero makes the array empty whatever the others say, so it is looked for before they are multiplied.
  if (std::find(array.shape.begin(), array.shape.end(), 0) != array.shape.end()) return array;
  const int64_t limit = source.most_bytes();
  int64_t bytes = idx_element_size(array.type);
  for (int64_t extent : array.shape) {
    if (bytes > limit / extent)
      fail("truncated or damaged: the header claims more elements than the file can hold", source.path());
    bytes *= extent;
  }
  return array;
}

void read_elements(Source& source, IdxArray& array) {
  const auto wanted = static_cast<size_t>(array.elements() * idx_element_size(array.type));
  size_t have = 0;
  while (have < wanted) {
    const size_t step = std::min(wanted - have, kReadStep);
    if (array.bytes.capacity() < have + step) array.bytes.reserve(std::min(wanted, std::max(have + step, 2 * have)));
    array.bytes.resize(have + step);
    const size_t got = source.read(array.bytes.data() + have, step);
    have += got;
    if (got < step) {
      fail("truncated: " + std::to_string(have) + " of " + std::to_string(wanted) + " data bytes are there",
           source.path());
    }
  }
  std::byte extra;
  if (source.read(&extra, 1) != 0) fail("too long: data go on after the last element", source.path());
}

void swap_to_host(IdxArray& array) {
  const auto size = static_cast<size_t>(idx_element_size(array.type));
  if constexpr (std::endian::native == std::endian::little) {
    if (size == 1) return;
    for (size_t at = 0; at < array.bytes.size(); at += size) {
      std::reverse(array.bytes.begin() + static_cast<ptrdiff_t>(at),
                   array.bytes.begin() + static_cast<ptrdiff_t>(at + size));
    }
  }
}

}  // namespace

int64_t idx_element_size(IdxType type) {
  switch (type) {
    case IdxType::u8:
    case IdxType::i8:
      return 1;
    case IdxType::i16:
      return 2;
    case IdxType::i32:
    case IdxType::f32:
      return 4;
    case IdxType::f64:
      return 8;
  }
  return 0;
}

int64_t IdxArray::elements() const {
  int64_t product = 1;
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  for (int64_t extent : shape) product *= extent;
  return product;
}

IdxArray read_idx(const std::filesystem::path& file) {
  Source source(file);
  source.detect_gzip();
  IdxArray array = read_header(source);
  read_elements(source, array);
  swap_to_host(array);
  return array;
}

}  // namespace backplane::data
