// SPDX-License-Identifier: Apache-2.0
// Attention and its gradient by loops over what cuDNN's descriptors say, with a band that the scores may go through.
#include <algorithm>
#include <cmath>

#include "cudnn_image.h"

namespace emulator::dnn {
namespace {

/// Attributes of an operation: forward, or backward.
struct Parts {
  int q, k, v, o, lse, scale, scores;
};
Parts parts_of(const Descriptor& operation) {
  if (operation.kind == 41) return {2800, 2801, 2802, 2803, 2804, 2805, 2811};
  return {2851, 2852, 2853, 2854, 2855, 2856, 2867};
}
const Descriptor* band_of(const Descriptor& operation) {
  const int scores = parts_of(operation).scores;
  return operation.values.count(scores) != 0 ? &operation.part(scores).part(801) : nullptr;
}

template <class T>
T value_of(const Descriptor& tensor, const Memory& memory) {
  T value;
  std::memcpy(&value, memory.at(tensor.one<int64_t>(906)), sizeof(value));
  return value;
}

/// One query's row of probabilities, and what makes it.
struct Attention {
  Image q, k, v;
  double scale = 1, hidden = 0;
  bool causal = false;
  int64_t shift = 0;

  Attention(const Descriptor& op, const Memory& memory)
      : q(op.part(parts_of(op).q), memory), k(op.part(parts_of(op).k), memory), v(op.part(parts_of(op).v), memory) {
    const Parts at = parts_of(op);
    if (op.values.count(at.scale) != 0) scale = static_cast<double>(value_of<float>(op.part(at.scale), memory));
    if (const Descriptor* band = band_of(op)) {
      causal = true;
      shift = value_of<int32_t>(band->part(3004), memory);
      hidden = static_cast<double>(value_of<float>(band->part(3005), memory));
    }
  }
  int64_t heads_per_key() const { return q.extents[1] / k.extents[1]; }
  static double& element(Image& image, int64_t b, int64_t h, int64_t row, int64_t column) {
    const int64_t at[] = {0, row, column};
    return image.at(b, h, at);
  }
  std::vector<double> scores(int64_t b, int64_t h, int64_t i) {
    std::vector<double> s(static_cast<size_t>(k.extents[3]), 0);
    for (int64_t j = 0; j < k.extents[3]; ++j) {
      double sum = 0;
      for (int64_t d = 0; d < q.extents[4]; ++d) sum += element(q, b, h, i, d) * element(k, b, h / heads_per_key(), j, d);
      s[static_cast<size_t>(j)] = causal && i + shift < j ? hidden : scale * sum;
    }
    return s;
  }
};

double log_sum(const std::vector<double>& scores) {
  double most = -INFINITY, sum = 0;
  for (const double s : scores) most = std::max(most, s);
  for (const double s : scores) sum += std::exp(s - most);
  return most + std::log(sum);
}

void forward(const Descriptor& op, const Memory& memory) {
  Attention a(op, memory);
  Image o(op.part(2803), memory);
  for (int64_t b = 0; b < a.q.extents[0]; ++b) {
    for (int64_t h = 0; h < a.q.extents[1]; ++h) {
      for (int64_t i = 0; i < a.q.extents[3]; ++i) {
        const std::vector<double> s = a.scores(b, h, i);
        const double lse = log_sum(s);
        for (int64_t d = 0; d < o.extents[4]; ++d) {
          double sum = 0;
          for (int64_t j = 0; j < a.k.extents[3]; ++j) {
            const double p = std::exp(s[static_cast<size_t>(j)] - lse);
            if (p != 0) sum += p * Attention::element(a.v, b, h / a.heads_per_key(), j, d);
          }
          Attention::element(o, b, h, i, d) = sum;
        }
        if (op.values.count(2804) != 0) {
          const Descriptor& stats = op.part(2804);
          const Shape shape(stats);
          const int64_t at = b * shape.strides[0] + h * shape.strides[1] + i * shape.strides[2];
          store(element(stats), memory.at(stats.one<int64_t>(906)), at, lse);
        }
      }
    }
  }
  o.store();
}

void backward(const Descriptor& op, const Memory& memory) {
  Attention a(op, memory);
  Image o(op.part(2854), memory), lse(op.part(2855), memory), gradient(op.part(2862), memory);
  Image dq(op.part(2859), memory), dk(op.part(2860), memory), dv(op.part(2861), memory);
  for (Image* each : {&dq, &dk, &dv}) std::fill(each->elements.begin(), each->elements.end(), 0);
  const auto element = Attention::element;
  for (int64_t b = 0; b < a.q.extents[0]; ++b) {
    for (int64_t h = 0; h < a.q.extents[1]; ++h) {
      const int64_t key_head = h / a.heads_per_key();
      for (int64_t i = 0; i < a.q.extents[3]; ++i) {
        const std::vector<double> s = a.scores(b, h, i);
        double seen = 0;  // of the output's gradient in the output
        for (int64_t d = 0; d < o.extents[4]; ++d) seen += element(gradient, b, h, i, d) * element(o, b, h, i, d);
        for (int64_t j = 0; j < a.k.extents[3]; ++j) {
          const double p = std::exp(s[static_cast<size_t>(j)] - element(lse, b, h, i, 0));
          if (p == 0) continue;
          double dp = 0;
          for (int64_t d = 0; d < o.extents[4]; ++d) {
            dp += element(gradient, b, h, i, d) * element(a.v, b, key_head, j, d);
            element(dv, b, key_head, j, d) += p * element(gradient, b, h, i, d);
          }
          const double ds = p * (dp - seen) * a.scale;
          for (int64_t d = 0; d < a.q.extents[4]; ++d) {
            element(dq, b, h, i, d) += ds * element(a.k, b, key_head, j, d);
            element(dk, b, key_head, j, d) += ds * element(a.q, b, h, i, d);
          }
        }
      }
    }
  }
  for (Image* each : {&dq, &dk, &dv}) each->store();
}

}  // namespace

void attend(const Descriptor& operation, const Memory& memory) {
  if (operation.kind == 41) forward(operation, memory);
  else backward(operation, memory);
}

std::vector<int64_t> values_of(const Descriptor& operation) {
  std::vector<int64_t> uids;
  if (!is_attention(operation)) return uids;
  const auto add = [&](const Descriptor& tensor) {
    if (tensor.one<char>(908) != 0) uids.push_back(tensor.one<int64_t>(906));
  };
  if (operation.values.count(parts_of(operation).scale) != 0) add(operation.part(parts_of(operation).scale));
  if (const Descriptor* band = band_of(operation)) add(band->part(3004)), add(band->part(3005));
  return uids;
}

std::string wrong_attention(const Descriptor& op) {
  const Parts at = parts_of(op);
  const Shape q(op.part(at.q)), k(op.part(at.k)), v(op.part(at.v)), o(op.part(at.o));
  const std::vector<int64_t>& e = q.extents;
  if (k.extents[3] != e[3] || v.extents[2] != k.extents[2] || e[1] % k.extents[1] != 0) return "keys do not fit queries";
  if (o.extents != std::vector<int64_t>{e[0], e[1], e[2], v.extents[3]}) return "the output's extents do not fit";
  if (op.values.count(at.lse) != 0 && Shape(op.part(at.lse)).extents != std::vector<int64_t>{e[0], e[1], e[2], 1}) {
    return "the logarithms' extents do not fit";
  }
  const Descriptor* band = band_of(op);
  if (band == nullptr) return "";
  const Descriptor &in = band->part(3000), &out = band->part(3006);
  if (in.one<char>(907) == 0 || out.one<char>(907) == 0 || band->one<int>(3007) != 303) return "the band is none of virtual scores";
  if (Shape(in).extents != std::vector<int64_t>{e[0], e[1], e[2], k.extents[2]}) return "the scores' extents do not fit";
  if (op.one<int64_t>(at.scores + 1) != in.one<int64_t>(906) || op.one<int64_t>(at.scores + 2) != out.one<int64_t>(906)) {
    return "the scores' way in or out is another tensor";
  }
  return "";
}

}  // namespace emulator::dnn
