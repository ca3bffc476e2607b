// SPDX-License-Identifier: Apache-2.0
// Twenty thousand damaged files: each is read consistently or refused with FileError, never anything else.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "backplane/file_error.h"
#include "backplane/io/safetensors.h"
#include "backplane/plugin.h"
#include "temporary_directory.h"

namespace backplane::io {
namespace {

const char* const kTokens[] = {"0",
                               "-1",
                               "18446744073709551615",
                               "\"",
                               "{",
                               "}",
                               "[",
                               "]",
                               ":",
                               ",",
                               "null",
                               "1e999",
                               "\"dtype\"",
                               "\"data_offsets\"",
                               "\"__metadata__\"",
                               "\\u0000",
                               "\xff"};

std::string mutate(std::string bytes, std::mt19937& random) {
  for (unsigned changes = random() % 4 + 1; changes > 0 && !bytes.empty(); --changes) {
    const size_t header = std::min<size_t>(bytes.size(), 400);  // where the structure is
    const size_t at = random() % (random() % 8 == 0 ? bytes.size() : header);
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 2:
        bytes.erase(at, random() % 16 + 1);
        break;
      case 3:
        bytes.insert(at, bytes, random() % bytes.size(), random() % 24);
        break;
      default:
        bytes.insert(at, kTokens[random() % std::size(kTokens)]);
        break;
    }
  }
  // Half of them get a length that fits again, or nearly all would fail at the first check.
  if (random() % 2 == 0 && bytes.size() > 8) {
    const uint64_t length = std::min<uint64_t>(bytes.size() - 8, 300 + random() % 60);
    std::memcpy(bytes.data(), &length, 8);
  }
  return bytes;
}

TEST(SafetensorsMutation, NeverCrashesNeverLies) {
  TensorFile file;
  file.metadata = {{"model", "mlp"}, {"epochs", "5"}};
  file.tensors["layer1.weight"] = {BP_F32, {3, 4}, std::vector<std::byte>(48)};
  file.tensors["layer1.bias"] = {BP_F32, {3}, std::vector<std::byte>(12)};
  file.tensors["half"] = {BP_BF16, {5}, std::vector<std::byte>(10)};
  file.tensors["empty"] = {BP_I64, {0, 2}, {}};
  const tests::TemporaryDirectory directory;
  write_safetensors(directory / "good", file);
  const std::string good = tests::read_file(directory / "good");

  std::mt19937 random(20260101);
  int read = 0;
  int refused = 0;
  for (int round = 0; round < 20'000; ++round) {
    const std::string bytes = mutate(good, random);
    try {
      const TensorFile back = parse_safetensors(std::as_bytes(std::span(bytes)), "mutated");
      size_t total = 0;
      for (const auto& [name, tensor] : back.tensors) {
        int64_t want = element_size(tensor.dtype);
        for (int64_t extent : tensor.shape) want *= extent;
        ASSERT_EQ(static_cast<size_t>(want), tensor.data.size());
        total += tensor.data.size();
      }
      ASSERT_LT(total, bytes.size());
      ++read;
    } catch (const FileError&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 200) << "the mutations are too coarse to test anything";
  EXPECT_GT(refused, 10'000);
}

}  // namespace
}  // namespace backplane::io
