/* SPDX-License-Identifier: Apache-2.0
 *
 * A whole synchronous plugin in host memory, in plain C, but for its operations.
 *
 * Include it in one C file, write two functions and end with the macro:
 *
 *   static const char* supports(const bp_op* op);   NULL = yes, else the reason why not
 *   static void run(const bp_op* op, const void* const* inputs, void* const* outputs);
 *   BP_SDK_HOST_PLUGIN("name", "1.0.0", "build id", "one line for people", supports, run)
 *
 * `run` gets addresses of elements (0, ..., 0). Ops reach `supports` with their structs completed to this header's size
 * and only when the form is right (counts, ranks, dtypes, program); their shapes are as the host's. Memory is malloc,
 * queues run in place and cannot fail, events are always complete.
 */
#ifndef BACKPLANE_SDK_HOST_BACKEND_H_
#define BACKPLANE_SDK_HOST_BACKEND_H_

#include <stdlib.h>

#include "backplane/sdk/walk.h"

struct bp_plugin {
  int unused;
};
struct bp_device {
  int unused;
};
struct bp_queue {
  int unused;
};
struct bp_event {
  int unused;
};
struct bp_buffer {
  char* data;
  uint64_t bytes;
};
enum { BP_SDK_MAX_DESCS = BP_PROGRAM_MAX_INPUTS + BP_PROGRAM_MAX_OUTPUTS };
struct bp_kernel { /* a deep copy of what prepare was given */
  bp_op op;
  bp_program program;
  uint64_t attrs[32];
  bp_tensor_desc descs[BP_SDK_MAX_DESCS];
  bp_instr instrs[BP_PROGRAM_MAX_INSTRS];
  uint16_t outputs[BP_PROGRAM_MAX_OUTPUTS];
};

/* What the macro gives. */
typedef struct bp_sdk_host_plugin {
  const char* name;
  const char* (*supports)(const bp_op* op);
  void (*run)(const bp_op* op, const void* const* inputs, void* const* outputs);
} bp_sdk_host_plugin;
static const bp_sdk_host_plugin bp_sdk_plugin;

static inline bp_status bp_sdk_fail(bp_error* error, bp_status code, const char* message) {
  if (error != NULL && error->size >= sizeof(*error)) {
    const uint32_t size = error->size;
    memset(error, 0, sizeof(*error));
    error->size = size;
    error->code = code;
    strncpy(error->message, message, sizeof(error->message) - 1);
  }
  return code;
}

/* Copies an [extensible] struct whose first member is its size; 0 when it uses something unknown. */
static inline int bp_sdk_read(void* target, uint32_t known, const void* source) {
  uint32_t size;
  memcpy(&size, source, sizeof(size));
  memset(target, 0, known);
  memcpy(target, source, size < known ? size : known);
  memcpy(target, &known, sizeof(known));
  for (uint32_t i = known; i < size; ++i) {
    if (((const char*)source)[i] != 0) return 0;
  }
  return size >= 8;
}
/* Writes an [extensible] struct into one of the caller's size. */
static inline void bp_sdk_write(void* target, const void* source, uint32_t known) {
  uint32_t size;
  memcpy(&size, target, sizeof(size));
  if (size > 4) memcpy((char*)target + 4, (const char*)source + 4, (size < known ? size : known) - 4);
}

