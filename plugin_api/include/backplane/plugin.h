/* SPDX-License-Identifier: Apache-2.0
 *
 * backplane/plugin.h - the slot: the whole contract between Backplane and a device plugin, ABI 1.1.
 *
 * A plugin is a shared library `libbackplane_<name>.so` that exports exactly one symbol, `backplane_plugin_v1`. The
 * host calls it with a table of services and gets the plugin's table back; everything else is reached from there.
 * This file is the reference manual. OPERATIONS.md beside this folder gives the numerical meaning of every operation
 * in full; the SDK (`backplane/sdk/`) writes the boilerplate for C++ authors and interprets scalar programs for C ones.
 *
 * Rules that hold for every function below, unless it says otherwise
 *
 *  Errors     A function that can fail returns a bp_status and takes a `bp_error*`, which may be NULL. On failure the
 *             callee fills the error and writes no other output. No abort, exit, exception or longjmp crosses the
 *             boundary. After BP_E_OUT_OF_MEMORY the device stays usable; BP_E_DEVICE_LOST is sticky: every later call
 *             on that device returns it at once, and destroying its objects still works.
 *  Threads    [any]     may be called from any thread at any time, also concurrently with itself.
 *             [handle]  different handles may be used concurrently from different threads; one handle is used by one
 *                       thread at a time (the host sees to it). This is the default where nothing is said.
 *  Ownership  Handles are created and destroyed in pairs, and the host holds the only reference. A parent (plugin,
 *             device) outlives its children. Pointers passed in are borrowed for the call only. Strings are UTF-8 and
 *             NUL-terminated; strings returned in tables live as long as the plugin stays loaded.
 *  Growth     Tables and structs marked [extensible] begin with their own size in bytes. Members are only ever
 *             appended within a major version. The reader uses min(its size, the given size); what is missing counts
 *             as zero, and zero means the old behaviour. A callee that finds non-zero bytes beyond the part it knows
 *             of an input struct returns BP_E_UNSUPPORTED. Arrays of extensible structs carry a stride: element i
 *             starts at `(char*)array + i * stride`, and the callee writes at most `stride` bytes of each.
 *             Structs marked [frozen] never change. Unknown enum or flag values are refused with BP_E_UNSUPPORTED.
 *  Process    A plugin does no work in static constructors, does not read the environment, write to stdout or stderr,
 *             install signal handlers, change the locale, working directory or floating-point mode, or fork. It starts
 *             no thread before a device is opened. It stays loaded for the life of the process.
 *  Units      Sizes and offsets are bytes, strides and extents are elements, times are nanoseconds.
 */
#ifndef BACKPLANE_PLUGIN_H_
#define BACKPLANE_PLUGIN_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BP_ABI_MAJOR 1u
#define BP_ABI_MINOR 1u /* 1: bp_variant.code_hash, BP_F8_E4M3, BP_F8_E5M2 */
#define BP_VERSION(major, minor) (((uint32_t)(major) << 16) | (uint32_t)(minor))
#define BP_ABI_VERSION BP_VERSION(BP_ABI_MAJOR, BP_ABI_MINOR)

#if defined(__GNUC__)
#define BP_EXPORT __attribute__((visibility("default")))
#else
#define BP_EXPORT
#endif

/* ---------------------------------------------------------------------------------------------------------------- */
/* Status and error                                                                                                 */
/* ---------------------------------------------------------------------------------------------------------------- */

typedef int32_t bp_status; /* 0 success, > 0 success with information, < 0 failure */
enum {
  BP_OK = 0,
  BP_INCOMPLETE = 1, /* the array was too short; `count` says how many elements exist */
  BP_NOT_READY = 2,  /* the event has not been reached (yet) */

  BP_E_INVALID_ARGUMENT = -1,
  BP_E_UNSUPPORTED = -2,        /* understood, and not offered here; the text says why */
  BP_E_OUT_OF_MEMORY = -3,      /* device memory; the device stays usable */
  BP_E_OUT_OF_HOST_MEMORY = -4,
  BP_E_DEVICE_LOST = -5,        /* sticky */
  BP_E_UNAVAILABLE = -6,        /* no driver, no device, no licence: nothing is broken, it is just not there */
  BP_E_ABI = -7,                /* versions do not fit together */
  BP_E_COMPILE = -8,            /* a kernel could not be built */
  BP_E_NOT_FOUND = -9,          /* no such variant, key, interface */
  BP_E_DEPENDENCY = -10,        /* something this call waited for has failed; the error is the original one */
  BP_E_CANCELLED = -11,
  BP_E_INTERNAL = -12           /* a bug of the plugin */
};

enum { /* bp_error.scope: what is unusable now */
  BP_SCOPE_CALL = 0, /* nothing but this call */
  BP_SCOPE_QUEUE = 1,
  BP_SCOPE_DEVICE = 2,
  BP_SCOPE_PLUGIN = 3
};
enum { /* bp_error.flags */
  BP_ERROR_RETRYABLE = 1u << 0 /* the same call may succeed later, for example after memory was freed */
};

typedef struct bp_error { /* [frozen] owned by the caller, filled by the callee; 512 bytes */
  uint32_t size;          /* sizeof(bp_error), set by the caller */
  bp_status code;
  uint32_t scope;         /* BP_SCOPE_* */
  uint32_t flags;         /* BP_ERROR_* */
  int64_t native_code;    /* the driver's own code, 0 if none */
  char domain[16];        /* whose code that is: "cuda", "vulkan", "opencl", "errno", ...; NUL-terminated */
  char message[472];      /* what is wrong, where, and what to do; NUL-terminated UTF-8, truncated at a character */
} bp_error;

