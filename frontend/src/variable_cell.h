// SPDX-License-Identifier: Apache-2.0
// The mutable cell behind a Variable.
#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "tensor_impl.h"

namespace backplane {

struct VariableCell {
  std::string name;
  bool trainable = true;
  Type type;
  std::shared_ptr<Leaf> leaf = std::make_shared<Leaf>();
  SourceLoc loc;  ///< where it was made

  /// The value as a dense computed tensor, moved to `stream` when it lies elsewhere.
  Tensor value_on(const graph::StreamPtr& stream);
  Tensor value() const;
  /// `tensor` is computed; takes it without history. Checks the type.
  void set(const Tensor& tensor, SourceLoc loc);

 private:
  mutable std::mutex mutex_;
  Tensor value_;
};

}  // namespace backplane