/* Checks the form of a program and of its operands' dtypes; NULL when all is well. */
static inline const char* bp_sdk_check_program(const bp_op* op) {
  const bp_program* p = op->program;
  uint32_t dtypes[BP_SDK_MAX_VALUES];
  if (p->num_inputs != op->num_inputs || p->num_outputs != op->num_outputs || p->num_instrs > BP_PROGRAM_MAX_INSTRS) {
    return "the program does not fit the operands";
  }
  for (uint32_t i = 0; i < op->num_inputs; ++i) dtypes[i] = op->inputs[i].dtype;
  for (uint32_t i = 0; i < p->num_instrs; ++i) {
    const bp_instr* instr = &p->instrs[i];
    const uint32_t defined = p->num_inputs + i;
    if (bp_sdk_dtype_size(instr->dtype) == 0) return "the program has an unknown dtype";
    if (instr->code != BP_S_CONST && instr->a >= defined) return "the program uses an undefined value";
    if (instr->code >= BP_S_ADD && instr->b >= defined) return "the program uses an undefined value";
    if (instr->code == BP_S_SELECT && instr->c >= defined) return "the program uses an undefined value";
    if (instr->code == 0 || (instr->code > BP_S_CEIL && instr->code < BP_S_ADD) ||
        (instr->code > BP_S_SHR && instr->code != BP_S_SELECT)) {
      return "the program has an unknown opcode";
    }
    dtypes[defined] = instr->dtype;
  }
  for (uint32_t i = 0; i < p->num_outputs; ++i) {
    if (p->outputs[i] >= p->num_inputs + p->num_instrs || dtypes[p->outputs[i]] != op->outputs[i].dtype) {
      return "an output of the program has a wrong dtype or does not exist";
    }
  }
  return NULL;
}

/* Copies the op into the kernel and checks its form; returns what is wrong, or the plugin's own reason. */
static inline const char* bp_sdk_read_op(struct bp_kernel* kernel, const bp_op* op) {
  static const uint8_t inputs[6] = {0, 0, 1, 2, 2, 3};
  bp_op* copy = &kernel->op;
  memset(kernel, 0, sizeof(*kernel));
  if (!bp_sdk_read(copy, sizeof(*copy), op)) return "the operation uses a member that this plugin does not know";
  if (copy->code < BP_OP_POINTWISE || copy->code > BP_OP_SCATTER_ADD) return "only the five basic operations";
  if (copy->num_inputs > BP_PROGRAM_MAX_INPUTS || copy->num_outputs < 1 ||
      copy->num_outputs > BP_PROGRAM_MAX_OUTPUTS) {
    return "wrong number of operands";
  }
  if ((copy->code == BP_OP_POINTWISE) != (copy->program != NULL)) return "a program for pointwise, none for others";
  if (copy->code != BP_OP_POINTWISE && (copy->num_inputs != inputs[copy->code] || copy->num_outputs != 1)) {
    return "wrong number of operands";
  }
  for (uint32_t i = 0; i < copy->num_inputs + copy->num_outputs; ++i) {
    kernel->descs[i] = i < copy->num_inputs ? copy->inputs[i] : copy->outputs[i - copy->num_inputs];
    if (kernel->descs[i].rank > BP_MAX_RANK) return "a rank is above 8";
    if (bp_sdk_dtype_size(kernel->descs[i].dtype) == 0) return "a dtype is unknown";
  }
  copy->inputs = kernel->descs;
  copy->outputs = kernel->descs + copy->num_inputs;
  if (copy->code == BP_OP_REDUCE) {
    if (copy->attrs == NULL || !bp_sdk_read(kernel->attrs, sizeof(bp_reduce_attrs), copy->attrs)) {
      return "the attributes are missing or unknown";
    }
    copy->attrs = kernel->attrs;
  }
  if (copy->program != NULL) {
    const bp_program* program = copy->program;
    if (!bp_sdk_read(&kernel->program, sizeof(bp_program), program)) return "the program uses an unknown member";
    copy->program = &kernel->program;
    if (bp_sdk_check_program(copy) != NULL) return bp_sdk_check_program(copy);
    if (kernel->program.num_instrs != 0) {
      memcpy(kernel->instrs, kernel->program.instrs, kernel->program.num_instrs * sizeof(bp_instr));
    }
    memcpy(kernel->outputs, kernel->program.outputs, kernel->program.num_outputs * sizeof(uint16_t));
    kernel->program.instrs = kernel->instrs;
    kernel->program.outputs = kernel->outputs;
  }
  return bp_sdk_plugin.supports(copy);
}

/* root ----------------------------------------------------------------------------------------------------------- */
#define BP_SDK_NEW(TYPE)                                                                          \
  TYPE* object = (TYPE*)calloc(1, sizeof(TYPE));                                                  \
  if (object == NULL) return bp_sdk_fail(error, BP_E_OUT_OF_HOST_MEMORY, "out of host memory");   \
  *out = object;                                                                                  \
  return BP_OK

