// SPDX-License-Identifier: Apache-2.0
#include "dialect.h"

#include "backplane/plugin.h"

namespace backplane::codegen {
namespace {

// Rounds to nearest even; NaN stays NaN. The same lines serve all dialects once AS_INT and AS_FLOAT exist.
constexpr std::string_view kBf16 = R"(
FN uint bp_f32_to_bf16(float x) {
  uint bits = AS_UINT(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (bits >> 16) | 0x40u;
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
FN float bp_bf16_to_f32(uint h) { return AS_FLOAT(TO_INT(h << 16)); }
)";

constexpr std::string_view kOpenCl = R"(
#define FN static inline __attribute__((always_inline))
#define GROUP_ID(d) ((int)get_group_id(d))
#define LOCAL_ID(d) ((int)get_local_id(d))
#define LINEAR_ID() ((int)((get_group_id(1) * get_num_groups(0) + get_group_id(0)) * GROUP_X + get_local_id(0)))
#define BARRIER() barrier(CLK_LOCAL_MEM_FENCE)
#define TO_INT(x) ((int)(x))
#define TO_UINT(x) ((uint)(x))
#define TO_FLOAT(x) ((float)(x))
#define AS_INT(x) as_int(x)
#define AS_UINT(x) as_uint(x)
#define AS_FLOAT(x) as_float(x)
#define AS_U64(x) as_ulong(x)
#define TO_I64(x) ((long)(x))
#define TO_U64(x) ((ulong)(x))
#define TO_F64(x) ((double)(x))
#define MAKE_I64(high, low) as_long(((ulong)(high) << 32) | (low))
#define MAKE_F64(high, low) as_double(((ulong)(high) << 32) | (low))
#define FMA(a, b, c) fma(a, b, c)
#define ABS(x) fabs(x)
#define ABS64(x) fabs(x)
#define RINT(x) rint(x)
#define MUL_HI(a, b) mul_hi((uint)(a), (uint)(b))
#define MUL(a, b) ((a) * (b))
#define MUL64(a, b) ((a) * (b))
#define NO_CONTRACT _Pragma("OPENCL FP_CONTRACT OFF")
#define PRECISE
#define UNROLL __attribute__((opencl_unroll_hint))
#define make_float2(a, b) ((float2)(a, b))
#define make_float4(a, b, c, d) ((float4)(a, b, c, d))
#define i64 long
#define u64 ulong
#define f64 double
)";

constexpr std::string_view kGlsl = R"(
#define FN
#define GROUP_ID(d) int(gl_WorkGroupID[d])
#define LOCAL_ID(d) int(gl_LocalInvocationID[d])
#define LINEAR_ID() (int(gl_WorkGroupID[1] * gl_NumWorkGroups[0] + gl_WorkGroupID[0]) * GROUP_X + int(gl_LocalInvocationID[0]))
#define BARRIER() barrier()
#define TO_INT(x) int(x)
#define TO_UINT(x) uint(x)
#define TO_FLOAT(x) float(x)
#define AS_INT(x) floatBitsToInt(x)
#define AS_UINT(x) floatBitsToUint(x)
#define AS_FLOAT(x) intBitsToFloat(x)
#define AS_U64(x) doubleBitsToUint64(x)
#define TO_I64(x) int64_t(x)
#define TO_U64(x) uint64_t(x)
#define TO_F64(x) double(x)
#define MAKE_I64(high, low) int64_t((uint64_t(high) << 32) | uint64_t(low))
#define MAKE_F64(high, low) packDouble2x32(uvec2(low, high))
#define FMA(a, b, c) fma(a, b, c)
#define ABS(x) abs(x)
#define ABS64(x) abs(x)
#define RINT(x) roundEven(x)
#define MUL_HI(a, b) bp_mul_hi(a, b)
#define MUL(a, b) ((a) * (b))
#define MUL64(a, b) ((a) * (b))
#define NO_CONTRACT
#define PRECISE precise
uint bp_mul_hi(uint a, uint b) {
  uint high, low;
  umulExtended(a, b, high, low);
  return high;
}
#define UNROLL [[unroll]]
#define float2 vec2
#define float4 vec4
#define make_float2(a, b) vec2(a, b)
#define make_float4(a, b, c, d) vec4(a, b, c, d)
#define i64 int64_t
#define u64 uint64_t
#define f64 double
)";

constexpr std::string_view kCuda = R"(
#define FN static __device__ __forceinline__
#define GROUP_ID(d) bp_group_id<d>()
#define LOCAL_ID(d) bp_local_id<d>()
#define LINEAR_ID() ((int)((blockIdx.y * gridDim.x + blockIdx.x) * GROUP_X + threadIdx.x))
#define BARRIER() __syncthreads()
typedef unsigned int uint;
template <int d> FN int bp_group_id() { return d == 0 ? blockIdx.x : d == 1 ? blockIdx.y : blockIdx.z; }
template <int d> FN int bp_local_id() { return d == 0 ? threadIdx.x : d == 1 ? threadIdx.y : threadIdx.z; }
#define TO_INT(x) ((int)(x))
#define TO_UINT(x) ((uint)(x))
#define TO_FLOAT(x) ((float)(x))
#define AS_INT(x) __float_as_int(x)
#define AS_UINT(x) __float_as_uint(x)
#define AS_FLOAT(x) __int_as_float(x)
#define AS_U64(x) ((unsigned long long)__double_as_longlong(x))
#define TO_I64(x) ((long long)(x))
#define TO_U64(x) ((unsigned long long)(x))
#define TO_F64(x) ((double)(x))
#define MAKE_I64(high, low) ((long long)(((unsigned long long)(high) << 32) | (low)))
#define MAKE_F64(high, low) __longlong_as_double(MAKE_I64(high, low))
#define FMA(a, b, c) fmaf(a, b, c)
#define ABS(x) fabsf(x)
#define ABS64(x) fabs(x)
#define RINT(x) rintf(x)
#define MUL_HI(a, b) __umulhi(a, b)
#define MUL(a, b) __fmul_rn(a, b)
#define MUL64(a, b) __dmul_rn(a, b)
#define NO_CONTRACT
#define PRECISE
#define UNROLL _Pragma("unroll")
FN float4 operator+(float4 a, float4 b) { return make_float4(a.x + b.x, a.y + b.y, a.z + b.z, a.w + b.w); }
FN float4 operator-(float4 a, float4 b) { return make_float4(a.x - b.x, a.y - b.y, a.z - b.z, a.w - b.w); }
FN float4 operator*(float4 a, float4 b) { return make_float4(a.x * b.x, a.y * b.y, a.z * b.z, a.w * b.w); }
FN float4 operator*(float4 a, float b) { return make_float4(a.x * b, a.y * b, a.z * b, a.w * b); }
FN float4 operator*(float a, float4 b) { return b * a; }
#define i64 long long
#define u64 unsigned long long
#define f64 double
// By the instructions themselves: cuda_fp16.h would have to be found at run time.
#ifdef __CUDA_ARCH__
FN float bp_half_to_float(unsigned short h) {
  float f;
  asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
  return f;
}
FN unsigned short bp_float_to_half(float f) {
  unsigned short h;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
  return h;
}
#endif
)";

