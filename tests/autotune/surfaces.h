// SPDX-License-Identifier: Apache-2.0
// Products whose times are known exactly, as records of tunings: what is learnt from some of them can be judged on
// others.
#pragma once

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "backplane/autotune/recorder.h"
#include "backplane/autotune/store.h"
#include "virtual_device.h"

namespace backplane::test {

using namespace autotune;

struct Shape {
  int64_t m, n, k;
};
using Surface = std::function<double(const Shape&, const std::string& variant)>;  // ns

inline constexpr const char* kDefault = "tile@bm=32,bn=32";
inline const std::vector<std::string> kVariants = {kDefault, "tile@bm=128,bn=128", "plain"};

inline host::KernelOp product(const Shape& s) {
  const Product p(s.m, s.n, s.k);
  return host::KernelOp::of(p.op);
}

inline std::vector<Shape> random_shapes(size_t count, uint64_t seed) {
  std::mt19937_64 engine(seed);
  std::uniform_real_distribution<double> log2(3, 10);
  const auto extent = [&] { return static_cast<int64_t>(std::exp2(log2(engine))); };
  std::vector<Shape> shapes;
  for (size_t i = 0; i < count; ++i) {
    const int64_t m = extent(), n = extent(), k = extent();  // one after the other: the seed decides all
    shapes.push_back({m, n, k});
  }
  return shapes;
}

inline Record record_of(const Shape& shape, const std::vector<std::string>& variants, const Surface& ns) {
  const host::KernelOp op = product(shape);
  Record record;
  record.key = op.with_op([](const bp_op& raw) { return Key::of(raw); });
  record.op = op_to_json(op);
  record.outcome.decided = true;
  for (const std::string& name : variants) {
    Candidate c;
    c.variant = name, c.is_default = name == variants.front(), c.verdict = Verdict::raced;
    const double time = ns(shape, name), ratio = std::log(time / ns(shape, variants.front()));
    c.times = {time, time, time, 20};
    c.log_ratio = {ratio, ratio - 0.01, ratio + 0.01};
    record.outcome.candidates.push_back(c);
  }
  return record;
}

inline std::vector<Record> records_of(const std::vector<Shape>& shapes, const Surface& ns) {
  std::vector<Record> records;
  for (const Shape& each : shapes) records.push_back(record_of(each, kVariants, ns));
  return records;
}

inline std::vector<host::Variant> offered(const std::vector<std::string>& names = kVariants) {
  std::vector<host::Variant> list;
  for (const std::string& name : names) {
    host::Variant v;
    v.name = name, v.flags = name == names.front() ? uint32_t{BP_VARIANT_DEFAULT} : 0;
    list.push_back(v);
  }
  return list;
}

/// Tiles that waste their edges, and a plain kernel without tiles that is slow at large work.
inline double tiled_ns(const Shape& s, const std::string& variant) {
  const auto up = [](int64_t n, int64_t tile) { return static_cast<double>((n + tile - 1) / tile * tile); };
  const auto k = static_cast<double>(s.k);
  if (variant == "plain") return 1000 + 0.08 * static_cast<double>(s.m * s.n) * k;
  if (variant == kDefault) return 2000 + 0.04 * up(s.m, 32) * up(s.n, 32) * k;
  return 4000 + 0.02 * up(s.m, 128) * up(s.n, 128) * k;
}

/// Every kernel any time: nothing can be learnt.
inline double random_ns(const Shape& s, const std::string& variant) {
  std::mt19937_64 engine(std::hash<std::string>()(variant) + static_cast<uint64_t>(s.m * 1'000'003 + s.n * 1009 + s.k));
  return 1e4 * std::exp(std::normal_distribution<double>(0, 0.3)(engine));
}

}  // namespace backplane::test
