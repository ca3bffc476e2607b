// SPDX-License-Identifier: Apache-2.0
// The IDX reader: every element type, plain and compressed, and every way a file can be wrong.
#include "backplane/data/idx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <zlib.h>

#include <bit>
#include <cstring>
#include <fstream>
#include <random>

#include "backplane/file_error.h"
#include "temporary_directory.h"

namespace backplane::data {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using tests::read_file;
using tests::TemporaryDirectory;
using tests::write_file;

std::string big_endian(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text += static_cast<char>(value >> (8 * i));
  return text;
}

std::string header(IdxType type, std::initializer_list<uint32_t> shape) {
  std::string text{'\0', '\0', static_cast<char>(type), static_cast<char>(shape.size())};
  for (uint32_t extent : shape) text += big_endian(extent, 4);
  return text;
}

void write_gzip(const std::filesystem::path& file, std::string_view bytes) {
  gzFile out = gzopen(file.c_str(), "wb");
  ASSERT_EQ(gzwrite(out, bytes.data(), static_cast<unsigned>(bytes.size())), static_cast<int>(bytes.size()));
  ASSERT_EQ(gzclose(out), Z_OK);
}

template <class T>
std::vector<T> values(const IdxArray& array) {
  std::vector<T> out(array.bytes.size() / sizeof(T));
  std::memcpy(out.data(), array.bytes.data(), array.bytes.size());
  return out;
}

std::string error_of(const std::filesystem::path& file) {
  try {
    read_idx(file);
  } catch (const FileError& error) {
    EXPECT_EQ(error.path(), file.string());
    EXPECT_THAT(error.what(), AllOf(HasSubstr("[idx] "), HasSubstr(file.string())));
    return error.what();
  }
  return "no error";
}

class Idx : public testing::Test {
 protected:
  std::filesystem::path make(std::string_view bytes, const char* name = "file") {
    write_file(directory_ / name, bytes);
    return directory_ / name;
  }
  TemporaryDirectory directory_;
};

TEST_F(Idx, ReadsEveryElementTypeInTheByteOrderOfThisMachine) {
  EXPECT_THAT(values<uint8_t>(read_idx(make(header(IdxType::u8, {2, 2}) + "\1\2\3\xff"))), ElementsAre(1, 2, 3, 255));
  EXPECT_THAT(values<int8_t>(read_idx(make(header(IdxType::i8, {2}) + "\1\xff"))), ElementsAre(1, -1));
  EXPECT_THAT(values<int16_t>(read_idx(make(header(IdxType::i16, {2}) + big_endian(258, 2) + big_endian(0xfffe, 2)))),
              ElementsAre(258, -2));
  EXPECT_THAT(values<int32_t>(read_idx(make(header(IdxType::i32, {1}) + big_endian(0x01020304, 4)))),
              ElementsAre(0x01020304));
  EXPECT_THAT(values<float>(read_idx(make(header(IdxType::f32, {1}) + big_endian(std::bit_cast<uint32_t>(1.5f), 4)))),
              ElementsAre(1.5f));
  EXPECT_THAT(values<double>(read_idx(make(header(IdxType::f64, {1}) + big_endian(std::bit_cast<uint64_t>(-0.1), 8)))),
              ElementsAre(-0.1));
}

TEST_F(Idx, ReadsGzipAndPlainAlikeOverSeveralReadSteps) {
  std::string bytes = header(IdxType::u8, {3, 1000, 1000});
  std::mt19937 random(1);
  for (int i = 0; i < 3'000'000; ++i) bytes += static_cast<char>(random());
  write_gzip(directory_ / "file.gz", bytes);
  const IdxArray plain = read_idx(make(bytes));
  const IdxArray packed = read_idx(directory_ / "file.gz");
  EXPECT_THAT(plain.shape, ElementsAre(3, 1000, 1000));
  EXPECT_EQ(plain.shape, packed.shape);
  EXPECT_TRUE(plain.bytes == packed.bytes);
  EXPECT_EQ(std::memcmp(plain.bytes.data(), bytes.data() + 16, 3'000'000), 0);
}

TEST_F(Idx, AnEmptyArrayIsLegal) {
  const IdxArray array = read_idx(make(header(IdxType::f64, {0, 0xffffffff, 0xffffffff})));
  EXPECT_EQ(array.elements(), 0);
  EXPECT_TRUE(array.bytes.empty());
}

TEST_F(Idx, SaysWhatIsWrong) {
  const std::string good = header(IdxType::u8, {2, 3}) + "abcdef";
  struct Case {
    std::string bytes;
    const char* says;
  } const cases[] = {
      {"", "truncated: 0 bytes"},
      {good.substr(0, 3), "truncated: 3 bytes"},
      {good.substr(0, 9), "truncated inside the header"},
      {good.substr(0, 14), "truncated: 2 of 6 data bytes are there"},
      {good + "g", "too long"},
      {"\x89PNG\r\n", "wrong magic number"},
      {std::string("\0\0\x0a\1", 4) + big_endian(1, 4) + "x", "wrong magic number"},
      {std::string("\0\0\x08\0", 4), "rank 0"},
      {std::string("\0\0\x08\x09", 4) + std::string(36, '\1'), "rank 9"},
      {header(IdxType::u8, {0x7fffffff}) + "abc", "claims more elements than the file can hold"},
      {header(IdxType::f64, {0xffffffff, 0xffffffff, 0xffffffff}) + "abc",
       "claims more elements than the file can hold"},
  };
  for (const Case& c : cases) EXPECT_THAT(error_of(make(c.bytes)), HasSubstr(c.says));
}

TEST_F(Idx, SaysWhatIsWrongWithCompressedData) {
  std::string bytes = header(IdxType::u8, {100'000});
  std::mt19937 random(2);
  for (int i = 0; i < 100'000; ++i) bytes += static_cast<char>(random());
  write_gzip(directory_ / "file.gz", bytes);
  std::string packed = read_file(directory_ / "file.gz");

  EXPECT_THAT(error_of(make(packed.substr(0, packed.size() / 2))), HasSubstr("truncated"));
  EXPECT_THAT(error_of(make(packed.substr(0, packed.size() - 4))), HasSubstr("truncated"));
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // the check sum
  EXPECT_THAT(error_of(make(damaged)), HasSubstr("damaged compressed data"));
  EXPECT_THAT(error_of(make(packed + "x")), HasSubstr("too long: bytes follow the compressed data"));
}

TEST_F(Idx, NamesWhatCannotBeOpened) {
  EXPECT_THAT(error_of(directory_ / "absent"), HasSubstr("No such file"));
  EXPECT_THAT(error_of(directory_.path()), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of("/dev/zero"), HasSubstr("not a regular file"));
  ASSERT_EQ(::mkfifo((directory_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(error_of(directory_ / "pipe"), HasSubstr("not a regular file"));
}

TEST_F(Idx, AClaimOfSixteenGigabytesCostsNoMemory) {
  // Compresses to 20 KB, holds 20 MB, claims 16 GiB: within neither the ratio of deflate nor the memory of the test.
  std::string bytes = header(IdxType::f32, {0x10000, 0x10000}) + std::string(20'000'000, '\0');
  write_gzip(directory_ / "bomb.gz", bytes);
  EXPECT_THAT(error_of(directory_ / "bomb.gz"), HasSubstr("claims more elements than the file can hold"));

  // Within the ratio, yet not there: memory follows what is read.
  const auto packed = static_cast<uint32_t>(std::filesystem::file_size(directory_ / "bomb.gz"));
  bytes = header(IdxType::u8, {packed * 1030}) + std::string(19'000'000, '\0');
  write_gzip(directory_ / "bomb.gz", bytes);
  EXPECT_THAT(error_of(directory_ / "bomb.gz"), HasSubstr("truncated"));
  rusage usage{};
  ASSERT_EQ(::getrusage(RUSAGE_SELF, &usage), 0);
  EXPECT_LT(usage.ru_maxrss, 1024 * 1024) << "KiB";
}

TEST_F(Idx, MutatedFilesNeverCrash) {
  std::string good = header(IdxType::i16, {4, 5}) + std::string(40, 'x');
  write_gzip(directory_ / "good.gz", good);
  const std::string packed = read_file(directory_ / "good.gz");
  std::mt19937 random(3);
  int read = 0;
  int refused = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string bytes = round % 2 == 0 ? good : packed;
    for (unsigned changes = random() % 4 + 1; changes > 0; --changes) {
      if (random() % 4 == 0) bytes.resize(random() % (bytes.size() + 3));
      if (!bytes.empty()) bytes[random() % bytes.size()] = static_cast<char>(random());
    }
    try {
      const IdxArray array = read_idx(make(bytes));
      EXPECT_EQ(static_cast<size_t>(array.elements() * idx_element_size(array.type)), array.bytes.size());
      ++read;
    } catch (const FileError&) {
      ++refused;
    }
  }
  EXPECT_GT(read, 50);
  EXPECT_GT(refused, 2000);
}

}  // namespace
}  // namespace backplane::data
