// SPDX-License-Identifier: Apache-2.0
// cuBLASLt (libcublasLt.so), opened at run time: MATMUL of floats, each candidate of its heuristic a variant of its own, named
// by the attributes of its algorithm. An epilogue is a second launch, over the product in place or out of the workspace; where
// it is one of cuBLASLt's own, the candidates that do it inside come as well ("cublaslt+epilogue@id=...").
//
// Not here: integers, matrices of which neither axis is dense, batches that no single stride describes (codegen's
// kernels do them).
#pragma once

#include <cublasLt.h>

#include <memory>
#include <string>
#include <vector>

#include "kernel.h"
#include "lt_problem.h"

namespace backplane::cuda {

constexpr uint32_t kLtAlignment = 16;  ///< of operands in bytes, that the candidates count on

/// The library with a handle in the context that was current when this was made. [any] thread.
class BlasLt {
 public:
  explicit BlasLt(const sdk::Host& host);
  ~BlasLt();
  BlasLt(const BlasLt&) = delete;
  BlasLt& operator=(const BlasLt&) = delete;

  struct Api;
  /// NULL where the library is not there.
  const Api* api() const { return api_; }
  cublasLtHandle_t handle() const { return handle_; }
  /// What measurements and choices depend on.
  const std::string& version() const { return version_; }

 private:
  const Api* api_ = nullptr;
  cublasLtHandle_t handle_ = nullptr;
  CUcontext context_ = nullptr;
  std::string version_;
};

struct LtVariant {
  std::string name;        ///< "cublaslt@id=66,tile=20,stages=36,...", without the attributes that are 0
  uint64_t workspace = 0;  ///< with the product's place, where it has one
  uint32_t notes = 0;
  bool out_of_workspace = false;  ///< the product is made there, for an epilogue to read
  std::shared_ptr<const void> choice;  ///< for lt_product
  bool leaves_epilogue = false;        ///< to another step: see epilogue_operation()
  bool needs_alignment = false;        ///< of operands to kLtAlignment: others need another kernel
};

/// The heuristic's candidates, the default first; none where cuBLASLt is not there or does not suit the operation.
std::vector<LtVariant> lt_variants(const BlasLt& lt, const bp_op& op);

/// The product as a step of a kernel.
std::unique_ptr<Step> lt_product(const BlasLt& lt, const LtVariant& variant);

}  // namespace backplane::cuda
