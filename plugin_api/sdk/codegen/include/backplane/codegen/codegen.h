// SPDX-License-Identifier: Apache-2.0
// Kernels as source text, for devices that compile: OpenCL C, GLSL and CUDA from the same families of kernel texts.
//
//   refuse         why this device cannot do the operation, or nothing
//   list_variants  every way it can, best guess first; each builds a Recipe
//
// A plugin that has a compiler for one dialect, buffers and a queue needs nothing else to offer every operation here.
// Nothing in this library calls a vendor's API, keeps state or depends on the host.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "backplane/codegen/device_facts.h"
#include "backplane/codegen/recipe.h"
#include "backplane/plugin.h"

namespace backplane::codegen {

/// Empty when `op`, already validated, can run here; else the condition that is not met ("f64 is not supported by this
/// device"). Cheap: no text is made.
std::string refuse(const bp_op& op, const DeviceFacts& facts);

/// The ways to do an operation that is not refused, the default first. Variants that break the operation's `deterministic`
/// or `max_workspace` are left out; the list may therefore be empty. The variants borrow `op` and `facts`.
std::vector<Variant> list_variants(const bp_op& op, const DeviceFacts& facts);

/// Changes whenever the device would get another text or launch it another way: bp_variant.code_hash. `plugin_id` stands for
/// how the plugin itself compiles and launches a recipe. Never 0.
uint64_t code_hash(std::string_view plugin_id, const Recipe& recipe);

/// Changes whenever the same operation and facts may give other text: part of a plugin's build id.
const char* build_id();

}  // namespace backplane::codegen