static bp_status bp_sdk_create(const bp_host* host, bp_plugin** out, bp_error* error) {
  (void)host;
  BP_SDK_NEW(bp_plugin);
}
static void bp_sdk_destroy(bp_plugin* plugin) { free(plugin); }
static bp_status bp_sdk_devices(bp_plugin* plugin, bp_device_info* infos, uint32_t stride, uint32_t capacity,
                                uint32_t* count, bp_error* error) {
  bp_device_info info;
  (void)plugin, (void)error;
  *count = 1;
  if (infos == NULL || capacity == 0) return BP_OK;
  memset(&info, 0, sizeof(info));
  info.kind = BP_KIND_CPU;
  info.flags = BP_DEVICE_SYNCHRONOUS | BP_DEVICE_UNIFIED_MEMORY | BP_DEVICE_HOST_POINTERS;
  strncpy(info.id, bp_sdk_plugin.name, sizeof(info.id) - 1);
  strncpy(info.name, bp_sdk_plugin.name, sizeof(info.name) - 1);
  strncpy(info.driver, bp_sdk_plugin.name, sizeof(info.driver) - 1);
  bp_sdk_write(infos, &info, stride < sizeof(info) ? stride : (uint32_t)sizeof(info));
  return BP_OK;
}
static bp_status bp_sdk_open(bp_plugin* plugin, uint32_t index, bp_device** out, bp_error* error) {
  (void)plugin;
  if (index != 0) return bp_sdk_fail(error, BP_E_INVALID_ARGUMENT, "[open] there is only device 0");
  BP_SDK_NEW(bp_device);
}
static void bp_sdk_close(bp_device* device) { free(device); }

/* bp.memory ------------------------------------------------------------------------------------------------------ */
static bp_status bp_sdk_alloc(bp_device* device, uint64_t bytes, uint32_t kind, bp_buffer** out, bp_error* error) {
  bp_buffer* buffer = (bp_buffer*)malloc(sizeof(*buffer));
  (void)device, (void)kind;
  if (buffer != NULL) {
    buffer->bytes = bytes;
    buffer->data = bytes > UINT64_MAX / 2 ? NULL : (char*)aligned_alloc(64, (size_t)((bytes + 63) / 64 * 64));
  }
  if (buffer == NULL || buffer->data == NULL) {
    free(buffer);
    return bp_sdk_fail(error, BP_E_OUT_OF_MEMORY, "[alloc] not enough memory; free buffers or use smaller batches");
  }
  *out = buffer;
  return BP_OK;
}
static void bp_sdk_free(bp_buffer* buffer) {
  if (buffer != NULL) free(buffer->data);
  free(buffer);
}
static bp_status bp_sdk_host_pointer(bp_buffer* buffer, void** out, bp_error* error) {
  (void)error;
  *out = buffer->data;
  return BP_OK;
}

