// SPDX-License-Identifier: Apache-2.0
// All checks come before the first assignment: a file that does not fit changes nothing.
#include "backplane/nn/checkpoint.h"

#include "backplane/io/safetensors.h"

namespace backplane::nn {
namespace {

Type type_of(const io::HostTensor& tensor) { return {static_cast<DType>(tensor.dtype), Shape(tensor.shape)}; }

[[noreturn]] void refuse(const std::filesystem::path& file, const std::string& what, Here here,
                         std::string_view remedy) {
  fail("nn::load", what + " (" + file.string() + ")", {}, here.loc, remedy);
}

void check(const std::filesystem::path& file, const io::TensorFile& content, std::span<const NamedVariable> variables,
           Here here) {
  constexpr std::string_view kRemedy = "load a file that was saved from the same model";
  for (const NamedVariable& each : variables) {
    const auto found = content.tensors.find(each.name);
    if (found == content.tensors.end()) {
      refuse(
          file,
          "the file has no tensor '" + each.name + "', which the model needs as " + each.variable.type().to_string(),
          here, kRemedy);
    }
    const io::HostTensor& tensor = found->second;
    // Shape holds at most kMaxRank extents.
    const std::string have =
        tensor.shape.size() > kMaxRank ? "rank " + std::to_string(tensor.shape.size()) : type_of(tensor).to_string();
    if (tensor.shape.size() > kMaxRank || !(type_of(tensor) == each.variable.type())) {
      refuse(
          file,
          "'" + each.name + "' is " + have + " in the file and " + each.variable.type().to_string() + " in the model",
          here, kRemedy);
    }
  }
  for (const auto& [name, tensor] : content.tensors) {
    bool known = false;
    for (const NamedVariable& each : variables) known = known || each.name == name;
    if (!known) refuse(file, "the model has no variable '" + name + "', which the file holds", here, kRemedy);
  }
}

}  // namespace

void save(const std::filesystem::path& file, std::span<const NamedVariable> variables, const Metadata& metadata) {
  io::TensorFile content;
  content.metadata = metadata;
  for (const NamedVariable& each : variables) {
    io::HostTensor tensor;
    tensor.dtype = static_cast<uint32_t>(each.variable.dtype());
    tensor.shape = each.variable.shape().vector();
    tensor.data = each.variable.read().to_bytes();
    if (!content.tensors.emplace(each.name, std::move(tensor)).second) {
      fail("nn::save", "two variables are called '" + each.name + "'", {}, {}, "give the fields different names");
    }
  }
  io::write_safetensors(file, content);
}

void save(const std::filesystem::path& file, Module& module, const Metadata& metadata) {
  save(file, named_variables(module), metadata);
}

Metadata load(const std::filesystem::path& file, std::span<const NamedVariable> variables, Here here) {
  io::TensorFile content = io::read_safetensors(file);
  check(file, content, variables, here);
  for (const NamedVariable& each : variables) {
    const Device device = each.variable.read(here).device();
    each.variable.assign(Tensor::from_bytes(content.tensors.at(each.name).data, each.variable.type(), device), here);
  }
  return content.metadata;
}

Metadata load(const std::filesystem::path& file, Module& module, Here here) {
  return load(file, named_variables(module), here);
}

}  // namespace backplane::nn
