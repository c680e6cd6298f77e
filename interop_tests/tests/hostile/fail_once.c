/* LD_PRELOAD this, and one call of the C library fails once: the driver, torture.py, says which in a file that both have mapped,
 * named by $FAIL_ONCE. Programs that the process starts are left alone.
 *
 * What can fail is the list CALLS, in the order of their numbers; `allocation` is every way to memory. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <unistd.h>

#define CALLS(CALL) \
  CALL(allocation) \
  CALL(accept4) CALL(recv) CALL(recvfrom) CALL(send) CALL(sendmsg) CALL(sendfile) CALL(setsockopt) CALL(getpeername) \
  CALL(close) CALL(epoll_ctl) CALL(epoll_wait) CALL(timerfd_settime) CALL(poll) \
  CALL(openat) CALL(open) CALL(fdopendir) CALL(readdir) CALL(renameat) CALL(linkat) CALL(unlinkat) CALL(mkdirat) \
  CALL(fsync) CALL(fdatasync) CALL(ftruncate) CALL(write) CALL(pwrite) CALL(read) CALL(pread) CALL(lseek) CALL(fstat) \
  CALL(fstatat) CALL(fstatvfs) CALL(futimens) CALL(fcntl) CALL(pipe2) CALL(pthread_create) CALL(posix_spawnp)

#define NUMBER(name) number_##name,
enum { number_none, CALLS(NUMBER) };

struct control {
  volatile uint32_t call;   /* the number of the one that fails; 0: none */
  volatile uint32_t at;     /* its calls are counted, and this one fails */
  volatile int32_t error;
  volatile uint32_t count;
  volatile uint32_t failed;
};

static struct control idle;
static struct control* control = &idle;
static int traces; /* $FAIL_ONCE_TRACE: the stack of each failure goes to stderr, for addr2line */

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("FAIL_ONCE");
  const int file = path != NULL ? open(path, O_RDWR | O_CLOEXEC) : -1;
  void* shared = file >= 0 ? mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) : MAP_FAILED;
  if (shared != MAP_FAILED) control = shared;
  if (file >= 0) close(file);
  traces = getenv("FAIL_ONCE_TRACE") != NULL;
  if (traces) { /* loads libgcc, which takes memory, before anything fails */
    void* frame;
    backtrace(&frame, 1);
  }
  unsetenv("LD_PRELOAD");
  unsetenv("FAIL_ONCE");
  unsetenv("FAIL_ONCE_TRACE");
}

static int fails(uint32_t call) {
  if (control->call != call) return 0;
  if (__atomic_add_fetch(&control->count, 1, __ATOMIC_RELAXED) != control->at) return 0;
  control->failed = 1;
  if (traces) {
    void* frames[64];
    backtrace_symbols_fd(frames, backtrace(frames, 64), 2);
  }
  errno = control->error;
  return 1;
}