/* ---------------------------------------------------------------------------------------------------------------- */
/* Values                                                                                                           */
/* ---------------------------------------------------------------------------------------------------------------- */

typedef struct bp_plugin bp_plugin; /* opaque, owned by the plugin */
typedef struct bp_device bp_device;
typedef struct bp_buffer bp_buffer;
typedef struct bp_queue bp_queue;
typedef struct bp_event bp_event;
typedef struct bp_kernel bp_kernel;
typedef struct bp_recording bp_recording;
typedef struct bp_timer bp_timer;

enum { /* dtype */
  BP_DTYPE_INVALID = 0,
  BP_F32 = 1,
  BP_F64 = 2,
  BP_F16 = 3,  /* IEEE 754 binary16 */
  BP_BF16 = 4, /* upper half of binary32 */
  BP_I32 = 5,
  BP_I64 = 6,
  BP_BOOL = 7, /* one byte, 0 or 1; a reader treats every non-zero byte as true */
  BP_F8_E4M3 = 8, /* OCP 8-bit float of 4 exponent bits: largest 448, no infinity, NaN where all lower bits are set */
  BP_F8_E5M2 = 9  /* OCP 8-bit float of 5 exponent bits: largest 57344, with infinities, as an f16 cut short */
};

enum { BP_MAX_RANK = 8 };

typedef struct bp_view { /* [frozen] a place in device memory */
  bp_buffer* buffer;
  uint64_t offset; /* bytes from the start of the buffer to element (0, ..., 0); a multiple of the element size */
} bp_view;

typedef struct bp_tensor_desc { /* [frozen] dtype, shape and strides; the place is a bp_view */
  uint32_t dtype;
  uint32_t rank;                  /* 0 ... BP_MAX_RANK; a scalar has rank 0 */
  int64_t shape[BP_MAX_RANK];     /* >= 0; unused entries are 0 */
  int64_t strides[BP_MAX_RANK];   /* in elements; 0 repeats one element (inputs only), negative runs backwards */
} bp_tensor_desc;

/* ---------------------------------------------------------------------------------------------------------------- */
/* Scalar programs                                                                                                  */
/* ---------------------------------------------------------------------------------------------------------------- */
/* A scalar program is straight-line code in SSA form, run once per element. Values are numbered: 0 ... num_inputs - 1
 * are the operands' elements, and instruction i defines value num_inputs + i. `a`, `b`, `c` name earlier values.
 * Every value has a dtype; operands of one instruction have the same dtype, which is also the result's, except where
 * the table says otherwise. f16, bf16 and the 8-bit floats are storage types: a value of such a dtype is computed in
 * f32 and rounded to nearest even when it is defined. Integers wrap modulo 2^n. Comparisons with NaN are false, but `ne` is true. */

enum { /* scalar opcodes; n-ary: which of a, b, c are used */
  BP_S_CONST = 1,  /* 0  imm, any dtype */
  BP_S_CAST = 2,   /* 1  to `dtype`: float to int truncates and saturates, NaN gives 0; to bool: x != 0 */
  BP_S_NEG = 3,    /* 1  float, int */
  BP_S_ABS = 4,    /* 1  float, int */
  BP_S_NOT = 5,    /* 1  bool: logical; int: bitwise */
  BP_S_EXP = 6,    /* 1  float, as are all up to BP_S_CEIL */
  BP_S_LOG = 7,
  BP_S_SQRT = 8,
  BP_S_RSQRT = 9,
  BP_S_SIN = 10,
  BP_S_COS = 11,
  BP_S_TANH = 12,
  BP_S_ERF = 13,
  BP_S_EXPM1 = 14,
  BP_S_LOG1P = 15,
  BP_S_FLOOR = 16,
  BP_S_CEIL = 17,
  BP_S_ADD = 32,   /* 2  float, int */
  BP_S_SUB = 33,   /* 2  float, int */
  BP_S_MUL = 34,   /* 2  float, int */
  BP_S_DIV = 35,   /* 2  float; int truncates towards zero, x / 0 = 0, MIN / -1 = MIN */
  BP_S_REM = 36,   /* 2  float, int: a - b * trunc(a / b), the sign of a; int x rem 0 = 0 */
  BP_S_POW = 37,   /* 2  float, C99 pow */
  BP_S_MAX = 38,   /* 2  float, int, bool; NaN if either is NaN */
  BP_S_MIN = 39,   /* 2  the same */
  BP_S_EQ = 40,    /* 2  any -> bool, as are all up to BP_S_LE */
  BP_S_NE = 41,
  BP_S_LT = 42,
  BP_S_LE = 43,
  BP_S_AND = 44,   /* 2  bool: logical; int: bitwise */
  BP_S_OR = 45,
  BP_S_XOR = 46,
  BP_S_SHL = 47,   /* 2  int; shift counts are taken modulo the width */
  BP_S_SHR = 48,   /* 2  int, logical: zeros come in from the left */
  BP_S_SELECT = 64 /* 3  a ? b : c; a is bool */
};

