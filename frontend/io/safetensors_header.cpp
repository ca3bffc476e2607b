// SPDX-License-Identifier: Apache-2.0
// Parses the header as a stream of events, so that nothing is ever built that the format does not have: a header of
// 100 MB of brackets costs no memory and ends at its third. Stages: events to entries (names once, the right JSON type
// at each place); then entries against the data (range, size, no hole, no overlap).
#include "safetensors_header.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "backplane/file_error.h"
#include "backplane/io/safetensors.h"
#include "backplane/plugin.h"

namespace backplane::io {
namespace {

struct DtypeRow {
  uint32_t dtype;
  const char* name;
  int64_t bytes;
};
constexpr DtypeRow kDtypes[] = {
    {BP_F32, "F32", 4}, {BP_F64, "F64", 8}, {BP_F16, "F16", 2},   {BP_BF16, "BF16", 2},
    {BP_I32, "I32", 4}, {BP_I64, "I64", 8}, {BP_BOOL, "BOOL", 1}, {BP_F8_E4M3, "F8_E4M3", 1}, {BP_F8_E5M2, "F8_E5M2", 1},
};

[[noreturn]] void fail(const std::string& problem, const std::string& path,
                       const std::string& remedy = "the file is damaged or not safetensors; save or fetch it again") {
  throw FileError("safetensors", problem, path, remedy);
}

/// Names are the file's own; a long or odd one is cut before it fills the terminal.
std::string in_quotes(const std::string& name) {
  std::string text = "'";
  for (char c : name.substr(0, 80)) text += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  return text + (name.size() > 80 ? "...'" : "'");
}

/// Which value the parser expects next, in
/// {"__metadata__": {k: v}, name: {"dtype": s, "shape": [n], "data_offsets": [a, b]}}
// clang-format off
enum class At {
  start, names, entry, dtype, shape, shape_items, offsets, offset_items, metadata, metadata_text, metadata_value, end
};
// clang-format on

class HeaderEvents final : public nlohmann::json_sax<nlohmann::json> {
 public:
  HeaderEvents(SafetensorsHeader& header, const std::string& path) : header_(header), path_(path) {}

