// SPDX-License-Identifier: Apache-2.0
// Where labelled images come from: IDX pairs, the Fashion-MNIST files among them, and a generator for work offline.
// Downloads nothing: the Debian package, or a directory the user names, supplies the files.
#include "backplane/data/images.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <sstream>
#include <stdexcept>

#include "backplane/data/idx.h"
#include "backplane/file_error.h"
#include "backplane/host/environment.h"

namespace backplane::data {
namespace {

constexpr const char* kFashionMnistDirectory = "/usr/share/datasets/fashion-mnist";
constexpr const char* kFashionMnistRemedy =
    "install it (apt-get install dataset-fashion-mnist) or set BACKPLANE_DATA_DIR to the directory of its four IDX "
    "files";

std::string shape_text(const std::vector<int64_t>& shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ",") + std::to_string(shape[i]);
  return text + "]";
}

/// `stem` or `stem`.gz in the first of `directories` that has it.
std::filesystem::path find_file(const std::vector<std::filesystem::path>& directories, const std::string& stem) {
  std::string looked;
  for (const auto& directory : directories) {
    for (const char* suffix : {".gz", ""}) {
      std::error_code ignored;  // "cannot be looked at" counts as absent; the message names the place
      const auto candidate = directory / (stem + suffix);
      if (std::filesystem::exists(candidate, ignored)) return candidate;
    }
    looked += (looked.empty() ? "" : ", ") + (directory / stem).string() + "[.gz]";
  }
  throw FileError("fashion-mnist", "a file of the data set is missing", looked, kFashionMnistRemedy);
}

std::vector<std::filesystem::path> fashion_mnist_directories(const std::filesystem::path& directory) {
  if (!directory.empty()) return {directory};
  std::vector<std::filesystem::path> directories;
  std::istringstream list(host::environment("BACKPLANE_DATA_DIR").value_or(""));
  for (std::string root; std::getline(list, root, ':');) {
    if (root.empty()) continue;
    directories.emplace_back(root);
    directories.emplace_back(std::filesystem::path(root) / "fashion-mnist");
  }
  directories.emplace_back(kFashionMnistDirectory);
  return directories;
}

}  // namespace

void validate(const ImageSet& set, const std::string& name) {
  const auto fail = [&](const std::string& what) { throw std::invalid_argument("[data] " + what + " / " + name); };
  if (set.count < 0 || set.channels < 1 || set.height < 1 || set.width < 1 || set.classes < 1) {
    fail("an image set needs positive extents and classes");
  }
  const auto per_image =
      static_cast<uint64_t>(set.channels) * static_cast<uint64_t>(set.height) * static_cast<uint64_t>(set.width);
  if (set.pixels.size() != static_cast<uint64_t>(set.count) * per_image) {
    fail(std::to_string(set.pixels.size()) + " pixels do not make " + std::to_string(set.count) + " images of " +
         shape_text({set.channels, set.height, set.width}));
  }
  if (set.labels.size() != static_cast<size_t>(set.count)) {
    fail(std::to_string(set.count) + " images but " + std::to_string(set.labels.size()) + " labels");
  }
  for (size_t i = 0; i < set.labels.size(); ++i) {
    if (set.labels[i] < 0 || set.labels[i] >= set.classes) {
      fail("label " + std::to_string(set.labels[i]) + " of image " + std::to_string(i) + " is not one of " +
           std::to_string(set.classes) + " classes");
    }
  }
}

