// SPDX-License-Identifier: Apache-2.0
// safetensors: eight bytes with the little-endian length of the header, the header (JSON), the data.
// Reading goes straight from the file into each tensor; writing orders tensors by element size, then name, and pads the
// header to eight bytes with blanks, so that every tensor in the file is aligned. Byte order is that of the format,
// little endian; other machines are refused at compile time.
#include "backplane/io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "backplane/file_error.h"
#include "backplane/io/atomic_file.h"
#include "regular_file.h"
#include "safetensors_header.h"

static_assert(std::endian::native == std::endian::little, "safetensors data are little endian");

namespace backplane::io {
namespace {

[[noreturn]] void fail(const std::string& problem, const std::string& path,
                       const std::string& remedy = "the file is damaged or not safetensors; save or fetch it again") {
  throw FileError("safetensors", problem, path, remedy);
}

/// A regular file read front to back.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& file) : file_("safetensors", file) {}

  void read(void* into, uint64_t count) {
    auto* to = static_cast<char*>(into);
    while (count > 0) {
      const size_t got = file_.read_some(to, count);
      if (got == 0) fail("the file became shorter while it was read", file_.path(), "try again");
      to += got;
      count -= got;
    }
  }
  uint64_t size() const { return file_.size(); }

 private:
  RegularFile file_;
};

class InputMemory {
 public:
  explicit InputMemory(std::span<const std::byte> bytes) : bytes_(bytes), size_(bytes.size()) {}
  void read(void* into, uint64_t count) {  // callers have compared with size()
    if (count > 0) std::memcpy(into, bytes_.data(), count);
    bytes_ = bytes_.subspan(count);
  }
  uint64_t size() const { return size_; }

 private:
  std::span<const std::byte> bytes_;
  uint64_t size_;
};

template <class Input>
TensorFile read_from(Input& input, const std::string& path) {
  std::array<uint8_t, 8> prefix{};
  if (input.size() < prefix.size()) fail("truncated: no room for a header", path);
  input.read(prefix.data(), prefix.size());
  const auto length = std::bit_cast<uint64_t>(prefix);
  if (length > kMaxHeaderBytes)
    fail("the header claims " + std::to_string(length) + " bytes; 100 MB are the limit", path);
  if (length > input.size() - prefix.size()) fail("truncated inside the header", path);

  std::string json(length, '\0');
  input.read(json.data(), length);
  SafetensorsHeader header = parse_header(json, input.size() - prefix.size() - length, path);

  TensorFile file;
  file.metadata = std::move(header.metadata);
  for (TensorEntry& entry : header.tensors) {  // in file order
    HostTensor tensor{entry.dtype, std::move(entry.shape), {}};
    tensor.data.resize(entry.end - entry.begin);
    input.read(tensor.data.data(), tensor.data.size());
    file.tensors.emplace(std::move(entry.name), std::move(tensor));
  }
  return file;
}

void check(const std::string& name, const HostTensor& tensor) {
  const auto refuse = [&](const std::string& what) {
    throw std::invalid_argument("[safetensors] " + what + " / tensor '" + name + "'");
  };
  if (name == "__metadata__") refuse("this name is reserved by the format");
  if (dtype_name(tensor.dtype) == nullptr) refuse("unknown dtype code " + std::to_string(tensor.dtype));
  int64_t bytes = element_size(tensor.dtype);
  const bool empty = std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end();
  for (int64_t extent : tensor.shape) {
    if (extent < 0) refuse("negative extent");
    if (!empty && __builtin_mul_overflow(bytes, extent, &bytes)) refuse("shape does not fit 64 bits");
  }
  if (empty) bytes = 0;
  if (static_cast<uint64_t>(bytes) != tensor.data.size()) {
    refuse(std::to_string(tensor.data.size()) + " bytes of data where dtype and shape ask for " +
           std::to_string(bytes));
  }
}

using Ordered = std::vector<const std::pair<const std::string, HostTensor>*>;

Ordered in_file_order(const TensorFile& content) {
  Ordered order;
  for (const auto& item : content.tensors) {
    check(item.first, item.second);
    order.push_back(&item);
  }
  std::stable_sort(order.begin(), order.end(), [](const auto* a, const auto* b) {
    return element_size(a->second.dtype) > element_size(b->second.dtype);
  });
  return order;
}

std::string header_text(const TensorFile& content, const Ordered& order) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!content.metadata.empty()) header["__metadata__"] = content.metadata;
  uint64_t at = 0;
  for (const auto* item : order) {
    const auto& [name, tensor] = *item;
    header[name] = {
        {"dtype", dtype_name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {at, at + tensor.data.size()}}};
    at += tensor.data.size();
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const nlohmann::json::exception&) {
    throw std::invalid_argument("[safetensors] a tensor name or metadata text is not UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > kMaxHeaderBytes) throw std::invalid_argument("[safetensors] names and metadata exceed 100 MB");
  return text;
}

}  // namespace

TensorFile read_safetensors(const std::filesystem::path& file) {
  InputFile input(file);
  return read_from(input, file.string());
}

TensorFile parse_safetensors(std::span<const std::byte> bytes, const std::string& name) {
  InputMemory input(bytes);
  return read_from(input, name);
}

void write_safetensors(const std::filesystem::path& file, const TensorFile& content) {
  const Ordered order = in_file_order(content);
  const std::string header = header_text(content, order);
  const auto prefix = std::bit_cast<std::array<std::byte, 8>>(static_cast<uint64_t>(header.size()));
  AtomicFile out("safetensors", file);
  out.write(prefix);
  out.write(std::as_bytes(std::span(header)));
  for (const auto* item : order) out.write(item->second.data);
  out.commit();
}

}  // namespace backplane::io
