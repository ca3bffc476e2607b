// SPDX-License-Identifier: Apache-2.0
// The store: what goes in comes out, for the right key only; damage heals; nothing that is killed leaves it unreadable.
#include "backplane/autotune/store.h"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "backplane/host/error.h"
#include "process_id.h"
#include "records.h"

namespace backplane::autotune {
namespace {

using test::Folder;
using test::make_record;
using test::stored;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

void expect_equal(const Record& a, const Record& b) { EXPECT_EQ(to_json(a), to_json(b)); }

void overwrite(const std::filesystem::path& file, std::streamoff at, const std::string& bytes) {
  std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
  out.seekp(at);
  out << bytes;
}

size_t set_aside(const std::filesystem::path& folder) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    count += entry.path().filename().string().find(".set-aside-") != std::string::npos;
  }
  return count;
}

TEST(Store, GivesBackWhatItWasGiven) {
  const Folder folder;
  {
    Store store(folder.file());
    ASSERT_TRUE(store.usable()) << store.trouble();
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(store.put(make_record(i)));
  }
  Store again(folder.file(), Store::Access::read);
  const auto records = again.records();
  ASSERT_THAT(records, SizeIs(3));
  for (int i = 0; i < 3; ++i) expect_equal(records[static_cast<size_t>(i)], make_record(i));
  EXPECT_EQ(again.size(), 3u);
  EXPECT_EQ(again.trouble(), "");
}

TEST(Store, AFileThatIsNotThereIsNotMadeByReading) {
  const Folder folder;
  Store store(folder.file(), Store::Access::read);
  EXPECT_FALSE(store.usable());
  EXPECT_EQ(store.trouble(), "") << "nothing is wrong";
  EXPECT_FALSE(stored(store, make_record(1).key, make_record(1).device));
  EXPECT_THAT(store.records(), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(folder.file()));
}

TEST(Store, ARowAnswersForItsOwnKeyOnly) {
  const Folder folder;
  Store store(folder.file());
  const Record mine = make_record(1);
  store.put(mine);
  ASSERT_TRUE(stored(store, mine.key, mine.device));
  EXPECT_EQ(stored(store, mine.key, mine.device)->outcome.chosen, mine.outcome.chosen);
  for (std::string Key::*part : {&Key::problem, &Key::shapes, &Key::policy}) {
    Key other = mine.key;
    other.*part += "x";
    EXPECT_FALSE(stored(store, other, mine.device));
  }
  Fingerprint other = mine.device;
  other.device += "x";
  EXPECT_FALSE(stored(store, mine.key, other));
  EXPECT_FALSE(store.knows(other));
  EXPECT_TRUE(store.knows(mine.device));
}

TEST(Store, AnotherBuildOfThePluginOnlySaysWhatMayBeExpected) {
  const Folder folder;
  Store store(folder.file());
  const Record old = make_record(1);
  store.put(old);
  Fingerprint rebuilt = old.device;
  rebuilt.build = "another";
  EXPECT_FALSE(stored(store, old.key, rebuilt));
  EXPECT_THAT(store.neighbours(old.key, rebuilt), IsEmpty());
  const auto times = store.times(old.key, rebuilt);
  EXPECT_EQ(times.at("fast@v=1"), old.outcome.find("fast@v=1")->times.median_ns);
  EXPECT_EQ(times.count("broken"), 0u) << "it was not timed";
}

TEST(Store, TheYoungestReplacesAndOthersStay) {
  const Folder folder;
  Store store(folder.file());
  Record record = make_record(1);
  store.put(record), store.put(make_record(2));
  record.outcome.chosen = "default";
  record.written += 60;
  store.put(record);
  EXPECT_EQ(store.size(), 2u);
  EXPECT_EQ(stored(store, record.key, record.device)->outcome.chosen, "default");
  EXPECT_THAT(store.records({.shapes = record.key.shapes}).at(0).outcome.candidates,
              SizeIs(record.outcome.candidates.size()));
}

TEST(Store, NeighboursAreOfTheSameProblemAndPolicy) {
  const Folder folder;
  Store store(folder.file());
  for (int i = 0; i < 4; ++i) store.put(make_record(i));
  Record other = make_record(7);
  other.key.policy = "fast";
  store.put(other);
  Record open = make_record(8);
  open.outcome.decided = false;
  store.put(open);
  EXPECT_THAT(store.neighbours(make_record(0).key, make_record(0).device), SizeIs(3));
}

