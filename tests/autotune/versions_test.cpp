// SPDX-License-Identifier: Apache-2.0
// Files of other versions of the store: earlier ones are brought up to date and keep their results, later ones are left
// alone.
#include <gmock/gmock.h>

#include "backplane/autotune/store.h"
#include "database.h"
#include "records.h"

namespace backplane::autotune {
namespace {

using test::Folder;
using test::make_record;
using test::stored;
using ::testing::HasSubstr;

/// The file as version 1 had it: without a column for the hash of variants' code.
void make_version_1(const std::filesystem::path& file, const std::vector<Record>& records) {
  { ASSERT_TRUE(Store(file).put(records)); }
  Database database;
  database.open(file, Database::Access::write);
  database.run("ALTER TABLE candidate DROP COLUMN code_hash; PRAGMA user_version=1");
}

TEST(Versions, AnEarlierFileKeepsItsResultsWhoeverOpensIt) {
  for (const Store::Access access : {Store::Access::read, Store::Access::write}) {
    const Folder folder;
    make_version_1(folder.file(), {make_record(1), make_record(2)});
    Store store(folder.file(), access);
    ASSERT_EQ(store.trouble(), "");
    ASSERT_EQ(store.size(), 2u);
    Record as_before = make_record(1);
    for (Candidate& each : as_before.outcome.candidates) each.code_hash = 0;  // the build stands for it
    EXPECT_EQ(to_json(store.records().at(0)), to_json(as_before));
    EXPECT_TRUE(Store(folder.file()).put(make_record(3)));
    EXPECT_EQ(stored(store, make_record(3).key, make_record(3).device)->outcome.candidates[1].code_hash,
              make_record(3).outcome.candidates[1].code_hash);
  }
}

TEST(Versions, ALaterFileIsLeftAlone) {
  const Folder folder;
  { ASSERT_TRUE(Store(folder.file()).put(make_record(1))); }
  {
    Database database;
    database.open(folder.file(), Database::Access::write);
    database.run("PRAGMA user_version=77");
  }
  Store store(folder.file());
  EXPECT_FALSE(store.usable());
  EXPECT_THAT(store.trouble(), HasSubstr("is of version 77, and this program reads version 2"));
  EXPECT_FALSE(store.put(make_record(2)));
}

}  // namespace
}  // namespace backplane::autotune
