/* SPDX-License-Identifier: Apache-2.0
 *
 * The null plugin: one device that supports every operation and does nothing. It measures what the host costs, and is a
 * good neighbour in the loader's tests. Buffers are real memory, so that upload and download work; kernels are not.
 *
 * BP_NULL_NAME, BP_NULL_KIND and BP_NULL_FLAGS make others of it; BP_NULL_CREATE is a hook run by `create`. */
#include <stdlib.h>
#include <string.h>

#include "backplane/plugin.h"

#ifndef BP_NULL_NAME
#define BP_NULL_NAME "null"
#endif
#ifndef BP_NULL_KIND
#define BP_NULL_KIND BP_KIND_OTHER
#endif
#ifndef BP_NULL_FLAGS
#define BP_NULL_FLAGS (BP_DEVICE_SOFTWARE | BP_DEVICE_SYNCHRONOUS | BP_DEVICE_HOST_POINTERS)
#endif
#ifndef BP_NULL_DEVICES
#define BP_NULL_DEVICES 1u
#endif

struct bp_plugin { int unused; };
struct bp_device { uint32_t index; };
struct bp_queue { int unused; };
struct bp_event { int unused; };
struct bp_kernel { int unused; };
struct bp_buffer { void* data; };

static struct bp_plugin the_plugin;
static struct bp_device the_devices[BP_NULL_DEVICES];
static struct bp_queue the_queue;
static struct bp_event the_event;
static struct bp_kernel the_kernel;

static bp_status fail(bp_error* error, bp_status code, const char* text) {
  if (error != NULL) {
    error->code = code;
    strncpy(error->message, text, sizeof error->message - 1);
    error->message[sizeof error->message - 1] = '\0';
  }
  return code;
}

/* memory */
static bp_status mem_alloc(bp_device* device, uint64_t bytes, uint32_t kind, bp_buffer** out, bp_error* error) {
  (void)device;
  (void)kind;
  bp_buffer* buffer = malloc(sizeof *buffer);
  if (buffer == NULL) return fail(error, BP_E_OUT_OF_HOST_MEMORY, "[null] no memory for a buffer object");
  const uint64_t rounded = (bytes + 63u) & ~(uint64_t)63u;
  buffer->data = rounded < bytes || rounded > SIZE_MAX ? NULL : aligned_alloc(64, (size_t)rounded);
  if (buffer->data == NULL) {
    free(buffer);
    return fail(error, BP_E_OUT_OF_MEMORY, "[null] the host has not that much memory");
  }
  *out = buffer;
  return BP_OK;
}
static void mem_free(bp_buffer* buffer) {
  if (buffer == NULL) return;
  free(buffer->data);
  free(buffer);
}
static bp_status mem_host_pointer(bp_buffer* buffer, void** out, bp_error* error) {
  (void)error;
  *out = buffer->data;
  return BP_OK;
}
static const bp_memory_api memory_api = {sizeof(bp_memory_api), BP_VERSION(1, 0), mem_alloc, mem_free,
                                         mem_host_pointer, NULL};

/* queue: everything is done when its call returns */
static char* at(bp_view view) { return (char*)view.buffer->data + view.offset; }
static bp_status q_create(bp_device* device, bp_queue** out, bp_error* error) {
  (void)device;
  (void)error;
  *out = &the_queue;
  return BP_OK;
}
static void q_destroy(bp_queue* queue) { (void)queue; }
static bp_status q_upload(bp_queue* queue, bp_view target, const void* source, uint64_t bytes, uint32_t stable,
                          bp_error* error) {
  (void)queue;
  (void)stable;
  (void)error;
  if (bytes != 0) memcpy(at(target), source, (size_t)bytes);
  return BP_OK;
}
static bp_status q_download(bp_queue* queue, void* target, bp_view source, uint64_t bytes, bp_error* error) {
  (void)queue;
  (void)error;
  if (bytes != 0) memcpy(target, at(source), (size_t)bytes);
  return BP_OK;
}
static bp_status q_copy(bp_queue* queue, bp_view target, bp_view source, uint64_t bytes, bp_error* error) {
  (void)queue;
  (void)error;
  if (bytes != 0) memcpy(at(target), at(source), (size_t)bytes);
  return BP_OK;
}
static bp_status q_fill(bp_queue* queue, bp_view target, const void* pattern, uint32_t pattern_bytes, uint64_t bytes,
                        bp_error* error) {
  (void)queue;
  if (pattern_bytes == 0 || bytes % pattern_bytes != 0) {
    return fail(error, BP_E_INVALID_ARGUMENT, "[null] fill: the size is not a multiple of the pattern");
  }
  for (uint64_t i = 0; i < bytes; i += pattern_bytes) memcpy(at(target) + i, pattern, pattern_bytes);
  return BP_OK;
}
static bp_status q_nothing(bp_queue* queue, bp_error* error) {
  (void)queue;
  (void)error;
  return BP_OK;
}
static bp_status ev_create(bp_device* device, bp_event** out, bp_error* error) {
  (void)device;
  (void)error;
  *out = &the_event;
  return BP_OK;
}
static void ev_destroy(bp_event* event) { (void)event; }
static bp_status ev_nothing(bp_queue* queue, bp_event* event, bp_error* error) {
  (void)queue;
  (void)event;
  (void)error;
  return BP_OK;
}
static bp_status ev_sync(bp_event* event, uint64_t timeout_ns, bp_error* error) {
  (void)event;
  (void)timeout_ns;
  (void)error;
  return BP_OK;
}
static const bp_queue_api queue_api = {sizeof(bp_queue_api), BP_VERSION(1, 0), q_create,  q_destroy,  q_upload,
                                       q_download,           q_copy,           q_fill,    q_nothing,  q_nothing,
                                       ev_create,            ev_destroy,       ev_nothing, ev_nothing, ev_sync};

