// SPDX-License-Identifier: Apache-2.0
// What a measurement belongs to: the problem (Key), the rules it was solved under (policy), the device (Fingerprint).
//
// All three are canonical text: they are stored, compared, exported and read by people. Nothing in them is an index or
// an address, so they mean the same in another process, version and machine.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "backplane/host/device.h"
#include "backplane/plugin.h"

namespace backplane::autotune {

/// An operation as a problem. Names of operations, inputs' values and their places in memory are no part of it.
///
///   problem  "matmul f32,f32->f32"   operation, {attributes}, dtypes with layout classes, digest of the program
///   shapes   "64x784,784x256->64x256"
///   policy   "strict" "tf32 deterministic" "strict workspace<=1048576"
struct Key {
  std::string problem, shapes, policy;
  std::vector<int64_t> extents;  ///< all numbers of `shapes`; problems of one class have equally many

  static Key of(const bp_op& op);
  /// "matmul"
  std::string operation() const { return problem.substr(0, problem.find_first_of(" {")); }
  std::string text() const { return problem + " " + shapes + " " + policy; }
  friend bool operator==(const Key& a, const Key& b) {
    return a.problem == b.problem && a.shapes == b.shapes && a.policy == b.policy;
  }
};

/// How alike two shapes of one class are: the distance of the logarithms of their extents, 0 = equal. Infinite when an
/// extent that is 0 or 1 in one of them is not in the other: such kernels have little in common.
double distance(const std::vector<int64_t>& a, const std::vector<int64_t>& b);

/// The extents of `shapes` text; empty when it is no such text.
std::vector<int64_t> parse_extents(const std::string& shapes);

/// How operands lie in memory, without their extents: "" dense, "t10" axes in another order from outer to inner, "b2"
/// axis 1 repeated (bit mask), "g" with gaps, "n" backwards, "s" an innermost stride above 1.
std::string layout_class(const bp_tensor_desc& desc);

/// A device as far as it decides how fast kernels are. Ordinals, host names and temperatures are left out on purpose:
/// equal cards share measurements.
struct Fingerprint {
  std::string device;  ///< "cpu|x86-64-v4|AMD EPYC|units=2|oneDNN 2.6.3": plugin, architecture, name, units, driver
  std::string build;   ///< the plugin's build id; stands for the code of variants without a hash

  static Fingerprint of(const host::Device& device);
  static Fingerprint of(const std::string& plugin, const bp_device_info& info, const std::string& build);
};

/// Why the policy of `op` forbids a variant, in one sentence; empty when it does not. Asked before anything is timed,
/// and again before something stored is used.
std::string forbidden(const bp_op& op, const host::Variant& variant);

/// "matmul", "softmax_grad", or "op 77" for a code that has no name here.
std::string operation_name(uint32_t code);

}  // namespace backplane::autotune
