// SPDX-License-Identifier: Apache-2.0
#include "epilogue.h"

#include "backplane/sdk/op.hpp"
#include "program_text.h"
#include "walk.h"

namespace backplane::codegen {
namespace {

std::string numbered(std::string_view name, size_t n) { return std::string(name) + std::to_string(n); }

/// Declarations of the extra inputs' values and of the program's; the value to be stored goes to `result`.
std::string program_statements(Source& source, const bp_op& op, uint32_t own, std::string& result) {
  std::vector<uint32_t> dtypes{op.inputs[0].dtype == BP_F64 ? uint32_t{BP_F64} : uint32_t{BP_F32}};
  std::vector<std::string> values{"(bp_value)"};
  for (uint32_t i = own; i < op.num_inputs; ++i) {
    const std::string name = numbered("bp_e", i - own + 1);
    dtypes.push_back(op.inputs[i].dtype);
    values.push_back("LOAD_" + name + "(bp_" + name + "_i)");
  }
  const ProgramText text = program_text(source, *op.program, dtypes.data(), values);
  result = text.outputs[0];
  return text.statements;
}

}  // namespace

void declare_epilogue(Source& source, const bp_op& op, const std::vector<uint32_t>& first_axes) {
  const uint32_t own = sdk::own_inputs(op);
  std::vector<const bp_tensor_desc*> operands{&op.outputs[0]};
  std::vector<std::string> names{"y"};
  source.output("y", 0, op.outputs[0]);
  for (uint32_t i = own; i < op.num_inputs; ++i) {
    operands.push_back(&op.inputs[i]);
    names.push_back(numbered("bp_e", i - own + 1));
    source.input(names.back(), i, op.inputs[i]);
  }

  std::string head = "EPILOGUE(bp_value", body = "{ NO_CONTRACT ";
  std::vector<std::string> offsets(names.size());
  for (size_t group = 0; group < first_axes.size(); ++group) {
    const uint32_t last = group + 1 < first_axes.size() ? first_axes[group + 1] : op.outputs[0].rank;
    const std::string walk = numbered("EPILOGUE_WALK", group), position = numbered("bp_p", group);
    declare_walk(source, walk, merge_axes(operands, first_axes[group], last));
    head += ", " + position;
    body += walk + "(" + position;
    for (size_t o = 0; o < names.size(); ++o) {
      const std::string offset = "bp_" + names[o] + numbered("_o", group);
      body += ", " + offset;
      offsets[o] += (group != 0 ? " + " : "") + offset;
    }
    body += ") ";
  }
  for (size_t o = 0; o < names.size(); ++o) body += "int bp_" + names[o] + "_i = " + offsets[o] + "; ";
  std::string result = "bp_value";
  if (op.program != nullptr) body += program_statements(source, op, own, result);
  source.define(head + ")", body + "STORE_y(bp_y_i, (" + result + ")); }");
}

}  // namespace backplane::codegen
