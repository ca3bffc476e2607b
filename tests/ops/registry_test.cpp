// SPDX-License-Identifier: Apache-2.0
// What every op definition owes, and that inference, unknown extents included, says one thing.

#include <gtest/gtest.h>

#include <set>

#include "backplane/graph/ops.h"
#include "ops/cases.h"

namespace backplane::test {

using namespace backplane::graph;

namespace {

TEST(OpRegistry, NamesAreUniqueAndFound) {
  std::set<std::string_view> names;
  for (const OpDef* op : all_ops()) {
    EXPECT_TRUE(names.insert(op->name).second) << op->name << " is there twice";
    EXPECT_EQ(find_op(op->name), op);
  }
  EXPECT_GT(names.size(), 60u);
  EXPECT_EQ(find_op("no_such_op"), nullptr);
}

TEST(OpRegistry, EveryOpIsDocumentedAndSampled) {
  for (const OpDef* op : all_ops()) {
    EXPECT_GE(op->doc.size(), 7u) << op->name << " has no doc";
    for (const AttrSpec& attr : op->attrs)
      EXPECT_GE(attr.doc.size(), 4u) << op->name << "." << attr.name << " has no doc";
    if (!has_samples_by_rule(*op)) continue;
    ASSERT_NE(op->samples, nullptr) << op->name << " has no samples";
    EXPECT_GE(op->samples().size(), 3u) << op->name;
  }
}

/// Whoever lowers a graph relies on these.
TEST(OpRegistry, TiersHaveTheirFields) {
  for (const OpDef* op : all_ops()) {
    SCOPED_TRACE(op->name);
    EXPECT_EQ(op->tier == Tier::scalar, op->scalar_code != 0);
    EXPECT_EQ(op->tier == Tier::view, op->view != nullptr);
    EXPECT_EQ(op->tier == Tier::assemble, op->pieces != nullptr);
    EXPECT_EQ(op->tier == Tier::composite, op->decompose != nullptr);
    EXPECT_TRUE(op->tier != Tier::primitive || op->native.code != 0);
    EXPECT_TRUE(op->native.code == 0 || op->native.encode != nullptr);
    EXPECT_TRUE(op->gradient != Gradient::blocked || op->vjp == nullptr);
    const bool differentiable = op->vjp != nullptr || op->decompose != nullptr || op->gradient == Gradient::blocked;
    EXPECT_TRUE(differentiable || !has_samples_by_rule(*op) || op->tier == Tier::source) << "no gradient rule";
    EXPECT_TRUE(!op->commutative || op->max_inputs == 2);
  }
}

/// Refuses to apply ops that do not come before the one being decomposed.
class Earlier final : public Builder {
 public:
  Earlier(Graph& graph, size_t limit) : graph_(graph), limit_(limit) {}
  std::vector<Sym> apply(const OpDef& op, Attrs attrs, std::span<const Sym> inputs) override {
    size_t position = 0;
    while (all_ops()[position] != &op) ++position;
    EXPECT_LT(position, limit_) << "refers to " << op.name << ", which is not earlier in the list";
    std::vector<Sym> in, out;
    for (Sym s : inputs) in.push_back({&graph_, s.id, s.out});
    for (Sym s : graph_.apply(op, std::move(attrs), in)) out.push_back({this, s.id, s.out});
    return out;
  }
  Sym constant(const Type& type, std::vector<std::byte> bytes) override {
    const Sym s = graph_.constant(type, std::move(bytes));
    return {this, s.id, s.out};
  }
  const Type& type_of(Sym s) const override { return graph_.type_of({&graph_, s.id, s.out}); }

