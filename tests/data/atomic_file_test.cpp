// SPDX-License-Identifier: Apache-2.0
// A save is whole or has not happened: every system call of it fails once, and the old file must still be there, alone.
#include "backplane/io/atomic_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "backplane/file_error.h"
#include "backplane/io/safetensors.h"
#include "backplane/plugin.h"
#include "faulty_calls.h"
#include "temporary_directory.h"

namespace backplane::io {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;
using tests::Call;
using tests::read_file;
using tests::TemporaryDirectory;
using tests::write_file;

TensorFile some_tensors(size_t bytes = 4000) {
  TensorFile file;
  file.tensors["w"] = {BP_F32, {static_cast<int64_t>(bytes / 4)}, std::vector<std::byte>(bytes, std::byte{1})};
  file.tensors["b"] = {BP_F32, {}, std::vector<std::byte>(4, std::byte{2})};
  return file;
}

std::string error_of_save(const std::filesystem::path& file, const TensorFile& content = some_tensors()) {
  try {
    write_safetensors(file, content);
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

class Save : public testing::Test {
 protected:
  void SetUp() override {
    write_file(file_, "the old file");
    tests::disarm();
  }
  void TearDown() override { tests::disarm(); }

  void expect_untouched() {
    EXPECT_EQ(read_file(file_), "the old file");
    EXPECT_THAT(directory_.names(), ElementsAre("weights.safetensors"));
  }

  TemporaryDirectory directory_;
  std::filesystem::path file_ = directory_ / "weights.safetensors";
};

TEST_F(Save, ReplacesTheOldFile) {
  write_safetensors(file_, some_tensors());
  EXPECT_EQ(read_safetensors(file_).tensors.size(), 2u);
  EXPECT_THAT(directory_.names(), ElementsAre("weights.safetensors"));
}

TEST_F(Save, EverySystemCallMayFail) {
  struct Case {
    Call call;
    int error_number;
    const char* says;
  } const cases[] = {
      {Call::open, EACCES, "may write to"},           {Call::open, ENOSPC, "free some space"},
      {Call::write, ENOSPC, "free some space"},       {Call::write, EIO, "Input/output error"},
      {Call::fsync, EIO, "cannot write to the disk"}, {Call::close, EDQUOT, "free some space"},
      {Call::rename, EROFS, "cannot rename"},
  };
  for (const Case& c : cases) {
    tests::disarm();
    tests::arm(c.call, c.error_number);
    EXPECT_THAT(error_of_save(file_), AllOf(HasSubstr("[safetensors]"), HasSubstr(file_.string()), HasSubstr(c.says)));
    expect_untouched();
  }
}

TEST_F(Save, TheDiskMayFillUpAtAnyWrite) {
  tests::limit_writes(64);
  write_safetensors(directory_ / "whole", some_tensors());
  const int writes = tests::calls(Call::write);
  ASSERT_GT(writes, 60);
  std::filesystem::remove(directory_ / "whole");
  for (int skip = 0; skip < writes; ++skip) {
    tests::arm(Call::write, ENOSPC, skip);
    EXPECT_THAT(error_of_save(file_), HasSubstr("No space left on device"));
    expect_untouched();
  }
}

TEST_F(Save, ShortWritesAndInterruptionsAreNoErrors) {
  tests::limit_writes(7);
  for (int skip = 0; skip < 5; ++skip) {
    tests::arm(Call::write, EINTR, skip);
    write_safetensors(file_, some_tensors());
    EXPECT_EQ(read_safetensors(file_).tensors.at("w").data.size(), 4000u);
  }
}

TEST_F(Save, TheFileSizeLimitIsAnErrorNotDeath) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit limit{8192, 8192};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(2);
    const std::string error = error_of_save(file_, some_tensors(100'000));
    sigset_t pending;
    sigpending(&pending);
    const bool good = error.find("ulimit -f") != std::string::npos && sigismember(&pending, SIGXFSZ) == 0;
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
  expect_untouched();
}

TEST_F(Save, RefusesWhatIsNotAFile) {
  EXPECT_THAT(error_of_save("/dev/full"), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of_save(directory_.path()), HasSubstr("not a regular file"));
  EXPECT_THAT(error_of_save(directory_ / "weights.safetensors/x"), HasSubstr("Not a directory"));
  EXPECT_THAT(error_of_save(directory_ / "no/such/x"),
              AllOf(HasSubstr("No such file"), HasSubstr("create the directory")));
  EXPECT_THAT(error_of_save(directory_ / "x/"), HasSubstr("not a file name"));
  struct stat status {};
  ASSERT_EQ(::stat("/dev/full", &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
  expect_untouched();
}

TEST_F(Save, FollowsLinksAndKeepsPermissions) {
  std::filesystem::create_symlink("weights.safetensors", directory_ / "link");
  std::filesystem::permissions(file_, std::filesystem::perms{0640});
  write_safetensors(directory_ / "link", some_tensors());
  EXPECT_TRUE(std::filesystem::is_symlink(directory_ / "link"));
  EXPECT_EQ(std::filesystem::status(file_).permissions(), std::filesystem::perms{0640});
  EXPECT_EQ(read_safetensors(file_).tensors.size(), 2u);

  std::filesystem::create_symlink("later", directory_ / "dangling");
  write_safetensors(directory_ / "dangling", some_tensors());
  EXPECT_THAT(directory_.names(), UnorderedElementsAre("weights.safetensors", "link", "dangling", "later"));
}

TEST_F(Save, ANewFileGetsTheUsualPermissionsAndARelativeNameWorks) {
  const auto before = std::filesystem::current_path();
  const mode_t mask = ::umask(022);
  std::filesystem::current_path(directory_.path());
  write_safetensors("new", some_tensors());
  std::filesystem::current_path(before);
  ::umask(mask);
  EXPECT_EQ(std::filesystem::status(directory_ / "new").permissions(), std::filesystem::perms{0644});
}

TEST_F(Save, WithoutCommitNothingHappens) {
  {
    AtomicFile file("test", file_);
    file.write(std::as_bytes(std::span("half")));
    EXPECT_EQ(directory_.names().size(), 2u);
  }
  expect_untouched();
}

}  // namespace
}  // namespace backplane::io