/* bp.queue ------------------------------------------------------------------------------------------------------- */
static bp_status bp_sdk_queue_create(bp_device* device, bp_queue** out, bp_error* error) {
  (void)device;
  BP_SDK_NEW(bp_queue);
}
static void bp_sdk_queue_destroy(bp_queue* queue) { free(queue); }
static int bp_sdk_outside(bp_view view, uint64_t bytes) {
  return view.buffer == NULL || view.offset > view.buffer->bytes || bytes > view.buffer->bytes - view.offset;
}
static bp_status bp_sdk_upload(bp_queue* queue, bp_view target, const void* source, uint64_t bytes, uint32_t stable,
                               bp_error* error) {
  (void)queue, (void)stable;
  if (bytes == 0) return BP_OK;
  if (bp_sdk_outside(target, bytes)) return bp_sdk_fail(error, BP_E_INVALID_ARGUMENT, "[upload] outside the buffer");
  memcpy(target.buffer->data + target.offset, source, bytes);
  return BP_OK;
}
static bp_status bp_sdk_download(bp_queue* queue, void* target, bp_view source, uint64_t bytes, bp_error* error) {
  (void)queue;
  if (bytes == 0) return BP_OK;
  if (bp_sdk_outside(source, bytes)) return bp_sdk_fail(error, BP_E_INVALID_ARGUMENT, "[download] outside the buffer");
  memcpy(target, source.buffer->data + source.offset, bytes);
  return BP_OK;
}
static bp_status bp_sdk_copy(bp_queue* queue, bp_view target, bp_view source, uint64_t bytes, bp_error* error) {
  if (bytes != 0 && bp_sdk_outside(source, bytes)) {
    return bp_sdk_fail(error, BP_E_INVALID_ARGUMENT, "[copy] outside the buffer");
  }
  return bytes == 0 ? BP_OK : bp_sdk_upload(queue, target, source.buffer->data + source.offset, bytes, 0, error);
}
static bp_status bp_sdk_fill(bp_queue* queue, bp_view target, const void* pattern, uint32_t pattern_bytes,
                             uint64_t bytes, bp_error* error) {
  (void)queue;
  if (bytes == 0) return BP_OK;
  if (bp_sdk_outside(target, bytes)) return bp_sdk_fail(error, BP_E_INVALID_ARGUMENT, "[fill] outside the buffer");
  for (uint64_t i = 0; i < bytes; ++i) {
    target.buffer->data[target.offset + i] = ((const char*)pattern)[i % pattern_bytes];
  }
  return BP_OK;
}
static bp_status bp_sdk_nothing_to_do(bp_queue* queue, bp_error* error) {
  (void)queue, (void)error;
  return BP_OK;
}
static bp_status bp_sdk_event_create(bp_device* device, bp_event** out, bp_error* error) {
  (void)device;
  BP_SDK_NEW(bp_event);
}
static void bp_sdk_event_destroy(bp_event* event) { free(event); }
static bp_status bp_sdk_event_use(bp_queue* queue, bp_event* event, bp_error* error) {
  (void)queue, (void)event, (void)error;
  return BP_OK;
}
static bp_status bp_sdk_event_sync(bp_event* event, uint64_t timeout_ns, bp_error* error) {
  (void)event, (void)timeout_ns, (void)error;
  return BP_OK;
}

/* bp.kernels ----------------------------------------------------------------------------------------------------- */
static bp_status bp_sdk_query(bp_device* device, const bp_op* op, bp_support* support, bp_error* error) {
  bp_support answer;
  struct bp_kernel* kernel = (struct bp_kernel*)malloc(sizeof(*kernel));
  const char* reason;
  (void)device;
  if (kernel == NULL) return bp_sdk_fail(error, BP_E_OUT_OF_HOST_MEMORY, "out of host memory");
  reason = bp_sdk_read_op(kernel, op);
  memset(&answer, 0, sizeof(answer));
  answer.verdict = reason == NULL ? BP_SUPPORT_YES : BP_SUPPORT_NO;
  if (reason != NULL) strncpy(answer.reason, reason, sizeof(answer.reason) - 1);
  bp_sdk_write(support, &answer, sizeof(answer));
  free(kernel);
  return BP_OK;
}
static bp_status bp_sdk_variants(bp_device* device, const bp_op* op, bp_variant* variants, uint32_t stride,
                                 uint32_t capacity, uint32_t* count, bp_error* error) {
  bp_variant only;
  (void)device, (void)op, (void)error;
  *count = 1;
  if (variants == NULL || capacity == 0) return variants == NULL ? BP_OK : BP_INCOMPLETE;
  memset(&only, 0, sizeof(only));
  only.flags = BP_VARIANT_DEFAULT;
  only.determinism = BP_DETERMINISM_DEVICE;
  strcpy(only.name, "default");
  bp_sdk_write(variants, &only, stride < sizeof(only) ? stride : (uint32_t)sizeof(only));
  return BP_OK;
}
static bp_status bp_sdk_prepare(bp_device* device, const bp_op* op, const char* variant, bp_kernel** out,
                                bp_kernel_info* info, bp_error* error) {
  bp_kernel_info facts;
  struct bp_kernel* kernel;
  const char* reason;
  (void)device;
  if (variant != NULL && strcmp(variant, "default") != 0) {
    return bp_sdk_fail(error, BP_E_NOT_FOUND, "[prepare] the only variant is 'default'");
  }
  kernel = (struct bp_kernel*)malloc(sizeof(*kernel));
  if (kernel == NULL) return bp_sdk_fail(error, BP_E_OUT_OF_HOST_MEMORY, "out of host memory");
  reason = bp_sdk_read_op(kernel, op);
  if (reason != NULL) {
    free(kernel);
    return bp_sdk_fail(error, BP_E_UNSUPPORTED, reason);
  }
  memset(&facts, 0, sizeof(facts));
  strcpy(facts.variant, "default");
  if (info != NULL) bp_sdk_write(info, &facts, sizeof(facts));
  *out = kernel;
  return BP_OK;
}
static bp_status bp_sdk_enqueue(bp_queue* queue, bp_kernel* kernel, const bp_view* inputs, const bp_view* outputs,
                                bp_view workspace, bp_error* error) {
  const void* in[BP_PROGRAM_MAX_INPUTS];
  void* out[BP_PROGRAM_MAX_OUTPUTS];
  (void)queue, (void)workspace, (void)error;
  for (uint32_t i = 0; i < kernel->op.num_inputs; ++i) in[i] = inputs[i].buffer->data + inputs[i].offset;
  for (uint32_t i = 0; i < kernel->op.num_outputs; ++i) out[i] = outputs[i].buffer->data + outputs[i].offset;
  bp_sdk_plugin.run(&kernel->op, in, out);
  return BP_OK;
}
static void bp_sdk_kernel_destroy(bp_kernel* kernel) { free(kernel); }
#undef BP_SDK_NEW