/* WRAP(result, failure, name, parameters, arguments): fails, or does what the next library does. */
#define WRAP(result, failure, name, parameters, arguments) \
  result name parameters { \
    static result(*next) parameters; \
    if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, #name); \
    if (fails(number_##name)) return failure; \
    return next arguments; \
  }

WRAP(int, -1, accept4, (int fd, struct sockaddr* address, socklen_t* size, int flags), (fd, address, size, flags))
WRAP(ssize_t, -1, recv, (int fd, void* data, size_t size, int flags), (fd, data, size, flags))
WRAP(ssize_t, -1, recvfrom, (int fd, void* data, size_t size, int flags, struct sockaddr* from, socklen_t* length),
     (fd, data, size, flags, from, length))
WRAP(ssize_t, -1, send, (int fd, const void* data, size_t size, int flags), (fd, data, size, flags))
WRAP(ssize_t, -1, sendmsg, (int fd, const struct msghdr* message, int flags), (fd, message, flags))
WRAP(ssize_t, -1, sendfile, (int out, int in, off_t* offset, size_t size), (out, in, offset, size))
WRAP(int, -1, setsockopt, (int fd, int level, int name, const void* value, socklen_t size), (fd, level, name, value, size))
WRAP(int, -1, getpeername, (int fd, struct sockaddr* address, socklen_t* size), (fd, address, size))
WRAP(int, -1, epoll_wait, (int epoll, struct epoll_event* events, int most, int time), (epoll, events, most, time))
WRAP(int, -1, timerfd_settime, (int fd, int flags, const struct itimerspec* value, struct itimerspec* old),
     (fd, flags, value, old))
WRAP(int, -1, poll, (struct pollfd * files, nfds_t count, int time), (files, count, time))
WRAP(DIR*, NULL, fdopendir, (int fd), (fd))
WRAP(struct dirent*, NULL, readdir, (DIR * folder), (folder))
WRAP(int, -1, renameat, (int from, const char* old, int to, const char* name), (from, old, to, name))
WRAP(int, -1, linkat, (int from, const char* old, int to, const char* name, int flags), (from, old, to, name, flags))
WRAP(int, -1, unlinkat, (int folder, const char* name, int flags), (folder, name, flags))
WRAP(int, -1, mkdirat, (int folder, const char* name, mode_t mode), (folder, name, mode))
WRAP(int, -1, fsync, (int fd), (fd))
WRAP(int, -1, fdatasync, (int fd), (fd))
WRAP(int, -1, ftruncate, (int fd, off_t size), (fd, size))
WRAP(ssize_t, -1, write, (int fd, const void* data, size_t size), (fd, data, size))
WRAP(ssize_t, -1, pwrite, (int fd, const void* data, size_t size, off_t offset), (fd, data, size, offset))
WRAP(ssize_t, -1, read, (int fd, void* data, size_t size), (fd, data, size))
WRAP(ssize_t, -1, pread, (int fd, void* data, size_t size, off_t offset), (fd, data, size, offset))
WRAP(off_t, -1, lseek, (int fd, off_t offset, int whence), (fd, offset, whence))
WRAP(int, -1, fstat, (int fd, struct stat* status), (fd, status))
WRAP(int, -1, fstatat, (int folder, const char* name, struct stat* status, int flags), (folder, name, status, flags))
WRAP(int, -1, fstatvfs, (int fd, struct statvfs* status), (fd, status))
WRAP(int, -1, futimens, (int fd, const struct timespec times[2]), (fd, times))
WRAP(int, -1, pipe2, (int ends[2], int flags), (ends, flags))
WRAP(int, errno, pthread_create, (pthread_t * thread, const pthread_attr_t* how, void* (*run)(void*), void* argument),
     (thread, how, run, argument))
WRAP(int, errno, posix_spawnp, (pid_t * pid, const char* file, const posix_spawn_file_actions_t* actions,
                                const posix_spawnattr_t* how, char* const* arguments, char* const* environment),
     (pid, file, actions, how, arguments, environment))

/* Only what allocates: no system refuses to change what it has, and Asio relies on that for its wake-ups. */
int epoll_ctl(int epoll, int operation, int fd, struct epoll_event* event) {
  static int (*next)(int, int, int, struct epoll_event*);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "epoll_ctl");
  return operation == EPOLL_CTL_ADD && fails(number_epoll_ctl) ? -1 : next(epoll, operation, fd, event);
}

int close(int fd) { /* it is closed all the same, as on Linux */
  static int (*next)(int);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "close");
  const int result = next(fd);
  return fails(number_close) ? -1 : result;
}

static mode_t mode_of(int flags, va_list more) { return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(more, mode_t) : 0; }

int open(const char* path, int flags, ...) {
  static int (*next)(const char*, int, ...);
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "open");
  return fails(number_open) ? -1 : next(path, flags, mode);
}

int openat(int folder, const char* path, int flags, ...) {
  static int (*next)(int, const char*, int, ...);
  va_list more;
  va_start(more, flags);
  const mode_t mode = mode_of(flags, more);
  va_end(more);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "openat");
  return fails(number_openat) ? -1 : next(folder, path, flags, mode);
}

int fcntl(int fd, int command, ...) {
  static int (*next)(int, int, ...);
  va_list more;
  va_start(more, command);
  void* argument = va_arg(more, void*);
  va_end(more);
  if (next == NULL) *(void**)&next = dlsym(RTLD_NEXT, "fcntl");
  return fails(number_fcntl) ? -1 : next(fd, command, argument);
}

extern void* __libc_malloc(size_t);
extern void* __libc_calloc(size_t, size_t);
extern void* __libc_realloc(void*, size_t);
extern void* __libc_memalign(size_t, size_t);

void* malloc(size_t size) { return fails(number_allocation) ? NULL : __libc_malloc(size); }
void* calloc(size_t count, size_t size) { return fails(number_allocation) ? NULL : __libc_calloc(count, size); }
void* realloc(void* old, size_t size) { return size != 0 && fails(number_allocation) ? NULL : __libc_realloc(old, size); }
void* memalign(size_t place, size_t size) { return fails(number_allocation) ? NULL : __libc_memalign(place, size); }
void* aligned_alloc(size_t place, size_t size) { return fails(number_allocation) ? NULL : __libc_memalign(place, size); }
int posix_memalign(void** result, size_t place, size_t size) {
  void* got = fails(number_allocation) ? NULL : __libc_memalign(place, size);
  if (got == NULL) return ENOMEM;
  *result = got;
  return 0;
}