  bool null() override { return wrong("null"); }
  bool boolean(bool) override { return wrong("a boolean"); }
  bool number_integer(number_integer_t) override { return wrong("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return wrong("a number that is not an integer"); }
  bool binary(binary_t&) override { return wrong("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (at_ == At::shape_items) {
      if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) return wrong("an extent over 2^63");
      if (header_.tensors.back().shape.size() == BP_MAX_RANK) {
        fail("tensor " + in_quotes(header_.tensors.back().name) + " has more than " + std::to_string(BP_MAX_RANK) +
                 " dimensions",
             path_, "Backplane reads tensors of rank 0 to 8");
      }
      header_.tensors.back().shape.push_back(static_cast<int64_t>(value));
      return true;
    }
    if (at_ == At::offset_items && offsets_seen_ < 2) {
      (offsets_seen_++ == 0 ? header_.tensors.back().begin : header_.tensors.back().end) = value;
      return true;
    }
    return wrong("a number");
  }

  bool string(string_t& value) override {
    if (at_ == At::dtype) {
      const auto row =
          std::find_if(std::begin(kDtypes), std::end(kDtypes), [&](const DtypeRow& r) { return value == r.name; });
      if (row == std::end(kDtypes)) {
        fail("tensor " + in_quotes(header_.tensors.back().name) + " has dtype " + in_quotes(value), path_,
             "Backplane reads F32 F64 F16 BF16 F8_E4M3 F8_E5M2 I32 I64 BOOL; convert it first");
      }
      header_.tensors.back().dtype = row->dtype;
      at_ = At::entry;
      return true;
    }
    if (at_ != At::metadata_value) return wrong("a string");
    header_.metadata[metadata_key_] = value;
    at_ = At::metadata_text;
    return true;
  }

  bool start_object(std::size_t) override {
    if (at_ == At::start)
      at_ = At::names;
    else if (at_ == At::metadata)
      at_ = At::metadata_text;
    else if (at_ == At::entry && !entry_open_)
      entry_open_ = true;
    else
      return wrong("an object");
    return true;
  }

  bool key(string_t& name) override {
    if (at_ == At::names) {
      if (!names_.insert(name).second) fail("the name " + in_quotes(name) + " appears twice", path_);
      at_ = name == "__metadata__" ? At::metadata : At::entry;
      if (at_ == At::entry) start_entry(name);
    } else if (at_ == At::metadata_text) {
      if (header_.metadata.count(name) != 0) fail("the metadata key " + in_quotes(name) + " appears twice", path_);
      metadata_key_ = name;
      at_ = At::metadata_value;
    } else if (name == "dtype" && !saw_dtype_) {
      saw_dtype_ = true;
      at_ = At::dtype;
    } else if (name == "shape" && !saw_shape_) {
      saw_shape_ = true;
      at_ = At::shape;
    } else if (name == "data_offsets" && !saw_offsets_) {
      saw_offsets_ = true;
      at_ = At::offsets;
    } else {
      fail("tensor " + in_quotes(header_.tensors.back().name) + " has an unknown or repeated member " + in_quotes(name),
           path_);
    }
    return true;
  }

  bool end_object() override {
    if (at_ == At::entry) {
      if (!saw_dtype_ || !saw_shape_ || !saw_offsets_) {
        fail("tensor " + in_quotes(header_.tensors.back().name) + " lacks dtype, shape or data_offsets", path_);
      }
      at_ = At::names;
    } else {
      at_ = at_ == At::metadata_text ? At::names : At::end;
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (at_ == At::shape)
      at_ = At::shape_items;
    else if (at_ == At::offsets)
      at_ = At::offset_items;
    else
      return wrong("an array");
    return true;
  }

  bool end_array() override {
    if (at_ == At::offset_items && offsets_seen_ != 2) return wrong("fewer than two data_offsets");
    at_ = At::entry;
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::json::exception&) override {
    fail("the header is not JSON at byte " + std::to_string(position), path_);
  }

 private:
  void start_entry(const std::string& name) {
    header_.tensors.push_back({name, 0, {}, 0, 0});
    entry_open_ = saw_dtype_ = saw_shape_ = saw_offsets_ = false;
    offsets_seen_ = 0;
  }

  bool wrong(const std::string& found) const {
    const std::string where =
        header_.tensors.empty() ? "" : " at or after tensor " + in_quotes(header_.tensors.back().name);
    fail("the header has " + found + " in the wrong place" + where, path_);
  }

  SafetensorsHeader& header_;
  const std::string& path_;
  At at_ = At::start;
  bool entry_open_ = false;
  bool saw_dtype_ = false;
  bool saw_shape_ = false;
  bool saw_offsets_ = false;
  int offsets_seen_ = 0;
  std::string metadata_key_;
  std::set<std::string> names_;
};

/// Bytes that dtype and shape ask for; false when that does not fit 64 bits.
bool bytes_of(const TensorEntry& tensor, uint64_t& bytes) {
  bytes = static_cast<uint64_t>(element_size(tensor.dtype));
  if (std::find(tensor.shape.begin(), tensor.shape.end(), 0) != tensor.shape.end()) {
    bytes = 0;
    return true;
  }
  for (int64_t extent : tensor.shape) {
    if (__builtin_mul_overflow(bytes, static_cast<uint64_t>(extent), &bytes)) return false;
  }
  return true;
}

void check_against_data(SafetensorsHeader& header, uint64_t data_bytes, const std::string& path) {
  auto& tensors = header.tensors;
  std::sort(tensors.begin(), tensors.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  uint64_t covered = 0;
  for (const TensorEntry& tensor : tensors) {
    const std::string who = "tensor " + in_quotes(tensor.name);
    if (tensor.begin > tensor.end) fail(who + " ends before it begins", path);
    if (tensor.end > data_bytes) fail("truncated: " + who + " lies beyond the end of the file", path);
    uint64_t bytes = 0;
    if (!bytes_of(tensor, bytes) || bytes != tensor.end - tensor.begin) {
      fail("the size of " + who + " does not fit its dtype and shape", path);
    }
    if (tensor.begin < covered) fail(who + " overlaps another tensor", path);
    if (tensor.begin > covered) fail("there is a hole before " + who, path);
    covered = tensor.end;
  }
  if (covered != data_bytes) fail("data go on after the last tensor", path);
}

}  // namespace

const char* dtype_name(uint32_t dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.dtype == dtype) return row.name;
  }
  return nullptr;
}

int64_t element_size(uint32_t dtype) {
  for (const DtypeRow& row : kDtypes) {
    if (row.dtype == dtype) return row.bytes;
  }
  return 0;
}

SafetensorsHeader parse_header(std::string_view json, uint64_t data_bytes, const std::string& path) {
  if (json.empty() || json.front() != '{') fail("the header does not begin with '{'", path);
  SafetensorsHeader header;
  HeaderEvents events(header, path);
  nlohmann::json::sax_parse(json.begin(), json.end(), &events);
  check_against_data(header, data_bytes, path);
  return header;
}

}  // namespace backplane::io
