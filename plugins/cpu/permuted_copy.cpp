// SPDX-License-Identifier: Apache-2.0
// y = x where the two sides have different fastest dimensions: transposed tiles.
//
// The loops are ordered by y's strides. The last loop runs along y's unit stride; the plane of that loop and the one
// along which x has unit stride is cut into tiles, so that every cache line of either side is touched once.
#include <algorithm>
#include <bit>

#include "cpu_features.h"
#include "pointwise.h"
#include "threads.h"

namespace backplane::cpu {
namespace {

constexpr int64_t kTileRows = 64, kTileColumns = 64;

class PermutedCopy final : public Work {
 public:
  PermutedCopy(Space space, int plane, int log2) : space_(std::move(space)), plane_(plane), log2_(log2) {
    const int last = space_.rank - 1;
    for (int d = 0; d < last; ++d) {
      if (d != plane_) outer_.push_back(d);
    }
    row_tiles_ = (space_.extent[plane_] + kTileRows - 1) / kTileRows;
    column_tiles_ = (space_.extent[last] + kTileColumns - 1) / kTileColumns;
    tiles_ = row_tiles_ * column_tiles_;
    for (int d : outer_) tiles_ *= space_.extent[d];
    const int64_t bytes = space_.count << (log2_ + 1);
    grain_ = bytes < kParallelBytes ? tiles_ : std::max<int64_t>(1, tiles_ * (kParallelBytes / 4) / bytes);
  }
  void run(const Args& args) const override {
    parallel_ranges(tiles_, grain_, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) copy_tile(args.in[0], args.out[0], i);
    });
  }

 private:
  void copy_tile(const char* x, char* y, int64_t index) const {
    const int last = space_.rank - 1;
    const auto& sx = space_.strides[0];
    const auto& sy = space_.strides[1];
    const int64_t column = index % column_tiles_ * kTileColumns;
    index /= column_tiles_;
    const int64_t row = index % row_tiles_ * kTileRows;
    index /= row_tiles_;
    int64_t ox = column * sx[last] + row, oy = column + row * sy[plane_];
    for (size_t k = outer_.size(); k-- > 0;) {
      const int d = outer_[k];
      ox += index % space_.extent[d] * sx[d];
      oy += index % space_.extent[d] * sy[d];
      index /= space_.extent[d];
    }
    isa().transpose[log2_](y + oy * (int64_t{1} << log2_), sy[plane_], x + ox * (int64_t{1} << log2_), sx[last],
                           std::min(kTileRows, space_.extent[plane_] - row),
                           std::min(kTileColumns, space_.extent[last] - column));
  }

  Space space_;
  int plane_, log2_;
  std::vector<int> outer_;
  int64_t row_tiles_, column_tiles_, tiles_, grain_;
};

}  // namespace

WorkPtr make_permuted_copy(const bp_tensor_desc& x, const bp_tensor_desc& y) {
  if (x.dtype != y.dtype || x.dtype == BP_BOOL) return nullptr;
  Space space = collapse_space({x}, {y});
  const int last = space.rank - 1;
  if (space.count == 0 || space.rank < 2 || space.strides[1][last] != 1 || space.strides[0][last] == 1 ||
      space.strides[0][last] == 0 || space.extent[last] < 4) {
    return nullptr;
  }
  for (int d = 0; d < last; ++d) {
    if (space.strides[0][d] == 1 && space.extent[d] >= 4) {
      return std::make_shared<PermutedCopy>(std::move(space), d, std::countr_zero(sdk::dtype_size(x.dtype)));
    }
  }
  return nullptr;
}

}  // namespace backplane::cpu
