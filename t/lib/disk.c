/*
 * A disk that fails or waits as a test wants it: preloaded into nginx.  What
 * happens to a file of llm_stream_store is said by a folder in its path:
 *
 *   /full/     5000 bytes fit, a write in the middle is short, then ENOSPC
 *   /slow/     writes wait while the file $LLM_TEST_DISK exists
 *   /emfile/, /readonly/, /denied/    it cannot be opened
 *   /late/     close() says that the disk is full
 *   /stuck/    it cannot be renamed
 *
 * It must never touch any other file.
 */

#define _GNU_SOURCE

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>


#define DISK_FDS   65536
#define DISK_ROOM  5000

enum { DISK_FULL = 1, DISK_SLOW, DISK_LATE };

static volatile char    disk_kind[DISK_FDS];
static volatile size_t  disk_size[DISK_FDS];
static char             disk_hold[4096];


/* nginx does not keep its environment. */
__attribute__((constructor))
static void
disk_init(void)
{
    const char  *name;

    name = getenv("LLM_TEST_DISK");

    if (name != NULL && strlen(name) < sizeof(disk_hold)) {
        strcpy(disk_hold, name);
    }
}


static int
disk_in(const char *path, const char *folder)
{
    return strstr(path, ".llm_stream.") != NULL
           && strstr(path, folder) != NULL;
}


static int
disk_open(const char *name, const char *path, int flags, mode_t mode)
{
    int  fd;
    int  (*real)(const char *, int, ...);

    static const struct {
        const char  *folder;
        int          err;
    } refused[] = {
        { "/emfile/", EMFILE }, { "/readonly/", EROFS },
        { "/denied/", EACCES }
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (disk_in(path, refused[i].folder)) {
            errno = refused[i].err;
            return -1;
        }
    }

    real = (int (*)(const char *, int, ...)) dlsym(RTLD_NEXT, name);
    fd = real(path, flags, mode);

    if (fd >= 0 && fd < DISK_FDS) {
        disk_size[fd] = 0;
        disk_kind[fd] = disk_in(path, "/full/") ? DISK_FULL
                        : disk_in(path, "/slow/") ? DISK_SLOW
                        : disk_in(path, "/late/") ? DISK_LATE : 0;
    }

    return fd;
}


int
open(const char *path, int flags, ...)
{
    mode_t   mode;
    va_list  args;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);

    return disk_open("open", path, flags, mode);
}


int
open64(const char *path, int flags, ...)
{
    mode_t   mode;
    va_list  args;

    va_start(args, flags);
    mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    va_end(args);

    return disk_open("open64", path, flags, mode);
}


ssize_t
write(int fd, const void *p, size_t n)
{
    ssize_t  (*real)(int, const void *, size_t);

    real = (ssize_t (*)(int, const void *, size_t)) dlsym(RTLD_NEXT, "write");

    switch (fd >= 0 && fd < DISK_FDS ? disk_kind[fd] : 0) {

    case DISK_FULL:
        if (disk_size[fd] == DISK_ROOM) {
            errno = ENOSPC;
            return -1;
        }

        if (n > DISK_ROOM - disk_size[fd]) {
            n = DISK_ROOM - disk_size[fd];
        }

        disk_size[fd] += n;
        break;

    case DISK_SLOW:
        while (disk_hold[0] != '\0' && access(disk_hold, F_OK) == 0) {
            usleep(1000);
        }

        break;

    default:
        break;
    }

    return real(fd, p, n);
}


int
close(int fd)
{
    int  kind;
    int  (*real)(int);

    real = (int (*)(int)) dlsym(RTLD_NEXT, "close");
    kind = 0;

    if (fd >= 0 && fd < DISK_FDS) {
        kind = disk_kind[fd];
        disk_kind[fd] = 0;
    }

    if (kind == DISK_LATE) {
        (void) real(fd);
        errno = ENOSPC;
        return -1;
    }

    return real(fd);
}


int
rename(const char *from, const char *to)
{
    int  (*real)(const char *, const char *);

    if (disk_in(from, "/stuck/")) {
        errno = EIO;
        return -1;
    }

    real = (int (*)(const char *, const char *)) dlsym(RTLD_NEXT, "rename");

    return real(from, to);
}
