// SPDX-License-Identifier: Apache-2.0
// The hash of a recipe follows everything that a device gets to see, and nothing else.
#include <gtest/gtest.h>

#include <functional>
#include <set>

#include "backplane/codegen/answers.h"

namespace codegen_test {
namespace {

using namespace backplane::codegen;

Recipe recipe() {
  Launch launch;
  launch.name = "a name", launch.source = "some text", launch.aligned_source = "other text";
  launch.slots = {{.index = 1, .high = 99}, {.from = Slot::From::output, .written = true}};
  launch.texels = {{.slot = 1}};
  launch.words = {1, 2, 3};
  return {{launch, launch}};
}

TEST(CodeHash, FollowsEverythingThatTheDeviceGets) {
  const std::function<void(Launch&)> changes[] = {
      [](Launch& l) { l.source += " "; },
      [](Launch& l) { l.aligned_source.clear(); },
      [](Launch& l) { l.slots[0].from = Slot::From::workspace; },
      [](Launch& l) { l.slots[0].index = 2; },
      [](Launch& l) { l.slots[0].element_size = 2; },
      [](Launch& l) { l.slots[0].written = true; },
      [](Launch& l) { l.slots[0].offset = 64; },
      [](Launch& l) { l.slots[0].low = -1; },
      [](Launch& l) { l.slots[0].high = 100; },
      [](Launch& l) { l.slots.pop_back(); },
      [](Launch& l) { l.texels[0].slot = 0; },
      [](Launch& l) { l.texels[0].lanes = 4; },
      [](Launch& l) { l.texels[0].dtype = BP_I32; },
      [](Launch& l) { l.words[1] = 7; },
      [](Launch& l) { l.words_in_buffer = true; },
      [](Launch& l) { l.group[2] = 2; },
      [](Launch& l) { l.grid[0] = 2; },
  };
  std::set<uint64_t> hashes{0, code_hash("plugin", recipe()), code_hash("another plugin", recipe())};
  for (const auto& change : changes) {
    Recipe changed = recipe();
    change(changed.launches[1]);
    hashes.insert(code_hash("plugin", changed));
  }
  Recipe shorter = recipe();
  shorter.launches.pop_back();
  hashes.insert(code_hash("plugin", shorter));
  hashes.insert(code_hash("plugin", Recipe()));
  EXPECT_EQ(hashes.size(), std::size(changes) + 5);
}

TEST(CodeHash, DoesNotFollowNames) {
  Recipe renamed = recipe();
  renamed.launches[0].name = "another";
  EXPECT_EQ(code_hash("plugin", renamed), code_hash("plugin", recipe()));
}

/// c[256, 200] = a[256, 300] b[300, 200] on a processor.
std::vector<bp_variant> variants_of_a_product(const char* plugin_id) {
  const bp_tensor_desc in[2] = {{BP_F32, 2, {256, 300}, {300, 1}}, {BP_F32, 2, {300, 200}, {200, 1}}};
  const bp_tensor_desc out[1] = {{BP_F32, 2, {256, 200}, {200, 1}}};
  bp_op op{};
  op.size = sizeof op, op.code = BP_OP_MATMUL, op.max_workspace = UINT64_MAX;
  op.inputs = in, op.num_inputs = 2, op.outputs = out, op.num_outputs = 1;
  DeviceFacts facts;
  facts.cpu_like = true, facts.vector_width = 16, facts.max_group_size = 1024;
  for (uint32_t& extent : facts.max_group_extent) extent = 1024;
  std::vector<bp_variant> list;
  answer_variants(op, facts, plugin_id, list);
  return list;
}

TEST(CodeHash, IsThatOfEachVariant) {
  const auto once = variants_of_a_product("plugin"), again = variants_of_a_product("plugin"),
             other = variants_of_a_product("another plugin");
  ASSERT_GT(once.size(), 4u);
  ASSERT_EQ(again.size(), once.size());
  std::set<uint64_t> hashes;
  for (size_t i = 0; i < once.size(); ++i) {
    EXPECT_NE(once[i].code_hash, 0u) << once[i].name;
    EXPECT_EQ(once[i].code_hash, again[i].code_hash) << once[i].name;
    EXPECT_NE(once[i].code_hash, other[i].code_hash) << once[i].name;
    hashes.insert(once[i].code_hash);
  }
  EXPECT_EQ(hashes.size(), once.size()) << "variants that are launched another way look the same";
}

}  // namespace
}  // namespace codegen_test
