// SPDX-License-Identifier: Apache-2.0
// Writers that are killed, and many at once: what a writer was told is stored stays stored, and the file stays
// readable. KILLS, the number of writers that are killed, comes from the build: few for every day, a thousand under the
// label `slow`.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

#include "backplane/autotune/store.h"
#include "records.h"

namespace backplane::autotune {
namespace {

using test::Folder;
using test::make_record;
using test::stored;

/// Stores records from `first` on until it is killed; tells the pipe after each.
[[noreturn]] void write_until_killed(const std::filesystem::path& file, int first, int pipe) {
  Store store(file);
  for (int i = first;; ++i) {
    if (!store.put(make_record(i))) _exit(1);
    if (::write(pipe, &i, sizeof i) != sizeof i) _exit(2);
  }
}

TEST(Kill, NothingThatWasAcknowledgedIsLost) {
  const Folder folder;
  std::mt19937 engine(5);
  int next = 0;
  for (int kills = 0; kills < KILLS; ++kills) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(ends[0]);
      write_until_killed(folder.file(), next, ends[1]);
    }
    close(ends[1]);
    int last = next - 1, told = 0;
    const int wanted = static_cast<int>(engine() % 4);  // so many results are waited for, then it may die at any moment
    for (int i = 0; i < wanted && ::read(ends[0], &told, sizeof told) == sizeof told; ++i) last = told;
    usleep(engine() % 3000);
    ::kill(child, SIGKILL);
    while (::read(ends[0], &told, sizeof told) == sizeof told) last = told;
    close(ends[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself: it could not write";
    next = last + 1;
    Store store(folder.file(), next > 0 ? Store::Access::read : Store::Access::write);
    ASSERT_TRUE(store.usable() || next == 0) << store.trouble();
    ASSERT_EQ(store.trouble(), "");
    ASSERT_GE(store.size(), static_cast<size_t>(next));
    ASSERT_LE(store.size(), static_cast<size_t>(next) + 1) << "at most the one being written is more";
    if (next > 0) {
      ASSERT_TRUE(stored(store, make_record(last).key, make_record(last).device));
    }
    if (kills % 50 == 49) store.clear(), next = 0;
  }
}

TEST(Kill, SixteenWritersAtOnceLoseNothing) {
  constexpr int kWriters = 16, kEach = 40;
  const Folder folder;
  std::vector<pid_t> children;
  for (int w = 0; w < kWriters; ++w) {
    const pid_t child = fork();
    if (child == 0) {
      Store store(folder.file());
      int failed = 0;
      for (int i = 0; i < kEach; ++i) failed += !store.put(make_record(w * kEach + i));
      _exit(failed != 0 || !store.trouble().empty());
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_EQ(WEXITSTATUS(status), 0);
  }
  Store store(folder.file(), Store::Access::read);
  EXPECT_EQ(store.trouble(), "");
  EXPECT_EQ(store.size(), static_cast<size_t>(kWriters * kEach));
}

}  // namespace
}  // namespace backplane::autotune
