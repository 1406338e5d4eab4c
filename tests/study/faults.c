/* Breaks a process at a chosen one of its writes under a folder; loaded with LD_PRELOAD.

A write is whatever changes the folder: opening a new file, writing, cutting, syncing, renaming,
removing. `fault_arm` says at which, and what happens there. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

enum { KILL = -1, TORN = -2 };

static char root[4096];
static long at, last, count;
static int kind;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

void fault_arm(const char *folder, long first, long times, int what) {
    snprintf(root, sizeof root, "%s", folder);
    at = first, last = first + times - 1, kind = what, count = 0;
}

long fault_count(void) { return count; }

static int under(const char *path) { return root[0] && !strncmp(path, root, strlen(root)); }

static int is_ours(int fd) {
    char link[64], path[4096];
    if (!root[0]) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    path[n > 0 ? n : 0] = 0;
    return under(path);
}

/* Whether the call fails; a process that is to be killed never returns. */
static int strikes(void) {
    count++;
    if (count < at || count > last || !at) return 0;
    if (kind < 0) kill(getpid(), SIGKILL);
    errno = kind;
    return 1;
}

static int is_torn(void) { return kind == TORN && at && count + 1 == at; }

ssize_t write(int fd, const void *data, size_t size) {
    if (is_ours(fd)) {
        if (is_torn()) REAL(write)(fd, data, size / 2);
        if (strikes()) return -1;
    }
    return REAL(write)(fd, data, size);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t place) {
    if (is_ours(fd)) {
        if (is_torn()) REAL(pwrite64)(fd, data, size / 2, place);
        if (strikes()) return -1;
    }
    return REAL(pwrite64)(fd, data, size, place);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t place) {
    return pwrite64(fd, data, size, place);
}

int fsync(int fd) { return is_ours(fd) && strikes() ? -1 : REAL(fsync)(fd); }

int fdatasync(int fd) { return is_ours(fd) && strikes() ? -1 : REAL(fdatasync)(fd); }

int ftruncate64(int fd, off64_t size) {
    return is_ours(fd) && strikes() ? -1 : REAL(ftruncate64)(fd, size);
}

int ftruncate(int fd, off_t size) { return ftruncate64(fd, size); }

int rename(const char *old, const char *new) {
    return under(new) && strikes() ? -1 : REAL(rename)(old, new);
}

int unlink(const char *path) {
    /* What is not there is looked for, not written. */
    return under(path) && !access(path, F_OK) && strikes() ? -1 : REAL(unlink)(path);
}

static int opened(const char *path, int flags, int mode) {
    int makes = (flags & O_CREAT) && under(path) && access(path, F_OK);
    return makes && strikes() ? -1 : REAL(open64)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return opened(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & O_CREAT ? va_arg(rest, int) : 0;
    va_end(rest);
    return opened(path, flags, mode);
}
