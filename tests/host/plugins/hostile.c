/* SPDX-License-Identifier: Apache-2.0
 *
 * One library with many ways to misbehave: what it does is decided by the name of its file, libbackplane_<case>.so. The
 * tests copy it under each name. It is the null plugin with one thing wrong; tests/host/hostile_plugins_test.cpp lists
 * the cases with what the host should say about each. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backplane/plugin.h"

static char the_case[64];
static char the_path[4096];

#define BP_NULL_NAME "hostile"
#define backplane_plugin_v1 good_entry
#include "../../plugins/null/null_plugin.c"
#undef backplane_plugin_v1

BP_EXPORT bp_status backplane_plugin_v1(const bp_host* host, const bp_plugin_api** out, bp_error* error);
void hostile_throw_exception(void); /* throw.cpp */
void hostile_throw_int(void);
void hostile_has_a_static_object(void);
extern int hostile_is_gone;

static int is(const char* name) { return strcmp(the_case, name) == 0; }
static int begins(const char* prefix) { return strncmp(the_case, prefix, strlen(prefix)) == 0; }

/* Some things would disturb the test's own output, and have done their work when they are done in the probe. */
static int in_probe(void) { return strcmp(program_invocation_short_name, "backplane-probe") == 0; }

static volatile int* volatile nowhere = NULL;
static void spin(void) {
  for (;;) usleep(1000);
}
static int overflow_stack(volatile int depth) {
  volatile char frame[4096];
  frame[0] = (char)depth;
  return overflow_stack(depth + 1) + frame[0];
}
/* Much more than the machine has, and never touched: only a limit stops it. */
static void eat_memory(void) {
  const long pages = sysconf(_SC_PHYS_PAGES);
  const long gigabytes = pages / (1L << 18) * 4 + 64;
  for (long i = 0; i < gigabytes; ++i) {
    if (mmap(NULL, 1u << 30, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) ==
        MAP_FAILED) {
      abort();
    }
  }
}

/* What a case does at a stage: "<stage>-segv", "<stage>-loop", ... */
static void misbehave_at(const char* stage) {
  const size_t n = strlen(stage);
  if (strncmp(the_case, stage, n) != 0 || the_case[n] != '-') return;
  const char* what = the_case + n + 1;
  if (strcmp(what, "segv") == 0) *nowhere = 1;
  if (strcmp(what, "abort") == 0) abort();
  if (strcmp(what, "fpe") == 0) raise(SIGFPE);
  if (strcmp(what, "kill") == 0) raise(SIGKILL);
  if (strcmp(what, "exit") == 0) exit(0);
  if (strcmp(what, "exit3") == 0) _exit(3);
  if (strcmp(what, "loop") == 0) spin();
  if (strcmp(what, "overflow") == 0) overflow_stack(0);
  if (strcmp(what, "throw") == 0) hostile_throw_exception();
  if (strcmp(what, "throw-int") == 0) hostile_throw_int();
  if (strcmp(what, "eats-memory") == 0) eat_memory();
  if (strcmp(what, "says-why") == 0) {
    fprintf(stderr, "assertion failed: the moon is not full\n");
    abort();
  }
}

__attribute__((constructor)) static void learn_name(void) {
  Dl_info info;
  if (dladdr((void*)&learn_name, &info) == 0) return;
  snprintf(the_path, sizeof the_path, "%s", info.dli_fname);
  const char* file = strrchr(the_path, '/');
  if (file == NULL || sscanf(file, "/libbackplane_%63[^.]", the_case) != 1) return;
  if (begins("mark")) { /* leaves a trace of having been loaded */
    char marker[4200];
    snprintf(marker, sizeof marker, "%s.loaded", the_path);
    const int fd = open(marker, O_WRONLY | O_CREAT, 0600);
    if (fd >= 0) close(fd);
  }
  misbehave_at("constructor");
}

static bp_plugin_api root;
static bp_memory_api memory_table;
static bp_queue_api queue_table;
static bp_kernels_api kernels_table;
static bp_capture_api capture_table;
static char long_text[1 << 20];

static bp_status hostile_create(const bp_host* host, bp_plugin** out, bp_error* error) {
  misbehave_at("create");
  hostile_has_a_static_object();
  if (is("create-fails")) return fail(error, BP_E_INTERNAL, "the flux capacitor is missing");
  if (is("create-unavailable")) return fail(error, BP_E_UNAVAILABLE, "no flux capacitor here");
  if (is("create-null")) return BP_OK;
  if (is("create-unterminated")) {
    memset(error->message, 'x', sizeof error->message);
    return BP_E_INTERNAL;
  }
  return create(host, out, error);
}

