// SPDX-License-Identifier: Apache-2.0
// Text form of a graph, made for reading, diffing and reading back.
//
//   %0 : f32[?,784] = input() placeholder "x"
//   %1 : f32[2] = constant() 0x0000803f00000040
//   %2 : f32[?,10] = softmax(%0) {axis=1}  # mnist.cpp:17
//   %3 : f32[4] = pointwise(%0, %1) program 2 [0x..., 0x...] -> 3        (one bp_instr each)
//   outputs %2, %3:0
#include <charconv>
#include <cstring>
#include <unordered_set>

#include "backplane/graph/graph.h"
#include "backplane/graph/ops.h"

namespace backplane::graph {

namespace {

constexpr std::string_view kInputKinds[] = {"placeholder", "variable", "bound"};
constexpr char kHexDigits[] = "0123456789abcdef";

std::string hex(const void* data, size_t bytes) {
  std::string text = "0x";
  for (size_t i = 0; i < bytes; ++i) {
    const auto b = static_cast<const uint8_t*>(data)[i];
    text += kHexDigits[b >> 4];
    text += kHexDigits[b & 15];
  }
  return text;
}

std::string value_text(Value v) { return "%" + std::to_string(v.node) + (v.out != 0 ? ":" + std::to_string(v.out) : ""); }

std::string quoted(std::string_view name) {
  std::string text = "\"";
  for (char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string program_text(const ScalarProgram& program) {
  std::string text = " program " + std::to_string(program.num_inputs) + " [";
  for (size_t i = 0; i < program.instrs.size(); ++i) {
    if (i > 0) text += ", ";
    text += hex(&program.instrs[i], sizeof(bp_instr));
  }
  text += "] ->";
  for (uint16_t out : program.outputs) text += " " + std::to_string(out);
  return text;
}

/// Reads one graph; every message says line and column.
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), graph_(std::make_unique<Graph>()) {}

  std::unique_ptr<Graph> run() {
    for (skip_blank(); at_ < text_.size(); skip_blank()) {
      if (accept("outputs")) {
        outputs();
      } else {
        node();
      }
    }
    return std::move(graph_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at_ && i < text_.size(); ++i) {
      column = text_[i] == '\n' ? 1 : column + 1;
      line += text_[i] == '\n' ? 1 : 0;
    }
    throw Error("[parse_graph] " + what + "\n  at line " + std::to_string(line) + ", column " + std::to_string(column));
  }
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
  }
  void skip_blank() {
    while (at_ < text_.size() && std::strchr(" \t\r\n", text_[at_]) != nullptr) ++at_;
  }
  bool accept(std::string_view token) {
    skip_spaces();
    if (text_.substr(at_, token.size()) != token) return false;
    at_ += token.size();
    return true;
  }
  void expect(std::string_view token) {
    if (!accept(token)) fail("expected '" + std::string(token) + "'");
  }
  std::string_view word() {
    skip_spaces();
    const size_t begin = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '_')) ++at_;
    if (at_ == begin) fail("expected a name");
    return text_.substr(begin, at_ - begin);
  }
  template <class T>
  T number() {
    skip_spaces();
    T value{};
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc()) fail("expected a number");
    at_ = static_cast<size_t>(end - text_.data());
    return value;
  }
  std::vector<std::byte> bytes() {
    expect("0x");
    std::vector<std::byte> result;
    while (at_ + 1 < text_.size() && std::isxdigit(static_cast<unsigned char>(text_[at_])) != 0) {
      uint8_t b = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + at_ + 2, b, 16);
      if (error != std::errc() || end != text_.data() + at_ + 2) fail("expected two hexadecimal digits");
      result.push_back(static_cast<std::byte>(b));
      at_ += 2;
    }
    return result;
  }
  std::string string() {
    expect("\"");
    std::string result;
    while (at_ < text_.size() && text_[at_] != '"') {
      if (text_[at_] == '\\' && at_ + 1 < text_.size()) ++at_;
      result += text_[at_++];
    }
    expect("\"");
    return result;
  }
  Type type() {
    Type result;
    const std::string_view name = word();
    try {
      result.dtype = dtype_from_name(name);
    } catch (const std::invalid_argument& error) {
      fail(error.what());
    }
    expect("[");
    while (!accept("]")) {
      if (result.shape.rank() > 0) expect(",");
      if (result.shape.rank() == kMaxRank) fail("more than " + std::to_string(kMaxRank) + " axes");
      const int64_t extent = accept("?") ? dyn : number<int64_t>();
      if (extent < dyn) fail("negative extent");
      result.shape.push_back(extent);
    }
    return result;
  }
  Value value() {
    expect("%");
    Value v;
    v.node = number<uint32_t>();
    if (text_.substr(at_, 1) == ":") {
      ++at_;
      v.out = number<uint32_t>();
    }
    if (v.node >= graph_->size() || v.out >= graph_->node(v.node).num_out) fail("no such value before this line");
    return v;
  }
  AttrValue attr_value(AttrKind kind) {
    switch (kind) {
      case AttrKind::integer: return number<int64_t>();
      case AttrKind::real: return number<double>();
      case AttrKind::boolean:
        if (accept("true")) return true;
        expect("false");
        return false;
      case AttrKind::dtype: {
        const std::string_view name = word();
        try {
          return dtype_from_name(name);
        } catch (const std::invalid_argument& error) {
          fail(error.what());
        }
      }
      case AttrKind::integers: break;
    }
    std::vector<int64_t> list;
    expect("[");
    while (!accept("]")) {
      if (!list.empty()) expect(",");
      list.push_back(number<int64_t>());
    }
    return list;
  }
  Attrs attrs(const OpDef& op) {
    std::vector<AttrArg> args;
    if (accept("{")) {
      while (!accept("}")) {
        if (!args.empty()) expect(",");
        const std::string_view name = word();
        expect("=");
        const AttrSpec* spec = nullptr;
        for (const AttrSpec& s : op.attrs) {
          if (s.name == name) spec = &s;
        }
        if (spec == nullptr) fail("'" + std::string(op.name) + "' has no attribute '" + std::string(name) + "'");
        args.push_back({spec->name, attr_value(spec->kind)});
      }
    }
    try {
      return Attrs(op.name, op.attrs, args);
    } catch (const Error& error) {
      fail(error.what());
    }
  }
  std::shared_ptr<ScalarProgram> program(std::span<const Type> types) {
    if (!accept("program")) return nullptr;
    auto result = std::make_shared<ScalarProgram>();
    result->num_inputs = number<uint32_t>();
    expect("[");
    while (!accept("]")) {
      if (!result->instrs.empty()) expect(",");
      const std::vector<std::byte> raw = bytes();
      bp_instr instr{};
      if (raw.size() != sizeof instr) fail("an instruction has " + std::to_string(sizeof instr) + " bytes");
      std::memcpy(&instr, raw.data(), sizeof instr);
      result->instrs.push_back(instr);
    }
    expect("->");
    for (const Type& type : types) {
      result->outputs.push_back(number<uint16_t>());
      result->output_dtypes.push_back(type.dtype);
    }
    return result;
  }
  SourceLoc location() {
    if (!accept("#")) return {};
    skip_spaces();
    const size_t end = std::min(text_.find('\n', at_), text_.size());
    const std::string_view all = text_.substr(at_, end - at_);
    const size_t colon = all.rfind(':');
    at_ = end;
    if (colon == std::string_view::npos) return {};
    SourceLoc loc;
    std::from_chars(all.data() + colon + 1, all.data() + all.size(), loc.line);
    // Locations point to static storage; the few file names of parsed graphs are kept for good.
    static auto* const files = new std::unordered_set<std::string>();
    loc.file = files->emplace(all.substr(0, colon)).first->c_str();
    return loc;
  }
  Input::Kind input_kind() {
    const std::string_view name = word();
    for (size_t i = 0; i < std::size(kInputKinds); ++i) {
      if (kInputKinds[i] == name) return static_cast<Input::Kind>(i);
    }
    fail("an input is placeholder, variable or bound");
  }

  void node() {
    expect("%");
    const auto id = number<uint32_t>();
    if (id != graph_->size()) fail("nodes are numbered in order; expected %" + std::to_string(graph_->size()));
    expect(":");
    std::vector<Type> types = {type()};
    while (accept(",")) types.push_back(type());
    expect("=");
    const std::string_view name = word();
    const OpDef* op = find_op(name);
    if (op == nullptr) fail("there is no op '" + std::string(name) + "'");
    expect("(");
    std::vector<Value> in;
    while (!accept(")")) {
      if (!in.empty()) expect(",");
      in.push_back(value());
    }
    if (op == &op::input) {
      const Input::Kind kind = input_kind();
      std::string label = string();
      graph_->loc = location();
      graph_->add_input(kind, types[0], std::move(label));
      return;
    }
    if (op == &op::constant) {
      std::vector<std::byte> data = bytes();
      if (types[0].shape.is_dynamic() || static_cast<int64_t>(data.size()) != types[0].bytes()) fail("constant of another size");
      graph_->loc = location();
      graph_->add_constant(std::make_shared<Literal>(Literal{types[0], std::move(data)}));
      return;
    }
    Attrs attributes = attrs(*op);
    std::shared_ptr<ScalarProgram> payload = program(types);
    const SourceLoc loc = location();
    if (payload == nullptr) check_types(*op, attributes, in, types, loc);
    graph_->add(*op, std::move(attributes), in, loc, types, std::move(payload));
  }

  void check_types(const OpDef& op, const Attrs& attributes, std::span<const Value> in, std::span<const Type> types,
                   SourceLoc loc) const {
    std::vector<Type> operands;
    for (Value v : in) operands.push_back(graph_->type(v));
    std::vector<Type> inferred;
    try {
      inferred = infer_types(op, attributes, operands, loc);
    } catch (const Error& error) {
      fail(error.what());
    }
    if (!std::equal(types.begin(), types.end(), inferred.begin(), inferred.end())) {
      fail("'" + std::string(op.name) + "' gives " + inferred[0].to_string() + " here");
    }
  }

  void outputs() {
    std::vector<Value> list;
    skip_spaces();
    while (at_ < text_.size() && text_[at_] != '\n') {
      if (!list.empty()) expect(",");
      list.push_back(value());
      skip_spaces();
    }
    graph_->set_outputs(std::move(list));
  }

  std::string_view text_;
  size_t at_ = 0;
  std::unique_ptr<Graph> graph_;
};

}  // namespace