TEST(Store, ClearsWhatIsAskedFor) {
  const Folder folder;
  Store store(folder.file());
  for (int i = 0; i < 4; ++i) store.put(make_record(i));
  EXPECT_EQ(store.clear({.operation = "mat"}), 0u) << "an operation is named whole";
  EXPECT_EQ(store.clear({.shapes = make_record(2).key.shapes}), 1u);
  EXPECT_EQ(store.clear({.operation = "matmul"}), 3u);
  EXPECT_EQ(store.size(), 0u);
}

TEST(Store, ExportAndImportKeepEverything) {
  const Folder folder, other;
  Store store(folder.file()), copy(other.file());
  for (int i = 0; i < 5; ++i) store.put(make_record(i));
  const std::string text = to_json(store.records());
  ASSERT_TRUE(copy.put(from_json(text)));
  EXPECT_EQ(to_json(copy.records()), text);
}

TEST(Store, AMalformedImportIsRefusedWhole) {
  const std::string good = to_json(std::vector{make_record(1), make_record(2)});
  for (const std::string& text : {std::string(), std::string("[1, 2]"), std::string("{\"schema\": 9, \"records\": []}"),
                                  good.substr(0, good.size() / 2), std::string("{\"schema\": 1, \"records\": [{}]}")}) {
    EXPECT_THROW(from_json(text), host::Error) << text.substr(0, 60);
  }
}

TEST(Store, AProcessThatDiesTwiceInATrialBlocksTheVariant) {
  const Folder folder;
  const Record record = make_record(1);
  const auto die_in_trial = [&] {
    const pid_t child = fork();
    if (child == 0) {
      Store store(folder.file());
      store.begin_trial(record.key, record.device, "harmless");
      store.begin_trial(record.key, record.device, "deadly");
      _exit(1);
    }
    waitpid(child, nullptr, 0);
  };
  die_in_trial();
  {
    Store store(folder.file());
    EXPECT_THAT(store.blocked(record.key, record.device), IsEmpty()) << "once may have been anything";
  }
  die_in_trial();
  Store store(folder.file());
  const auto blocked = store.blocked(record.key, record.device);
  ASSERT_THAT(blocked, SizeIs(1));
  EXPECT_THAT(blocked.at("deadly").reason, HasSubstr("2 times"));
  EXPECT_THAT(store.blocked(make_record(2).key, record.device), IsEmpty());
  store.begin_trial(record.key, record.device, "slow");
  EXPECT_THAT(store.blocked(record.key, record.device), SizeIs(1)) << "this process is alive";
  store.end_trial(record.key, record.device);
}

TEST(Store, AVariantThatWasSurvivedStartsAnew) {
  const Folder folder;
  const Record record = make_record(1);
  Store store(folder.file());
  const auto die_in_trial = [&] {
    const pid_t child = fork();
    if (child == 0) {
      Store(folder.file()).begin_trial(record.key, record.device, "unlucky");
      _exit(1);
    }
    waitpid(child, nullptr, 0);
  };
  for (int i = 0; i < 3; ++i) {
    die_in_trial();  // one kill -9 now and then
    store.begin_trial(record.key, record.device, "unlucky");
    store.begin_trial(record.key, record.device, "next");
    store.end_trial(record.key, record.device);
    EXPECT_THAT(store.blocked(record.key, record.device), IsEmpty());
  }
}

TEST(ProcessId, IsNotThatOfAnEarlierProcessWithTheSameNumber) {
  EXPECT_TRUE(is_alive(this_process()));
  EXPECT_FALSE(is_alive(this_process() - (int64_t{1} << 22))) << "started earlier";
  EXPECT_TRUE(is_alive(getpid())) << "where no start is known";
}

TEST(Store, AForeignFileIsSetAsideAndANewOneBegun) {
  const Folder folder;
  std::ofstream(folder.file()) << std::string(5000, 'x');
  Store store(folder.file());
  EXPECT_TRUE(store.usable()) << store.trouble();
  EXPECT_THAT(store.trouble(), HasSubstr("set-aside"));
  EXPECT_EQ(set_aside(folder.path), 1u);
  EXPECT_TRUE(store.put(make_record(1)));
  EXPECT_EQ(Store(folder.file()).size(), 1u);
}