enum {
  BP_PROGRAM_MAX_INSTRS = 64,
  BP_PROGRAM_MAX_INPUTS = 24,
  BP_PROGRAM_MAX_OUTPUTS = 8
};

typedef struct bp_instr { /* [frozen] 24 bytes; unused fields are zero */
  uint16_t code;          /* BP_S_* */
  uint16_t dtype;         /* of the result */
  uint16_t a, b, c;
  uint16_t reserved[3];
  union {
    double f;             /* BP_S_CONST of a float dtype */
    int64_t i;            /* BP_S_CONST of an integer dtype or bool */
  } imm;
} bp_instr;

typedef struct bp_program {   /* [extensible] */
  uint32_t size;              /* sizeof(bp_program) */
  uint32_t num_inputs;        /* <= BP_PROGRAM_MAX_INPUTS */
  uint32_t num_instrs;        /* <= BP_PROGRAM_MAX_INSTRS; 0 is legal: outputs then name inputs, a copy */
  uint32_t num_outputs;       /* 1 ... BP_PROGRAM_MAX_OUTPUTS */
  const bp_instr* instrs;
  const uint16_t* outputs;    /* output j is value outputs[j]; its dtype equals the output descriptor's */
} bp_program;

/* ---------------------------------------------------------------------------------------------------------------- */
/* Operations                                                                                                       */
/* ---------------------------------------------------------------------------------------------------------------- */
/* An operation is a code, an attribute struct of that code's type, and descriptors of its operands. The first five
 * codes are what every plugin supplies, for f32 values, i32 indices and bool; everything else is optional speed.
 * Operands may be strided in any way (see bp_tensor_desc) and need no more than their element's alignment; a plugin
 * that needs better says so in bp_support. Outputs never overlap one another. An output overlaps an input only where
 * the catalogue allows it, and then is the very same view with the same strides and element size. */

enum { /* operation codes; OPERATIONS.md has the exact meaning */
  BP_OP_POINTWISE = 1,         /* (x0, x1, ...) -> (y0, ...)                    attrs: none; program required */
  BP_OP_REDUCE = 2,            /* (x) -> (y)                                    bp_reduce_attrs */
  BP_OP_MATMUL = 3,            /* (a, b) -> (c)                                 attrs: none */
  BP_OP_GATHER = 4,            /* (x, indices) -> (y)                           attrs: none */
  BP_OP_SCATTER_ADD = 5,       /* (base, indices, updates) -> (y)               attrs: none */

  BP_OP_CONVOLUTION = 16,             /* (x, w) -> (y)                          bp_convolution_attrs, all three */
  BP_OP_CONVOLUTION_GRAD_DATA = 17,   /* (dy, w) -> (dx); also transposed convolution */
  BP_OP_CONVOLUTION_GRAD_FILTER = 18, /* (x, dy) -> (dw) */
  BP_OP_POOL = 19,             /* (x) -> (y)                                    bp_pool_attrs, both */
  BP_OP_POOL_GRAD = 20,        /* (x, y, dy) -> (dx) */
  BP_OP_SOFTMAX = 21,          /* (x) -> (y)                                    bp_axis_attrs, all four */
  BP_OP_SOFTMAX_GRAD = 22,     /* (y, dy) -> (dx) */
  BP_OP_LOG_SOFTMAX = 23,      /* (x) -> (y) */
  BP_OP_LOG_SOFTMAX_GRAD = 24, /* (y, dy) -> (dx) */
  BP_OP_NORMALIZE = 25,        /* (x, scale, shift) -> (y [, mean, rstd])       bp_normalize_attrs, both */
  BP_OP_NORMALIZE_GRAD = 26,   /* (dy, x, mean, rstd, scale) -> (dx, dscale, dshift) */
  BP_OP_ATTENTION = 27,        /* (q, k, v [, mask]) -> (o [, lse])             bp_attention_attrs, both */
  BP_OP_ATTENTION_GRAD = 28,   /* (do, q, k, v, o, lse [, mask]) -> (dq, dk, dv) */
  BP_OP_RANDOM = 29,           /* (key) -> (y)                                  bp_random_attrs */
  BP_OP_SORT = 30,             /* (x) -> (values, indices)                      bp_sort_attrs, both */
  BP_OP_TOP_K = 31,            /* (x) -> (values, indices) */
  BP_OP_CUSTOM = 0x10000       /* named by bp_op.name; attrs are what that name's author says */
};

enum { BP_REDUCE_SUM = 1, BP_REDUCE_MAX = 2, BP_REDUCE_MIN = 3, BP_REDUCE_PROD = 4, BP_REDUCE_ARGMAX = 5,
       BP_REDUCE_ARGMIN = 6 };

typedef struct bp_reduce_attrs { /* [extensible] */
  uint32_t size;
  uint32_t kind;                 /* BP_REDUCE_* */
  uint32_t axes;                 /* bit i: axis i is reduced; the output has extent 1 there */
  uint32_t reserved;
} bp_reduce_attrs;

typedef struct bp_convolution_attrs { /* [extensible] spatial arrays: entry 0 belongs to operand axis 2 */
  uint32_t size;
  uint32_t spatial_rank;              /* 1, 2 or 3 */
  uint32_t groups;
  uint32_t reserved;
  int64_t stride[3];
  int64_t dilation[3];                /* 1 = dense filter */
  int64_t pad_low[3];                 /* zeros before the first element; may be negative (crop) */
  int64_t pad_high[3];
} bp_convolution_attrs;

