// SPDX-License-Identifier: Apache-2.0
#include "reduction.h"

#include "backplane/sdk/program.hpp"
#include "dialect.h"

namespace backplane::codegen {

Reduction::Reduction(const bp_op& o) : op(o), kind(sdk::attrs<bp_reduce_attrs>(o).kind) {
  const bp_tensor_desc& x = op.inputs[0];
  bp_tensor_desc kept_x = x, reduced_x = x;
  const uint32_t axes = sdk::attrs<bp_reduce_attrs>(op).axes;
  for (uint32_t axis = 0; axis < x.rank; ++axis) ((axes >> axis & 1) != 0 ? kept_x : reduced_x).shape[axis] = 1;
  kept = merge_axes({&kept_x}, 0, x.rank);
  reduced = merge_axes({&reduced_x}, 0, x.rank);
  accumulator = x.dtype == BP_F16 || x.dtype == BP_BF16 ? uint32_t{BP_F32} : x.dtype;
}

Walk without_inner(Walk walk) {
  if (walk.extents.empty()) return walk;
  walk.count = walk.extents.back() == 0 ? 0 : walk.count / walk.extents.back();
  walk.extents.pop_back();
  for (auto& strides : walk.strides) strides.pop_back();
  return walk;
}

namespace {

/// INIT, COMBINE or BETTER for kind and accumulator.
void define_operations(Source& source, const Reduction& p) {
  const bool real = sdk::is_float(p.accumulator), f64 = p.accumulator == BP_F64, wide = p.accumulator == BP_I64;
  const bool boolean = p.accumulator == BP_BOOL;
  const bool maximum = p.kind == BP_REDUCE_MAX || p.kind == BP_REDUCE_ARGMAX;
  source.define("ACC", compute_type(p.accumulator));
  source.define("ARG", p.arg() ? 1 : 0);
  if (p.kind == BP_REDUCE_SUM || p.kind == BP_REDUCE_PROD) {
    const std::string sign = p.kind == BP_REDUCE_SUM ? " + " : " * ", unit = p.kind == BP_REDUCE_SUM ? "0" : "1";
    const std::string to_signed = wide ? "TO_I64" : "TO_INT", to_unsigned = wide ? "TO_U64" : "TO_UINT";
    source.define("INIT", f64 ? "TO_F64(" + unit + ")" : real ? unit + ".0f" : to_signed + "(" + unit + ")");
    source.define("COMBINE(a, v)", real ? "((a)" + sign + "(v))"
                                        : to_signed + "(" + to_unsigned + "(a)" + sign + to_unsigned + "(v))");
    return;
  }
  std::string least;  // what every element replaces
  if (boolean) least = maximum ? "false" : "true";
  else if (f64) least = maximum ? "MAKE_F64(0xfff00000u, 0u)" : "MAKE_F64(0x7ff00000u, 0u)";
  else if (real) least = maximum ? "(-INF)" : "INF";
  else if (wide) least = maximum ? "MAKE_I64(0x80000000u, 0u)" : "MAKE_I64(0x7fffffffu, 0xffffffffu)";
  else least = maximum ? "(-2147483647 - 1)" : "2147483647";
  source.define("INIT", least);
  const std::string nan = f64 ? "IS_NAN64" : "IS_NAN", order = maximum ? " > " : " < ";
  std::string better = boolean ? (maximum ? "((v) && !(a))" : "(!(v) && (a))") : "((v)" + order + "(a))";
  if (real) better = "(" + better + " || (" + nan + "(v) && !" + nan + "(a)))";
  source.define("BETTER(v, a)", better);
  source.define("COMBINE(a, v)", "(BETTER(v, a) ? (v) : (a))");
}

/// The workspace of split reductions: values [part][result], then for ARGMAX positions.
uint64_t positions_offset(const Reduction& p, int64_t parts) {
  const uint64_t bytes = static_cast<uint64_t>(parts * p.kept.count) * sdk::dtype_size(p.accumulator);
  return (bytes + 63) / 64 * 64;
}

}  // namespace

void declare_reduction(Source& source, const Reduction& reduction) {
  define_operations(source, reduction);
  source.include("reduce_state");
}

uint64_t parts_bytes(const Reduction& p, int64_t parts) {
  if (parts == 1) return 0;
  const uint64_t values = positions_offset(p, parts);
  return p.arg() ? values + (static_cast<uint64_t>(parts * p.kept.count) * 4 + 63) / 64 * 64 : values;
}

void declare_parts(Source& source, const Reduction& p, int64_t parts, bool written) {
  source.workspace("saved", p.accumulator, 0, parts * p.kept.count, written);
  if (p.arg()) source.workspace("saved_rank", BP_I32, positions_offset(p, parts), parts * p.kept.count, written);
}

}  // namespace backplane::codegen
