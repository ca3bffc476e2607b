// SPDX-License-Identifier: Apache-2.0
// SORT and TOP_K: runs of neighbours are sorted first, by a work-item or a work-group, then merged in pairs until a row
// is one run. Only the first k elements of a run are kept, so that TOP_K does little more than read its operand.
//
//   select    a work-item picks the k best of a long run: for k that registers hold
//   items     a work-item sorts a run of 16: the fallback
//   groups    a work-group sorts a run in local memory
#include <algorithm>
#include <string>

#include "backplane/sdk/op.hpp"
#include "backplane/sdk/program.hpp"
#include "dialect.h"
#include "family.h"
#include "source.h"
#include "team.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

constexpr int64_t kItemRun = 16;
constexpr int64_t kMostSelected = 16;   // what a work-item holds in registers
constexpr int64_t kSelectedRun = 1024;  // on devices that want many work-items, or end long loops
constexpr int64_t kMostGroupRun = 2048;

std::string number(int64_t n) { return std::to_string(n); }

int64_t power_of_two(int64_t least) {
  int64_t n = 1;
  while (n < least) n *= 2;
  return n;
}

struct Form {
  bool team = false;
  int64_t run = kItemRun;  // elements that the first launch sorts at a time
  uint32_t group = 1;
  int64_t slice = 16;      // elements that a work-item merges
};

struct Problem {
  explicit Problem(const bp_op& o)
      : op(o), axis(sdk::attrs<bp_sort_attrs>(o).axis), n(o.inputs[0].shape[axis]), k(o.outputs[0].shape[axis]),
        wide(sdk::dtype_size(o.inputs[0].dtype) == 8) {
    const bp_tensor_desc x = without_axis(op.inputs[0], axis), values = without_axis(op.outputs[0], axis),
                         indices = without_axis(op.outputs[1], axis);
    from = merge_axes({&x}, 0, x.rank);
    from_and_to = merge_axes({&x, &values, &indices}, 0, x.rank);
  }
  int64_t rows() const { return from.count; }
  /// Keys of all elements, then their places; two such sets, for merging from one to the other.
  uint64_t keys_bytes() const { return round_up(static_cast<uint64_t>(rows() * n) * (wide ? 8 : 4)); }
  uint64_t set_bytes() const { return keys_bytes() + round_up(static_cast<uint64_t>(rows() * n) * 4); }
  int64_t runs(int64_t run) const { return (n + run - 1) / run; }
  static uint64_t round_up(uint64_t bytes) { return (bytes + 63) / 64 * 64; }

  const bp_op& op;
  uint32_t axis;
  int64_t n, k;
  bool wide;  // keys of 64 bits
  Walk from, from_and_to;  // rows of x; of x, values and indices
};

void declare_keys(Source& source, const Problem& p) {
  const uint32_t dtype = p.op.inputs[0].dtype;
  const char* key = dtype == BP_BOOL  ? "TO_UINT(v)"
                    : dtype == BP_I32 ? "(TO_UINT(v) ^ 0x80000000u)"
                    : dtype == BP_I64 ? "(TO_U64(v) ^ (TO_U64(1) << 63))"
                    : dtype == BP_F64 ? "key_of_double(v)"
                                      : "key_of_float(v)";
  source.define("WIDE", p.wide);
  source.define("KEY", p.wide ? "u64" : "uint");
  source.define("KEY_MOST", p.wide ? "(~TO_U64(0))" : "0xffffffffu");
  // Buffers hold signed integers.
  source.define("STORED_KEY(i)", p.wide ? "TO_U64(i)" : "TO_UINT(i)");
  source.define("KEY_STORED(k)", p.wide ? "TO_I64(k)" : "TO_INT(k)");
  source.include("sort_keys");
  source.define("KEY_OF(v)", std::string(sdk::attrs<bp_sort_attrs>(p.op).descending != 0 ? "(~" : "(") + key + ")");
}

