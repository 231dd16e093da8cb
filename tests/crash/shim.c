// A layer between a program and the files of one directory, preloaded into the child process of a test.
//
// It counts the calls by kind and makes them fail on request, keeps a disk full, and writes down what is written and
// synced, so that a loss of power can be played afterwards. What it is told stands in the environment:
//
//   SHIM_DIRECTORY  the directory, absolute and without links; other files are left alone
//   SHIM_CONTROL    a file of WORDS words of 8 bytes that is mapped: `struct control`; the test reads and writes it
//   SHIM_RECORD     where to append what is written and synced; none: nothing is written down
//   SHIM_RECEIPTS   a descriptor that is open from the start: what is written to it stands in the record, in order
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

_Static_assert(sizeof(off_t) == 8, "offsets have 64 bits");

// The kinds of call, in the order that `faults.rs` knows. ANY is all of them but UNLOCK, counted
// together.
enum kind { ANY, OPEN, CLOSE, READ, WRITE, SEEK, TRUNCATE, SYNC, DIRSYNC, UNLINK, STAT, LOCK, UNLOCK, MAP, CHANGE, KINDS };

// What the test and this library share. `hits`, `hit` and `counts` are written here, `room` is too, all else by the test.
struct control {
    uint64_t kind;          // what fails: a kind
    uint64_t first;         // from which call on, counted from 1; 0: none
    uint64_t calls;         // how many of them
    uint64_t error;         // the errno
    uint64_t torn;          // 1: what fails to be written is written by half
    uint64_t limited;       // 1: files may grow by `room` bytes, then the disk is full
    uint64_t room;
    uint64_t hits;          // how many calls have failed
    uint64_t hit;           // the kind of the last of them
    uint64_t counts[KINDS]; // how many have been made
    uint64_t few_threads;   // 1: `threads` more can be started, then there are none to be had
    uint64_t threads;
    uint64_t patient;       // 1: SQLite waits as long as it asks for
};

// What is written down: this, and `length` bytes.
struct entry {
    uint32_t what, file;
    uint64_t at, length;
};

// `file` is 0 for the directory; `at` is an offset, a size, or what joins a sync's begin to its end.
enum what { OPENED = 1, CREATED, WRITTEN, RESIZED, SYNCING, SYNCED, UNSYNCED, REMOVED, RENAMED, RECEIPT, BEGUN };

enum { DESCRIPTORS = 1 << 16, FILES = 1 << 12, IMPATIENCE = 50 };
enum role { NONE, FILE_OF_DIRECTORY, DIRECTORY, JOURNAL };

static struct {
    unsigned char role;
    uint32_t file;
} descriptors[DESCRIPTORS];

static struct {
    dev_t device;
    ino_t inode;
} files[FILES]; // the place is the number of the file

static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
static const char *directory;
static size_t directory_length;
static struct control none, *control = &none;
static int record = -1;
static uint32_t last_file;
static uint64_t last_sync;

#define REAL(name)                                                                                                     \
    ({                                                                                                                 \
        static __typeof__(&name) found;                                                                                \
        if (!found) found = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                                \
        found;                                                                                                         \
    })

// The name within the directory, `""` for the directory itself, NULL for what is elsewhere.
static const char *named(const char *path) {
    if (!directory || !path || strncmp(path, directory, directory_length)) return NULL;
    const char *rest = path + directory_length;
    return *rest == '/' ? rest + 1 : *rest ? NULL : rest;
}

static enum role role(int fd) { return fd >= 0 && fd < DESCRIPTORS ? descriptors[fd].role : NONE; }

static int watched(int fd) { return role(fd) == FILE_OF_DIRECTORY || role(fd) == DIRECTORY; }

// SQLite alone waits like this, for a lock, and counts what it has asked for: where a lock is not given back it waits in
// vain, and need not do so for seconds.
int nanosleep(const struct timespec *length, struct timespec *rest) {
    struct timespec wait = *length;
    if (control->kind == UNLOCK && control->hits && !control->patient) {
        wait.tv_nsec = (wait.tv_sec % IMPATIENCE * 1000000000 + wait.tv_nsec) / IMPATIENCE;
        wait.tv_sec /= IMPATIENCE;
    }
    return REAL(nanosleep)(&wait, rest);
}

