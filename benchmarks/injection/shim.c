/* Counts the system calls that change files below some folders, over all processes that map the same state, and makes the
   n-th of them fail, or kills at it. With a trace it writes every such call down, data included.

   Loaded with LD_PRELOAD; what it does is said in the mapped file that SHIM_STATE names (see shim.py, which has the same layout).
   Calls that the C library makes within itself (fopen's) pass unseen; nothing that stylefx writes goes through them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KILL_ALL = -1, KILL_ONE = -2 };
enum { STICKY = 1, TRACE = 2 };

typedef struct {
  volatile int64_t count, target;
  volatile int32_t armed, action, flags, lock;
  volatile int64_t fired;
  char roots[1008];   /* one a line */
  char trace[1024];   /* path of the trace */
  char what[2048];    /* of the call that was made to fail */
} State;

static State *state;

__attribute__((constructor)) static void begin(void) {
  const char *path = getenv("SHIM_STATE");
  if (!path) return;
  int fd = syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void *at = mmap(NULL, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  syscall(SYS_close, fd);
  if (at != MAP_FAILED) state = at;
}

static int below_roots(const char *path) {
  const char *root = state->roots;
  while (*root) {
    const char *end = strchr(root, '\n');
    size_t n = end ? (size_t)(end - root) : strlen(root);
    if (strncmp(path, root, n) == 0 && (path[n] == '/' || path[n] == 0)) return 1;
    if (!end) break;
    root = end + 1;
  }
  return 0;
}

static int of_fd(int fd, char *out, size_t size) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, out, size - 1);
  if (n < 0) return 0;
  out[n] = 0;
  return out[0] == '/';
}

static int of_path(int at, const char *path, char *out, size_t size) {
  if (!path) return 0;
  if (path[0] == '/') { snprintf(out, size, "%s", path); return 1; }
  char base[4096];
  if (at == AT_FDCWD) { if (syscall(SYS_getcwd, base, sizeof base) < 0) return 0; }
  else if (!of_fd(at, base, sizeof base)) return 0;
  snprintf(out, size, "%s/%s", base, path);
  return 1;
}

typedef struct { int traced; } Call;

static void lock(void) { while (__sync_lock_test_and_set(&state->lock, 1)) sched_yield(); }
static void unlock(void) { __sync_lock_release(&state->lock); }

/* A record: a line of text (number, process, name of the call, offset, length, bytes of the two paths), the paths, the data. */
static void record(int64_t n, const char *op, const char *a, const char *b, int64_t offset, const void *data, int64_t length) {
  int fd = syscall(SYS_openat, AT_FDCWD, state->trace, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return;
  char head[160];
  int size = snprintf(head, sizeof head, "%lld %d %s %lld %lld %zu %zu\n", (long long)n, (int)syscall(SYS_getpid), op,
                      (long long)offset, (long long)length, strlen(a), strlen(b));
  struct iovec parts[4] = {{head, size}, {(void *)a, strlen(a)}, {(void *)b, strlen(b)}, {(void *)data, data ? length : 0}};
  syscall(SYS_writev, fd, parts, 4);
  syscall(SYS_close, fd);
}

/* 1: the call is to fail with errno. Under a trace the lock is held until ``leave``. */
static int enter(Call *call, const char *op, const char *a, const char *b, int64_t offset, const void *data, int64_t length) {
  call->traced = 0;
  if (!state || !state->armed || !(below_roots(a) || (b[0] && below_roots(b)))) return 0;
  if (state->flags & TRACE) { lock(); call->traced = 1; }
  int64_t n = __sync_add_and_fetch(&state->count, 1);
  if (call->traced) record(n, op, a, b, offset, data, length);
  int hit = state->target && (n == state->target || ((state->flags & STICKY) && n > state->target));
  if (!hit) return 0;
  if (n == state->target) {
    snprintf(state->what, sizeof state->what, "%s %s %s", op, a, b);
    state->fired = n;
  }
  if (state->action == KILL_ALL) { syscall(SYS_kill, 0, SIGKILL); for (;;) pause(); }
  if (state->action == KILL_ONE) { syscall(SYS_kill, syscall(SYS_getpid), SIGKILL); for (;;) pause(); }
  if (call->traced) { unlock(); call->traced = 0; }
  errno = state->action;
  return 1;
}

static void leave(Call *call) { int kept = errno; if (call->traced) unlock(); errno = kept; }

#define NEXT(name) static __typeof__(name) *next; if (!next) next = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)
#define BODY(ok, op, a, b, off, data, len, type, expr) \
  Call call = {0}; if ((ok) && enter(&call, op, a, b, off, data, len)) return (type)-1; \
  type result = expr; leave(&call); return result

static int64_t position(int fd) {
  int flags = fcntl(fd, F_GETFL);
  if (flags >= 0 && (flags & O_APPEND)) { struct stat s; return syscall(SYS_fstat, fd, &s) == 0 ? (int64_t)s.st_size : 0; }
  return syscall(SYS_lseek, fd, 0, SEEK_CUR);
}

static int opens_to_write(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)); }
static const char *kind(int flags) { return flags & O_TRUNC ? "open-empty" : flags & O_CREAT ? "open-new" : "open"; }
#define MODE(flags) mode_t mode = 0; if ((flags) & (O_CREAT | O_TMPFILE)) { va_list l; va_start(l, flags); mode = va_arg(l, mode_t); va_end(l); }