static const void* hostile_interface(bp_plugin* plugin, const char* name, uint32_t min_version) {
  const void* table = get_interface(plugin, name, min_version);
  if (strcmp(name, BP_INTERFACE_MEMORY) == 0) {
    memory_table = memory_api;
    if (is("memory-missing")) return NULL;
    if (is("memory-null-alloc")) memory_table.alloc = NULL;
    if (is("memory-older")) memory_table.size = offsetof(bp_memory_api, usage);
    if (is("memory-too-small")) memory_table.size = offsetof(bp_memory_api, host_pointer);
    if (is("memory-misaligned")) return (const char*)&memory_table + 1;
    return &memory_table;
  }
  if (strcmp(name, BP_INTERFACE_QUEUE) == 0) {
    queue_table = queue_api;
    if (is("queue-missing")) return NULL;
    if (is("queue-size-0")) queue_table.size = 0;
    if (is("queue-null-last")) queue_table.event_sync = NULL;
    return &queue_table;
  }
  if (strcmp(name, BP_INTERFACE_KERNELS) == 0) {
    kernels_table = kernels_api;
    if (is("kernels-missing")) return NULL;
    if (is("kernels-version-2")) kernels_table.version = BP_VERSION(2, 0);
    return &kernels_table;
  }
  if (strcmp(name, BP_INTERFACE_CAPTURE) == 0 && is("capture-null")) {
    capture_table.size = sizeof capture_table;
    capture_table.version = BP_VERSION(1, 0);
    return &capture_table;
  }
  return table;
}

static void spoil_device(bp_device_info* info, uint32_t i) {
  if (is("device-empty-id")) info->id[0] = '\0';
  if (is("device-unterminated-id")) memset(info->id, 'i', sizeof info->id);
  if (is("device-control-name")) strcpy(info->name, "red \033[31m");
  if (is("device-broken-utf8")) strcpy(info->name, "\xc3(");
  if (is("device-kind-0")) info->kind = 0;
  if (is("device-alignment-3")) info->offset_alignment = 3;
  if (is("device-memory-max")) info->memory_total = UINT64_MAX;
  if (is("device-duplicate-id") && i == 1) strcpy(info->id, "hostile-0");
  if (is("device-duplicate-index")) info->index = 7;
  if (is("device-future-kind")) info->kind = 999;
}

static bp_status hostile_devices(bp_plugin* plugin, bp_device_info* infos, uint32_t stride, uint32_t capacity,
                                 uint32_t* count, bp_error* error) {
  static uint32_t calls = 0;
  misbehave_at("devices");
  if (is("devices-zero")) return *count = 0, BP_OK;
  if (is("devices-unavailable")) return fail(error, BP_E_UNAVAILABLE, "no NVIDIA driver (libcuda.so.1)");
  if (is("devices-fail")) return fail(error, BP_E_INTERNAL, "lost count");
  if (is("devices-unknown-status")) return -999;
  if (is("devices-many")) return *count = UINT32_MAX, BP_OK;
  if (is("devices-unstable")) return *count = 1 + calls++, BP_OK;
  if (is("devices-spam") && in_probe()) {
    for (int i = 0; i < (100 << 20) / 64; ++i)
      fputs("spam spam spam spam spam spam spam spam spam spam spam spam...\n", stdout);
    fflush(stdout);
  }
  if (is("devices-overrun") && infos != NULL) {
    for (uint32_t i = 0; i < capacity + 2; ++i) memset((char*)infos + (size_t)i * stride, 0x11, stride);
  }
  const int two = begins("device-duplicate");
  *count = two ? 2 : 1;
  for (uint32_t i = 0; i < *count && i < capacity; ++i) {
    bp_device_info one = {0};
    uint32_t ignored = 0;
    one.size = sizeof one;
    devices(plugin, &one, sizeof one, 1, &ignored, error);
    one.index = i;
    snprintf(one.id, sizeof one.id, "%.40s-%u", two ? "hostile" : the_case, i);
    spoil_device(&one, i);
    memcpy((char*)infos + (size_t)i * stride, &one, sizeof one < stride ? sizeof one : stride);
  }
  return capacity >= *count ? BP_OK : BP_INCOMPLETE;
}

static bp_status hostile_open(bp_plugin* plugin, uint32_t index, bp_device** out, bp_error* error) {
  if (is("open-fails")) return fail(error, BP_E_OUT_OF_MEMORY, "somebody else has all of it");
  if (is("open-null")) return BP_OK;
  return open_device(plugin, index, out, error);
}

