// SPDX-License-Identifier: Apache-2.0
// The ABI does not change by accident: layouts of every released minor are recorded, and the check that compares them
// is itself shown a header for each kind of mistake.
#include <gmock/gmock.h>

#include <filesystem>

#include "layout.hpp"

namespace backplane::abi {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string work_dir() {
  const std::string dir = ABI_WORK_DIR "/" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name());
  std::filesystem::create_directories(dir);
  return dir;
}
/// plugin.h's at 1.`minor`; the checks below are shown changes of the last one.
constexpr int kLastMinor = 1;
Layout recorded(int minor = kLastMinor) {
  const Layout layout = from_text(read_file(ABI_SOURCE_DIR "/layout_1_" + std::to_string(minor) + ".txt"));
  if (layout.structs.size() < 30 || layout.values.at("BP_ABI_MINOR") != minor) throw std::runtime_error("no record");
  return layout;
}

TEST(AbiLayout, BreaksNoMinorThatWasRecorded) {
  const Layout now = layout_of(ABI_HEADER, Language::c11, work_dir());
  write_file(work_dir() + "/layout_now.txt", to_text(now));  // what to record for a new minor
  for (int minor = 0; minor <= kLastMinor; ++minor) EXPECT_THAT(breaks(recorded(minor), now), IsEmpty()) << minor;
  EXPECT_EQ(now.values.at("BP_ABI_MINOR"), kLastMinor) << "record the new minor";
  EXPECT_GE(now.structs.size(), 30u);
  EXPECT_GE(now.values.size(), 150u);
}

TEST(AbiLayout, IsTheSameInCpp) {
  EXPECT_EQ(to_text(layout_of(ABI_HEADER, Language::c11, work_dir())),
            to_text(layout_of(ABI_HEADER, Language::cpp17, work_dir())));
}

TEST(AbiLayout, TheFrozenCopyIsThe10ThatWasRecorded) {
  const Layout frozen = layout_of(ABI_SOURCE_DIR "/frozen_1_0/include/backplane/plugin.h", Language::c11, work_dir());
  EXPECT_EQ(to_text(frozen), to_text(recorded(0)));
}

/// Each member starts where the one before ends: what -Wpadded promises, checked from the numbers.
void expect_no_gaps(const Layout& layout) {
  for (const auto& [name, s] : layout.structs) {
    uint64_t end = 0;
    for (const Member& m : s.members) {
      EXPECT_EQ(m.offset, end) << name << "." << m.name;
      end = m.offset + m.size;
    }
    EXPECT_EQ(end, s.size) << name;
  }
}

TEST(AbiLayout, CrossesNoPaddingOrGap) { expect_no_gaps(recorded()); }

/// An interface with a header of its own, and how much of it there is.
struct Interface {
  const char* name;
  size_t structs, members;
};
void PrintTo(const Interface& interface, std::ostream* out) { *out << interface.name; }
class InterfaceLayout : public ::testing::TestWithParam<Interface> {
 protected:
  std::string header_ = std::string(ABI_INCLUDE_DIR "/backplane/") + GetParam().name + ".h";
  Layout record_ = from_text(read_file(std::string(ABI_SOURCE_DIR "/layout_") + GetParam().name + "_1_0.txt"));
};

TEST_P(InterfaceLayout, IsWhatWasRecordedFor10) {
  const Layout now = layout_of(header_, Language::c11, work_dir());
  write_file(work_dir() + "/layout_now.txt", to_text(now));  // what to record when a version is released
  EXPECT_THAT(breaks(record_, now), IsEmpty());
  EXPECT_EQ(to_text(now), to_text(layout_of(header_, Language::cpp17, work_dir())));
  size_t members = 0;
  for (const auto& [name, s] : record_.structs) members += s.members.size();
  EXPECT_EQ(record_.structs.size(), GetParam().structs);
  EXPECT_EQ(members, GetParam().members);
  expect_no_gaps(record_);
}

TEST_P(InterfaceLayout, DoesNotGrowUnrecorded) {
  std::string header = read_file(header_);
  const std::string end = std::string("} bp_") + GetParam().name + "_api;";
  const size_t at = header.find(end);
  ASSERT_NE(at, std::string::npos);
  const std::string path = work_dir() + "/" + GetParam().name + ".h";
  write_file(path, header.insert(at, "  void (*later)(void);\n"));
  EXPECT_THAT(breaks(record_, layout_of(path, Language::c11, work_dir())),
              ElementsAre(std::string("bp_") + GetParam().name + "_api.later is new: record another version"));
}