#define OPEN(name) int name(const char *path, int flags, ...) { NEXT(name); MODE(flags) char a[4096]; \
  BODY(state && state->armed && opens_to_write(flags) && of_path(AT_FDCWD, path, a, sizeof a), kind(flags), a, "", 0, NULL, 0, int, next(path, flags, mode)); }
OPEN(open) OPEN(open64)
#define OPENAT(name) int name(int at, const char *path, int flags, ...) { NEXT(name); MODE(flags) char a[4096]; \
  BODY(state && state->armed && opens_to_write(flags) && of_path(at, path, a, sizeof a), kind(flags), a, "", 0, NULL, 0, int, next(at, path, flags, mode)); }
OPENAT(openat) OPENAT(openat64)

#define ON_FD state && state->armed && of_fd(fd, a, sizeof a)
ssize_t write(int fd, const void *data, size_t n) { NEXT(write); char a[4096];
  BODY(ON_FD, "write", a, "", position(fd), data, n, ssize_t, next(fd, data, n)); }
ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { NEXT(pwrite); char a[4096];
  BODY(ON_FD, "write", a, "", at, data, n, ssize_t, next(fd, data, n, at)); }
ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) { NEXT(pwrite64); char a[4096];
  BODY(ON_FD, "write", a, "", at, data, n, ssize_t, next(fd, data, n, at)); }
ssize_t writev(int fd, const struct iovec *parts, int count) { NEXT(writev); char a[4096]; void *all = NULL; int64_t n = 0;
  int ok = ON_FD;
  if (ok) { for (int i = 0; i < count; i++) n += parts[i].iov_len; all = malloc(n ? n : 1); int64_t at = 0;
    for (int i = 0; i < count; i++) { memcpy((char *)all + at, parts[i].iov_base, parts[i].iov_len); at += parts[i].iov_len; } }
  Call call = {0};
  if (ok && enter(&call, "write", a, "", position(fd), all, n)) { free(all); return -1; }
  ssize_t result = next(fd, parts, count); leave(&call); free(all); return result; }
#define COPIES(name, off) ssize_t name(int fd, int from, off *at, size_t n) { NEXT(name); char a[4096]; \
  if (state && state->armed && of_fd(fd, a, sizeof a) && below_roots(a)) { errno = EINVAL; return -1; } \
  return next(fd, from, at, n); } /* the caller then copies with read and write */
COPIES(sendfile, off_t) COPIES(sendfile64, off64_t)