ImageSet read_image_set(const std::filesystem::path& images, const std::filesystem::path& labels, int32_t classes) {
  const IdxArray pixels = read_idx(images);
  const IdxArray classes_of = read_idx(labels);
  const std::string both = images.string() + " and " + labels.string();
  const auto fail = [&](const std::string& what) {
    throw FileError("data", what, both, "name the images and the labels of one data set");
  };
  if (pixels.type != IdxType::u8 || pixels.shape.size() != 3) {
    fail("images must be u8 [n,height,width], not " + shape_text(pixels.shape));
  }
  if (classes_of.type != IdxType::u8 || classes_of.shape.size() != 1) {
    fail("labels must be u8 [n], not " + shape_text(classes_of.shape));
  }
  ImageSet set;
  set.count = pixels.shape[0];
  set.height = pixels.shape[1];
  set.width = pixels.shape[2];
  set.classes = classes;
  set.pixels.resize(pixels.bytes.size());
  if (!pixels.bytes.empty()) std::memcpy(set.pixels.data(), pixels.bytes.data(), pixels.bytes.size());
  for (std::byte label : classes_of.bytes) set.labels.push_back(std::to_integer<int32_t>(label));
  try {
    validate(set, both);
  } catch (const std::invalid_argument& error) {
    fail(error.what());
  }
  return set;
}

ImageData fashion_mnist(const std::filesystem::path& directory) {
  const auto directories = fashion_mnist_directories(directory);
  const auto part = [&](const std::string& prefix) {
    const auto images = find_file(directories, prefix + "-images-idx3-ubyte");
    const auto labels = find_file(directories, prefix + "-labels-idx1-ubyte");
    ImageSet set = read_image_set(images, labels, 10);
    if (set.height != 28 || set.width != 28) {
      throw FileError("fashion-mnist", "images are not 28 x 28", images.string(), kFashionMnistRemedy);
    }
    return set;
  };
  return {part("train"),
          part("t10k"),
          {"T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot"}};
}

ImageSet synthetic_images(int64_t count, int32_t classes, int64_t height, int64_t width, uint64_t seed, double noise) {
  if (count < 0 || classes < 1 || height < 1 || width < 1 || !(noise >= 0)) {
    throw std::invalid_argument("[data] synthetic_images needs positive extents and classes and noise >= 0");
  }
  // Only the raw words of mt19937_64 are used: the distributions of <random> differ between standard libraries.
  std::mt19937_64 words(seed);
  const auto uniform = [&] { return static_cast<double>(words() >> 11) * 0x1p-53; };
  const auto per_image = static_cast<size_t>(height * width);

  std::vector<double> patterns(per_image * static_cast<size_t>(classes));
  for (double& level : patterns) level = 64.0 + 128.0 * uniform();

  ImageSet set{count, 1, height, width, classes, {}, {}};
  set.pixels.resize(per_image * static_cast<size_t>(count));
  set.labels.resize(static_cast<size_t>(count));
  const double spread = noise * std::sqrt(12.0);  // a uniform of width w has standard deviation w / sqrt(12)
  for (size_t n = 0; n < set.labels.size(); ++n) {
    set.labels[n] = static_cast<int32_t>(n % static_cast<size_t>(classes));
    const double* pattern = patterns.data() + per_image * static_cast<size_t>(set.labels[n]);
    for (size_t i = 0; i < per_image; ++i) {
      const double level = pattern[i] + spread * (uniform() - 0.5);
      set.pixels[n * per_image + i] = static_cast<uint8_t>(std::clamp(level + 0.5, 0.0, 255.0));
    }
  }
  return set;
}

PixelStatistics pixel_statistics(const ImageSet& set) {
  if (set.pixels.empty()) return {};
  uint64_t histogram[256] = {};
  for (uint8_t pixel : set.pixels) ++histogram[pixel];
  double sum = 0;
  double squares = 0;
  for (int level = 0; level < 256; ++level) {
    const double value = level / 255.0;
    sum += value * static_cast<double>(histogram[level]);
    squares += value * value * static_cast<double>(histogram[level]);
  }
  const auto n = static_cast<double>(set.pixels.size());
  const double mean = sum / n;
  const double variance = std::max(squares / n - mean * mean, 0.0);
  // A constant image has nothing to scale: 1 keeps the values finite.
  return {static_cast<float>(mean), variance > 1e-12 ? static_cast<float>(std::sqrt(variance)) : 1.0f};
}

}  // namespace backplane::data