// Whether this call fails; `errno` says why.
static int fails(enum kind kind) {
    uint64_t of_kind = __atomic_add_fetch(&control->counts[kind], 1, __ATOMIC_SEQ_CST);
    uint64_t of_any = __atomic_add_fetch(&control->counts[ANY], kind != UNLOCK, __ATOMIC_SEQ_CST);
    uint64_t first = __atomic_load_n(&control->first, __ATOMIC_SEQ_CST);
    if (!first || (control->kind != kind && (control->kind != ANY || kind == UNLOCK))) return 0;
    uint64_t count = control->kind == ANY ? of_any : of_kind;
    if (count < first || count - first >= control->calls) return 0;
    __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
    control->hit = kind;
    errno = (int)control->error;
    return 1;
}

// The caller has the turn. A record that cannot be written is of no use, nor is the test.
static void note(enum what what, uint32_t file, uint64_t at, const void *bytes, size_t length) {
    if (record < 0) return;
    struct entry entry = {what, file, at, length};
    struct iovec parts[2] = {{&entry, sizeof entry}, {(void *)bytes, length}};
    if (REAL(writev)(record, parts, 2) != (ssize_t)(sizeof entry + length)) abort();
}

__attribute__((constructor)) static void begin(void) {
    directory = getenv("SHIM_DIRECTORY");
    directory_length = directory ? strlen(directory) : 0;
    const char *path = getenv("SHIM_CONTROL");
    if (path) {
        int fd = REAL(open)(path, O_RDWR | O_CLOEXEC);
        void *mapped = REAL(mmap)(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (mapped == MAP_FAILED) abort();
        control = mapped;
        REAL(close)(fd);
    }
    if ((path = getenv("SHIM_RECORD"))) {
        record = REAL(open)(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
        if (record < 0) abort();
        note(BEGUN, 0, 0, NULL, 0);
    }
    const char *receipts = getenv("SHIM_RECEIPTS");
    if (receipts) descriptors[atoi(receipts)].role = JOURNAL;
    unsetenv("LD_PRELOAD"); // What the child starts is not watched.
}

static void take(void) { pthread_mutex_lock(&turn); }
static void give(void) {
    int error = errno;
    pthread_mutex_unlock(&turn);
    errno = error;
}

// The caller has the turn. A file is known by what it is, not by its name: two that follow each other are two.
static void opened(int fd, const char *name, int is_new, int truncated) {
    if (fd < 0 || fd >= DESCRIPTORS) return;
    struct stat is;
    if (REAL(fstat)(fd, &is)) abort();
    if (S_ISDIR(is.st_mode)) {
        descriptors[fd].role = DIRECTORY;
        descriptors[fd].file = 0;
        return;
    }
    uint32_t file = 1;
    while (file <= last_file && (files[file].device != is.st_dev || files[file].inode != is.st_ino)) file++;
    int is_unknown = file > last_file;
    if (is_new || is_unknown) {
        if (!is_unknown) files[file].inode = 0;
        if (++last_file >= FILES) abort();
        file = last_file;
        files[file].device = is.st_dev;
        files[file].inode = is.st_ino;
        note(is_new ? CREATED : OPENED, file, 0, name, strlen(name));
    }
    if (truncated && !is_new) note(RESIZED, file, 0, NULL, 0);
    descriptors[fd].file = file;
    descriptors[fd].role = FILE_OF_DIRECTORY;
}

static int open_at(int at, const char *path, int flags, mode_t mode) {
    const char *name = named(path);
    if (!name) {
        int fd = REAL(openat)(at, path, flags, mode);
        if (fd >= 0 && fd < DESCRIPTORS) descriptors[fd].role = NONE;
        return fd;
    }
    if (fails(OPEN)) return -1;
    take();
    int is_new = (flags & O_CREAT) && REAL(access)(path, F_OK);
    int fd = REAL(openat)(at, path, flags, mode);
    if (fd >= 0) opened(fd, name, is_new, flags & O_TRUNC);
    give();
    return fd;
}

#define MODE(flags) ({ va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); mode; })

int open(const char *path, int flags, ...) { return open_at(AT_FDCWD, path, flags, MODE(flags)); }
int open64(const char *path, int flags, ...) { return open_at(AT_FDCWD, path, flags, MODE(flags)); }
int openat(int at, const char *path, int flags, ...) { return open_at(at, path, flags, MODE(flags)); }
int openat64(int at, const char *path, int flags, ...) { return open_at(at, path, flags, MODE(flags)); }

// A descriptor is gone also where closing it fails.
int close(int fd) {
    int failed = watched(fd) && fails(CLOSE);
    int error = errno;
    if (fd >= 0 && fd < DESCRIPTORS) descriptors[fd].role = NONE;
    int done = REAL(close)(fd);
    if (!failed) return done;
    errno = error;
    return -1;
}

ssize_t read(int fd, void *to, size_t length) {
    return watched(fd) && fails(READ) ? -1 : REAL(read)(fd, to, length);
}

static ssize_t read_at(int fd, void *to, size_t length, off_t at) {
    return watched(fd) && fails(READ) ? -1 : REAL(pread)(fd, to, length, at);
}
ssize_t pread(int fd, void *to, size_t length, off_t at) { return read_at(fd, to, length, at); }
ssize_t pread64(int fd, void *to, size_t length, off_t at) { return read_at(fd, to, length, at); }

// How many of these bytes the disk has room for; the caller has the turn.
static size_t fitting(int fd, size_t length, off_t at) {
    struct stat is;
    if (!control->limited || REAL(fstat)(fd, &is)) return length;
    uint64_t end = (uint64_t)at + length, size = (uint64_t)is.st_size;
    uint64_t growth = end > size ? end - size : 0;
    uint64_t lacking = growth > control->room ? growth - control->room : 0;
    control->room -= growth - lacking < length ? growth - lacking : length;
    return lacking < length ? length - lacking : 0;
}

// Where `at` is negative, at the descriptor's own position.
static ssize_t write_at(int fd, const void *from, size_t length, off_t at) {
    if (role(fd) == JOURNAL) {
        take();
        note(RECEIPT, 0, 0, from, length);
        give();
    }
    if (role(fd) != FILE_OF_DIRECTORY) {
        return at < 0 ? REAL(write)(fd, from, length) : REAL(pwrite)(fd, from, length, at);
    }
    int failed = fails(WRITE);
    int error = errno;
    if (failed && !control->torn) return -1;
    take();
    int appends = REAL(fcntl)(fd, F_GETFL) & O_APPEND;
    off_t begin = at >= 0 ? at : REAL(lseek)(fd, 0, appends ? SEEK_END : SEEK_CUR);
    size_t whole = failed ? length / 2 : length;
    size_t fits = fitting(fd, whole, begin);
    ssize_t done = -1;
    if (whole && !fits) {
        __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
        errno = ENOSPC;
    } else {
        done = at < 0 ? REAL(write)(fd, from, fits) : REAL(pwrite)(fd, from, fits, at);
        if (done < 0 && errno == ENOSPC) __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
        if (done > 0) note(WRITTEN, descriptors[fd].file, (uint64_t)begin, from, (size_t)done);
    }
    give();
    if (!failed) return done;
    errno = error;
    return -1;
}

ssize_t write(int fd, const void *from, size_t length) { return write_at(fd, from, length, -1); }
ssize_t pwrite(int fd, const void *from, size_t length, off_t at) { return write_at(fd, from, length, at); }
ssize_t pwrite64(int fd, const void *from, size_t length, off_t at) { return write_at(fd, from, length, at); }

// What is written in parts may be written by one of them alone.
ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (role(fd) == NONE) return REAL(writev)(fd, parts, count);
    for (int part = 0; part < count; part++) {
        if (parts[part].iov_len) return write_at(fd, parts[part].iov_base, parts[part].iov_len, -1);
    }
    return 0;
}

static off_t seek(int fd, off_t to, int from) {
    return watched(fd) && fails(SEEK) ? -1 : REAL(lseek)(fd, to, from);
}
off_t lseek(int fd, off_t to, int from) { return seek(fd, to, from); }
off_t lseek64(int fd, off_t to, int from) { return seek(fd, to, from); }

static int resize(int fd, off_t to) {
    if (role(fd) != FILE_OF_DIRECTORY) return REAL(ftruncate)(fd, to);
    if (fails(TRUNCATE)) return -1;
    take();
    struct stat before;
    int is_known = control->limited && !REAL(fstat)(fd, &before);
    int done = REAL(ftruncate)(fd, to);
    // What a file gives back is free again.
    if (!done && is_known && before.st_size > to) control->room += (uint64_t)(before.st_size - to);
    if (!done) note(RESIZED, descriptors[fd].file, (uint64_t)to, NULL, 0);
    give();
    return done;
}
int ftruncate(int fd, off_t to) { return resize(fd, to); }
int ftruncate64(int fd, off_t to) { return resize(fd, to); }

// Room that is asked for ahead is a file that grows; the error is what is returned.
static int allocate(int fd, off_t at, off_t length) {
    struct stat is;
    if (role(fd) != FILE_OF_DIRECTORY) return REAL(posix_fallocate)(fd, at, length);
    if (REAL(fstat)(fd, &is)) return errno;
    return at + length > is.st_size && resize(fd, at + length) ? errno : 0;
}
int posix_fallocate(int fd, off_t at, off_t length) { return allocate(fd, at, length); }
int posix_fallocate64(int fd, off_t at, off_t length) { return allocate(fd, at, length); }

// What was written before its begin is on the disk after its end. The turn is not kept: others write meanwhile.
static int sync_by(int fd, int (*real)(int)) {
    enum role is = role(fd);
    if (is != FILE_OF_DIRECTORY && is != DIRECTORY) return real(fd);
    uint32_t file = descriptors[fd].file;
    int failed = fails(is == DIRECTORY ? DIRSYNC : SYNC);
    int error = errno;
    take();
    uint64_t sync = ++last_sync;
    note(SYNCING, file, sync, NULL, 0);
    give();
    int done = failed ? -1 : real(fd);
    if (!failed) error = errno;
    take();
    note(done ? UNSYNCED : SYNCED, file, sync, NULL, 0);
    give();
    errno = error;
    return done;
}
int fsync(int fd) { return sync_by(fd, REAL(fsync)); }
int fdatasync(int fd) { return sync_by(fd, REAL(fdatasync)); }

static int remove_at(int at, const char *path, int flags) {
    const char *name = named(path);
    if (!name) return REAL(unlinkat)(at, path, flags);
    if (fails(UNLINK)) return -1;
    take();
    int done = REAL(unlinkat)(at, path, flags);
    if (!done) note(REMOVED, 0, 0, name, strlen(name));
    give();
    return done;
}
int unlink(const char *path) { return remove_at(AT_FDCWD, path, 0); }
int unlinkat(int at, const char *path, int flags) { return remove_at(at, path, flags); }

// Within the directory alone; the names are joined by a zero byte.
int rename(const char *from, const char *to) {
    const char *old = named(from), *name = named(to);
    if (!old || !name) return REAL(rename)(from, to);
    if (fails(UNLINK)) return -1;
    size_t first = strlen(old) + 1, length = first + strlen(name);
    char names[length + 1];
    memcpy(names, old, first);
    memcpy(names + first, name, length + 1 - first);
    take();
    int done = REAL(rename)(from, to);
    if (!done) note(RENAMED, 0, 0, names, length);
    give();
    return done;
}

#define OF_PATH(name, kind, ...) (named(path) && fails(kind) ? -1 : REAL(name)(__VA_ARGS__))
#define OF_FILE(name, kind, ...) (watched(fd) && fails(kind) ? -1 : REAL(name)(__VA_ARGS__))

int stat(const char *restrict path, struct stat *restrict is) { return OF_PATH(stat, STAT, path, is); }
int stat64(const char *restrict path, struct stat64 *restrict is) { return OF_PATH(stat64, STAT, path, is); }
int lstat(const char *restrict path, struct stat *restrict is) { return OF_PATH(lstat, STAT, path, is); }
int lstat64(const char *restrict path, struct stat64 *restrict is) { return OF_PATH(lstat64, STAT, path, is); }
int fstat(int fd, struct stat *is) { return OF_FILE(fstat, STAT, fd, is); }
int fstat64(int fd, struct stat64 *is) { return OF_FILE(fstat64, STAT, fd, is); }
int access(const char *path, int mode) { return OF_PATH(access, STAT, path, mode); }
int fchmod(int fd, mode_t mode) { return OF_FILE(fchmod, CHANGE, fd, mode); }
int fchown(int fd, uid_t user, gid_t group) { return OF_FILE(fchown, CHANGE, fd, user, group); }
int flock(int fd, int how) { return OF_FILE(flock, how & LOCK_UN ? UNLOCK : LOCK, fd, how); }

int statx(int fd, const char *restrict path, int flags, unsigned mask, struct statx *restrict is) {
    const char *volatile at = path; // Declared never to be null, which it is where Rust asks whether there is a `statx`.
    if ((named(at) || (at && !*at && watched(fd))) && fails(STAT)) return -1;
    return REAL(statx)(fd, path, flags, mask, is);
}

// A disk with so much room says so.
int statvfs(const char *restrict path, struct statvfs *restrict is) {
    int done = REAL(statvfs)(path, is);
    if (!done && named(path) && control->limited) is->f_bavail = control->room / is->f_frsize;
    return done;
}

static int control_file(int fd, int what, void *with) {
    int is_lock = what == F_SETLK || what == F_SETLKW || what == F_GETLK || what == F_OFD_SETLK ||
                  what == F_OFD_SETLKW || what == F_OFD_GETLK;
    int unlocks = is_lock && ((const struct flock *)with)->l_type == F_UNLCK;
    if (is_lock && watched(fd) && fails(unlocks ? UNLOCK : LOCK)) return -1;
    int done = REAL(fcntl)(fd, what, with);
    if ((what == F_DUPFD || what == F_DUPFD_CLOEXEC) && role(fd) != NONE && done >= 0 && done < DESCRIPTORS) {
        descriptors[done] = descriptors[fd];
    }
    return done;
}

#define WITH(what) ({ va_list rest; va_start(rest, what); void *with = va_arg(rest, void *); va_end(rest); with; })

int fcntl(int fd, int what, ...) { return control_file(fd, what, WITH(what)); }
int fcntl64(int fd, int what, ...) { return control_file(fd, what, WITH(what)); }

// What is written through a mapping is not seen: SQLite maps its index of the log alone, which no restart needs.
static void *map(void *to, size_t length, int allowed, int flags, int fd, off_t at) {
    if (!(flags & MAP_ANONYMOUS) && watched(fd) && fails(MAP)) return MAP_FAILED;
    return REAL(mmap)(to, length, allowed, flags, fd, at);
}
void *mmap(void *to, size_t length, int allowed, int flags, int fd, off_t at) {
    return map(to, length, allowed, flags, fd, at);
}
void *mmap64(void *to, size_t length, int allowed, int flags, int fd, off_t at) {
    return map(to, length, allowed, flags, fd, at);
}

// A thread that the system does not give is an error that the caller sees; files have nothing to do with it.
int pthread_create(pthread_t *thread, const pthread_attr_t *with, void *(*run)(void *), void *argument) {
    if (control->few_threads) {
        if (!control->threads) {
            __atomic_add_fetch(&control->hits, 1, __ATOMIC_SEQ_CST);
            return EAGAIN;
        }
        control->threads--;
    }
    return REAL(pthread_create)(thread, with, run, argument);
}
