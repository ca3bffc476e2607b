// SPDX-License-Identifier: Apache-2.0
// A graph under construction with what its inputs stand for: shared by define-then-run graphs and by traces.
//
// The two differ in one thing: in a trace an assignment takes effect for later reads and is done when the call ends; in a
// define-then-run graph it is an effect that Session::run is asked for.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "backplane/graph/plan.h"
#include "backplane/variable.h"
#include "tensor_impl.h"
#include "variable_cell.h"

namespace backplane {

class GraphContext : public std::enable_shared_from_this<GraphContext> {
 public:
  explicit GraphContext(bool tracing) : tracing_(tracing) {}

  /// The innermost one being built on this thread, or nullptr.
  static GraphContext* current();
  /// Makes it current while it lives; a trace's gradients and pending writes end with it.
  class Scope {
   public:
    explicit Scope(GraphContext& context);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    GraphContext& context_;
  };

  bool tracing() const { return tracing_; }
  graph::Graph& graph() { return graph_; }

  Tensor add_placeholder(const Type& type, std::string name, SourceLoc loc);
  /// A tensor as a value of this graph; a computed one becomes a constant or a bound input.
  graph::Value lift(const Tensor& tensor, SourceLoc loc);
  Tensor tensor(graph::Value value);
  /// The input that stands for the cell, or what was assigned to it here; `initial` asks for the input in any case.
  Tensor read(const std::shared_ptr<VariableCell>& cell, SourceLoc loc, bool initial = false);
  /// In a trace: done when the call ends. In a define-then-run graph: done by every run that needs the cell (random state).
  void write(const std::shared_ptr<VariableCell>& cell, const Tensor& value, SourceLoc loc);

  Tensor grad(const std::shared_ptr<Leaf>& leaf) const;
  void set_grad(const std::shared_ptr<Leaf>& leaf, Tensor grad);
  void backward(const Tensor& y, const Tensor& dy, SourceLoc loc);
  Tensor mark_leaf(const Tensor& x);
  std::vector<Tensor> gradients(std::span<const Tensor> ys, std::span<const Tensor> xs, std::span<const Tensor> dys,
                                SourceLoc loc);

  struct Write {
    std::shared_ptr<VariableCell> cell;
    graph::Value value;
  };
  const std::vector<Write>& writes() const { return writes_; }

  /// Inputs of one run: feeds by node, variables and bound tensors by themselves, all dense on `stream`. Only inputs in
  /// `live` are looked at. Throws Error naming a placeholder without a feed.
  std::vector<Tensor> gather(const std::vector<bool>& live, const std::unordered_map<uint32_t, Tensor>& feeds,
                             const graph::StreamPtr& stream, SourceLoc loc);

 private:
  struct Source {
    std::shared_ptr<VariableCell> cell;
    Tensor bound;
    SourceLoc loc;
  };
  graph::Value new_input(graph::Input::Kind kind, const Type& type, std::string name, Source source, SourceLoc loc);

  bool tracing_;
  graph::Graph graph_{graph::Graph::Cse::off};
  std::vector<Source> sources_;  ///< by graph input
  std::unordered_map<const TensorImpl*, graph::Value> lifted_;
  std::vector<Tensor> kept_;     ///< keys of `lifted_` stay alive
  std::unordered_map<VariableCell*, graph::Value> reads_;     ///< the input that stands for the cell
  std::unordered_map<VariableCell*, graph::Value> assigned_;  ///< trace: latest value
  std::vector<Write> writes_;
  std::vector<std::pair<std::shared_ptr<Leaf>, graph::Value>> leaves_;
  std::unordered_map<Leaf*, Tensor> grads_;
};

/// A prepared graph: plan, what to feed it and what to do with what comes out.
struct Prepared {
  std::shared_ptr<graph::Plan> plan;
  std::vector<bool> live;
  size_t num_results = 0;                              ///< outputs that go to the caller; the rest are writes
  std::vector<std::shared_ptr<VariableCell>> written;  ///< cell of each output, null for mere results
};
/// Compiles `outputs` of the context for inputs of the given types.
Prepared prepare(GraphContext& context, std::span<const graph::Value> outputs, std::span<const Type> input_types,
                 const graph::StreamPtr& stream);
/// Runs it and does the writes; returns all outputs as tensors.
std::vector<Tensor> run_prepared(const Prepared& prepared, std::span<const Tensor> inputs, SourceLoc loc);
/// A table of explain() rows.
std::string explanation_table(const graph::Plan& plan);
/// Options of every plan the frontend compiles, from the environment.
graph::CompileOptions compile_options(const graph::StreamPtr& stream);

}  // namespace backplane