enum { BP_POOL_MAX = 1, BP_POOL_AVERAGE = 2 };

typedef struct bp_pool_attrs { /* [extensible] */
  uint32_t size;
  uint32_t kind;               /* BP_POOL_* */
  uint32_t spatial_rank;       /* 1, 2 or 3 */
  uint32_t count_padding;      /* average: 1 divides by the window's size, 0 by the elements inside the input */
  int64_t window[3];
  int64_t stride[3];
  int64_t dilation[3];
  int64_t pad_low[3];          /* 0 <= pad < window extent */
  int64_t pad_high[3];
} bp_pool_attrs;

typedef struct bp_axis_attrs { /* [extensible] */
  uint32_t size;
  uint32_t axis;               /* 0 ... rank - 1 */
} bp_axis_attrs;

enum { BP_NORMALIZE_MEAN_VARIANCE = 1, BP_NORMALIZE_RMS = 2 };

typedef struct bp_normalize_attrs { /* [extensible] */
  uint32_t size;
  uint32_t kind;                    /* BP_NORMALIZE_* */
  uint32_t axes;                    /* bit i: statistics are taken over axis i */
  uint32_t reserved;
  double epsilon;                   /* added to the variance (mean square) before the square root */
} bp_normalize_attrs;

typedef struct bp_attention_attrs { /* [extensible] */
  uint32_t size;
  uint32_t causal;                  /* 1: query i sees keys j <= i + (keys - queries) */
  double scale;                     /* multiplies q k^T */
} bp_attention_attrs;

enum { BP_RANDOM_BITS = 1, BP_RANDOM_UNIFORM = 2 };

typedef struct bp_random_attrs { /* [extensible] Philox4x32-10 */
  uint32_t size;
  uint32_t kind;                 /* BP_RANDOM_BITS: i32; BP_RANDOM_UNIFORM: f32 in [0, 1) */
} bp_random_attrs;

typedef struct bp_sort_attrs { /* [extensible] */
  uint32_t size;
  uint32_t axis;
  uint32_t descending;
  uint32_t reserved;
} bp_sort_attrs;

enum { /* bp_op.math_mode: how much precision f32 matmul, convolution and attention may give up */
  BP_MATH_STRICT = 0, /* products of full f32 operands, f32 accumulation */
  BP_MATH_TF32 = 1,   /* operands may be rounded to 10 mantissa bits */
  BP_MATH_FAST = 2    /* operands may be rounded to bf16 or f16 */
};

typedef struct bp_op {            /* [extensible] */
  uint32_t size;
  uint32_t code;                  /* BP_OP_* */
  const char* name;               /* for messages; for BP_OP_CUSTOM the identity ("com.example.fft") */
  const bp_tensor_desc* inputs;   /* the operation's own inputs, then the epilogue's extra ones */
  const bp_tensor_desc* outputs;
  uint32_t num_inputs;
  uint32_t num_outputs;
  const void* attrs;              /* the code's attribute struct, or NULL where it has none */
  const bp_program* program;      /* POINTWISE: the program. MATMUL, CONVOLUTION*, REDUCE: optional epilogue, whose
                                     value 0 is the result (f32, or f64 for f64), values 1 ... are the extra inputs,
                                     shaped and broadcast like output 0; it has one output. Others: NULL */
  uint32_t math_mode;             /* BP_MATH_* */
  uint32_t deterministic;         /* 1: only variants whose determinism is at least BP_DETERMINISM_RUN */
  uint64_t max_workspace;         /* no variant may ask for more; UINT64_MAX = no limit */
} bp_op;

/* ---------------------------------------------------------------------------------------------------------------- */
/* Host services                                                                                                    */
/* ---------------------------------------------------------------------------------------------------------------- */

enum { BP_LOG_ERROR = 0, BP_LOG_WARNING = 1, BP_LOG_INFO = 2, BP_LOG_DEBUG = 3, BP_LOG_TRACE = 4 };

typedef struct bp_host {  /* [extensible] valid as long as the plugin is loaded; every function is [any] */
  uint32_t size;
  uint32_t abi_version;   /* BP_ABI_VERSION of the host */
  void* context;          /* first argument of each function */

  /* Log one line (no newline at its end). `component` names the part: "cuda", "opencl.compiler". */
  void (*log)(void* context, int32_t level, const char* component, const char* message);

  /* Look up a setting, for example "num_threads" or "cuda.memory_cap_mb". Writes a NUL-terminated value and its length
   * without NUL to *length. BP_E_NOT_FOUND: not set. BP_INCOMPLETE: capacity too small, *length says what is needed.
   * The host maps key "a.b" to the variable BACKPLANE_A_B; a plugin never reads the environment itself. */
  bp_status (*config)(void* context, const char* key, char* value, uint64_t capacity, uint64_t* length);

  /* A store of blobs that lasts between processes (compiled kernels). Keys are up to 255 bytes of any text and shall
   * name everything the blob depends on. Contents may be stale or damaged: validate before use. `cache_get` returns
   * BP_E_NOT_FOUND, or BP_INCOMPLETE with the needed *length when `capacity` is too small (0 asks for the length). */
  bp_status (*cache_get)(void* context, const char* key, void* data, uint64_t capacity, uint64_t* length);
  bp_status (*cache_put)(void* context, const char* key, const void* data, uint64_t length);

  /* Tell the host about something that happened outside a call. `device_index` is bp_device_info.index. */
  void (*device_event)(void* context, uint32_t device_index, const bp_error* what);
} bp_host;