/// What both kinds of launches have in common; `set` is where their keys go.
void declare(Source& source, const Problem& p, bool reads_x, bool last, int set) {
  const auto axis_of = [&](const std::string& name, const bp_tensor_desc& desc) {
    declare_stride(source, name + "_axis", desc.strides[p.axis]);
  };
  if (reads_x || last) {
    source.input("x", 0, p.op.inputs[0]);
    axis_of("x", p.op.inputs[0]);
  }
  if (last) {
    source.output("values", 0, p.op.outputs[0]);
    source.output("indices", 1, p.op.outputs[1]);
    axis_of("values", p.op.outputs[0]), axis_of("indices", p.op.outputs[1]);
  } else {
    const uint64_t at = static_cast<uint64_t>(set) * p.set_bytes();
    source.workspace("keys_out", p.wide ? BP_I64 : BP_I32, at, p.rows() * p.n, true);
    source.workspace("places_out", BP_I32, at + p.keys_bytes(), p.rows() * p.n, true);
  }
  source.define("LAST", last);
  if (reads_x || last) declare_walk(source, "ROWS", last ? p.from_and_to : p.from);
  source.param("n", p.n);
  source.param("kept", p.k);
}

Launch build_runs(const Problem& p, const DeviceFacts& facts, const Form& form) {
  Source source(facts, form.team ? "sort.groups" : "sort.items");
  const bool last = form.run >= p.n;
  declare_keys(source, p);
  declare(source, p, true, last, 0);
  const int64_t units = p.rows() * p.runs(form.run);
  source.param("units", units);
  source.param("runs", p.runs(form.run));
  if (form.team) {
    source.define("RUN", form.run);
    source.local_array("KEY", "keys", "RUN");
    source.local_array("int", "places", "RUN");
    const LinearGrid grid = team_grid(units, Team::group, form.group, facts);
    return source.finish(kernel_text("sort_groups"), grid.group, grid.grid);
  }
  source.param("run", form.run);
  source.define("HELD", power_of_two(std::min(form.run, p.k)));
  const LinearGrid grid = linear_grid(units, facts, form.group);
  return source.finish(kernel_text("sort_items"), grid.group, grid.grid);
}

Launch build_merge(const Problem& p, const DeviceFacts& facts, const Form& form, int64_t run, int from_set) {
  const bool last = 2 * run >= p.n;
  Source source(facts, last ? "sort.merge_last" : "sort.merge");
  declare_keys(source, p);
  const uint64_t at = static_cast<uint64_t>(from_set) * p.set_bytes();
  source.workspace("sorted", p.wide ? BP_I64 : BP_I32, at, p.rows() * p.n, false);
  source.workspace("places", BP_I32, at + p.keys_bytes(), p.rows() * p.n, false);
  declare(source, p, false, last, 1 - from_set);
  const int64_t pairs = p.runs(2 * run), slices = (std::min(2 * run, p.k) + form.slice - 1) / form.slice;
  const int64_t units = p.rows() * pairs * slices;
  source.param("units", units);
  source.param("pairs", pairs);
  source.param("slices", slices);
  source.param("slice", form.slice);
  source.param("run", run);
  const LinearGrid grid = linear_grid(units, facts, facts.cpu_like ? form.group : 0);
  return source.finish(kernel_text("sort_merge"), grid.group, grid.grid);
}

Recipe build(const bp_op& op, const DeviceFacts& facts, const Form& form) {
  const Problem p(op);
  Recipe recipe{{build_runs(p, facts, form)}};
  int set = 0;
  for (int64_t run = form.run; run < p.n; run *= 2, set = 1 - set) {
    recipe.launches.push_back(build_merge(p, facts, form, run, set));
  }
  return recipe;
}