constexpr std::string_view kNumbers = R"(
#define INF AS_FLOAT(0x7f800000)
#define NAN_VALUE AS_FLOAT(0x7fc00000)
#define LOWEST (-3.402823466e+38f)
#define IS_NAN(x) ((AS_INT(x) & 0x7fffffff) > 0x7f800000)
#define IS_NAN64(x) (!((x) == (x)))
)";

std::string extensions(const DeviceFacts& facts) {
  std::string text;
  const auto line = [&](std::string_view what) { text.append(what).append("\n"); };
  if (facts.dialect == Dialect::glsl) {
    line("#version 460");
    line("#extension GL_EXT_control_flow_attributes : require");
    line("#extension GL_EXT_shader_explicit_arithmetic_types : require");
    if (facts.f16_storage || facts.bf16_storage) line("#extension GL_EXT_shader_16bit_storage : require");
    if (facts.bool_storage) line("#extension GL_EXT_shader_8bit_storage : require");
    if (facts.subgroup_size != 0) line("#extension GL_KHR_shader_subgroup_basic : require");
    if (facts.subgroup_arithmetic) line("#extension GL_KHR_shader_subgroup_arithmetic : require");
    if (facts.subgroup_shuffle) line("#extension GL_KHR_shader_subgroup_shuffle : require");
    if (facts.atomic_add_f32) line("#extension GL_EXT_shader_atomic_float : require");
  }
  const bool clang = facts.dialect == Dialect::opencl_c && facts.cpu_like;  // the compiler of every such driver
  line(clang ? "#define INDEPENDENT_ITERATIONS _Pragma(\"clang loop vectorize(assume_safety)\")"
             : "#define INDEPENDENT_ITERATIONS");
  // Of ints that are not negative. Vectors of integers are divided one by one on processors, and a double holds the quotient.
  // Drivers divide by multiplying with a reciprocal: 49 * (1 / 49) is less than 1, hence the half.
  line(facts.dialect == Dialect::glsl && facts.cpu_like && facts.f64
           ? "#define QUOTIENT(a, b) int((double(a) + 0.5) / double(b))"
           : "#define QUOTIENT(a, b) TO_INT(TO_UINT(a) / TO_UINT(b))");
  if (facts.i64) line("#define HAS_I64");
  if (facts.f64) line("#define HAS_F64");
  // Drivers that run on CPU cores vectorise the short functions of scalar_*.kernel, and GLSL's own are not accurate.
  if (facts.dialect == Dialect::glsl || facts.cpu_like) line("#define OWN_MATH");
  if (facts.dialect == Dialect::opencl_c && facts.f64) line("#pragma OPENCL EXTENSION cl_khr_fp64 : enable");
  return text;
}

