/*
 * Preloaded into a process, makes single calls of the disk fail: FAULT_SWITCH names a file that holds
 * "<calls> <errno> <path prefix>", calls separated by commas, and is read at each call. An empty or
 * missing file lets everything pass. A write of LMDB's header counts as "header", not as "pwrite".
 * errno 0 holds the call back for half a second instead.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static __thread int inside = 0;

static int find_fault(const char *call, int fd) {
  char text[512], calls[128], prefix[300], link[64], path[4096];
  char *rest, *name;
  int number = 0, found = -1;
  ssize_t bytes;
  const char *file = getenv("FAULT_SWITCH");
  int in = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
  if (in < 0) return -1;
  bytes = read(in, text, sizeof text - 1);
  close(in);
  if (bytes <= 0) return -1;
  text[bytes] = 0;
  if (sscanf(text, "%127s %d %299s", calls, &number, prefix) != 3) return -1;
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  bytes = readlink(link, path, sizeof path - 1);
  if (bytes <= 0) return -1;
  path[bytes] = 0;
  if (strncmp(path, prefix, strlen(prefix)) != 0) return -1;
  for (name = strtok_r(calls, ",", &rest); name; name = strtok_r(NULL, ",", &rest))
    if (strcmp(name, call) == 0) found = number;
  return found;
}

/* Returns whether the call is to fail, with errno set. */
static int fails(const char *call, int fd) {
  int number, before = errno;
  if (inside) return 0;
  inside = 1;
  number = find_fault(call, fd);
  inside = 0;
  errno = before;
  if (number < 0) return 0;
  if (number == 0) {
    usleep(500000);
    return 0;
  }
  errno = number;
  return 1;
}

#define REAL(result, name, ...) \
  static result (*real)(__VA_ARGS__); \
  if (!real) real = (result (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)
#define HEADER_BYTES 8192

static const char *kind_of(size_t bytes, off64_t offset) {
  return offset < HEADER_BYTES && bytes < 300 ? "header" : "pwrite";
}

ssize_t pwrite(int fd, const void *from, size_t bytes, off_t offset) {
  REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
  return fails(kind_of(bytes, offset), fd) ? -1 : real(fd, from, bytes, offset);
}
ssize_t pwrite64(int fd, const void *from, size_t bytes, off64_t offset) {
  REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
  return fails(kind_of(bytes, offset), fd) ? -1 : real(fd, from, bytes, offset);
}
ssize_t pwritev64(int fd, const struct iovec *from, int count, off64_t offset) {
  REAL(ssize_t, "pwritev64", int, const struct iovec *, int, off64_t);
  return fails("writev", fd) ? -1 : real(fd, from, count, offset);
}
ssize_t writev(int fd, const struct iovec *from, int count) {
  REAL(ssize_t, "writev", int, const struct iovec *, int);
  return fails("writev", fd) ? -1 : real(fd, from, count);
}
ssize_t write(int fd, const void *from, size_t bytes) {
  REAL(ssize_t, "write", int, const void *, size_t);
  return fails("write", fd) ? -1 : real(fd, from, bytes);
}
int fdatasync(int fd) {
  REAL(int, "fdatasync", int);
  return fails("fdatasync", fd) ? -1 : real(fd);
}
int fsync(int fd) {
  REAL(int, "fsync", int);
  return fails("fsync", fd) ? -1 : real(fd);
}