/* kernels */
static bp_status k_query(bp_device* device, const bp_op* op, bp_support* support, bp_error* error) {
  (void)device;
  (void)op;
  (void)error;
  support->verdict = BP_SUPPORT_YES;
  return BP_OK;
}
static bp_status k_variants(bp_device* device, const bp_op* op, bp_variant* variants, uint32_t stride,
                            uint32_t capacity, uint32_t* count, bp_error* error) {
  (void)device;
  (void)op;
  (void)error;
  if (capacity >= 1 && stride >= sizeof *variants) {
    variants->flags = BP_VARIANT_DEFAULT;
    strcpy(variants->name, "nothing");
    variants->determinism = BP_DETERMINISM_DEVICE;
  }
  *count = 1;
  return capacity >= 1 ? BP_OK : BP_INCOMPLETE;
}
static bp_status k_prepare(bp_device* device, const bp_op* op, const char* variant, bp_kernel** out,
                           bp_kernel_info* info, bp_error* error) {
  (void)device;
  (void)op;
  if (variant != NULL && strcmp(variant, "nothing") != 0) {
    return fail(error, BP_E_NOT_FOUND, "[null] the only variant is \"nothing\"");
  }
  if (info != NULL) strcpy(info->variant, "nothing");
  *out = &the_kernel;
  return BP_OK;
}
static bp_status k_enqueue(bp_queue* queue, bp_kernel* kernel, const bp_view* inputs, const bp_view* outputs,
                           bp_view workspace, bp_error* error) {
  (void)queue;
  (void)kernel;
  (void)inputs;
  (void)outputs;
  (void)workspace;
  (void)error;
  return BP_OK;
}
static void k_destroy(bp_kernel* kernel) { (void)kernel; }
static const bp_kernels_api kernels_api = {sizeof(bp_kernels_api), BP_VERSION(1, 0), k_query, k_variants,
                                           k_prepare,              k_enqueue,        k_destroy};

/* root */
static bp_status create(const bp_host* host, bp_plugin** out, bp_error* error) {
  (void)host;
  (void)error;
#ifdef BP_NULL_CREATE
  BP_NULL_CREATE;
#endif
  *out = &the_plugin;
  return BP_OK;
}
static void destroy(bp_plugin* plugin) { (void)plugin; }
static const void* get_interface(bp_plugin* plugin, const char* name, uint32_t min_version) {
  (void)plugin;
  if (min_version > BP_VERSION(1, 0)) return NULL;
  if (strcmp(name, BP_INTERFACE_MEMORY) == 0) return &memory_api;
  if (strcmp(name, BP_INTERFACE_QUEUE) == 0) return &queue_api;
  if (strcmp(name, BP_INTERFACE_KERNELS) == 0) return &kernels_api;
  return NULL;
}
static bp_status devices(bp_plugin* plugin, bp_device_info* infos, uint32_t stride, uint32_t capacity, uint32_t* count,
                         bp_error* error) {
  (void)plugin;
  (void)error;
  *count = BP_NULL_DEVICES;
  for (uint32_t i = 0; i < BP_NULL_DEVICES && i < capacity; ++i) {
    bp_device_info info = {0};
    info.index = i;
    info.kind = BP_NULL_KIND;
    info.flags = BP_NULL_FLAGS;
    strcpy(info.id, BP_NULL_NAME "-0");
    info.id[strlen(info.id) - 1] = (char)('0' + i % 10);
    strcpy(info.name, "Nothing, done quickly");
    strcpy(info.architecture, "none");
    strcpy(info.driver, "null 1");
    info.offset_alignment = 1;
    info.compute_units = 1;
    info.max_queues = 1;
    char* element = (char*)infos + (size_t)i * stride;
    uint32_t size = 0;
    memcpy(&size, element, sizeof size);
    info.size = size < sizeof info ? size : (uint32_t)sizeof info;
    memcpy(element, &info, info.size);
  }
  return capacity >= BP_NULL_DEVICES ? BP_OK : BP_INCOMPLETE;
}
static bp_status open_device(bp_plugin* plugin, uint32_t index, bp_device** out, bp_error* error) {
  (void)plugin;
  if (index >= BP_NULL_DEVICES) return fail(error, BP_E_INVALID_ARGUMENT, "[null] there is no such device");
  the_devices[index].index = index;
  *out = &the_devices[index];
  return BP_OK;
}
static void close_device(bp_device* device) { (void)device; }

static const bp_plugin_api plugin_api = {sizeof(bp_plugin_api), BP_ABI_VERSION, BP_NULL_NAME, "1.0", "null-1",
                                         "Supports everything and does nothing", create,      destroy,
                                         get_interface,         devices,        open_device,  close_device};

bp_status backplane_plugin_v1(const bp_host* host, const bp_plugin_api** out, bp_error* error) {
  (void)host;
  (void)error;
  *out = &plugin_api;
  return BP_OK;
}