INSTANTIATE_TEST_SUITE_P(Abi, InterfaceLayout, ::testing::Values(Interface{"collective", 2, 11}, Interface{"peer", 1, 3}),
                         [](const auto& test) { return test.param.name; });

/// The breaks found in plugin.h after `before` was replaced by `after`.
std::vector<std::string> breaks_after(const std::string& before, const std::string& after, bool raise_minor = false) {
  std::string header = read_file(ABI_HEADER);
  const auto replace = [&](const std::string& from, const std::string& to) {
    const size_t at = header.find(from);
    ASSERT_NE(at, std::string::npos) << "plugin.h has no '" << from << "'";
    header.replace(at, from.size(), to);
  };
  replace(before, after);
  if (raise_minor) replace("#define BP_ABI_MINOR 1u", "#define BP_ABI_MINOR 2u");
  const std::string path = work_dir() + "/plugin.h";
  write_file(path, header);
  return breaks(recorded(), layout_of(path, Language::c11, work_dir()));
}

TEST(AbiLayoutCheck, FindsAnInsertedFunction) {
  const auto broken = breaks_after("  void (*destroy)(bp_plugin* plugin);",
                                   "  void (*reset)(bp_plugin* plugin);\n  void (*destroy)(bp_plugin* plugin);", true);
  EXPECT_THAT(broken, ::testing::Contains(HasSubstr("bp_plugin_api.destroy has moved")));
  EXPECT_THAT(broken, ::testing::Contains(HasSubstr("bp_plugin_api.reset was inserted")));
}

TEST(AbiLayoutCheck, FindsARemovedMember) {
  EXPECT_THAT(breaks_after("  uint32_t max_queues;", "  uint32_t unused_queues;"),
              ::testing::Contains("bp_device_info.max_queues is gone"));
}

TEST(AbiLayoutCheck, FindsTwoSwappedMembers) {
  EXPECT_THAT(breaks_after("  uint32_t num_inputs;        /* <=", "  uint32_t num_instrs_first;        /* <="),
              ::testing::Contains(HasSubstr("bp_program.num_inputs is gone")));
  EXPECT_THAT(breaks_after("  uint16_t a, b, c;", "  uint16_t b, a, c;"),
              ElementsAre("bp_instr.a has moved", "bp_instr.b has moved"));
}

TEST(AbiLayoutCheck, FindsAWiderMember) {
  EXPECT_THAT(breaks_after("  uint32_t compute_units;", "  uint64_t compute_units;"),
              ::testing::Contains("bp_device_info.compute_units has another size"));
}

TEST(AbiLayoutCheck, FindsAFrozenStructThatGrew) {
  EXPECT_THAT(breaks_after("} bp_tensor_desc;", "  uint64_t layout;\n} bp_tensor_desc;", true),
              ElementsAre("bp_tensor_desc is frozen and has a new member layout"));
}

TEST(AbiLayoutCheck, FindsARenumberedConstant) {
  EXPECT_THAT(breaks_after("BP_OP_SOFTMAX = 21", "BP_OP_SOFTMAX = 99"), ElementsAre("BP_OP_SOFTMAX has another value"));
  EXPECT_THAT(breaks_after("BP_E_COMPILE = -8", "BP_E_BUILD = -8"),
              ElementsAre("BP_E_COMPILE is gone", "BP_E_BUILD is new: raise BP_ABI_MINOR"));
}

TEST(AbiLayoutCheck, WantsANewMinorForAnAppendedMember) {
  const std::string end = "} bp_memory_api;", longer = "  void (*trim)(bp_device* device);\n} bp_memory_api;";
  EXPECT_THAT(breaks_after(end, longer), ElementsAre("bp_memory_api.trim is new: raise BP_ABI_MINOR"));
  EXPECT_THAT(breaks_after(end, longer, true), IsEmpty());
}

TEST(AbiLayoutCheck, RefusesAStructWithoutItsRule) {
  EXPECT_THROW(breaks_after("typedef struct bp_view { /* [frozen] a place", "typedef struct bp_view { /* a place"),
               std::runtime_error);
}

}  // namespace
}  // namespace backplane::abi
