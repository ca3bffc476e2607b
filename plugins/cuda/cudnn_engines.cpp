// SPDX-License-Identifier: Apache-2.0
#include "cudnn_engines.h"

#include <algorithm>

#include "backplane/devicekit/digest.h"

namespace backplane::cuda::dnn {
namespace {

using A = Attribute;

// There are 46 types of knobs in 9.28. Their number cannot be asked for: cuDNN says 0 where no descriptors are given.
constexpr size_t kMostKnobs = 64, kMostConfigurations = 100;
constexpr size_t kLongestName = sizeof(bp_variant::name) - 1;

bool has(const std::vector<Note>& notes, Note note) { return std::find(notes.begin(), notes.end(), note) != notes.end(); }

/// The engine, and every knob that the heuristics turned.
Configuration describe(Descriptor config) {
  Configuration made;
  const std::vector<Descriptor> engine = config.get(A::config_engine, Kind::engine, 1);
  if (engine.empty()) return made;
  made.name = "cudnn@eng=" + std::to_string(engine[0].get_int(A::engine_index));
  const size_t stem = made.name.size();
  for (const Descriptor& knob : config.get(A::config_knobs, Kind::knob_choice, kMostKnobs)) {
    const int type = knob.get_ints(A::knob_type, Type::knob_type).at(0);
    made.name += ",k" + std::to_string(type) + "=" + std::to_string(knob.get_int(A::knob_value));
  }
  if (made.name.size() > kLongestName) {
    made.name = made.name.substr(0, stem) + ",knobs=" + devicekit::digest(made.name).hex();
  }
  for (const int note : engine[0].get_ints(A::engine_notes, Type::numerical_note)) {
    made.notes.push_back(static_cast<Note>(note));
  }
  made.descriptor = std::make_shared<const Descriptor>(std::move(config));
  return made;
}

}  // namespace

std::vector<Configuration> configurations(const Api& api, const Target& target, const Graph& graph) {
  std::vector<Configuration> all;
  for (const int mode : kHeuristicModes) {
    try {
      Descriptor heuristic(api, Kind::heuristic);
      heuristic.set(A::heuristic_graph, graph.whole()).set(A::heuristic_mode, Type::heuristic_mode, mode);
      if (target.description != nullptr) heuristic.set(A::heuristic_device, *target.description);
      heuristic.finalize("a heuristic");
      for (Descriptor& config : heuristic.get(A::heuristic_results, Kind::engine_config, kMostConfigurations)) {
        Configuration made = describe(std::move(config));
        const auto same = [&](const Configuration& c) { return c.name == made.name; };
        if (made.descriptor != nullptr && std::none_of(all.begin(), all.end(), same)) all.push_back(std::move(made));
      }
    } catch (const sdk::Failure&) {  // a mode that has nothing to say; the others may
    }
  }
  return all;
}

Descriptor make_plan(const Api& api, const Target& target, const Configuration& configuration) {
  Descriptor plan(api, Kind::plan);
  if (target.handle != nullptr) plan.set(A::plan_handle, Type::handle, &target.handle);
  if (target.description != nullptr) plan.set(A::plan_device, *target.description);
  plan.set(A::plan_config, *configuration.descriptor).finalize("a plan");
  return plan;
}

bool allows(const bp_op& op, const std::vector<Note>& notes) {
  if (has(notes, Note::reduced_accumulation)) return false;
  if (op.inputs[0].dtype != BP_F32) return true;
  // On f32, tensor cores are TF32's; an engine that rounds to halves says so beside.
  if (op.math_mode == BP_MATH_STRICT && has(notes, Note::tensor_core)) return false;
  return op.math_mode == BP_MATH_FAST || !has(notes, Note::down_converted_inputs);
}

uint32_t notes_of(const std::vector<Note>& notes, uint32_t dtype) {
  uint32_t all = 0;
  if (has(notes, Note::tensor_core)) all |= BP_NOTE_TENSOR_CORE | (dtype == BP_F32 ? uint32_t{BP_NOTE_TF32} : 0u);
  if (has(notes, Note::down_converted_inputs)) all |= BP_NOTE_REDUCED_INPUTS;
  if (has(notes, Note::fft)) all |= BP_NOTE_FFT;
  if (has(notes, Note::nondeterministic)) all |= BP_NOTE_ATOMICS;
  if (has(notes, Note::winograd)) all |= BP_NOTE_WINOGRAD;
  return all;
}

uint32_t determinism_of(const std::vector<Note>& notes) {
  return has(notes, Note::nondeterministic) ? uint32_t{BP_DETERMINISM_NONE} : uint32_t{BP_DETERMINISM_RUN};
}

}  // namespace backplane::cuda::dnn
