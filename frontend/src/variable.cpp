// SPDX-License-Identifier: Apache-2.0
#include "backplane/variable.h"

#include "graph_context.h"
#include "variable_cell.h"

namespace backplane {

Tensor VariableCell::value() const {
  const std::lock_guard lock(mutex_);
  return value_;
}

Tensor VariableCell::value_on(const graph::StreamPtr& stream) {
  const Tensor now = value();
  if (now.impl()->storage->stream() == stream) return now;
  set(now.to(Device(stream)), loc);
  return value();
}

void VariableCell::set(const Tensor& tensor, SourceLoc at) {
  if (value_.defined() && !(tensor.type() == type)) {
    const Type types[] = {type, tensor.type()};
    backplane::fail("assign", "variable '" + name + "' and its new value differ in type", types, at,
                    "assign a value of the same dtype and shape");
  }
  const Tensor dense = to_dense(tensor);
  auto impl = std::make_shared<TensorImpl>();
  impl->type = dense.type();
  impl->storage = dense.impl()->storage;
  impl->layout = dense.impl()->layout;
  impl->leaf = trainable && is_float(dense.dtype()) ? leaf : nullptr;
  impl->origin = std::make_shared<Origin>(Origin{name, loc});
  const std::lock_guard lock(mutex_);
  type = dense.type();
  value_ = Tensor(std::move(impl));
}

Variable::Variable(const Tensor& initial, std::string name, bool trainable, Here here)
    : cell_(std::make_shared<VariableCell>()) {
  computed(initial, "Variable", here.loc);
  cell_->name = std::move(name);
  cell_->trainable = trainable;
  cell_->loc = here.loc;
  cell_->set(initial, here.loc);
}

Variable::Variable(double initial, std::string name) : Variable(Tensor(initial), std::move(name), false) {}

Tensor Variable::read(Here here) const {
  if (cell_ == nullptr) backplane::fail("Variable", "the variable is undefined", {}, here.loc, "give it an initial value");
  if (GraphContext* context = GraphContext::current()) return context->read(cell_, here.loc);
  return cell_->value();
}

Variable::operator Tensor() const { return read(Here(SourceLoc{})); }

Assignment Variable::assign(const Tensor& value, Here here) const {
  if (cell_ == nullptr) backplane::fail("Variable", "the variable is undefined", {}, here.loc, "give it an initial value");
  if (GraphContext* context = GraphContext::current()) {
    if (context->tracing()) {
      context->write(cell_, value, here.loc);
      return {value, cell_};
    }
    const Tensor lifted = context->tensor(context->lift(value, here.loc));
    if (!(lifted.type() == cell_->type)) {
      const Type types[] = {cell_->type, lifted.type()};
      backplane::fail("assign", "variable '" + cell_->name + "' and its new value differ in type", types, here.loc,
                      "assign a value of the same dtype and shape");
    }
    return {lifted, cell_};
  }
  if (value.is_symbolic()) return {value, cell_};  // for Session::run, after the graph's scope has ended
  computed(value, "assign", here.loc);
  cell_->set(value, here.loc);
  return {cell_->value(), cell_};
}

const Type& Variable::type() const { return cell_->type; }
const std::string& Variable::name() const { return cell_->name; }
void Variable::set_name(std::string name) const { cell_->name = std::move(name); }
bool Variable::trainable() const { return cell_->trainable; }

Tensor Variable::grad() const {
  if (const GraphContext* context = GraphContext::current()) return context->grad(cell_->leaf);
  return cell_->leaf->grad;
}

void Variable::zero_grad() const {
  if (GraphContext* context = GraphContext::current()) return context->set_grad(cell_->leaf, {});
  cell_->leaf->grad = {};
}

}  // namespace backplane