class Lister {
 public:
  Lister(const bp_op& op, const DeviceFacts& facts, Variants& out) : p_(op), op_(op), facts_(facts), out_(out) {
    cpu_with_groups_ = facts.cpu_like && facts.dialect == Dialect::glsl;
    items_group_ = !facts.cpu_like ? group_size(facts, 64) : cpu_with_groups_ ? group_size(facts, 8) : 1;
    if (!facts.cpu_like) slice_ = 8;
    else if (cpu_with_groups_) slice_ = 64;
    else slice_ = std::clamp<int64_t>(p_.rows() * p_.k / (8 * facts.compute_units), 256, 16384);
  }
  void list() {
    // A work-group's local memory is fast where it is not ordinary memory.
    const bool groups_first = !facts_.cpu_like && p_.n > kItemRun;
    if (p_.k <= kMostSelected && p_.n > kItemRun) list_selection();
    if (groups_first) list_groups();
    add("items@run=" + number(kItemRun), {.run = kItemRun, .group = items_group_, .slice = slice_});
    if (!groups_first) list_groups();
  }

 private:
  void list_selection() {
    int64_t run = kSelectedRun;
    if (facts_.cpu_like && !cpu_with_groups_) run = std::max(run, p_.rows() * p_.n / (8 * facts_.compute_units));
    if (!facts_.cpu_like && p_.rows() < 64 * facts_.compute_units) run = 128;
    run = power_of_two(std::min(run, p_.n));
    add("select@run=" + number(run), {.run = run, .group = items_group_, .slice = slice_});
  }
  void list_groups() {
    const int64_t room = facts_.local_bytes / (p_.wide ? 12 : 8);
    const int64_t run = std::min({power_of_two(p_.n), power_of_two(room / 2 + 1), kMostGroupRun});
    const int64_t wish = std::min<int64_t>(run / 2, facts_.cpu_like ? 32 : 256);
    const uint32_t group = group_size(facts_, static_cast<uint32_t>(wish));
    if (run < 4 || group < 2) return;
    add("groups@run=" + number(run), {.team = true, .run = run, .group = group, .slice = slice_});
  }
  void add(std::string name, const Form& form) {
    Variant variant;
    variant.name = std::move(name);
    variant.prior = out_.empty() ? 1 : 2;
    if (form.run < p_.n) variant.workspace = p_.set_bytes() * (p_.runs(form.run) > 2 ? 2 : 1);
    // A work-item's insertions, or its rounds of the network; a slice to merge and where it begins.
    const int64_t held = std::min(form.run, p_.k), per_item = form.run / form.group + 1;
    const int64_t first = form.team ? (network_rounds(form.run) + 2) * (per_item + 1) : form.run * (held + 1) + held;
    variant.steps = static_cast<uint64_t>(std::max(first, form.slice + 64));
    variant.determinism = BP_DETERMINISM_DEVICE;
    variant.build = [&op = op_, facts = facts_, form] { return build(op, facts, form); };
    out_.push_back(std::move(variant));
  }
  static int64_t network_rounds(int64_t run) {
    int64_t levels = 0;
    while (run > 1) run /= 2, ++levels;
    return levels * (levels + 1) / 2 + levels;
  }

  Problem p_;
  const bp_op& op_;
  DeviceFacts facts_;
  Variants& out_;
  bool cpu_with_groups_;
  uint32_t items_group_;
  int64_t slice_;
};

std::string refuse_sort(const bp_op& op, const DeviceFacts& facts) {
  const bool lacking = op.inputs[0].dtype == BP_F64 && !facts.i64;
  return lacking ? "f64 is sorted as 64-bit integers, which this device has not" : "";
}

void list(const bp_op& op, const DeviceFacts& facts, Variants& out) { Lister(op, facts, out).list(); }

}  // namespace

extern const Family kSortFamily{BP_OP_SORT, refuse_sort, list};
extern const Family kTopKFamily{BP_OP_TOP_K, refuse_sort, list};

}  // namespace backplane::codegen