std::string to_text(const Graph& graph) {
  std::string text;
  size_t next_input = 0;
  for (NodeId id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    text += "%" + std::to_string(id) + " : ";
    for (uint32_t i = 0; i < node.num_out; ++i) text += (i > 0 ? ", " : "") + node.out[i].to_string();
    text += " = " + std::string(node.op->name) + "(";
    for (uint32_t i = 0; i < node.num_in; ++i) text += (i > 0 ? ", " : "") + value_text(node.in[i]);
    text += ")";
    if (next_input < graph.inputs().size() && graph.inputs()[next_input].node == id) {
      const Input& input = graph.inputs()[next_input++];
      text += " " + std::string(kInputKinds[static_cast<size_t>(input.kind)]) + " " + quoted(input.name);
    }
    if (node.literal != nullptr) text += " " + hex(node.literal->bytes.data(), node.literal->bytes.size());
    if (const std::string attrs = node.attrs.to_string(); !attrs.empty()) text += " " + attrs;
    if (node.program != nullptr) text += program_text(*node.program);
    if (const std::string at = node.loc.to_string(); !at.empty()) text += "  # " + at;
    text += '\n';
  }
  if (!graph.outputs().empty()) {
    text += "outputs";
    for (size_t i = 0; i < graph.outputs().size(); ++i) text += (i > 0 ? ", " : " ") + value_text(graph.outputs()[i]);
    text += '\n';
  }
  return text;
}

std::unique_ptr<Graph> parse_graph(std::string_view text) { return Parser(text).run(); }

}  // namespace backplane::graph