/* ---------------------------------------------------------------------------------------------------------------- */
/* Plugin root                                                                                                      */
/* ---------------------------------------------------------------------------------------------------------------- */

enum { BP_KIND_CPU = 1, BP_KIND_GPU = 2, BP_KIND_INTEGRATED_GPU = 3, BP_KIND_ACCELERATOR = 4, BP_KIND_OTHER = 5 };
enum {                                     /* bp_device_info.flags */
  BP_DEVICE_SOFTWARE = 1u << 0,            /* a driver that emulates the device on the CPU: ranked last */
  BP_DEVICE_UNIFIED_MEMORY = 1u << 1,      /* shares its memory with the host */
  BP_DEVICE_HOST_POINTERS = 1u << 2,       /* bp_memory.host_pointer works for every buffer */
  BP_DEVICE_SYNCHRONOUS = 1u << 3,         /* work is finished when its enqueue returns; events are no-ops */
  BP_DEVICE_REFERENCE = 1u << 4            /* an oracle: exact and slow; never chosen by `auto`, used as fallback */
};

typedef struct bp_device_info { /* [extensible] */
  uint32_t size;                /* set by the caller to its own sizeof; the callee writes min(that, its own) bytes */
  uint32_t index;               /* what bp_plugin_api.open takes; stable while the plugin is loaded */
  uint32_t kind;                /* BP_KIND_* */
  uint32_t flags;               /* BP_DEVICE_* */
  char id[64];                  /* stable across runs and reorderings, for example a UUID in hex; unique in the plugin */
  char name[128];               /* for people */
  char architecture[64];        /* what kernels are compiled for: "sm_90", "x86-64-v4" */
  char driver[64];              /* name and version of driver and libraries; a change invalidates measurements */
  char pci[16];                 /* "0000:65:00.0", or empty */
  uint8_t uuid[16];             /* the physical device's, the same in every API; all zero if unknown */
  uint64_t memory_total;        /* bytes, 0 = unknown */
  uint64_t max_allocation;      /* bytes of one buffer, 0 = unknown */
  uint64_t offset_alignment;    /* view offsets that are multiples of this are fastest; a power of two, 0 counts as 1 */
  uint32_t compute_units;       /* cores, multiprocessors; 0 = unknown */
  uint32_t max_queues;          /* queues that can make progress at the same time; 0 counts as 1 */
} bp_device_info;

typedef struct bp_plugin_api {  /* [extensible] */
  uint32_t size;
  uint32_t abi_version;         /* BP_ABI_VERSION of the header the plugin was built with */
  const char* name;             /* "cuda": lower case letters, digits, '_' and '-', at most 31 characters */
  const char* version;          /* the plugin's own, "1.4.2" */
  const char* build_id;         /* changes whenever kernels may behave differently: a hash or a date; not empty */
  const char* description;      /* one line for people: what it drives, and with which libraries */

  /* Make an instance. The host creates one per process and keeps `host` valid until `destroy` returns. */
  bp_status (*create)(const bp_host* host, bp_plugin** out, bp_error* error);
  void (*destroy)(bp_plugin* plugin);

  /* The table of interface `name` ("bp.memory", ...) with at least `min_version` (BP_VERSION), or NULL. [any] */
  const void* (*get_interface)(bp_plugin* plugin, const char* name, uint32_t min_version);

  /* List devices. Writes min(capacity, count) elements and the number that exist to *count; `infos` may be NULL with
   * capacity 0. No device at all is BP_OK with *count = 0, or BP_E_UNAVAILABLE with the reason ("no NVIDIA driver
   * (libcuda.so.1)"), which the host shows to the user. Shall not take longer than a driver's start-up. [any] */
  bp_status (*devices)(bp_plugin* plugin, bp_device_info* infos, uint32_t stride, uint32_t capacity, uint32_t* count,
                       bp_error* error);

  /* Open device `index` of that list. Each open gives an independent handle. [any] */
  bp_status (*open)(bp_plugin* plugin, uint32_t index, bp_device** out, bp_error* error);
  void (*close)(bp_device* device);
} bp_plugin_api;

/* The one exported symbol. No side effects; may be called more than once and from any thread. `*out` is a static table.
 * A plugin that needs a newer host returns BP_E_ABI with a text that names the version it needs. */
typedef bp_status (*bp_plugin_entry)(const bp_host* host, const bp_plugin_api** out, bp_error* error);
#define BP_PLUGIN_ENTRY_NAME "backplane_plugin_v1"
BP_EXPORT bp_status backplane_plugin_v1(const bp_host* host, const bp_plugin_api** out, bp_error* error);

/* ---------------------------------------------------------------------------------------------------------------- */
/* "bp.memory" 1.0, required                                                                                        */
/* ---------------------------------------------------------------------------------------------------------------- */

enum { BP_MEMORY_DEVICE = 0, /* fastest for kernels */
       BP_MEMORY_STAGING = 1 /* host-visible, page-locked where that exists; host_pointer works */ };

typedef struct bp_memory_usage { /* [extensible] */
  uint32_t size;
  uint32_t reserved;
  uint64_t used;                 /* bytes held by this process through this plugin */
  uint64_t available;            /* bytes that further allocations may hope for; 0 = unknown */
} bp_memory_usage;