TEST(Store, ADatabaseOfSomethingElseIsNotWrittenTo) {
  const Folder folder;
  ASSERT_EQ(
      std::system(
          ("sqlite3 " + folder.file().string() + " 'CREATE TABLE notes(text); INSERT INTO notes VALUES(1)'").c_str()),
      0);
  Store store(folder.file());
  EXPECT_TRUE(store.put(make_record(1))) << store.trouble();
  ASSERT_EQ(set_aside(folder.path), 1u);
}

TEST(Store, OneOfANewerVersionIsLeftAlone) {
  const Folder folder;
  Store(folder.file()).put(make_record(1));
  ASSERT_EQ(std::system(("sqlite3 " + folder.file().string() + " 'PRAGMA user_version=99'").c_str()), 0);
  Store store(folder.file());
  EXPECT_FALSE(store.usable());
  EXPECT_THAT(store.trouble(), HasSubstr("version 99"));
  EXPECT_EQ(set_aside(folder.path), 0u);
}

TEST(Store, WhereNothingCanBeWrittenNothingIsRemembered) {
  Store store("/proc/no-such-place/tuning.sqlite");
  EXPECT_FALSE(store.usable());
  EXPECT_NE(store.trouble(), "");
  EXPECT_FALSE(store.put(make_record(1)));
}

/// Every page, one after the other, overwritten: never a crash, and afterwards it works again.
TEST(Store, DamageOfAnyPageHealsItself) {
  const Folder original;
  {
    Store store(original.file());
    for (int i = 0; i < 60; ++i) store.put(make_record(i));
  }
  const auto bytes = static_cast<std::streamoff>(std::filesystem::file_size(original.file()));
  ASSERT_GT(bytes, 8 * 4096);
  size_t healed = 0;
  for (std::streamoff at = 0; at < bytes; at += 4096) {
    for (const std::string& junk : {std::string(4096, '\xff'), std::string(64, '\0'), std::string("SQLite format 3")}) {
      const Folder folder;
      std::filesystem::copy_file(original.file(), folder.file());
      overwrite(folder.file(), at, junk);
      Store store(folder.file());
      store.records();
      for (int i = 0; i < 60; ++i) {
        stored(store, make_record(i).key, make_record(i).device);
        store.neighbours(make_record(i).key, make_record(i).device);
      }
      store.put(make_record(3));
      ASSERT_TRUE(store.usable()) << at << ": " << store.trouble();
      ASSERT_TRUE(store.put(make_record(1))) << at << ": " << store.trouble();
      ASSERT_TRUE(stored(store, make_record(1).key, make_record(1).device)) << at;
      healed += set_aside(folder.path);
    }
  }
  EXPECT_GT(healed, 0u) << "no damage was ever noticed: this test looks at nothing";
}

TEST(Store, ATruncatedFileHealsItself) {
  const Folder original;
  {
    Store store(original.file());
    for (int i = 0; i < 60; ++i) store.put(make_record(i));
  }
  for (const size_t length : {1ul, 50ul, 100ul, 4096ul, 5000ul, 12288ul, 40000ul}) {
    const Folder folder;
    std::filesystem::copy_file(original.file(), folder.file());
    std::filesystem::resize_file(folder.file(), length);
    Store store(folder.file());
    store.records();
    EXPECT_TRUE(store.put(make_record(1))) << length << ": " << store.trouble();
    EXPECT_TRUE(stored(store, make_record(1).key, make_record(1).device)) << length;
  }
}

TEST(Store, WhoHasItOpenGoesOnWhenAnotherProcessHeals) {
  const Folder folder;
  Store first(folder.file());
  first.put(make_record(1));
  overwrite(folder.file(), 0, std::string(100, 'x'));
  Store second(folder.file());
  ASSERT_TRUE(second.put(make_record(2))) << second.trouble();
  ASSERT_TRUE(first.put(make_record(3))) << first.trouble();
  Store third(folder.file());
  EXPECT_TRUE(stored(third, make_record(2).key, make_record(2).device));
  EXPECT_TRUE(stored(third, make_record(3).key, make_record(3).device));
  EXPECT_EQ(third.trouble(), "");
}

}  // namespace
}  // namespace backplane::autotune