static void hostile_close(bp_device* device) {
  if (hostile_is_gone) abort(); /* as drivers do that are called after their end */
  close_device(device);
}

static void spoil_root(void) {
  if (is("root-size-0")) root.size = 0;
  if (is("root-size-1")) root.size = 1;
  if (is("root-size-short")) root.size = sizeof root - sizeof(void*);
  if (is("root-size-huge")) root.size = UINT32_MAX;
  if (is("root-major-0")) root.abi_version = BP_VERSION(0, 9);
  if (is("root-major-2")) root.abi_version = BP_VERSION(2, 0);
  if (is("root-major-max")) root.abi_version = UINT32_MAX;
  if (is("root-minor-max")) root.abi_version = BP_VERSION(1, 65535);
  if (is("root-null-create")) root.create = NULL;
  if (is("root-null-destroy")) root.destroy = NULL;
  if (is("root-null-interface")) root.get_interface = NULL;
  if (is("root-null-devices")) root.devices = NULL;
  if (is("root-null-open")) root.open = NULL;
  if (is("root-null-close")) root.close = NULL;
  if (is("root-slot-one")) memset(&root.open, 0, sizeof root.open), *(char*)& root.open = 1;
  if (is("root-slot-data")) *(void**)&root.close = (void*)&long_text;
  if (is("name-null")) root.name = NULL;
  if (is("name-empty")) root.name = "";
  if (is("name-broken-utf8")) root.name = "\xff\xfe";
  if (is("name-upper")) root.name = "Name-Upper";
  if (is("name-other")) root.name = "somebody-else";
  if (is("name-long")) root.name = long_text;
  if (is("name-unmapped")) root.name = (const char*)(uintptr_t)0x1000;
  if (is("version-null")) root.version = NULL;
  if (is("version-control")) root.version = "1.0\033[2J";
  if (is("build-id-empty")) root.build_id = "";
  if (is("description-long")) root.description = long_text;
}

/* A table that ends where the next page is not mapped: the host may not read behind `size`. */
static const bp_plugin_api* at_the_edge(void) {
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  char* two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(two + page, page, PROT_NONE);
  memcpy(two + page - sizeof root, &root, sizeof root);
  return (const bp_plugin_api*)(const void*)(two + page - sizeof root);
}

static void disturb_process(void) {
  if (!in_probe()) return;
  if (is("process-closes-stdout")) close(1), close(2);
  if (is("process-closes-report")) close(3);
  if (is("process-garbles-report")) {
    const char text[] = "result {\"code\": 1, \"devices\": [[[[\n";
    if (write(3, text, sizeof text - 1) < 0) abort();
    _exit(0);
  }
  if (is("process-forges-report")) {
    const char text[] =
        "result "
        "{\"code\":\"\",\"reason\":\"\",\"version\":\"1\",\"build_id\":\"1\",\"description\":\"\",\"devices\":[{}]}\n";
    if (write(3, text, sizeof text - 1) < 0) abort();
    _exit(0);
  }
  if (is("process-leaves-group")) { /* where killing its own group does not reach it */
    if (setpgid(0, getpgid(getppid())) != 0) abort();
    spin();
  }
  if (is("process-leaves-child")) {
    if (fork() == 0) { /* keeps the pipes of the probe open */
      sleep(600);
      _exit(0);
    }
  }
}

bp_status backplane_plugin_v1(const bp_host* host, const bp_plugin_api** out, bp_error* error) {
  misbehave_at("entry");
  disturb_process();
  if (is("entry-fails")) return fail(error, BP_E_OUT_OF_HOST_MEMORY, "not a byte left");
  if (is("entry-unknown-status")) return -999;
  if (is("entry-too-new")) return fail(error, BP_E_ABI, "needs a host of ABI 1.7 or later");
  if (is("entry-null")) return *out = NULL, BP_OK;
  if (is("entry-unmapped")) return *out = (const bp_plugin_api*)(uintptr_t)0x1000, BP_OK;
  good_entry(host, out, error);
  memset(long_text, 'x', sizeof long_text - 1);
  root = **out;
  root.name = the_case;
  root.create = hostile_create;
  root.get_interface = hostile_interface;
  root.devices = hostile_devices;
  root.open = hostile_open;
  root.close = hostile_close;
  spoil_root();
  *out = is("entry-misaligned") ? (const bp_plugin_api*)(const void*)((const char*)&root + 4) : &root;
  if (is("root-at-edge")) *out = at_the_edge();
  return BP_OK;
}
