// Preloaded into a program, lets the n-th call of one kind fail, once, between the start and the end of main().
//
//   FAULT_KIND     alloc, read, write, map, sync, rename, open, thread: the call returns its error;
//                  shrink: the n-th mapped file is cut to nothing by "another process" once it is mapped
//                  exchange: renameat2() is unknown, as on file systems that cannot exchange two names
//   FAULT_AT       n, from 1
//   FAULT_STICKY   1: every later call of the kind fails as well
//   FAULT_COUNT    a file that gets the number of the kind's calls when main() ends, however it ends
//
// Not seen: what libc calls inside itself (the streams of <stdio.h>, pthread's stacks, malloc's own maps), so that a
// program can always say what failed. Before main() nothing fails: a library that cannot be set up cannot be tested,
// nor can the loader. Calls go to libc's own symbols where dlsym() would need memory.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum Kind { kNone, kAlloc, kRead, kWrite, kMap, kSync, kRename, kOpen, kThread, kShrink, kExchange };
static const char* const kNames[] = {"none",   "alloc", "read",   "write",  "map",     "sync",
                                     "rename", "open",  "thread", "shrink", "exchange"};

static atomic_int armed = kNone;  // the kind, while main() runs
static atomic_long calls;
static long fail_at;
static int sticky;
static int count_file = -1;

// After every call, so that a process that dies has counted as well.
static void show_count(long count) {
  if (count_file >= 0) syscall(SYS_pwrite64, count_file, &count, sizeof(count), 0);
}

// Whether this call is the one. Counts calls of the armed kind only.
static int fails(enum Kind kind, int error) {
  if (atomic_load_explicit(&armed, memory_order_relaxed) != (int)kind) return 0;
  const long number = atomic_fetch_add(&calls, 1) + 1;
  if (kind != kAlloc || number == fail_at) show_count(number);
  if (number != fail_at && !(sticky && number > fail_at)) return 0;
  errno = error;
  return 1;
}

#define REAL(name)               \
  static __typeof__(name)* real; \
  if (real == NULL) real = (__typeof__(name)*)(size_t)dlsym(RTLD_NEXT, #name)

// --- memory ---
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);

void* malloc(size_t bytes) { return fails(kAlloc, ENOMEM) ? NULL : __libc_malloc(bytes); }
void* calloc(size_t count, size_t bytes) { return fails(kAlloc, ENOMEM) ? NULL : __libc_calloc(count, bytes); }
void* realloc(void* old, size_t bytes) { return fails(kAlloc, ENOMEM) ? NULL : __libc_realloc(old, bytes); }
void* memalign(size_t alignment, size_t bytes) {
  return fails(kAlloc, ENOMEM) ? NULL : __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) { return memalign(alignment, bytes); }
int posix_memalign(void** out, size_t alignment, size_t bytes) {
  void* memory = memalign(alignment, bytes);
  if (memory == NULL) return ENOMEM;
  *out = memory;
  return 0;
}

// --- files ---
ssize_t read(int file, void* to, size_t bytes) {
  REAL(read);
  return fails(kRead, EIO) ? -1 : real(file, to, bytes);
}
ssize_t readv(int file, const struct iovec* parts, int count) {
  REAL(readv);
  return fails(kRead, EIO) ? -1 : real(file, parts, count);
}
ssize_t pread(int file, void* to, size_t bytes, off_t offset) {
  REAL(pread);
  return fails(kRead, EIO) ? -1 : real(file, to, bytes, offset);
}
ssize_t pread64(int file, void* to, size_t bytes, off64_t offset) {
  REAL(pread64);
  return fails(kRead, EIO) ? -1 : real(file, to, bytes, offset);
}
ssize_t write(int file, const void* from, size_t bytes) {
  REAL(write);
  return file != STDERR_FILENO && fails(kWrite, ENOSPC) ? -1 : real(file, from, bytes);
}
ssize_t writev(int file, const struct iovec* parts, int count) {
  REAL(writev);
  return file != STDERR_FILENO && fails(kWrite, ENOSPC) ? -1 : real(file, parts, count);
}
ssize_t pwrite(int file, const void* from, size_t bytes, off_t offset) {
  REAL(pwrite);
  return fails(kWrite, ENOSPC) ? -1 : real(file, from, bytes, offset);
}
ssize_t pwrite64(int file, const void* from, size_t bytes, off64_t offset) {
  REAL(pwrite64);
  return fails(kWrite, ENOSPC) ? -1 : real(file, from, bytes, offset);
}
int fsync(int file) {
  REAL(fsync);
  return fails(kSync, EIO) ? -1 : real(file);
}
int fdatasync(int file) {
  REAL(fdatasync);
  return fails(kSync, EIO) ? -1 : real(file);
}
int rename(const char* from, const char* to) {
  REAL(rename);
  return fails(kRename, EIO) ? -1 : real(from, to);
}
int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  REAL(renameat2);
  return fails(kExchange, EINVAL) || fails(kRename, EIO) ? -1 : real(from_at, from, to_at, to, flags);
}

