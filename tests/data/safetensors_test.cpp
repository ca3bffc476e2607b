// SPDX-License-Identifier: Apache-2.0
// safetensors: what is written reads back to the bit, the bytes are those of the format, and each damage has its
// message.
#include "backplane/io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <stdexcept>

#include "backplane/file_error.h"
#include "backplane/plugin.h"
#include "temporary_directory.h"

namespace backplane::io {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using tests::read_file;
using tests::TemporaryDirectory;
using tests::write_file;

std::string file_bytes(const std::string& header, size_t data_bytes) {
  const auto length = static_cast<uint64_t>(header.size());
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + std::string(data_bytes, '\5');
}

TensorFile parse(const std::string& bytes) {
  return parse_safetensors(std::as_bytes(std::span(bytes)), "given.safetensors");
}

std::string error_of(const std::string& header, size_t data_bytes) {
  try {
    parse(file_bytes(header, data_bytes));
  } catch (const FileError& error) {
    EXPECT_EQ(error.path(), "given.safetensors");
    return error.what();
  }
  return "no error";
}

HostTensor filled(uint32_t dtype, std::vector<int64_t> shape, unsigned seed) {
  HostTensor tensor{dtype, std::move(shape), {}};
  int64_t bytes = element_size(dtype);
  for (int64_t extent : tensor.shape) bytes *= extent;
  for (int64_t i = 0; i < bytes; ++i) tensor.data.push_back(static_cast<std::byte>(seed = seed * 1103515245u + 12345u));
  return tensor;
}

TEST(Safetensors, WhatIsWrittenReadsBackToTheBit) {
  TensorFile file;
  unsigned seed = 1;
  for (uint32_t dtype : {BP_F32, BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64, BP_BOOL, BP_F8_E4M3, BP_F8_E5M2}) {
    for (const auto& shape : {std::vector<int64_t>{}, {5}, {2, 3}, {1, 2, 3, 1, 2, 1, 1, 3}, {0}, {4, 0, 2}}) {
      file.tensors["t" + std::to_string(seed)] = filled(dtype, shape, seed);
      ++seed;
    }
  }
  file.tensors["quotes \" and \\ and \xc3\xa9"] = filled(BP_F32, {1}, seed);
  file.metadata = {{"model", "cnn"}, {"note", "line\nbreak"}};
  const TemporaryDirectory directory;
  write_safetensors(directory / "f", file);
  const TensorFile back = read_safetensors(directory / "f");
  EXPECT_EQ(back.metadata, file.metadata);
  ASSERT_EQ(back.tensors.size(), file.tensors.size());
  for (const auto& [name, tensor] : file.tensors) {
    EXPECT_EQ(back.tensors.at(name).dtype, tensor.dtype) << name;
    EXPECT_EQ(back.tensors.at(name).shape, tensor.shape) << name;
    EXPECT_EQ(back.tensors.at(name).data, tensor.data) << name;
  }
}

TEST(Safetensors, EveryTensorIsAlignedInTheFile) {
  TensorFile file;
  file.tensors["a"] = filled(BP_BOOL, {3}, 1);
  file.tensors["b"] = filled(BP_F64, {2}, 2);
  file.tensors["c"] = filled(BP_BF16, {5}, 3);
  file.tensors["d"] = filled(BP_F32, {1}, 4);
  const TemporaryDirectory directory;
  write_safetensors(directory / "f", file);
  const std::string bytes = read_file(directory / "f");
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), 8);
  EXPECT_EQ(length % 8, 0u);
  const auto header = nlohmann::json::parse(bytes.substr(8, length));
  for (const auto& [name, entry] : header.items()) {
    EXPECT_EQ(entry["data_offsets"][0].get<int64_t>() % element_size(file.tensors.at(name).dtype), 0) << name;
  }
  EXPECT_EQ(header["b"]["dtype"], "F64");
  EXPECT_EQ(header["b"]["data_offsets"], nlohmann::json({0, 16}));
}

TEST(Safetensors, ReadsAFileOfAnotherWriter) {
  const TensorFile file = parse(file_bytes(
      R"({"__metadata__":{"format":"pt"},"y":{"shape":[],"data_offsets":[8,10],"dtype":"F16"},"x":{"dtype":"I32","shape":[2],"data_offsets":[0,8]}}   )",
      10));
  EXPECT_EQ(file.metadata.at("format"), "pt");
  EXPECT_EQ(file.tensors.at("x").dtype, uint32_t{BP_I32});
  EXPECT_EQ(file.tensors.at("x").data.size(), 8u);
  EXPECT_EQ(file.tensors.at("y").shape.size(), 0u);
  EXPECT_TRUE(parse(file_bytes("{}", 0)).tensors.empty());
}

