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
Layout recorded() {
  const Layout layout = from_text(read_file(ABI_SOURCE_DIR "/layout_1_0.txt"));
  if (layout.structs.size() < 30 || layout.values.count("BP_ABI_MINOR") == 0) throw std::runtime_error("no record");
  return layout;
}

TEST(AbiLayout, IsWhatWasRecordedFor10) {
  const Layout now = layout_of(ABI_HEADER, Language::c11, work_dir());
  write_file(work_dir() + "/layout_now.txt", to_text(now));  // what to record when a minor is released
  EXPECT_THAT(breaks(recorded(), now), IsEmpty());
  EXPECT_GE(now.structs.size(), 30u);
  EXPECT_GE(now.values.size(), 150u);
}

TEST(AbiLayout, IsTheSameInCpp) {
  EXPECT_EQ(to_text(layout_of(ABI_HEADER, Language::c11, work_dir())),
            to_text(layout_of(ABI_HEADER, Language::cpp17, work_dir())));
}

TEST(AbiLayout, TheFrozenCopyIsThe10ThatWasRecorded) {
  const Layout frozen = layout_of(ABI_SOURCE_DIR "/frozen_1_0/include/backplane/plugin.h", Language::c11, work_dir());
  EXPECT_EQ(to_text(frozen), to_text(recorded()));
}

TEST(AbiLayout, CrossesNoPaddingOrGap) {
  // Each member starts where the one before ends: what -Wpadded promises, checked from the numbers.
  for (const auto& [name, s] : recorded().structs) {
    uint64_t end = 0;
    for (const Member& m : s.members) {
      EXPECT_EQ(m.offset, end) << name << "." << m.name;
      end = m.offset + m.size;
    }
    EXPECT_EQ(end, s.size) << name;
  }
}

/// The breaks found in plugin.h after `before` was replaced by `after`.
std::vector<std::string> breaks_after(const std::string& before, const std::string& after, bool raise_minor = false) {
  std::string header = read_file(ABI_HEADER);
  const auto replace = [&](const std::string& from, const std::string& to) {
    const size_t at = header.find(from);
    ASSERT_NE(at, std::string::npos) << "plugin.h has no '" << from << "'";
    header.replace(at, from.size(), to);
  };
  replace(before, after);
  if (raise_minor) replace("#define BP_ABI_MINOR 0u", "#define BP_ABI_MINOR 1u");
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