static const bp_memory_api bp_sdk_memory = {
    .size = sizeof(bp_memory_api), .version = BP_VERSION(1, 0), .alloc = bp_sdk_alloc, .free = bp_sdk_free,
    .host_pointer = bp_sdk_host_pointer};
static const bp_queue_api bp_sdk_queue = {
    sizeof(bp_queue_api), BP_VERSION(1, 0), bp_sdk_queue_create, bp_sdk_queue_destroy, bp_sdk_upload, bp_sdk_download,
    bp_sdk_copy, bp_sdk_fill, bp_sdk_nothing_to_do, bp_sdk_nothing_to_do, bp_sdk_event_create, bp_sdk_event_destroy,
    bp_sdk_event_use, bp_sdk_event_use, bp_sdk_event_sync};
static const bp_kernels_api bp_sdk_kernels = {sizeof(bp_kernels_api), BP_VERSION(1, 0), bp_sdk_query, bp_sdk_variants,
                                              bp_sdk_prepare, bp_sdk_enqueue, bp_sdk_kernel_destroy};

static const void* bp_sdk_get_interface(bp_plugin* plugin, const char* name, uint32_t min_version) {
  (void)plugin;
  if (min_version > BP_VERSION(1, 0)) return NULL;
  if (strcmp(name, BP_INTERFACE_MEMORY) == 0) return &bp_sdk_memory;
  if (strcmp(name, BP_INTERFACE_QUEUE) == 0) return &bp_sdk_queue;
  if (strcmp(name, BP_INTERFACE_KERNELS) == 0) return &bp_sdk_kernels;
  return NULL;
}

#define BP_SDK_HOST_PLUGIN(NAME, VERSION, BUILD_ID, DESCRIPTION, SUPPORTS, RUN)                                   \
  static const bp_sdk_host_plugin bp_sdk_plugin = {NAME, SUPPORTS, RUN};                                         \
  BP_EXPORT bp_status backplane_plugin_v1(const bp_host* host, const bp_plugin_api** out, bp_error* error) {     \
    static const bp_plugin_api api = {sizeof(bp_plugin_api), BP_ABI_VERSION,      NAME,           VERSION,       \
                                      BUILD_ID,              DESCRIPTION,         bp_sdk_create,  bp_sdk_destroy, \
                                      bp_sdk_get_interface,  bp_sdk_devices,      bp_sdk_open,    bp_sdk_close};  \
    if (host == NULL || host->abi_version >> 16 != BP_ABI_MAJOR) {                                               \
      return bp_sdk_fail(error, BP_E_ABI, "[entry] this plugin needs a host of ABI 1.0 or a later minor");       \
    }                                                                                                            \
    *out = &api;                                                                                                 \
    return BP_OK;                                                                                                \
  }

#endif /* BACKPLANE_SDK_HOST_BACKEND_H_ */
