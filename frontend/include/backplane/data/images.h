// SPDX-License-Identifier: Apache-2.0
// Labelled images in host memory, and where to get them: Fashion-MNIST from its Debian package, or made up.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace backplane::data {

/// `pixels` is u8 [count, channels, height, width], row-major; `labels` holds `count` classes in [0, classes).
struct ImageSet {
  int64_t count = 0;
  int64_t channels = 1;
  int64_t height = 0;
  int64_t width = 0;
  int32_t classes = 0;
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;

  int64_t pixels_per_image() const { return channels * height * width; }
};

/// Throws std::invalid_argument unless sizes and labels fit together. `name` is for the message.
void validate(const ImageSet& set, const std::string& name);

struct ImageData {
  ImageSet train;
  ImageSet test;
  std::vector<std::string> class_names;
};

/// Fashion-MNIST: 60,000 + 10,000 grey images of 28 x 28, 10 classes (Xiao, Rasul and Vollgraf, arXiv:1708.07747).
/// Looks in `directory`; when that is empty, in each directory D of BACKPLANE_DATA_DIR (separated by ':') and in
/// D/fashion-mnist, then in /usr/share/datasets/fashion-mnist. Files may be gzip-compressed or plain. Throws FileError.
ImageData fashion_mnist(const std::filesystem::path& directory = {});

/// Images and labels from one pair of IDX files. Throws FileError.
ImageSet read_image_set(const std::filesystem::path& images, const std::filesystem::path& labels, int32_t classes);

/// Images that even a linear classifier tells apart: one random pattern per class, plus noise of standard deviation
/// `noise` grey levels. The same arguments give the same images on every machine. Classes are dealt out in turn.
ImageSet synthetic_images(int64_t count, int32_t classes, int64_t height, int64_t width, uint64_t seed,
                          double noise = 32.0);

/// Mean and standard deviation of pixels scaled to [0, 1]: what to give to BatchOptions.
struct PixelStatistics {
  float mean = 0.0f;
  float stddev = 1.0f;
};
PixelStatistics pixel_statistics(const ImageSet& set);

}  // namespace backplane::data
