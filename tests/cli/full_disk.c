/* SPDX-License-Identifier: Apache-2.0
 * Preloaded: write() to files below $FULL_DISK_AT fails with ENOSPC, as on a full disk; a few bytes still fit. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

static int on_full_disk(int fd) {
  const char* directory = getenv("FULL_DISK_AT");
  char link[64], path[4096];
  ssize_t n;
  if (directory == NULL) return 0;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink(link, path, sizeof path - 1);
  if (n <= 0) return 0;
  path[n] = '\0';
  return strncmp(path, directory, strlen(directory)) == 0;
}

ssize_t write(int fd, const void* data, size_t size) {
  static ssize_t (*real)(int, const void*, size_t);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "write");
  if (size > 16 && on_full_disk(fd)) {
    if (lseek(fd, 0, SEEK_CUR) == 0) return real(fd, data, 16);
    errno = ENOSPC;
    return -1;
  }
  return real(fd, data, size);
}

ssize_t writev(int fd, const struct iovec* parts, int count) {
  static ssize_t (*real)(int, const struct iovec*, int);
  if (real == NULL) *(void**)&real = dlsym(RTLD_NEXT, "writev");
  if (on_full_disk(fd)) {
    errno = ENOSPC;
    return -1;
  }
  return real(fd, parts, count);
}
