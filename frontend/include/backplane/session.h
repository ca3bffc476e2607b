// SPDX-License-Identifier: Apache-2.0
// Define-then-run: build a graph in a scope, run parts of it with a Session.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "backplane/tensor.h"
#include "backplane/variable.h"

namespace backplane {

class GraphContext;  // frontend/src/graph_context.h

/// A graph under construction. Inside `auto building = graph.build();` variables are read symbolically and placeholders
/// can be made.
class Graph {
 public:
  Graph();
  class Scope {
   public:
    explicit Scope(std::shared_ptr<GraphContext> context);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    std::shared_ptr<GraphContext> context_;
  };
  [[nodiscard]] Scope build() const { return Scope(context_); }
  /// Text form, one line per node.
  std::string to_string() const;
  const std::shared_ptr<GraphContext>& context() const { return context_; }

 private:
  std::shared_ptr<GraphContext> context_;
};

/// An input to be fed. The leading extent may be `dyn`. Only inside a graph scope.
Tensor placeholder(DType dtype, const Shape& shape, std::string name = "", Here here = {});

/// What run() can be asked for: a graph value or an assignment.
struct Fetch {
  Tensor value;
  std::shared_ptr<VariableCell> cell;
  Fetch(const Tensor& t) : value(t) {}                          // NOLINT: implicit on purpose
  Fetch(const Assignment& a) : value(a.value), cell(a.cell) {}  // NOLINT
};
using Feed = std::pair<Tensor, Tensor>;  ///< placeholder, value

class Session {
 public:
  explicit Session(const Device& device = default_device());
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Computes the fetches and does the assignments among them; values come back in order. Plans are cached by fetches and
  /// feed types, at most 32. Throws Error naming a placeholder without a feed and its line.
  std::vector<Tensor> run(const std::vector<Fetch>& fetches, const std::vector<Feed>& feeds = {}, Here here = {});
  Tensor run(const Fetch& fetch, const std::vector<Feed>& feeds = {}, Here here = {});
  /// What runs where, and why, as a table.
  std::string explain(const std::vector<Fetch>& fetches, const std::vector<Feed>& feeds = {});
  /// Launches of the last run: on the device, and on the host fallback.
  std::pair<size_t, size_t> node_counts() const;
  size_t cached_plans() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace backplane
