// SPDX-License-Identifier: Apache-2.0
#include "source.h"

#include <algorithm>

#include "backplane/sdk/error.hpp"
#include "backplane/sdk/program.hpp"
#include "dialect.h"

namespace backplane::codegen {
namespace {

/// Lowest and highest element of a view, relative to its offset.
void set_reach(Slot& slot, const bp_tensor_desc& desc) {
  for (uint32_t axis = 0; axis < desc.rank; ++axis) {
    const int64_t reach = (std::max<int64_t>(desc.shape[axis], 1) - 1) * desc.strides[axis];
    (reach < 0 ? slot.low : slot.high) += reach;
  }
}

int32_t word(std::string_view name, int64_t value) {
  if (value < INT32_MIN || value > INT32_MAX) {
    throw sdk::Failure(BP_E_INTERNAL, "internal: [codegen] parameter " + std::string(name) + " = " +
                                          std::to_string(value) + " does not fit 32 bits; refuse should have said so");
  }
  return static_cast<int32_t>(value);
}

std::string number(size_t n) { return std::to_string(n); }

}  // namespace

void Source::add_buffer(std::string_view name, uint32_t dtype, Slot slot) {
  slot.element_size = sdk::dtype_size(dtype);
  if (sdk::is_f8(dtype)) include("scalar_f8");
  launch_.slots.push_back(slot);
  buffers_.push_back({std::string(name), dtype, false, false});
}

void Source::input(std::string_view name, uint32_t index, const bp_tensor_desc& desc) {
  Slot slot{.from = Slot::From::input, .index = index};
  set_reach(slot, desc);
  add_buffer(name, desc.dtype, slot);
}

void Source::output(std::string_view name, uint32_t index, const bp_tensor_desc& desc) {
  Slot slot{.from = Slot::From::output, .index = index, .written = true};
  set_reach(slot, desc);
  add_buffer(name, desc.dtype, slot);
}

void Source::workspace(std::string_view name, uint32_t dtype, uint64_t offset, int64_t count, bool written) {
  add_buffer(name, dtype,
             {.from = Slot::From::workspace, .written = written, .offset = offset, .high = std::max<int64_t>(count, 1) - 1});
}

void Source::vectors(std::string_view name) {
  for (Buffer& buffer : buffers_) {
    if (buffer.name == name) buffer.vectors = true;
  }
}

void Source::param(std::string_view name, int64_t value) {
  launch_.words.push_back(word(name, value));
  words_.emplace_back(name);
}

void Source::define(std::string_view name, int64_t value) { define(name, std::to_string(value)); }

void Source::define(std::string_view name, std::string_view value) {
  text_.append("#define ").append(name).append(" ").append(value).append("\n");
}

void Source::local_array(std::string_view type, std::string_view name, std::string_view count) {
  local_arrays_.push_back({std::string(type), std::string(name), std::string(count)});
}

void Source::extension(std::string_view name) {
  extensions_.append("#extension ").append(name).append(" : require\n");
}

void Source::text(std::string_view text) { text_.append(text).append("\n"); }

void Source::include(std::string_view kernel) {
  if (std::find(included_.begin(), included_.end(), kernel) != included_.end()) return;
  included_.emplace_back(kernel);
  std::string_view rest = kernel_text(kernel);
  if (rest.find("PRECISE ") != rest.npos) precise_functions_ = true;
  constexpr std::string_view kInclude = "#include \"", kEnding = ".kernel\"\n";
  for (size_t at; (at = rest.find(kInclude)) != rest.npos;) {
    const size_t name = at + kInclude.size(), end = rest.find(kEnding, name);
    text_.append(rest.substr(0, at));
    include(rest.substr(name, end - name));
    rest.remove_prefix(end + kEnding.size());
  }
  text(rest);
}

namespace {

/// How one dialect spells a kernel's interface.
struct Interface {
  std::string globals;    ///< before the kernel
  std::string signature;  ///< up to and with the opening brace
};

struct Access {
  std::string load, store, load4, store4;
};

/// Four neighbours at once: what the dialect has for it, else element by element.
Access accesses(Dialect dialect, bool aligned, uint32_t dtype, const std::string& name, bool texels) {
  const std::string at = "(" + name + "_at + (i))";
  if (texels) {
    const auto one = [&](const char* more) { return "imageLoad(" + name + "_t1, " + at + more + ").x"; };
    return {.load = one(""),
            .store = {},
            .load4 = aligned ? "imageLoad(" + name + "_t4, " + at + " >> 2)"
                             : "make_float4(" + one("") + ", " + one(" + 1") + ", " + one(" + 2") + ", " + one(" + 3") + ")",
            .store4 = {}};
  }
  Access access{load_expression(dialect, dtype, name, at), store_statement(dialect, dtype, name, at, "(v)"), {}, {}};
  if (dtype == BP_F32 && dialect == Dialect::opencl_c) {
    access.load4 = "vload4(0, " + name + " + " + at + ")";
    access.store4 = "vstore4((v), 0, " + name + " + " + at + ")";
  } else if (dtype == BP_F16 && dialect == Dialect::opencl_c) {
    access.load4 = "vload_half4(0, " + name + " + " + at + ")";
    access.store4 = "vstore_half4_rte((v), 0, " + name + " + " + at + ")";
  } else if (dtype == BP_F32 && aligned) {
    const std::string four = dialect == Dialect::glsl ? name + "_x4[" + at + " >> 2]"
                                                      : "((float4*)" + name + ")[" + at + " >> 2]";
    access.load4 = four;
    access.store4 = four + " = (v)";
  } else {
    std::string values, stores;
    for (int lane = 0; lane < 4; ++lane) {
      const std::string index = "(" + name + "_at + (i) + " + std::to_string(lane) + ")";
      values += (lane != 0 ? ", " : "") + load_expression(dialect, dtype, name, index);
      stores += store_statement(dialect, dtype, name, index, std::string("bp_v.") + "xyzw"[lane]) + "; ";
    }
    access.load4 = "make_float4(" + values + ")";
    access.store4 = "{ float4 bp_v = (v); " + stores + "}";
  }
  return access;
}

}  // namespace

/// Buffers of 32-bit elements that are only read, as long as there are places for them.
void Source::choose_texel_buffers() {
  for (uint32_t slot = 0; slot < buffers_.size(); ++slot) {
    Buffer& buffer = buffers_[slot];
    if (launch_.slots[slot].written || (buffer.dtype != BP_F32 && buffer.dtype != BP_I32)) continue;
    const size_t wanted = buffer.vectors && buffer.dtype == BP_F32 ? 2 : 1;
    if (launch_.texels.size() + wanted > facts_.max_texel_buffers) continue;
    buffer.texels = true;
    launch_.texels.push_back({slot, 1, buffer.dtype});
    if (wanted == 2) launch_.texels.push_back({slot, 4, buffer.dtype});
  }
}

std::string Source::texel_declarations() const {
  std::string text;
  size_t binding = buffers_.size() + 1;
  for (const TexelBuffer& texels : launch_.texels) {
    const bool real = texels.dtype == BP_F32;
    text += "layout(set = 0, binding = " + number(binding++) + ", " + (texels.lanes == 4 ? "rgba32" : "r32") +
            (real ? "f) uniform readonly imageBuffer " : "i) uniform readonly iimageBuffer ") + buffers_[texels.slot].name +
            "_t" + number(texels.lanes) + ";\n";
  }
  return text;
}

/// Push constants, or as many of them as fit, and the size of a group.
std::string Source::glsl_words() const {
  std::string offsets, words;
  for (const Buffer& buffer : buffers_) offsets += "  int " + buffer.name + "_at;\n";
  for (const std::string& name : words_) words += "  int " + name + ";\n";
  std::string text = "layout(push_constant) uniform Words {\n" + offsets + (launch_.words_in_buffer ? "" : words) + "};\n";
  if (launch_.words_in_buffer) {
    text += "layout(std140, set = 0, binding = " + number(buffers_.size()) + ") uniform WordBuffer {\n" + words + "};\n";
  }
  return text + "layout(local_size_x = " + number(launch_.group[0]) + ", local_size_y = " + number(launch_.group[1]) +
         ", local_size_z = " + number(launch_.group[2]) + ") in;\n";
}

/// The kernel's head in OpenCL C or CUDA C++, after `buffers`, its pointers.
std::string Source::c_signature(const std::string& buffers) const {
  const bool opencl = facts_.dialect == Dialect::opencl_c;
  std::vector<std::string> numbers;
  for (const Buffer& buffer : buffers_) numbers.push_back(buffer.name + "_at");
  if (!launch_.words_in_buffer) numbers.insert(numbers.end(), words_.begin(), words_.end());
  std::string arguments, values;
  for (size_t i = 0; i < numbers.size(); ++i) {
    arguments += ", int " + numbers[i];
    values += (i == 0 ? " const int " : ", ") + numbers[i] + " = bp_numbers.v[" + number(i) + "]";
  }
  if (opencl) arguments = ", const bp_Numbers bp_numbers";
  if (launch_.words_in_buffer) arguments += std::string(opencl ? ", __constant" : ", const") + " int* bp_words";
  const auto [x, y, z] = launch_.group;
  if (opencl) {
    return "typedef struct { int v[" + number(numbers.size()) + "]; } bp_Numbers; __kernel __attribute__((" +
           "reqd_work_group_size(" + number(x) + ", " + number(y) + ", " + number(z) + "))) void bp_main(" + buffers +
           arguments + ") {" + values + ";";
  }
  return "extern \"C\" __global__ void __launch_bounds__(" + number(x * y * z) + ") bp_main(" + buffers + arguments + ") {";
}

std::string Source::render(std::string_view kernel_text, bool aligned) const {
  const Dialect dialect = facts_.dialect;
  const bool glsl = dialect == Dialect::glsl;
  std::string text = prelude(facts_);
  if (glsl) text.insert(text.find('\n') + 1, extensions_);  // after the version, before anything else
  // SPIRV-Tools 2023 inlines functions without their NoContraction and then cancels (a + b) - b: see the plugin's compiler.
  if (glsl && precise_functions_) text += "#pragma optimize(off)\n";
  Interface face;
  std::string arguments;
  for (size_t slot = 0; slot < buffers_.size(); ++slot) {
    const Buffer& buffer = buffers_[slot];
    const std::string type(storage_type(dialect, buffer.dtype));
    const bool written = launch_.slots[slot].written;
    const Access access = accesses(dialect, aligned, buffer.dtype, buffer.name, buffer.texels);
    text += "#define LOAD_" + buffer.name + "(i) " + access.load + "\n";
    if (written) text += "#define STORE_" + buffer.name + "(i, v) " + access.store + "\n";
    if (buffer.vectors) {
      text += "#define LOAD4_" + buffer.name + "(i) " + access.load4 + "\n";
      if (written) text += "#define STORE4_" + buffer.name + "(i, v) " + access.store4 + "\n";
    }
    if (buffer.texels) continue;
    if (glsl) {
      const std::string head = "layout(std430, set = 0, binding = " + number(slot) + (written ? ") buffer " : ") readonly buffer ");
      face.globals += head + "Buffer_" + buffer.name + " { " + type + " " + buffer.name + "[]; };\n";
      if (buffer.vectors && aligned && buffer.dtype == BP_F32) {
        face.globals += head + "Buffer4_" + buffer.name + " { vec4 " + buffer.name + "_x4[]; };\n";
      }
    } else {
      arguments += std::string(arguments.empty() ? "" : ", ") + (dialect == Dialect::opencl_c ? "__global " : "") +
                   (written ? "" : "const ") + type + "* " + buffer.name;
    }
  }

  if (glsl) {
    face.globals += texel_declarations() + glsl_words();
    face.signature = "void main() {";
  } else {
    face.signature = c_signature(arguments);
    for (size_t i = 0; launch_.words_in_buffer && i < words_.size(); ++i) {
      text += "#define " + words_[i] + " bp_words[" + number(i) + "]\n";
    }
  }
  for (size_t d = 0; d < 3; ++d) text += std::string("#define GROUP_") + "XYZ"[d] + " " + number(launch_.group[d]) + "\n";
  text += text_;
  for (const auto& [type, name, count] : local_arrays_) {
    const std::string rest = type + " " + name + "[" + count + "];";
    if (glsl) face.globals += "shared " + rest + "\n";
    else face.signature += (dialect == Dialect::opencl_c ? " __local " : " __shared__ ") + rest;
  }
  text += face.globals;
  text += "#define KERNEL_BEGIN " + face.signature + "\n#define KERNEL_END }\n";
  return text.append(kernel_text);
}

Launch Source::finish(std::string_view kernel_text, std::array<uint32_t, 3> group, std::array<uint32_t, 3> grid) {
  launch_.group = group;
  launch_.grid = grid;
  launch_.words_in_buffer = launch_.slots.size() + launch_.words.size() > facts_.max_words;
  choose_texel_buffers();
  launch_.source = render(kernel_text, false);
  const bool gains = std::any_of(buffers_.begin(), buffers_.end(),
                                 [](const Buffer& b) { return b.vectors && b.dtype == BP_F32; });
  if (gains && facts_.dialect != Dialect::opencl_c) launch_.aligned_source = render(kernel_text, true);
  return launch_;
}

LinearGrid linear_grid(int64_t items, const DeviceFacts& facts, uint32_t group_size) {
  // llvmpipe runs idle lanes as well: 0.1 to 0.2 us for eight of them, where a smallest launch takes 8 (docs/vulkan.md).
  const bool idle_lanes_cost = facts.cpu_like && facts.dialect == Dialect::glsl;
  if (group_size == 0) group_size = std::min<uint32_t>(facts.max_group_size, idle_lanes_cost && items <= 128 ? 32 : 256);
  LinearGrid grid;
  grid.group[0] = group_size;
  const uint64_t groups = static_cast<uint64_t>(items + group_size - 1) / group_size;
  const uint64_t rows = (groups + facts.max_grid_extent[0] - 1) / facts.max_grid_extent[0];
  grid.grid[1] = static_cast<uint32_t>(rows);
  grid.grid[0] = static_cast<uint32_t>((groups + rows - 1) / rows);
  return grid;
}

}  // namespace backplane::codegen
