// SPDX-License-Identifier: Apache-2.0
// The selector language: what each form means, what is refused with which words, and that no text whatever crashes it.
#include "backplane/host/selector.h"

#include <gmock/gmock.h>

#include <cstring>
#include <random>

#include "backplane/host/error.h"
#include "backplane/host/text.h"

namespace backplane::host {
namespace {

struct TestDevice {
  const char* plugin;
  std::uint32_t index, kind, flags;
  const char *id, *name, *pci;
};
constexpr TestDevice kMachine[] = {
    {"cpu", 0, BP_KIND_CPU, 0, "cpu-epyc", "AMD EPYC 9004", ""},
    {"cuda", 0, BP_KIND_GPU, 0, "gpu-11aa", "NVIDIA H100", "0000:65:00.0"},
    {"cuda", 1, BP_KIND_GPU, 0, "gpu-22bb", "NVIDIA H100", "0000:a5:00.0"},
    {"opencl", 0, BP_KIND_CPU, BP_DEVICE_SOFTWARE, "pocl", "pthread-EPYC", ""},
    {"reference", 0, BP_KIND_CPU, BP_DEVICE_REFERENCE, "reference", "Reference", ""},
    {"vulkan", 0, BP_KIND_GPU, 0, "vk-11aa", "NVIDIA H100", "0000:65:00.0"},
    {"vulkan", 1, BP_KIND_CPU, BP_DEVICE_SOFTWARE, "vk-llvmpipe", "llvmpipe (LLVM 15)", ""},
    {"vulkan", 2, BP_KIND_INTEGRATED_GPU, 0, "vk-apu", "AMD Radeon Graphics", "0000:03:00.0"},
    {"tpu", 0, BP_KIND_ACCELERATOR, 0, "tpu-0", "Systolic", ""},
};
const std::vector<std::string> kPlugins = {"cpu", "cuda", "opencl", "reference", "vulkan", "tpu"};

bp_device_info info_of(const TestDevice& d) {
  bp_device_info info{};
  info.index = d.index;
  info.kind = d.kind;
  info.flags = d.flags;
  std::strcpy(info.id, d.id);
  std::strcpy(info.name, d.name);
  std::strcpy(info.pci, d.pci);
  return info;
}

/// Names of the devices that the first pick matches and no exclusion does.
std::string matches(const std::string& text, const std::vector<std::string>& plugins = kPlugins) {
  const Selector selector = parse_selector(text, plugins);
  std::vector<std::string> out;
  for (const TestDevice& d : kMachine) {
    const bp_device_info info = info_of(d);
    bool excluded = false;
    for (const SelectorTerm& term : selector.excludes) excluded = excluded || term.matches(d.plugin, info);
    if (!excluded && selector.picks[0].matches(d.plugin, info))
      out.push_back(std::string(d.plugin) + std::to_string(d.index));
  }
  return join(out, " ");
}

struct Meaning {
  const char* selector;
  const char* devices;
};
constexpr Meaning kMeanings[] = {
    {"auto", "cpu0 cuda0 cuda1 opencl0 vulkan0 vulkan1 vulkan2 tpu0"},
    {"cpu", "cpu0"},
    {"gpu", "cuda0 cuda1 vulkan0 vulkan2"},
    {"software", "opencl0 vulkan1"},
    {"accelerator", "tpu0"},
    {"cuda", "cuda0 cuda1"},
    {"cuda:1", "cuda1"},
    {"cuda:7", ""},
    {"vulkan:gpu", "vulkan0 vulkan2"},
    {"vulkan:cpu", "vulkan1"},
    {"vulkan:software", "vulkan1"},
    {"opencl:cpu", "opencl0"},
    {"reference", "reference0"},
    {"reference:0", "reference0"},
    {"id=gpu-1", "cuda0"},
    {"id=GPU-22", "cuda1"},
    {"cuda:id=gpu-2", "cuda1"},
    {"id=nothing", ""},
    {"pci=0000:65:00.0", "cuda0 vulkan0"},
    {"pci=65:00", "cuda0 vulkan0"},
    {"pci=A5:00.0", "cuda1"},
    {"vulkan:pci=65:00", "vulkan0"},
    {"name=*h100*", "cuda0 cuda1 vulkan0"},
    {"name=NVIDIA H100", "cuda0 cuda1 vulkan0"},
    {"name=llvmpipe (LLVM ?5)", "vulkan1"},
    {"vulkan:name=*radeon*", "vulkan2"},
    {"name=Reference", "reference0"},
    {" cuda:0 , cpu", "cuda0"},
    {"auto,!cuda", "cpu0 opencl0 vulkan0 vulkan1 vulkan2 tpu0"},
    {"!cuda,!software", "cpu0 vulkan0 vulkan2 tpu0"},
    {"!cuda:0", "cpu0 cuda1 opencl0 vulkan0 vulkan1 vulkan2 tpu0"},
    {"!gpu", "cpu0 opencl0 vulkan1 tpu0"},
    {"gpu,!pci=65:00", "cuda1 vulkan2"},
    {"!name=*H100*,gpu", "vulkan2"},
};

TEST(Selector, MeansWhatTheTableSays) {
  for (const Meaning& m : kMeanings) EXPECT_EQ(matches(m.selector), m.devices) << m.selector;
}

TEST(Selector, CpuIsAKindWhenNoPluginIsCalledThat) {
  const std::vector<std::string> others = {"cuda", "opencl", "reference", "vulkan"};
  EXPECT_EQ(matches("cpu", others), "cpu0 opencl0 vulkan1");  // every CPU but the oracle
  EXPECT_FALSE(parse_selector("cpu", others).picks[0].is_whole_plugin());
  EXPECT_TRUE(parse_selector("cpu", kPlugins).picks[0].is_whole_plugin());
}

TEST(Selector, AProjectPluginThatIsNotHereIsNoTypo) {
  const Selector selector = parse_selector("cuda:0,cpu", {"cpu"});
  ASSERT_EQ(selector.picks.size(), 2u);
  EXPECT_FALSE(selector.picks[0].installed);
  EXPECT_TRUE(selector.picks[1].installed);
}

struct Refusal {
  const char* selector;
  const char* words;
};
constexpr Refusal kRefusals[] = {
    {"", "empty"},
    {"  ", "empty"},
    {",", "extra comma"},
    {"cpu,", "extra comma"},
    {"cpu,,cuda", "extra comma"},
    {"cuad", "did you mean \"cuda\"?"},
    {"cudaa:0", "did you mean \"cuda\"?"},
    {"vulcan", "did you mean \"vulkan\"?"},
    {"CPU", "did you mean \"cpu\"?"},
    {"sofware", "did you mean \"software\"?"},
    {"atuo", "did you mean \"auto\"?"},
    {"quantum", "Plugins here: cpu, cuda, opencl, reference, vulkan, tpu"},
    {"cpu,quantum", "quantum"},
    {"cpu,!quantum", "no plugin and no kind"},
    {"!", "nothing to exclude"},
    {"!!cuda", "no plugin"},
    {"!auto", "every device"},
    {":0", "a name is missing"},
    {"cuda:", "after ':'"},
    {"cuda:x", "an index"},
    {"cuda:1x", "not a device index"},
    {"cuda:-1", "an index"},
    {"cuda:99999999999", "not a device index"},
    {"cuda:gpux", "did you mean \"gpu\"?"},
    {"cuda:0:1", "not a device index"},
    {"gpu:0", "cannot be followed"},
    {"auto:0", "no plugin"},
    {"id=", "value is missing"},
    {"name=", "value is missing"},
    {"cuda:name=", "value is missing"},
    {"nam=x", "did you mean \"name=\"?"},
    {"uuid=12", "there are id=, pci= and name="},
    {"pci=zz", "0000:65:00.0"},
    {"name=\033[31m", "control characters"},
};

TEST(Selector, RefusesWithWordsThatHelp) {
  for (const Refusal& r : kRefusals) {
    try {
      parse_selector(r.selector, kPlugins);
      ADD_FAILURE() << "accepted: " << r.selector;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), BP_E_INVALID_ARGUMENT) << r.selector;
      EXPECT_THAT(error.what(), ::testing::HasSubstr(r.words)) << r.selector;
    }
  }
}

