// SPDX-License-Identifier: Apache-2.0
#include "compare.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>

namespace card_test {

bp_instr instr(uint16_t code, uint32_t dtype, uint16_t a, uint16_t b, uint16_t c) {
  bp_instr i{};
  i.code = code, i.dtype = static_cast<uint16_t>(dtype), i.a = a, i.b = b, i.c = c;
  return i;
}
bp_instr constant(uint32_t dtype, double value) {
  bp_instr i = instr(BP_S_CONST, dtype);
  if (dtype >= BP_I32) i.imm.i = static_cast<int64_t>(value);
  else i.imm.f = value;
  return i;
}

bp_op make_op(const Case& c, bp_program& program) {
  bp_op op{};
  op.size = sizeof(op);
  op.code = c.code;
  op.name = c.name.c_str();
  op.inputs = c.in.data(), op.num_inputs = static_cast<uint32_t>(c.in.size());
  op.outputs = c.out.data(), op.num_outputs = static_cast<uint32_t>(c.out.size());
  op.attrs = c.attrs;
  op.max_workspace = c.max_workspace;
  if (c.has_program) {
    program = {};
    program.size = sizeof(program);
    program.num_inputs = c.program.num_inputs;
    program.num_instrs = static_cast<uint32_t>(c.program.instrs.size());
    program.num_outputs = static_cast<uint32_t>(c.program.outputs.size());
    program.instrs = c.program.instrs.data();
    program.outputs = c.program.outputs.data();
    op.program = &program;
  }
  return op;
}

namespace {

double eps_of(uint32_t dtype) {
  switch (dtype) {
    case BP_F64: return 0x1p-53;
    case BP_F16: return 0x1p-11;
    case BP_BF16: return 0x1p-8;
    default: return 0x1p-24;
  }
}

std::vector<Storage> make_inputs(const Case& c) {
  std::vector<Storage> inputs;
  std::mt19937_64 random(12345);
  std::uniform_real_distribution<double> uniform(c.low, c.high);
  for (size_t i = 0; i < c.in.size(); ++i) {
    Storage storage(c.in[i]);
    storage.fill(0x5A);
    const bool whole = c.in[i].dtype == BP_I32 || c.in[i].dtype == BP_I64, boolean = c.in[i].dtype == BP_BOOL;
    storage.write([&](int64_t e) {
      if (c.value) return c.value(i, e);
      const double x = uniform(random);
      return boolean ? (x > 0 ? 1.0 : 0.0) : whole ? std::floor(x * 10) : x;
    });
    inputs.push_back(std::move(storage));
  }
  return inputs;
}

struct Outcome {
  std::vector<Storage> out;
  bool ok = false;
};

/// Runs one variant with everything guarded and poisoned; checks what must not change.
Outcome run(Card& card, const Case& c, const std::vector<Storage>& inputs, const char* variant,
            const std::string& what) {
  Outcome outcome;
  bp_program program;
  bp_op op = make_op(c, program);
  if (&card == &reference()) op.max_workspace = UINT64_MAX;
  bp_error error = make_error();
  bp_kernel* kernel = nullptr;
  bp_kernel_info info{};
  info.size = sizeof(info);
  const bp_status prepared = card.kernels->prepare(card.device, &op, variant, &kernel, &info, &error);
  EXPECT_EQ(prepared, BP_OK) << what << ": " << error.message;
  if (prepared != BP_OK) return outcome;

  std::vector<std::unique_ptr<Guarded>> buffers;
  std::vector<bp_view> in, out;
  for (const Storage& s : inputs) {
    buffers.push_back(std::make_unique<Guarded>(card, s.bytes.data(), s.bytes.size()));
    in.push_back(buffers.back()->view(s.origin));
  }
  std::vector<size_t> home;  // which buffer an output lies in
  for (size_t j = 0; j < c.out.size(); ++j) {
    outcome.out.emplace_back(c.out[j]);
    outcome.out.back().fill(0xFF);
    size_t alias = SIZE_MAX;
    for (const auto& [output, input] : c.aliases) alias = output == j ? input : alias;
    if (alias != SIZE_MAX) {
      home.push_back(alias), out.push_back(in[alias]);
      continue;
    }
    home.push_back(buffers.size());
    buffers.push_back(
        std::make_unique<Guarded>(card, outcome.out.back().bytes.data(), outcome.out.back().bytes.size()));
    out.push_back(buffers.back()->view(outcome.out.back().origin));
  }
  Guarded workspace(card, nullptr, info.workspace == 0 ? 64 : info.workspace);
  const bp_status enqueued =
      card.kernels->enqueue(card.queue, kernel, in.data(), out.data(), workspace.view(0), &error);
  EXPECT_EQ(enqueued, BP_OK) << what << ": " << error.message;
  const bp_status finished = card.queues->finish(card.queue, &error);
  EXPECT_EQ(finished, BP_OK) << what << ": " << error.message;
  card.kernels->destroy(kernel);

  for (size_t b = 0; b < buffers.size(); ++b)
    EXPECT_TRUE(buffers[b]->guards_intact()) << what << ": wrote beyond operand " << b;
  EXPECT_TRUE(workspace.guards_intact()) << what << ": wrote beyond the workspace";
  for (size_t i = 0; i < inputs.size(); ++i) {
    bool shared = false;
    for (const auto& alias : c.aliases) shared = shared || alias.second == i;
    if (!shared) {
      EXPECT_TRUE(buffers[i]->contents() == inputs[i].bytes) << what << ": changed input " << i;
    }
  }
  for (size_t j = 0; j < c.out.size(); ++j) {
    Storage& storage = outcome.out[j];
    std::vector<char> after = buffers[home[j]]->contents();
    // Gaps keep their poison (or the aliased input's bytes).
    std::vector<char> gaps = home[j] < inputs.size() ? inputs[home[j]].bytes : storage.bytes;
    const uint32_t size = element_size(storage.desc.dtype);
    storage.each([&](uint64_t at) { std::memcpy(gaps.data() + at, after.data() + at, size); });
    EXPECT_TRUE(gaps == after) << what << ": wrote between the elements of output " << j;
    storage.bytes = std::move(after);
  }
  outcome.ok = enqueued == BP_OK && finished == BP_OK;
  return outcome;
}

void check_values(const Case& c, size_t j, const Storage& ours, const Storage& theirs,
                  const std::vector<double>* absolute, bool winograd, const std::string& what) {
  const std::vector<double> a = ours.read(), b = theirs.read();
  const uint32_t dtype = c.out[j].dtype;
  const bool exact = c.bound.exact || dtype >= BP_I32;
  uint32_t narrow = c.in.empty() || c.in[0].dtype >= BP_I32 ? dtype : c.in[0].dtype;
  if (c.code == BP_OP_POINTWISE || eps_of(narrow) < eps_of(dtype)) narrow = dtype;
  const double eps = eps_of(dtype) , eps_sum = dtype == BP_F64 ? eps_of(BP_F64) : eps_of(BP_F32);
  // Winograd's sums share their roundings among a tile's results: each is bounded by the largest, not by its own size
  // (Barabasz, Anderson, Soodhalter, Gregg, "Error analysis and improving the accuracy of Winograd convolution", 2020).
  const std::vector<double>& sizes = absolute != nullptr ? *absolute : b;
  double largest = 0;
  for (size_t e = 0; winograd && e < sizes.size(); ++e) largest = std::max(largest, std::fabs(sizes[e]));
  int reported = 0;
  for (size_t e = 0; e < a.size() && reported < 3; ++e) {
    const bool same = a[e] == b[e] || (std::isnan(a[e]) && std::isnan(b[e]));
    if (same) continue;
    const double magnitude = std::max({std::fabs(sizes[e]), c.bound.floor, largest});
    const double bound = (eps * c.bound.weight * std::max(std::fabs(b[e]), c.bound.floor)) +
                         eps_sum * (c.bound.weight + 6 * std::sqrt(c.bound.terms)) * magnitude;
    if (!exact && std::fabs(a[e] - b[e]) <= bound) continue;
    ADD_FAILURE() << what << ": output " << j << " element " << e << " is " << a[e] << ", reference " << b[e]
                  << ", bound " << (exact ? 0 : bound);
    ++reported;
  }
}

/// What became of the running test's cases.
struct Tally {
  uint32_t seen = 0, compared = 0, refused = 0;
  std::string reason;  // of the first refusal
} tally;

/// The operations that every card owes.
bool is_owed(const Case& c) {
  const auto basic = [](const bp_tensor_desc& d) {
    return d.dtype == BP_F32 || d.dtype == BP_I32 || d.dtype == BP_BOOL;
  };
  if (c.code > BP_OP_SCATTER_ADD) return false;
  for (const bp_instr& i : c.program.instrs) {
    if (i.dtype != BP_F32 && i.dtype != BP_I32 && i.dtype != BP_BOOL) return false;
  }
  return std::all_of(c.in.begin(), c.in.end(), basic) && std::all_of(c.out.begin(), c.out.end(), basic);
}

/// The first cases of a test all run, of the rest one in so many, spread without a pattern.
bool is_chosen() {
  constexpr uint32_t kFirst = 6;
  static const bool all = std::getenv("CARDS_ALL_CASES") != nullptr;
  const uint32_t index = tally.seen++;
  return all || index < kFirst || (index * 2654435761u >> 16) % card_facts().one_case_in == 0;
}

}  // namespace

void CardTest::SetUp() { tally = {}; }
void CardTest::TearDown() {
  if (tally.refused != 0) {
    std::printf("%s declined %u of %u cases: %s\n", card_facts().name, tally.refused, tally.refused + tally.compared,
                tally.reason.c_str());
  }
  if (tally.compared == 0 && tally.refused != 0) GTEST_SKIP() << card_facts().name << ": " << tally.reason;
}

void compare(const Case& c) { compare(c, 1); }

std::vector<std::vector<double>> on_reference(const Case& c) {
  std::vector<std::vector<double>> result;
  for (const Storage& s : run(reference(), c, make_inputs(c), nullptr, c.name + " on reference").out)
    result.push_back(s.read());
  return result;
}

void compare(const Case& c, size_t count) {
  bp_program program;
  const bp_op op = make_op(c, program);
  const bp_support support = card_under_test().query(op);
  if (support.verdict != BP_SUPPORT_YES && !card_facts().offers_everything && !is_owed(c)) {
    if (tally.refused++ == 0) tally.reason = support.reason;
    ASSERT_STRNE(support.reason, "") << c.name << ": declined without a reason";
    return;
  }
  ASSERT_EQ(support.verdict, uint32_t{BP_SUPPORT_YES}) << c.name << ": " << support.reason;
  if (!is_chosen()) return;
  ++tally.compared;
  const std::vector<Storage> inputs = make_inputs(c);
  const Outcome expected = run(reference(), c, inputs, nullptr, c.name + " on reference");
  ASSERT_TRUE(expected.ok) << c.name;
  std::vector<std::vector<double>> absolute;
  if (c.bound.linear) {
    std::vector<Storage> positive = inputs;
    for (Storage& s : positive) {
      const std::vector<double> values = s.read();
      if (s.desc.dtype < BP_I32) s.write([&](int64_t e) { return std::fabs(values[static_cast<size_t>(e)]); });
    }
    Case plain = c;
    for (const Storage& s : run(reference(), plain, positive, nullptr, c.name + " on absolute values").out) {
      absolute.push_back(s.read());
    }
  }
  const std::vector<bp_variant> variants = card_under_test().variants(op);
  EXPECT_GE(variants.size(), count) << c.name;
  const std::vector<bp_variant> again = card_under_test().variants(op);
  ASSERT_EQ(again.size(), variants.size()) << c.name;
  for (size_t i = 0; i < variants.size(); ++i) {
    EXPECT_STREQ(variants[i].name, again[i].name) << c.name;
    EXPECT_EQ(variants[i].code_hash, again[i].code_hash) << c.name << " [" << variants[i].name << "]";
  }
  int defaults = 0;
  for (const bp_variant& variant : variants) {
    const std::string what = c.name + " [" + variant.name + "]";
    defaults += (variant.flags & BP_VARIANT_DEFAULT) != 0;
    EXPECT_LE(variant.workspace, c.max_workspace) << what;
    const Outcome ours = run(card_under_test(), c, inputs, variant.name, what);
    if (!ours.ok) continue;
    for (size_t j = 0; j < c.out.size(); ++j) {
      check_values(c, j, ours.out[j], expected.out[j], c.bound.linear ? &absolute[j] : nullptr,
                   (variant.numeric_notes & BP_NOTE_WINOGRAD) != 0, what);
    }
  }
  EXPECT_EQ(defaults, 1) << c.name;
}

}  // namespace card_test