int ftruncate(int fd, off_t n) { NEXT(ftruncate); char a[4096]; BODY(ON_FD, "truncate", a, "", n, NULL, 0, int, next(fd, n)); }
int ftruncate64(int fd, off64_t n) { NEXT(ftruncate64); char a[4096]; BODY(ON_FD, "truncate", a, "", n, NULL, 0, int, next(fd, n)); }
int fsync(int fd) { NEXT(fsync); char a[4096]; BODY(ON_FD, "fsync", a, "", 0, NULL, 0, int, next(fd)); }
int fdatasync(int fd) { NEXT(fdatasync); char a[4096]; BODY(ON_FD, "fsync", a, "", 0, NULL, 0, int, next(fd)); }
int fchmod(int fd, mode_t m) { NEXT(fchmod); char a[4096]; BODY(ON_FD, "chmod", a, "", 0, NULL, 0, int, next(fd, m)); }

#define AT(at, p, out) state && state->armed && of_path(at, p, out, sizeof out)
int truncate(const char *p, off_t n) { NEXT(truncate); char a[4096]; BODY(AT(AT_FDCWD, p, a), "truncate", a, "", n, NULL, 0, int, next(p, n)); }
int unlink(const char *p) { NEXT(unlink); char a[4096]; BODY(AT(AT_FDCWD, p, a), "unlink", a, "", 0, NULL, 0, int, next(p)); }
int rmdir(const char *p) { NEXT(rmdir); char a[4096]; BODY(AT(AT_FDCWD, p, a), "rmdir", a, "", 0, NULL, 0, int, next(p)); }
int unlinkat(int at, const char *p, int flags) { NEXT(unlinkat); char a[4096];
  BODY(AT(at, p, a), flags & AT_REMOVEDIR ? "rmdir" : "unlink", a, "", 0, NULL, 0, int, next(at, p, flags)); }
int mkdir(const char *p, mode_t m) { NEXT(mkdir); char a[4096]; BODY(AT(AT_FDCWD, p, a), "mkdir", a, "", 0, NULL, 0, int, next(p, m)); }
int mkdirat(int at, const char *p, mode_t m) { NEXT(mkdirat); char a[4096]; BODY(AT(at, p, a), "mkdir", a, "", 0, NULL, 0, int, next(at, p, m)); }
int chmod(const char *p, mode_t m) { NEXT(chmod); char a[4096]; BODY(AT(AT_FDCWD, p, a), "chmod", a, "", 0, NULL, 0, int, next(p, m)); }
int fchmodat(int at, const char *p, mode_t m, int f) { NEXT(fchmodat); char a[4096]; BODY(AT(at, p, a), "chmod", a, "", 0, NULL, 0, int, next(at, p, m, f)); }
int utimensat(int at, const char *p, const struct timespec t[2], int f) { NEXT(utimensat); char a[4096];
  BODY(AT(at, p, a), "utime", a, "", 0, NULL, 0, int, next(at, p, t, f)); }
#define TWO(x, p, y, q) state && state->armed && of_path(x, p, a, sizeof a) && of_path(y, q, b, sizeof b)
int rename(const char *p, const char *q) { NEXT(rename); char a[4096], b[4096];
  BODY(TWO(AT_FDCWD, p, AT_FDCWD, q), "rename", a, b, 0, NULL, 0, int, next(p, q)); }
int renameat(int x, const char *p, int y, const char *q) { NEXT(renameat); char a[4096], b[4096];
  BODY(TWO(x, p, y, q), "rename", a, b, 0, NULL, 0, int, next(x, p, y, q)); }
int renameat2(int x, const char *p, int y, const char *q, unsigned f) { NEXT(renameat2); char a[4096], b[4096];
  BODY(TWO(x, p, y, q), "rename", a, b, 0, NULL, 0, int, next(x, p, y, q, f)); }
int link(const char *p, const char *q) { NEXT(link); char a[4096], b[4096];
  BODY(TWO(AT_FDCWD, p, AT_FDCWD, q), "link", a, b, 0, NULL, 0, int, next(p, q)); }
int symlink(const char *p, const char *q) { NEXT(symlink); char a[4096];
  BODY(AT(AT_FDCWD, q, a), "symlink", a, "", 0, NULL, 0, int, next(p, q)); }