TEST(Safetensors, EachDamageHasItsMessage) {
  struct Case {
    const char* header;
    size_t data_bytes;
    const char* says;
  } const cases[] = {
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 7, "truncated: tensor 'x' lies beyond the end"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 9, "data go on after the last tensor"},
      {R"({})", 1, "data go on after the last tensor"},
      {R"({"x":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})", 8, "size of tensor 'x' does not fit"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})", 8, "ends before it begins"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})", 8, "hole before tensor 'x'"},
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"y":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "tensor 'y' overlaps"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"x":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       8, "name 'x' appears twice"},
      {R"({"__metadata__":{"a":"b","a":"c"}})", 0, "metadata key 'a' appears twice"},
      {R"({"__metadata__":{"a":1}})", 0, "has a number in the wrong place"},
      {R"({"__metadata__":"a"})", 0, "has a string in the wrong place"},
      {R"({"x":{"dtype":"U16","shape":[1],"data_offsets":[0,2]}})", 2, "tensor 'x' has dtype 'U16'"},
      {R"({"x":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}})", 4, "a negative number"},
      {R"({"x":{"dtype":"F32","shape":[1.0],"data_offsets":[0,4]}})", 4, "not an integer"},
      {R"({"x":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})", 4, "over 2^63"},
      {R"({"x":{"dtype":"F64","shape":[4294967296,4294967296],"data_offsets":[0,0]}})", 0, "does not fit"},
      {R"({"x":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}})", 0, "does not fit"},
      {R"({"x":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})", 4, "more than 8 dimensions"},
      {R"({"x":{"dtype":"F32","shape":[1]}})", 4, "lacks dtype, shape or data_offsets"},
      {R"({"x":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})", 4,
       "unknown or repeated member 'dtype'"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"z":1}})", 4, "unknown or repeated member 'z'"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0]}})", 4, "fewer than two data_offsets"},
      {R"({"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4,8]}})", 4, "a number in the wrong place"},
      {R"({"x":{"dtype":"F32","shape":[[1]],"data_offsets":[0,4]}})", 4, "an array in the wrong place"},
      {R"({"x":[]})", 0, "an array in the wrong place"},
      {R"({"x":null})", 0, "null in the wrong place"},
      {R"({"x":{{}})", 0, "not JSON"},
      {R"([])", 0, "does not begin with '{'"},
      {R"( {})", 0, "does not begin with '{'"},
      {R"({"x":)", 0, "not JSON"},
      {"{\"\xff\":{}}", 0, "not JSON"},
      {R"({} {})", 0, "not JSON"},
  };
  for (const Case& c : cases)
    EXPECT_THAT(error_of(c.header, c.data_bytes), AllOf(StartsWith("[safetensors] "), HasSubstr(c.says))) << c.header;
}

TEST(Safetensors, DamagedLengths) {
  const auto error = [](const std::string& bytes) -> std::string {
    try {
      parse(bytes);
    } catch (const FileError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error(""), HasSubstr("truncated"));
  EXPECT_THAT(error("1234567"), HasSubstr("truncated"));
  EXPECT_THAT(error(std::string(8, '\xff')), HasSubstr("100 MB are the limit"));
  EXPECT_THAT(error(std::string("\x10\0\0\0\0\0\0\0{}", 10)), HasSubstr("truncated inside the header"));
  EXPECT_THAT(error(std::string(8, '\0')), HasSubstr("does not begin with '{'"));
}

TEST(Safetensors, AHeaderOfBracketsCostsNothing) {
  EXPECT_THAT(error_of("{\"x\":" + std::string(50'000'000, '['), 0), HasSubstr("an array in the wrong place"));
}

TEST(Safetensors, ReadingNamesWhatCannotBeOpened) {
  const TemporaryDirectory directory;
  const auto error = [](const std::filesystem::path& file) -> std::string {
    try {
      read_safetensors(file);
    } catch (const FileError& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error(directory / "absent"), AllOf(HasSubstr("No such file"), HasSubstr("absent")));
  EXPECT_THAT(error(directory.path()), HasSubstr("not a regular file"));
  write_file(directory / "f", file_bytes(R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 5));
  EXPECT_THAT(error(directory / "f"), AllOf(HasSubstr("truncated"), HasSubstr((directory / "f").string())));
}

TEST(Safetensors, WritingRefusesTensorsThatDoNotFit) {
  const TemporaryDirectory directory;
  const auto error = [&](const std::string& name, HostTensor tensor) -> std::string {
    TensorFile file;
    file.tensors[name] = std::move(tensor);
    try {
      write_safetensors(directory / "f", file);
    } catch (const std::invalid_argument& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_THAT(error("x", {BP_F32, {2}, std::vector<std::byte>(7)}),
              HasSubstr("7 bytes of data where dtype and shape ask for 8"));
  EXPECT_THAT(error("x", {99, {2}, {}}), HasSubstr("unknown dtype"));
  EXPECT_THAT(error("x", {BP_F32, {-1}, {}}), HasSubstr("negative extent"));
  EXPECT_THAT(error("x", {BP_F32, {INT64_MAX, 8}, {}}), HasSubstr("64 bits"));
  EXPECT_THAT(error("__metadata__", {BP_F32, {0}, {}}), HasSubstr("reserved"));
  EXPECT_THAT(error("\xff", {BP_F32, {0}, {}}), HasSubstr("UTF-8"));
  EXPECT_TRUE(directory.names().empty());
}

}  // namespace
}  // namespace backplane::io