typedef struct bp_memory_api { /* [extensible] every function is [any] */
  uint32_t size;
  uint32_t version;
  /* `bytes` >= 1, of the given kind (BP_MEMORY_*), aligned to at least 64 bytes, contents undefined. */
  bp_status (*alloc)(bp_device* device, uint64_t bytes, uint32_t kind, bp_buffer** out, bp_error* error);
  /* No queue may still have work that uses the buffer. NULL is ignored. */
  void (*free)(bp_buffer* buffer);
  /* Address of the buffer in the host's memory, valid until it is freed. BP_E_UNSUPPORTED where there is none. Reads
   * and writes through it must not run at the same time as queued work on the same bytes. */
  bp_status (*host_pointer)(bp_buffer* buffer, void** out, bp_error* error);
  bp_status (*usage)(bp_device* device, bp_memory_usage* out, bp_error* error); /* optional */
} bp_memory_api;

/* ---------------------------------------------------------------------------------------------------------------- */
/* "bp.queue" 1.0, required                                                                                         */
/* ---------------------------------------------------------------------------------------------------------------- */
/* A queue runs what is put into it in order and asynchronously. A failure inside queued work makes the queue fail: it
 * skips what follows, events recorded on it fail too, and `finish` reports the first error once; after that the queue is
 * usable again (unless the device is lost). A synchronous plugin may run everything in place. */

typedef struct bp_queue_api { /* [extensible] */
  uint32_t size;
  uint32_t version;
  bp_status (*create)(bp_device* device, bp_queue** out, bp_error* error); /* [any] */
  void (*destroy)(bp_queue* queue);                                       /* waits for its work; NULL is ignored */

  /* Copy from host memory. `source` may be reused as soon as the call returns, unless `stable` is 1: then it stays
   * unchanged until a later event of this queue has completed, and the plugin need not stage it. bytes may be 0. */
  bp_status (*upload)(bp_queue* queue, bp_view target, const void* source, uint64_t bytes, uint32_t stable,
                      bp_error* error);
  /* Copy to host memory; `target` is written when a later event of this queue, or finish, has completed. */
  bp_status (*download)(bp_queue* queue, void* target, bp_view source, uint64_t bytes, bp_error* error);
  /* Copy between buffers of the same device; the ranges do not overlap. */
  bp_status (*copy)(bp_queue* queue, bp_view target, bp_view source, uint64_t bytes, bp_error* error);
  /* Repeat a pattern of 1, 2, 4 or 8 bytes; `bytes` is a multiple of it. */
  bp_status (*fill)(bp_queue* queue, bp_view target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes,
                    bp_error* error);

  bp_status (*flush)(bp_queue* queue, bp_error* error);  /* start everything put in so far; does not wait */
  bp_status (*finish)(bp_queue* queue, bp_error* error); /* wait until all of it is done; reports a failure in it */

  bp_status (*event_create)(bp_device* device, bp_event** out, bp_error* error); /* [any]; a new event is complete */
  void (*event_destroy)(bp_event* event); /* legal while recorded work is pending; NULL is ignored */
  /* The event completes when all work put into the queue before has; re-recording forgets the earlier meaning. */
  bp_status (*event_record)(bp_queue* queue, bp_event* event, bp_error* error);
  /* Work put into the queue later starts after the event. The event's failure becomes this queue's. */
  bp_status (*event_wait)(bp_queue* queue, bp_event* event, bp_error* error);
  /* Wait on the host, at most timeout_ns (0 = only look, UINT64_MAX = no limit): BP_OK, BP_NOT_READY or the failure. */
  bp_status (*event_sync)(bp_event* event, uint64_t timeout_ns, bp_error* error);
} bp_queue_api;

/* ---------------------------------------------------------------------------------------------------------------- */
/* "bp.kernels" 1.0, required                                                                                       */
/* ---------------------------------------------------------------------------------------------------------------- */

enum {                                  /* bp_support.verdict */
  BP_SUPPORT_NO = 0,
  BP_SUPPORT_YES = 1,
  BP_SUPPORT_IF_CHANGED = 2             /* not like this; with the changes named below, yes */
};

typedef struct bp_support {   /* [extensible] filled by query; zeroed by the caller but for `size` */
  uint32_t size;
  uint32_t verdict;           /* BP_SUPPORT_* */
  uint32_t want_dense;        /* bit i: input i has to be dense (row-major, no gaps) */
  uint32_t want_dtype;        /* all float inputs and outputs in this dtype; 0 = as they are */
  char reason[240];           /* why not, or what for; NUL-terminated. Names the condition: "f64 not supported" */
} bp_support;

enum {                                  /* bp_variant.flags */
  BP_VARIANT_DEFAULT = 1u << 0,         /* what prepare() uses for variant NULL; exactly one */
  BP_VARIANT_SLOW_BUILD = 1u << 1,      /* preparing takes more than about 20 ms */
  BP_VARIANT_RISKY = 1u << 2            /* try it in a child process first */
};
enum {                                  /* bp_variant.numeric_notes */
  BP_NOTE_TENSOR_CORE = 1u << 0,
  BP_NOTE_TF32 = 1u << 1,
  BP_NOTE_REDUCED_INPUTS = 1u << 2,     /* operands rounded to f16 / bf16 */
  BP_NOTE_REDUCED_ACCUMULATION = 1u << 3, /* accumulates in less than f32 */
  BP_NOTE_WINOGRAD = 1u << 4,
  BP_NOTE_FFT = 1u << 5,
  BP_NOTE_ATOMICS = 1u << 6,            /* the order of additions depends on timing */
  BP_NOTE_FAST_MATH = 1u << 7           /* transcendental functions beyond the usual bounds */
};
enum {                                  /* bp_variant.determinism */
  BP_DETERMINISM_NONE = 0,
  BP_DETERMINISM_RUN = 1,               /* the same bits in every run on this device */
  BP_DETERMINISM_BATCH = 2,             /* and an element's bits do not depend on the other batch entries */
  BP_DETERMINISM_DEVICE = 3             /* and the same bits on every device of this architecture */
};

