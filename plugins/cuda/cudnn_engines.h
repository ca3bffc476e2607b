// SPDX-License-Identifier: Apache-2.0
// The engine configurations that cuDNN's heuristics name for an operation graph (mode A, then B, then the fallback), by what is
// stable about them: the engine's number and the values of its knobs; and what their arithmetic is.
#pragma once

#include <memory>

#include "cudnn_graph.h"

namespace backplane::cuda::dnn {

struct Configuration {
  std::string name;  ///< "cudnn@eng=4,k2=17,k14=3"
  std::vector<Note> notes;
  std::shared_ptr<const Descriptor> descriptor;
};
/// In the heuristics' order and without repetitions.
std::vector<Configuration> configurations(const Api& api, const Target& target, const Graph& graph);

/// Finalised, which may compile; throws where the target or the operands do not allow it.
Descriptor make_plan(const Api& api, const Target& target, const Configuration& configuration);

/// May the operation be computed with this arithmetic?
bool allows(const bp_op& op, const std::vector<Note>& notes);
/// BP_NOTE_* and BP_DETERMINISM_* of the same, for operands of that dtype.
uint32_t notes_of(const std::vector<Note>& notes, uint32_t dtype);
uint32_t determinism_of(const std::vector<Note>& notes);

}  // namespace backplane::cuda::dnn
