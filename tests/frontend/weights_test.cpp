// SPDX-License-Identifier: Apache-2.0
// Weights: how they begin, and how they go into files and come back.
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "backplane/file_error.h"
#include "backplane/graph/ops.h"
#include "backplane/host_random.h"
#include "backplane/io/safetensors.h"
#include "backplane/nn.h"
#include "frontend/support.h"

namespace backplane::tests {
namespace {

struct Net : nn::Module {
  nn::Linear first{2, 3};
  std::vector<nn::Linear> list{nn::Linear(3, 2), nn::Linear(2, 1)};
  nn::BatchNorm2d norm{3};
  BP_FIELDS(first, list, norm)
};

TEST(Init, OneSeedGivesTheSameBits) {
  manual_seed(11);
  const auto a = values(nn::init::he_normal({20, 30})), b = values(nn::init::xavier_uniform({20, 30}));
  manual_seed(11);
  EXPECT_EQ(values(nn::init::he_normal({20, 30})), a);
  EXPECT_EQ(values(nn::init::xavier_uniform({20, 30})), b);
  manual_seed(12);
  EXPECT_NE(values(nn::init::he_normal({20, 30})), a);
}

TEST(Init, HostDrawsAreTheDevicesDraws) {
  const HostRandomKey key = {123, 456, 789, 0x80000001u};
  std::vector<float> host(1001);
  host_uniform(key, host);
  std::vector<int32_t> words(key.begin(), key.end());
  const graph::AttrArg attrs[] = {{"shape", std::vector<int64_t>{1001}}};
  const Tensor inputs[] = {Tensor::from(words, {4})};
  EXPECT_EQ(values(apply(graph::op::random_uniform, attrs, inputs)[0]), host);
}

TEST(Init, HasTheVariancesOfThePapers) {
  struct Case {
    Tensor x;
    double variance;
  };
  const Case cases[] = {{nn::init::xavier_uniform({200, 300}), 2.0 / 500},
                        {nn::init::xavier_normal({200, 300}), 2.0 / 500},
                        {nn::init::he_uniform({200, 300}), 2.0 / 200},
                        {nn::init::he_normal({64, 32, 5, 5}), 2.0 / (32 * 25)},
                        {nn::init::normal({60000}, 0, 0.5), 0.25}};
  for (const Case& each : cases) {
    double sum = 0, squares = 0;
    const auto v = each.x.to_vector<double>();
    for (const double e : v) {
      sum += e;
      squares += e * e;
    }
    const auto n = static_cast<double>(v.size());
    EXPECT_NEAR(squares / n / each.variance, 1, 0.03) << each.x.type().to_string();
    EXPECT_NEAR(sum / n, 0, 5 * std::sqrt(each.variance / n));
  }
  EXPECT_EQ(nn::init::fans({64, 32, 5, 5}).in, 32 * 25);
  EXPECT_EQ(nn::init::fans({64, 32, 5, 5}).out, 64 * 25);
  EXPECT_THAT(message_of([] { nn::init::he_normal({3}); }), HasSubstr("[3]"));
}

class Checkpoint : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = std::filesystem::temp_directory_path() / ("backplane-nn-" + std::to_string(getpid()));
    std::filesystem::create_directories(directory_);
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::filesystem::path file(const std::string& name = "w.safetensors") const { return directory_ / name; }
  std::filesystem::path directory_;
};

TEST_F(Checkpoint, BringsEveryBitBack) {
  Net saved, loaded;
  saved.norm.running_mean.assign(Tensor::from({1, 2, 3}, {3}));
  nn::save(file(), saved, {{"model", "net"}});
  EXPECT_EQ(nn::load(file(), loaded).at("model"), "net");
  const auto a = nn::named_variables(saved), b = nn::named_variables(loaded);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(values(a[i].variable), values(b[i].variable)) << a[i].name;
}

TEST_F(Checkpoint, AWrongShapeNamesTheVariableAndBothTypesAndChangesNothing) {
  struct Two : nn::Module {
    nn::Linear a, b;
    Two(int64_t width) : a(2, 2), b(2, width) {}
    BP_FIELDS(a, b)
  };
  Two small(3), large(4);
  nn::save(file(), small);
  const auto before = values(large.a.weight);
  const std::string text = message_of([&] { nn::load(file(), large); });
  EXPECT_THAT(text, HasSubstr("'b.weight'"));
  EXPECT_THAT(text, HasSubstr("f32[2,3]"));
  EXPECT_THAT(text, HasSubstr("f32[2,4]"));
  EXPECT_EQ(values(large.a.weight), before);
}

TEST_F(Checkpoint, AWrongDtypeAMissingAndASpareNameAreErrors) {
  nn::Linear layer(2, 2);
  nn::save(file(), layer);
  io::TensorFile content = io::read_safetensors(file());
  io::TensorFile half = content;
  half.tensors["bias"].dtype = BP_I32;
  io::write_safetensors(file("dtype"), half);
  EXPECT_THAT(message_of([&] { nn::load(file("dtype"), layer); }),
              ::testing::AllOf(HasSubstr("i32[2]"), HasSubstr("f32[2]")));
  io::TensorFile missing = content;
  missing.tensors.erase("bias");
  io::write_safetensors(file("missing"), missing);
  EXPECT_THAT(message_of([&] { nn::load(file("missing"), layer); }), HasSubstr("'bias'"));
  content.tensors["extra"] = content.tensors["bias"];
  io::write_safetensors(file("extra"), content);
  EXPECT_THAT(message_of([&] { nn::load(file("extra"), layer); }), HasSubstr("'extra'"));
}

TEST_F(Checkpoint, ADamagedFileIsAFileError) {
  std::ofstream(file()) << "not a safetensors file at all";
  nn::Linear layer(2, 2);
  EXPECT_THROW(nn::load(file(), layer), FileError);
  EXPECT_THROW(nn::load(file("absent"), layer), FileError);
}

}  // namespace
}  // namespace backplane::tests