typedef struct bp_variant { /* [extensible] */
  uint32_t size;            /* set by the caller to its own sizeof */
  uint32_t flags;           /* BP_VARIANT_* */
  char name[96];            /* stable and self-describing: "tiled@bm=64,bn=64,bk=16"; unique for this op */
  uint64_t workspace;       /* bytes of scratch memory that enqueue needs */
  uint32_t numeric_notes;   /* BP_NOTE_* */
  uint32_t determinism;     /* BP_DETERMINISM_* */
  double prior;             /* expected time relative to the default (1 = the same), 0 = no idea */
  /* Since 1.1. Changes whenever this variant may behave differently, in results or in speed: a hash of its code and of
   * how it is launched. The same for the same op in every call and process of a build; variants may share one. What
   * was measured under a name and hash counts again in later builds that give the same. */
  uint64_t code_hash;       /* 0: the plugin's build_id stands for it */
} bp_variant;

typedef struct bp_kernel_info { /* [extensible] */
  uint32_t size;                /* set by the caller to its own sizeof */
  uint32_t reserved;
  uint64_t workspace;           /* bytes that enqueue needs, aligned to 64 */
  uint64_t build_time_ns;       /* spent compiling in this prepare; 0 when it came from a cache */
  char variant[96];             /* which variant it is */
} bp_kernel_info;

typedef struct bp_kernels_api { /* [extensible] */
  uint32_t size;
  uint32_t version;

  /* Can this device do `op`? A pure function of code, attributes, program, dtypes, shapes and strides; cheap, no
   * compilation. BP_OK whatever the verdict: an unknown code or dtype is verdict NO with a reason, not an error. A YES
   * binds: variants, prepare and enqueue then work, but for lack of memory or a lost device. [any] */
  bp_status (*query)(bp_device* device, const bp_op* op, bp_support* support, bp_error* error);

  /* All ways this device can do `op`, best guess first. Writes min(capacity, count) elements. [any] */
  bp_status (*variants)(bp_device* device, const bp_op* op, bp_variant* variants, uint32_t stride, uint32_t capacity,
                        uint32_t* count, bp_error* error);

  /* Build `op` with the named variant (NULL = the default). The kernel serves every later enqueue with operands of
   * these very dtypes, shapes and strides, from any thread. `info` may be NULL. [any] */
  bp_status (*prepare)(bp_device* device, const bp_op* op, const char* variant, bp_kernel** out, bp_kernel_info* info,
                       bp_error* error);

  /* Put one launch into the queue. `inputs` and `outputs` are as many as the op has; `workspace` is at least
   * bp_kernel_info.workspace bytes at a 64-byte aligned offset (ignored when that is 0). The kernel's state is not
   * modified: one kernel may be in flight on several queues. Allocates nothing, compiles nothing, looks up nothing. */
  bp_status (*enqueue)(bp_queue* queue, bp_kernel* kernel, const bp_view* inputs, const bp_view* outputs,
                       bp_view workspace, bp_error* error);

  void (*destroy)(bp_kernel* kernel); /* [any]; no queue may still have launches of it; NULL is ignored */
} bp_kernels_api;

/* ---------------------------------------------------------------------------------------------------------------- */
/* "bp.capture" 1.0, optional: record once, replay often (CUDA graphs, Vulkan command buffers). Without it the host    */
/* enqueues launch by launch.                                                                                        */
/* ---------------------------------------------------------------------------------------------------------------- */

typedef struct bp_capture_api { /* [extensible] */
  uint32_t size;
  uint32_t version;
  /* Between begin and end, copy, fill, enqueue, event_record and event_wait on this queue are recorded, not run; any
   * other call on it fails with BP_E_INVALID_ARGUMENT. Views and kernels named in it outlive the recording. */
  bp_status (*begin)(bp_queue* queue, bp_error* error);
  bp_status (*end)(bp_queue* queue, bp_recording** out, bp_error* error);
  /* Put the whole recording into the queue (the one it was made on or another of the device) as one submission. */
  bp_status (*replay)(bp_queue* queue, bp_recording* recording, bp_error* error);
  void (*destroy)(bp_recording* recording); /* no replay may be pending; NULL is ignored */
} bp_capture_api;

/* ---------------------------------------------------------------------------------------------------------------- */
/* "bp.timing" 1.0, optional: time stamps taken by the device. Without it the host times around finish.               */
/* ---------------------------------------------------------------------------------------------------------------- */

typedef struct bp_timing_info { /* [extensible] */
  uint32_t size;
  uint32_t valid_bits;          /* time stamps wrap modulo 2^valid_bits */
  double ns_per_tick;
  double resolution_ns;         /* smallest difference that means something */
} bp_timing_info;