struct StorageTypes {
  uint32_t dtype;
  std::string_view opencl, glsl, cuda, compute;
};
constexpr StorageTypes kStorage[] = {
    {BP_F32, "float", "float", "float", "float"},      {BP_F64, "double", "double", "double", "f64"},
    {BP_F16, "half", "float16_t", "unsigned short", "float"},  {BP_BF16, "ushort", "uint16_t", "unsigned short", "float"},
    {BP_I32, "int", "int", "int", "int"},              {BP_I64, "long", "int64_t", "long long", "i64"},
    {BP_BOOL, "uchar", "uint8_t", "unsigned char", "bool"},
    {BP_F8_E4M3, "uchar", "uint8_t", "unsigned char", "float"}, {BP_F8_E5M2, "uchar", "uint8_t", "unsigned char", "float"},
};

const StorageTypes& storage(uint32_t dtype) {
  for (const StorageTypes& row : kStorage) {
    if (row.dtype == dtype) return row;
  }
  return kStorage[0];
}

std::string join(std::initializer_list<std::string_view> parts) {
  std::string text;
  for (const std::string_view part : parts) text.append(part);
  return text;
}

}  // namespace

std::string prelude(const DeviceFacts& facts) {
  const std::string_view names = facts.dialect == Dialect::opencl_c ? kOpenCl
                                 : facts.dialect == Dialect::glsl   ? kGlsl
                                                                    : kCuda;
  return extensions(facts).append(names).append(kNumbers).append(kBf16);
}

std::string_view storage_type(Dialect dialect, uint32_t dtype) {
  const StorageTypes& row = storage(dtype);
  return dialect == Dialect::opencl_c ? row.opencl : dialect == Dialect::glsl ? row.glsl : row.cuda;
}

std::string_view compute_type(uint32_t dtype) { return storage(dtype).compute; }

std::string load_expression(Dialect dialect, uint32_t dtype, std::string_view name, std::string_view index) {
  const std::string element = join({name, "[", index, "]"});
  switch (dtype) {
    case BP_F16:
      if (dialect == Dialect::opencl_c) return join({"vload_half(", index, ", ", name, ")"});
      return dialect == Dialect::glsl ? join({"float(", element, ")"}) : join({"bp_half_to_float(", element, ")"});
    case BP_BF16:
      return join({"bp_bf16_to_f32(TO_UINT(", element, "))"});
    case BP_F8_E4M3:
      return join({"s_e4m3_to_f32(TO_UINT(", element, "))"});
    case BP_F8_E5M2:
      return join({"s_e5m2_to_f32(TO_UINT(", element, "))"});
    case BP_BOOL:
      return join({"(TO_UINT(", element, ") != 0u)"});
    default:
      return element;
  }
}

std::string store_statement(Dialect dialect, uint32_t dtype, std::string_view name, std::string_view index,
                            std::string_view value) {
  const std::string element = join({name, "[", index, "]"});
  switch (dtype) {
    case BP_F16:
      if (dialect == Dialect::opencl_c) return join({"vstore_half_rte(", value, ", ", index, ", ", name, ")"});
      return dialect == Dialect::glsl ? join({element, " = float16_t(", value, ")"})
                                      : join({element, " = bp_float_to_half(", value, ")"});
    case BP_BF16:
      return join({element, " = ", dialect == Dialect::glsl ? "uint16_t" : "(unsigned short)", "(bp_f32_to_bf16(", value,
                   "))"});
    case BP_F8_E4M3:
    case BP_F8_E5M2:
      return join({element, " = ", dialect == Dialect::glsl ? "uint8_t" : "(unsigned char)",
                   dtype == BP_F8_E4M3 ? "(s_f32_to_e4m3(" : "(s_f32_to_e5m2(", value, "))"});
    case BP_BOOL:
      return join({element, " = ", dialect == Dialect::glsl ? "uint8_t" : "(unsigned char)", "((", value,
                   ") ? 1u : 0u)"});
    default:
      return join({element, " = ", value});
  }
}

}  // namespace backplane::codegen
