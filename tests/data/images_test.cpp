// SPDX-License-Identifier: Apache-2.0
// Fashion-MNIST as installed, what is said when it is not, and the made-up images.
#include "backplane/data/images.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "backplane/file_error.h"
#include "temporary_directory.h"

namespace backplane::data {
namespace {

using testing::AllOf;
using testing::Each;
using testing::HasSubstr;
using tests::TemporaryDirectory;
using tests::write_file;

std::string idx_images(uint8_t n, uint8_t side) {
  return std::string{0, 0, 8, 3,
                     0, 0, 0, static_cast<char>(n),
                     0, 0, 0, static_cast<char>(side),
                     0, 0, 0, static_cast<char>(side)} +
         std::string(size_t{n} * side * side, '\7');
}
std::string idx_labels(uint8_t n, char label) {
  return std::string{0, 0, 8, 1, 0, 0, 0, static_cast<char>(n)} + std::string(n, label);
}

template <class Function>
std::string error_of(Function&& function) {
  try {
    function();
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

TEST(FashionMnist, TheInstalledFilesAreTheKnownDataSet) {
  const ImageData data = fashion_mnist("/usr/share/datasets/fashion-mnist");
  EXPECT_EQ(data.train.count, 60'000);
  EXPECT_EQ(data.test.count, 10'000);
  EXPECT_EQ(data.train.pixels.size(), size_t{60'000} * 28 * 28);
  EXPECT_EQ(data.class_names.size(), 10u);
  for (const ImageSet* set : {&data.train, &data.test}) {
    for (int label = 0; label < 10; ++label) {
      EXPECT_EQ(std::count(set->labels.begin(), set->labels.end(), label), set->count / 10) << "class " << label;
    }
  }
  // The figures everybody normalises Fashion-MNIST with.
  const PixelStatistics statistics = pixel_statistics(data.train);
  EXPECT_NEAR(statistics.mean, 0.2860, 5e-4);
  EXPECT_NEAR(statistics.stddev, 0.3530, 5e-4);
}

TEST(FashionMnist, MissingFilesNameThePackage) {
  const TemporaryDirectory empty;
  EXPECT_THAT(
      error_of([&] { fashion_mnist(empty.path()); }),
      AllOf(HasSubstr("[fashion-mnist]"), HasSubstr("train-images-idx3-ubyte"), HasSubstr(empty.path().string()),
            HasSubstr("dataset-fashion-mnist"), HasSubstr("BACKPLANE_DATA_DIR")));
}

TEST(FashionMnist, TheEnvironmentNamesTheDirectoryOrItsParent) {
  const TemporaryDirectory root;
  std::filesystem::create_directory(root / "fashion-mnist");
  for (const char* part : {"train", "t10k"}) {
    write_file(root / "fashion-mnist" / (std::string(part) + "-images-idx3-ubyte"), idx_images(2, 28));
    write_file(root / "fashion-mnist" / (std::string(part) + "-labels-idx1-ubyte"), idx_labels(2, 9));
  }
  for (const auto& directory : {root.path(), root / "fashion-mnist"}) {
    ASSERT_EQ(::setenv("BACKPLANE_DATA_DIR", directory.c_str(), 1), 0);
    EXPECT_EQ(fashion_mnist().train.count, 2);
  }
  const TemporaryDirectory empty;
  ASSERT_EQ(::setenv("BACKPLANE_DATA_DIR", (empty.path().string() + "::" + root.path().string()).c_str(), 1), 0);
  EXPECT_EQ(fashion_mnist().train.count, 2);
  ::unsetenv("BACKPLANE_DATA_DIR");
}

TEST(ReadImageSet, RefusesPairsThatDoNotFit) {
  const TemporaryDirectory directory;
  const auto images = directory / "images";
  const auto labels = directory / "labels";
  const auto attempt = [&] { return error_of([&] { read_image_set(images, labels, 10); }); };
  write_file(images, idx_images(3, 4));
  write_file(labels, idx_labels(3, 9));
  EXPECT_EQ(attempt(), "no error");
  write_file(labels, idx_labels(2, 9));
  EXPECT_THAT(attempt(), AllOf(HasSubstr("3 images but 2 labels"), HasSubstr(labels.string())));
  write_file(labels, idx_labels(3, 10));
  EXPECT_THAT(attempt(), HasSubstr("label 10 of image 0"));
  write_file(labels, idx_images(3, 4));
  EXPECT_THAT(attempt(), HasSubstr("labels must be u8 [n], not [3,4,4]"));
  write_file(images, idx_labels(3, 4));
  EXPECT_THAT(attempt(), HasSubstr("images must be u8"));
}

TEST(SyntheticImages, AreReproducibleAndSeparable) {
  const ImageSet set = synthetic_images(200, 5, 8, 6, 7);
  validate(set, "synthetic");
  EXPECT_EQ(set.pixels, synthetic_images(200, 5, 8, 6, 7).pixels);
  EXPECT_NE(set.pixels, synthetic_images(200, 5, 8, 6, 8).pixels);

  // Nearest class mean, the simplest of linear classifiers, gets every image right.
  const auto size = static_cast<size_t>(set.pixels_per_image());
  std::vector<double> mean(size * 5);
  for (size_t n = 0; n < 200; ++n) {
    for (size_t i = 0; i < size; ++i)
      mean[static_cast<size_t>(set.labels[n]) * size + i] += set.pixels[n * size + i] / 40.0;
  }
  for (size_t n = 0; n < 200; ++n) {
    double distance[5] = {};
    for (size_t c = 0; c < 5; ++c) {
      for (size_t i = 0; i < size; ++i) distance[c] += std::pow(set.pixels[n * size + i] - mean[c * size + i], 2);
    }
    EXPECT_EQ(std::min_element(distance, distance + 5) - distance, set.labels[n]);
  }
}

TEST(PixelStatistics, OfAConstantSetStayUsable) {
  ImageSet set{4, 1, 2, 2, 1, std::vector<uint8_t>(16, 51), std::vector<int32_t>(4, 0)};
  EXPECT_NEAR(pixel_statistics(set).mean, 0.2, 1e-6);
  EXPECT_EQ(pixel_statistics(set).stddev, 1.0f);
  EXPECT_EQ(pixel_statistics({}).stddev, 1.0f);
}

}  // namespace
}  // namespace backplane::data