TEST(Selector, RanksRealDevicesBeforeSoftwareAndOracles) {
  std::vector<int> ranks;
  for (const std::uint32_t kind :
       {BP_KIND_GPU, BP_KIND_INTEGRATED_GPU, BP_KIND_ACCELERATOR, BP_KIND_CPU, BP_KIND_OTHER}) {
    bp_device_info info{};
    info.kind = kind;
    ranks.push_back(device_rank(info));
  }
  bp_device_info software{};
  software.kind = BP_KIND_GPU;
  software.flags = BP_DEVICE_SOFTWARE;
  ranks.push_back(device_rank(software));
  software.flags |= BP_DEVICE_REFERENCE;
  ranks.push_back(device_rank(software));
  for (std::size_t i = 1; i < ranks.size(); ++i) EXPECT_LT(ranks[i - 1], ranks[i]) << i;
}

/// Any text gives terms or an Error with clean text, and says the same twice.
TEST(Selector, SurvivesRandomText) {
  std::mt19937 random(7);
  const std::vector<std::string> words = {
      "cpu", "cuda", "gpu", ":", ",",    "!",        "=",    "id=", "pci=", "name=",
      "*",   "0",    "99",  " ", "auto", "software", "\xff", "\n",  "?",    std::string(1, '\0')};
  int accepted = 0, refused = 0;
  for (int round = 0; round < 50000; ++round) {
    std::string text;
    for (unsigned i = 0, n = random() % 8; i < n; ++i) {
      text += random() % 4 == 0 ? std::string(1, static_cast<char>(random())) : words[random() % words.size()];
    }
    try {
      const Selector selector = parse_selector(text, kPlugins);
      ASSERT_FALSE(selector.picks.empty());
      matches(text);
      ++accepted;
    } catch (const Error& error) {
      ASSERT_TRUE(is_clean_text(error.what())) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(accepted, 1000);
  EXPECT_GT(refused, 1000);
  EXPECT_THROW(parse_selector(std::string(100000, 'a'), kPlugins), Error);
}

}  // namespace
}  // namespace backplane::host
