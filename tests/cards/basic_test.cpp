// SPDX-License-Identifier: Apache-2.0
// REDUCE, MATMUL, GATHER and SCATTER_ADD in every layout, dtype and variant.
#include <gtest/gtest.h>

#include <cmath>

#include "cards/compare.h"

namespace card_test {
namespace {

using Shape = std::vector<int64_t>;
using Reduce = CardTest;
using Matmul = CardTest;
using Gather = CardTest;
using ScatterAdd = CardTest;

Case reduce(uint32_t kind, uint32_t dtype, const Shape& shape, uint32_t axes, bp_reduce_attrs& attrs,
            Lay lay = Lay::dense) {
  Case c;
  c.name = "reduce kind " + std::to_string(kind) + " dtype " + std::to_string(dtype) + " axes " + std::to_string(axes) +
           " lay " + std::to_string(int(lay));
  c.code = BP_OP_REDUCE;
  attrs = {sizeof(attrs), kind, axes, 0};
  c.attrs = &attrs;
  Shape result = shape;
  double terms = 1;
  for (size_t i = 0; i < shape.size(); ++i) {
    if ((axes >> i & 1u) != 0) terms *= static_cast<double>(shape[i]), result[i] = 1;
  }
  c.in = {lay_out(dtype, shape, lay)};
  c.out = {lay_out(kind >= BP_REDUCE_ARGMAX ? uint32_t{BP_I32} : dtype, result)};
  c.bound.linear = kind == BP_REDUCE_SUM;
  c.bound.terms = kind == BP_REDUCE_SUM || kind == BP_REDUCE_PROD ? terms : 0;
  c.bound.exact = kind == BP_REDUCE_MAX || kind == BP_REDUCE_MIN;
  if (kind == BP_REDUCE_PROD) c.low = 0.9, c.high = 1.1, c.bound.weight = terms;
  return c;
}

TEST_F(Reduce, EverySetOfAxes) {
  bp_reduce_attrs attrs;
  for (const Shape& shape : {Shape{37}, Shape{100, 33}, Shape{6, 70, 40}, Shape{3, 4, 5, 6}, Shape{2, 1100, 3}}) {
    for (uint32_t axes = 0; axes < (1u << shape.size()); ++axes) {
      for (Lay lay :
           {Lay::dense, Lay::permuted, Lay::reversed, Lay::stepped, Lay::broadcast_first, Lay::broadcast_last}) {
        for (uint32_t kind = BP_REDUCE_SUM; kind <= BP_REDUCE_ARGMIN; ++kind) {
          compare(reduce(kind, BP_F32, shape, axes, attrs, lay));
        }
      }
    }
  }
}
TEST_F(Reduce, EveryDtype) {
  bp_reduce_attrs attrs;
  for (uint32_t dtype : {BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64}) {
    for (uint32_t kind = BP_REDUCE_SUM; kind <= BP_REDUCE_ARGMIN; ++kind) {
      if (kind == BP_REDUCE_PROD && dtype >= BP_F16 && dtype <= BP_BF16) continue;
      compare(reduce(kind, dtype, {50, 60}, 1, attrs));
      compare(reduce(kind, dtype, {50, 60}, 2, attrs));
      compare(reduce(kind, dtype, {50, 60}, 3, attrs, Lay::permuted));
    }
  }
}
TEST_F(Reduce, LargeSumsKeepTheirDigits) {
  bp_reduce_attrs attrs;
  for (uint32_t axes : {1u, 2u, 3u}) {
    Case c = reduce(BP_REDUCE_SUM, BP_F32, {3000, 1001}, axes, attrs);
    c.low = 0, c.high = 1;  // no cancellation: the error is relative
    compare(c);
    compare(reduce(BP_REDUCE_ARGMAX, BP_F32, {3000, 1001}, axes, attrs));
  }
  compare(reduce(BP_REDUCE_SUM, BP_F32, {100000, 7}, 1, attrs));
  compare(reduce(BP_REDUCE_SUM, BP_F32, {7, 100000}, 2, attrs));
  compare(reduce(BP_REDUCE_MAX, BP_F32, {1 << 20}, 1, attrs));
}
TEST_F(Reduce, NothingAndNan) {
  bp_reduce_attrs attrs;
  for (uint32_t kind = BP_REDUCE_SUM; kind <= BP_REDUCE_PROD; ++kind) {
    compare(reduce(kind, BP_F32, {4, 0, 3}, 2, attrs));
    compare(reduce(kind, BP_I32, {4, 0, 3}, 2, attrs));
    compare(reduce(kind, BP_F32, {0, 5}, 2, attrs));
    Case c = reduce(kind, BP_F32, {20, 90}, 2, attrs);
    c.value = [](size_t, int64_t e) { return e % 181 == 77 ? NAN : double(e % 13) - 6; };
    c.bound.linear = false;
    compare(c);
  }
  for (uint32_t kind : {BP_REDUCE_ARGMAX, BP_REDUCE_ARGMIN}) {
    Case c = reduce(kind, BP_F32, {20, 90}, 2, attrs);
    c.value = [](size_t, int64_t e) { return e % 181 == 77 ? NAN : double(e % 13); };  // ties and NaN
    compare(c);
  }
}
TEST_F(Reduce, Epilogue) {
  bp_reduce_attrs attrs;
  Case c = reduce(BP_REDUCE_SUM, BP_F32, {60, 300}, 2, attrs);
  c.in.push_back(lay_out(BP_F32, {60, 1}));
  c.has_program = true;
  c.program = {{constant(BP_F32, 1.0 / 300), instr(BP_S_MUL, BP_F32, 0, 2), instr(BP_S_ADD, BP_F32, 3, 1)}, 2, {4}};
  compare(c);
}

Case matmul(uint32_t dtype, const Shape& batch, int64_t m, int64_t n, int64_t k, Lay a = Lay::dense, Lay b = Lay::dense,
            Lay out = Lay::dense) {
  Case c;
  c.code = BP_OP_MATMUL;
  c.name = "matmul dtype " + std::to_string(dtype) + " " + std::to_string(m) + "x" + std::to_string(n) + "x" +
           std::to_string(k) + " lay " + std::to_string(int(a)) + std::to_string(int(b)) + std::to_string(int(out)) +
           " batch " + std::to_string(batch.size());
  Shape sa = batch, sb = batch, sc = batch;
  sa.insert(sa.end(), {m, k}), sb.insert(sb.end(), {k, n}), sc.insert(sc.end(), {m, n});
  c.in = {lay_out(dtype, sa, a), lay_out(dtype, sb, b)};
  c.out = {lay_out(dtype, sc, out)};
  c.bound.linear = true;
  c.bound.terms = static_cast<double>(k);
  return c;
}
struct Size {
  int64_t m, n, k;
};
const Size kSizes[] = {{1, 1, 1},      {1, 7, 5},       {5, 1, 9},     {3, 5, 0},      {12, 64, 16},
                       {13, 65, 17},   {1, 300, 400},   {300, 1, 400}, {130, 33, 400}, {64, 64, 64},
                       {100, 10, 256}, {200, 190, 500}, {0, 4, 4}};

TEST_F(Matmul, ShapesAndLayouts) {
  for (const Size& s : kSizes) {
    for (Lay a : {Lay::dense, Lay::permuted}) {
      for (Lay b : {Lay::dense, Lay::permuted}) compare(matmul(BP_F32, {}, s.m, s.n, s.k, a, b));
    }
    compare(matmul(BP_F32, {}, s.m, s.n, s.k, Lay::padded, Lay::padded));
    compare(matmul(BP_F32, {}, s.m, s.n, s.k, Lay::stepped, Lay::reversed));
    compare(matmul(BP_F32, {}, s.m, s.n, s.k, Lay::dense, Lay::dense, Lay::permuted));
    compare(matmul(BP_F32, {}, s.m, s.n, s.k, Lay::broadcast_first, Lay::broadcast_last, Lay::padded));
    compare(matmul(BP_F32, {}, s.m, s.n, s.k, Lay::broadcast_last, Lay::scalar, Lay::stepped));
  }
}
TEST_F(Matmul, Batches) {
  for (const Shape& batch : {Shape{3}, Shape{2, 3}, Shape{1, 5, 2}, Shape{0}}) {
    for (Lay b : {Lay::dense, Lay::permuted, Lay::broadcast_first}) {
      compare(matmul(BP_F32, batch, 17, 33, 20, Lay::dense, b));
      compare(matmul(BP_F32, batch, 90, 70, 150, b, Lay::dense));
    }
  }
}
TEST_F(Matmul, ManySmallOnes) {
  compare(matmul(BP_F32, {100}, 4, 4, 4));
  compare(matmul(BP_F32, {9, 10}, 5, 7, 6, Lay::permuted, Lay::permuted));
  compare(matmul(BP_F32, {70}, 11, 8, 64, Lay::dense, Lay::broadcast_first));
  compare(matmul(BP_F64, {70}, 1, 16, 3, Lay::padded, Lay::padded, Lay::permuted));
  compare(matmul(BP_BF16, {64}, 16, 13, 9));
  Case c = matmul(BP_F32, {80}, 3, 5, 20);  // an epilogue that differs between the products
  c.in.push_back(lay_out(BP_F32, {80, 3, 5}));
  c.has_program = true;
  c.program = {{instr(BP_S_ADD, BP_F32, 0, 1)}, 2, {2}};
  c.bound.floor = 1;
  compare(c);
}
TEST_F(Matmul, EveryDtype) {
  for (uint32_t dtype : {BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64}) {
    for (const Size& s : kSizes) {
      compare(matmul(dtype, {}, s.m, s.n, s.k));
      compare(matmul(dtype, {2}, s.m, s.n, s.k, Lay::permuted, Lay::permuted));
    }
  }
}
/// Where they are multiplied at all, in the layouts that libraries take and in others, with what scales and narrows them.
TEST_F(Matmul, EightBitFloats) {
  for (uint32_t dtype : {BP_F8_E4M3, BP_F8_E5M2}) {
    for (const Size& s : {Size{64, 48, 32}, Size{16, 80, 144}, Size{33, 17, 50}, Size{1, 40, 7}}) {
      for (Lay b : {Lay::permuted, Lay::dense}) {
        Case plain = matmul(dtype, {}, s.m, s.n, s.k, Lay::dense, b);
        plain.out[0].dtype = BP_F32;
        compare(plain);
        Case narrowed = plain;
        narrowed.out[0].dtype = BP_BF16;
        narrowed.in.push_back(lay_out(BP_F32, {s.m, s.n}, Lay::scalar));
        narrowed.has_program = true;
        narrowed.program = {{instr(BP_S_MUL, BP_F32, 0, 1), instr(BP_S_CAST, BP_BF16, 2)}, 2, {3}};
        compare(narrowed);
        Case fused = plain;
        fused.out[0].dtype = BP_F16;
        fused.has_program = true;
        fused.program = {{constant(BP_F32, 0.25), instr(BP_S_MUL, BP_F32, 0, 1), instr(BP_S_CAST, BP_F16, 2)}, 1, {3}};
        compare(fused);
      }
    }
    Case batched = matmul(dtype, {3}, 32, 16, 48, Lay::dense, Lay::permuted);
    batched.out[0].dtype = BP_F32;
    compare(batched);
  }
}
TEST_F(Matmul, Epilogues) {
  for (uint32_t dtype : {BP_F32, BP_F64, BP_BF16}) {
    const uint32_t value = dtype == BP_F64 ? uint32_t{BP_F64} : uint32_t{BP_F32};
    for (const Size& s : kSizes) {
      // bias and relu
      Case c = matmul(dtype, {}, s.m, s.n, s.k);
      c.in.push_back(lay_out(value, {s.m, s.n}, Lay::broadcast_first));
      c.has_program = true;
      c.program = {{instr(BP_S_ADD, value, 0, 1), constant(value, 0), instr(BP_S_MAX, value, 2, 3)}, 2, {4}};
      if (dtype == BP_BF16) c.program.instrs.push_back(instr(BP_S_CAST, BP_BF16, 4)), c.program.outputs = {5};
      c.bound.floor = 1;
      compare(c);
      // residual in place of one's own extra input, scaled
      Case r = matmul(dtype, {}, s.m, s.n, s.k);
      if (dtype == BP_BF16) continue;
      r.in.push_back(lay_out(value, {s.m, s.n}));
      r.has_program = true;
      r.program = {{instr(BP_S_ADD, value, 0, 1), instr(BP_S_TANH, value, 2)}, 2, {3}};
      // The sum's magnitude, before tanh squeezes it.
      r.bound.floor = 1 + 0.25 * static_cast<double>(s.k), r.bound.linear = false;
      compare(r);
    }
  }
}

TEST_F(Gather, EveryLayoutDtypeAndIndex) {
  for (uint32_t dtype : {BP_F32, BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64, BP_BOOL, BP_F8_E4M3, BP_F8_E5M2}) {
    for (uint32_t index : {BP_I32, BP_I64}) {
      for (Lay lay : {Lay::dense, Lay::permuted, Lay::stepped, Lay::reversed}) {
        for (Lay out : {Lay::dense, Lay::padded, Lay::permuted}) {
          for (int64_t inner : {1, 5, 300}) {
            Case c;
            c.name = "gather";
            c.code = BP_OP_GATHER;
            c.in = {lay_out(dtype, {3, 11, inner}, lay), lay_out(index, {40}, lay)};
            c.out = {lay_out(dtype, {3, 40, inner}, out)};
            c.bound.exact = true;
            c.value = [](size_t i, int64_t e) { return i == 1 ? double(e * 7 % 14) - 2 : double(e % 2); };
            compare(c);
          }
        }
      }
    }
  }
}
TEST_F(ScatterAdd, EveryLayoutAndDtype) {
  for (uint32_t dtype : {BP_F32, BP_F64, BP_F16, BP_BF16, BP_I32, BP_I64}) {
    for (Lay lay : {Lay::dense, Lay::permuted, Lay::stepped}) {
      for (int64_t inner : {1, 5, 300}) {
        for (bool in_place : {false, true}) {
          Case c;
          c.name = "scatter_add";
          c.code = BP_OP_SCATTER_ADD;
          c.in = {lay_out(dtype, {3, 11, inner}, in_place ? Lay::dense : lay), lay_out(BP_I32, {100}),
                  lay_out(dtype, {3, 100, inner}, lay)};
          c.out = {lay_out(dtype, {3, 11, inner})};
          if (in_place) c.aliases = {{0, 0}};
          c.bound.linear = true, c.bound.terms = 20;
          c.value = [](size_t i, int64_t e) { return i == 1 ? double(e * 7 % 14) - 2 : double(e * 37 % 101) / 50 - 1; };
          compare(c);
        }
      }
    }
  }
}

}  // namespace
}  // namespace card_test