typedef struct bp_timing_api { /* [extensible] */
  uint32_t size;
  uint32_t version;
  bp_status (*info)(bp_device* device, bp_timing_info* out, bp_error* error);                         /* [any] */
  bp_status (*create)(bp_device* device, uint32_t num_stamps, bp_timer** out, bp_error* error);      /* [any] */
  void (*destroy)(bp_timer* timer); /* no stamp may be pending; NULL is ignored */
  /* Write the time at which all earlier work of the queue is done into slot `index`. */
  bp_status (*stamp)(bp_queue* queue, bp_timer* timer, uint32_t index, bp_error* error);
  /* Ticks of slots first ... first + count - 1; BP_NOT_READY when one has not been reached. */
  bp_status (*read)(bp_timer* timer, uint32_t first, uint32_t count, uint64_t* ticks, bp_error* error);
  /* One moment on both clocks: device ticks and CLOCK_MONOTONIC, and how far apart they may lie. Optional. [any] */
  bp_status (*calibrate)(bp_device* device, uint64_t* ticks, uint64_t* host_ns, uint64_t* deviation_ns,
                         bp_error* error);
} bp_timing_api;

/* ---------------------------------------------------------------------------------------------------------------- */
/* "bp.interop" 1.0, optional; each function is optional too. Without it data crosses by upload and download.          */
/* ---------------------------------------------------------------------------------------------------------------- */

enum { BP_ACCESS_READ = 1u << 0, BP_ACCESS_WRITE = 1u << 1 };
enum { /* external handles */
  BP_HANDLE_OPAQUE_FD = 1, /* a POSIX file descriptor as of VK_KHR_external_memory_fd / CUDA; ownership moves */
  BP_HANDLE_DMA_BUF_FD = 2
};
enum { BP_NATIVE_DEVICE = 1, BP_NATIVE_QUEUE = 2, BP_NATIVE_BUFFER = 3 }; /* what `native` is asked about */

struct DLManagedTensorVersioned; /* DLPack >= 1.0 */

typedef struct bp_interop_api { /* [extensible] */
  uint32_t size;
  uint32_t version;
  /* Use `bytes` of host memory at `data` in place. It stays valid until the buffer is freed. BP_E_UNSUPPORTED when the
   * address or size does not suit the device (the text says what would). [any] */
  bp_status (*import_host)(bp_device* device, void* data, uint64_t bytes, uint32_t access, bp_buffer** out,
                           bp_error* error);
  /* DLPack. Import takes ownership on success only. Export lends the buffer until the consumer calls the deleter,
   * and `released(context)` then tells the host, which must not free it before. [any] */
  bp_status (*dlpack_import)(bp_device* device, struct DLManagedTensorVersioned* tensor, bp_buffer** out,
                             uint64_t* offset, bp_tensor_desc* desc, bp_error* error);
  bp_status (*dlpack_export)(bp_device* device, bp_view view, const bp_tensor_desc* desc,
                             void (*released)(void* context), void* context,
                             struct DLManagedTensorVersioned** out, bp_error* error);
  bp_status (*export_handle)(bp_buffer* buffer, uint32_t handle_type, int64_t* out, bp_error* error);
  bp_status (*import_handle)(bp_device* device, uint32_t handle_type, int64_t handle, uint64_t bytes, bp_buffer** out,
                             bp_error* error);
  /* The API's own object behind a bp_device, bp_queue or bp_buffer (cl_mem, VkQueue, CUstream). Borrowed. */
  bp_status (*native)(void* handle, uint32_t what, void** out, bp_error* error);
} bp_interop_api;

/* ---------------------------------------------------------------------------------------------------------------- */
/* "bp.telemetry" 1.0, optional: what the device says about itself                                                    */
/* ---------------------------------------------------------------------------------------------------------------- */

enum { BP_UNIT_NONE = 0, BP_UNIT_BYTES = 1, BP_UNIT_WATT = 2, BP_UNIT_CELSIUS = 3, BP_UNIT_HERTZ = 4,
       BP_UNIT_RATIO = 5, BP_UNIT_JOULE = 6, BP_UNIT_COUNT = 7 };

typedef struct bp_metric { /* [extensible] */
  uint32_t size;           /* set by the caller to its own sizeof */
  uint32_t unit;           /* BP_UNIT_* */
  char name[48];           /* "memory.used", "clock.sm", "power.draw" */
  double value;            /* NaN = unknown just now */
} bp_metric;

typedef struct bp_telemetry_api { /* [extensible] */
  uint32_t size;
  uint32_t version;
  /* All metrics as of now; the list does not change while the device is open. [any] */
  bp_status (*sample)(bp_device* device, bp_metric* metrics, uint32_t stride, uint32_t capacity, uint32_t* count,
                      bp_error* error);
} bp_telemetry_api;

#define BP_INTERFACE_MEMORY "bp.memory"
#define BP_INTERFACE_QUEUE "bp.queue"
#define BP_INTERFACE_KERNELS "bp.kernels"
#define BP_INTERFACE_CAPTURE "bp.capture"
#define BP_INTERFACE_TIMING "bp.timing"
#define BP_INTERFACE_INTEROP "bp.interop"
#define BP_INTERFACE_TELEMETRY "bp.telemetry"

#ifdef __cplusplus
}
#endif
#endif /* BACKPLANE_PLUGIN_H_ */
