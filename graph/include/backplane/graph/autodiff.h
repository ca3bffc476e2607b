// SPDX-License-Identifier: Apache-2.0
// Reverse mode over a recorded sequence of op applications, the same for graphs and for eager history.
//
// Sweeps the tape backwards, calls each op's VJP (or differentiates its decomposition, recorded on a tape of its own),
// sums contributions in tape order and sums broadcast axes back here, once. What it does not do: choose what to save.
#pragma once

#include <span>
#include <vector>

#include "backplane/graph/builder.h"
#include "backplane/graph/graph.h"

namespace backplane::graph {

/// One application of an op. Syms belong to the builder that the gradients are to be built with.
struct TapeEntry {
  const OpDef* op = nullptr;
  const Attrs* attrs = nullptr;
  std::vector<Sym> in, out;
  SourceLoc loc;
};

/// d(sum_i dys[i] * ys[i]) / dxs. `tape` is in topological order. Empty `dys` means ones (each y then must be a scalar).
/// An x that no y depends on differentiably is an error naming the op that blocks the way, or, with
/// `allow_unconnected`, an empty Sym.
std::vector<Sym> gradients(Builder& builder, std::span<const TapeEntry> tape, std::span<const Sym> ys,
                           std::span<const Sym> xs, std::span<const Sym> dys = {}, bool allow_unconnected = false);

/// The graph's nodes as a tape, up to and excluding node `end`.
std::vector<TapeEntry> tape_of(Graph& graph, NodeId end);

/// Sums `x` over the axes along which it was broadcast from `shape`.
Sym sum_to(Sym x, const Shape& shape);

}  // namespace backplane::graph