 private:
  Graph& graph_;
  size_t limit_;
};

TEST(OpRegistry, DecompositionsReferToEarlierOpsAndKeepTypes) {
  size_t checked = 0;
  const DType dtypes[] = {f32, f16};
  for (const Case& c : all_cases(dtypes)) {
    if (c.op->decompose == nullptr) continue;
    SCOPED_TRACE(c.name());
    size_t position = 0;
    while (all_ops()[position] != c.op) ++position;
    CaseGraph g = apply_case(c);
    Earlier builder(*g.graph, position);
    std::vector<Sym> in;
    for (const Sym& s : g.in) in.push_back({&builder, s.id, s.out});
    const std::vector<Sym> out = c.op->decompose({builder, c.attrs, in});
    ASSERT_EQ(out.size(), c.out.size());
    for (size_t i = 0; i < out.size(); ++i) EXPECT_EQ(out[i].type().to_string(), c.out[i].to_string());
    ++checked;
  }
  EXPECT_GT(checked, 0u);
  std::printf("[ ops      ] %zu decompositions\n", checked);
}

/// With the leading extent of an operand unknown, the result is the same but for the leading extent.
TEST(OpRegistry, UnknownLeadingExtentsAgreeWithKnownOnes) {
  size_t accepted = 0;
  const DType dtypes[] = {f32};
  for (const Case& c : all_cases(dtypes)) {
    SCOPED_TRACE(c.name());
    std::vector<Type> in = c.types();
    if (in.empty() || in[0].shape.rank() == 0) continue;
    const int64_t leading = in[0].shape[0];
    for (Type& type : in) {
      if (type.shape.rank() > 0 && type.shape[0] == leading) type.shape[0] = dyn;
    }
    std::vector<Type> out;
    try {
      out = infer_types(*c.op, c.attrs, in, {});
    } catch (const Error&) {
      continue;  // an op may need to know
    }
    ++accepted;
    ASSERT_EQ(out.size(), c.out.size());
    for (size_t i = 0; i < out.size(); ++i) {
      EXPECT_EQ(out[i].dtype, c.out[i].dtype);
      ASSERT_EQ(out[i].shape.rank(), c.out[i].shape.rank());
      for (int axis = 0; axis < out[i].shape.rank(); ++axis) {
        EXPECT_TRUE(out[i].shape[axis] == dyn || out[i].shape[axis] == c.out[i].shape[axis]) << "axis " << axis;
      }
    }
  }
  EXPECT_GT(accepted, 0u);
  std::printf("[ ops      ] %zu samples with an unknown extent\n", accepted);
}

/// Mistakes in attributes and operands are errors that name the op.
TEST(OpRegistry, WrongOperandsAreErrorsThatNameTheOp) {
  size_t refused = 0;
  for (const OpDef* op : all_ops()) {
    if (op->infer == nullptr) continue;
    SCOPED_TRACE(op->name);
    const std::vector<Sample> samples = op->samples != nullptr ? op->samples() : std::vector<Sample>{};
    if (samples.empty()) continue;
    const Attrs attrs(op->name, op->attrs, samples[0].attrs);
    std::vector<std::vector<Type>> attempts;
    attempts.push_back(std::vector<Type>(static_cast<size_t>(op->min_inputs > 0 ? op->min_inputs - 1 : 1), Type{}));
    std::vector<Type> high_rank;
    for (int i = 0; i < op->min_inputs; ++i)
      high_rank.push_back({i % 2 == 0 ? boolean : f64, {2, 3, 2, 3, 2, 3, 2 + i, 3}});
    if (op->min_inputs > 1) attempts.push_back(high_rank);
    for (const auto& attempt : attempts) {
      try {
        infer_types(*op, attrs, attempt, {});
      } catch (const Error& error) {
        ++refused;
        EXPECT_NE(std::string(error.what()).find(op->name), std::string::npos) << error.what();
      }
    }
    const AttrArg unknown{"no_such_attribute", int64_t{1}};
    EXPECT_THROW(Attrs(op->name, op->attrs, std::span(&unknown, 1)), Error);
  }
  EXPECT_GT(refused, 60u);
}

}  // namespace
}  // namespace backplane::test