static mode_t mode_of(int flags, va_list arguments) {
  return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(arguments, mode_t) : 0;
}
#define OPEN(name)                                              \
  int name(const char* path, int flags, ...) {                  \
    REAL(name);                                                 \
    va_list arguments;                                          \
    va_start(arguments, flags);                                 \
    const mode_t mode = mode_of(flags, arguments);              \
    va_end(arguments);                                          \
    return fails(kOpen, EMFILE) ? -1 : real(path, flags, mode); \
  }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                                \
  int name(int at, const char* path, int flags, ...) {              \
    REAL(name);                                                     \
    va_list arguments;                                              \
    va_start(arguments, flags);                                     \
    const mode_t mode = mode_of(flags, arguments);                  \
    va_end(arguments);                                              \
    return fails(kOpen, EMFILE) ? -1 : real(at, path, flags, mode); \
  }
OPENAT(openat)
OPENAT(openat64)
FILE* fopen(const char* path, const char* mode) {
  REAL(fopen);
  return fails(kOpen, EMFILE) ? NULL : real(path, mode);
}
FILE* fopen64(const char* path, const char* mode) {
  REAL(fopen64);
  return fails(kOpen, EMFILE) ? NULL : real(path, mode);
}

// --- maps ---
static void shrink(int file) {
  char name[64];
  snprintf(name, sizeof(name), "/proc/self/fd/%d", file);
  if (truncate(name, 0) != 0) abort();
}
static void* map(void* (*real)(void*, size_t, int, int, int, off_t), void* at, size_t bytes, int protection, int flags,
                 int file, off_t offset) {
  if (fails(kMap, ENOMEM)) return MAP_FAILED;
  void* mapped = real(at, bytes, protection, flags, file, offset);
  if (mapped != MAP_FAILED && file >= 0 && fails(kShrink, 0)) shrink(file);
  return mapped;
}
void* mmap(void* at, size_t bytes, int protection, int flags, int file, off_t offset) {
  REAL(mmap);
  return map(real, at, bytes, protection, flags, file, offset);
}
void* mmap64(void* at, size_t bytes, int protection, int flags, int file, off64_t offset) {
  REAL(mmap64);
  return map(real, at, bytes, protection, flags, file, offset);
}

// --- threads ---
int pthread_create(pthread_t* thread, const pthread_attr_t* attributes, void* (*start)(void*), void* argument) {
  REAL(pthread_create);
  return fails(kThread, EAGAIN) ? EAGAIN : real(thread, attributes, start, argument);
}

// --- main() ---
static int (*real_main)(int, char**, char**);

static enum Kind asked_kind(void) {
  const char* name = getenv("FAULT_KIND");
  for (int kind = kAlloc; name != NULL && kind <= kExchange; ++kind) {
    if (strcmp(name, kNames[kind]) == 0) return (enum Kind)kind;
  }
  return kNone;
}

static void end(void) {
  if (atomic_exchange(&armed, kNone) != kNone) show_count(atomic_load(&calls));
}

static int watched_main(int argc, char** argv, char** environment) {
  const char* at = getenv("FAULT_AT");
  fail_at = at == NULL ? 0 : atol(at);
  sticky = getenv("FAULT_STICKY") != NULL;
  const char* count = getenv("FAULT_COUNT");
  if (count != NULL) count_file = (int)syscall(SYS_openat, AT_FDCWD, count, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
  atexit(end);
  const enum Kind kind = asked_kind();
  unsetenv("LD_PRELOAD");  // programs that this one starts run undisturbed
  atomic_store(&armed, (int)kind);
  const int status = real_main(argc, argv, environment);
  end();
  return status;
}

int __libc_start_main(int (*main_function)(int, char**, char**), int argc, char** argv, void (*init)(void),
                      void (*fini)(void), void (*rtld_fini)(void), void* stack_end) {
  real_main = main_function;
  typedef int Start(int (*)(int, char**, char**), int, char**, void (*)(void), void (*)(void), void (*)(void), void*);
  Start* real = (Start*)(size_t)dlsym(RTLD_NEXT, "__libc_start_main");
  return real(watched_main, argc, argv, init, fini, rtld_fini, stack_end);
}
