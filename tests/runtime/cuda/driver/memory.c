/* Device memory: a file per allocation, mapped here, and named by addresses that are not mapped. */
#define _GNU_SOURCE
#include "simulated.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST = 4096 };
static const uint64_t MAGIC = 0x796d656d6d6973ULL;

typedef struct {
    uint64_t magic, device, pid, number, nonce, nbytes;
} Name;

typedef struct {
    CUdeviceptr pointer; /* 0: this one is free */
    char *bytes;
    int n_opened; /* 0: made here */
    Name name;
} Allocation;

static Allocation allocations[MOST];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t number;

/* The caller holds the lock. */
static Allocation *find(CUdeviceptr pointer)
{
    for (int i = 0; i < MOST; i++) {
        Allocation *one = &allocations[i];
        if (one->pointer && pointer >= one->pointer && pointer < one->pointer + one->name.nbytes)
            return one;
    }
    return NULL;
}

char *bytes_at(CUdeviceptr pointer, size_t nbytes)
{
    char *bytes = NULL;
    pthread_mutex_lock(&lock);
    Allocation *one = find(pointer);
    if (one && pointer - one->pointer + nbytes <= one->name.nbytes)
        bytes = one->bytes + (pointer - one->pointer);
    pthread_mutex_unlock(&lock);
    return bytes;
}

static const char *file_of(char *path, const Name *name)
{
    return path_of(path, "memory", (int)name->device, (pid_t)name->pid, name->number, name->nonce);
}

/* Maps the file, and takes addresses for it; the caller holds the lock. */
static CUresult map(int fd, const Name *name, int n_opened, CUdeviceptr *pointer)
{
    Allocation *one = allocations;
    while (one < allocations + MOST && one->pointer)
        one++;
    if (one == allocations + MOST)
        return OUT_OF_MEMORY;
    char *bytes = mmap(NULL, name->nbytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    void *addresses = mmap(NULL, name->nbytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (bytes == MAP_FAILED || addresses == MAP_FAILED)
        return MAPPING_FAILED;
    *one = (Allocation){(CUdeviceptr)addresses, bytes, n_opened, *name};
    *pointer = one->pointer;
    return SUCCESS;
}

/* The caller holds the lock. */
static void unmap(Allocation *one)
{
    munmap(one->bytes, one->name.nbytes);
    munmap((void *)one->pointer, one->name.nbytes);
    one->pointer = 0;
}

/* One process at a time looks how much is left, and takes it. */
static CUresult make_file(const Name *name, int *fd)
{
    char path[512], gate_path[512];
    path_of(gate_path, "gate", (int)name->device, 0, 0, 0);
    int gate = open(gate_path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    flock(gate, LOCK_EX);
    CUresult result = used_bytes((int)name->device) + name->nbytes > total_bytes() ? OUT_OF_MEMORY : SUCCESS;
    if (!result) {
        *fd = open(file_of(path, name), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
        result = *fd >= 0 && ftruncate(*fd, (off_t)name->nbytes) == 0 ? SUCCESS : OUT_OF_MEMORY;
    }
    close(gate);
    return result;
}

static CUresult cuMemAlloc(CUdeviceptr *pointer, size_t nbytes)
{
    WITH_CONTEXT("cuMemAlloc", device);
    if (!nbytes)
        return INVALID_VALUE;
    int fd = -1;
    pthread_mutex_lock(&lock);
    Name name = {MAGIC, (uint64_t)device, (uint64_t)getpid(), ++number, new_nonce(), nbytes};
    CUresult result = make_file(&name, &fd);
    if (!result)
        result = map(fd, &name, 0, pointer);
    pthread_mutex_unlock(&lock);
    if (fd >= 0)
        close(fd);
    return result;
}

static CUresult cuMemFree(CUdeviceptr pointer)
{
    ENTER("cuMemFree");
    char path[512];
    all_streams_synchronize();
    pthread_mutex_lock(&lock);
    Allocation *one = find(pointer);
    int right = one && one->pointer == pointer && !one->n_opened;
    if (right) {
        unlink(file_of(path, &one->name));
        unmap(one);
    }
    pthread_mutex_unlock(&lock);
    return right ? SUCCESS : INVALID_VALUE;
}

static CUresult cuMemGetInfo(size_t *free_bytes, size_t *all_bytes)
{
    WITH_CONTEXT("cuMemGetInfo", device);
    *all_bytes = total_bytes();
    *free_bytes = *all_bytes - used_bytes(device);
    return SUCCESS;
}

static CUresult cuIpcGetMemHandle(CUipcHandle *handle, CUdeviceptr pointer)
{
    WITH_CONTEXT("cuIpcGetMemHandle", device);
    (void)device;
    pthread_mutex_lock(&lock);
    Allocation *one = find(pointer);
    int right = one && !one->n_opened;
    memset(handle, 0, sizeof *handle);
    if (right)
        memcpy(handle, &one->name, sizeof one->name);
    pthread_mutex_unlock(&lock);
    return right ? SUCCESS : INVALID_VALUE;
}

/* A handle may be opened in one context of a process, as often as one likes; the caller holds the lock. */
static CUresult open_again(const Name *name, CUdeviceptr *pointer)
{
    for (int i = 0; i < MOST; i++) {
        Allocation *one = &allocations[i];
        if (one->pointer && one->n_opened && memcmp(&one->name, name, sizeof *name) == 0) {
            one->n_opened++;
            *pointer = one->pointer;
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

static CUresult cuIpcOpenMemHandle(CUdeviceptr *pointer, CUipcHandle handle, unsigned flags)
{
    WITH_CONTEXT("cuIpcOpenMemHandle", device);
    char path[512];
    Name name;
    struct stat status;
    memcpy(&name, &handle, sizeof name);
    if (flags != 1 || name.magic != MAGIC || (int)name.device >= n_physical())
        return INVALID_VALUE;
    if (name.pid == (uint64_t)getpid())
        return INVALID_CONTEXT;
    if ((int)name.device != device) {
        if (!visible((int)name.device))
            return INVALID_DEVICE;
        if (!peers((int)name.device, device))
            return PEER_ACCESS_UNSUPPORTED;
    }
    int fd = open(file_of(path, &name), O_RDWR | O_CLOEXEC);
    int there = fd >= 0 && process_alive((pid_t)name.pid) && fstat(fd, &status) == 0
        && (uint64_t)status.st_size == name.nbytes;
    CUresult result = there ? NOT_FOUND : MAPPING_FAILED;
    if (there) {
        pthread_mutex_lock(&lock);
        result = open_again(&name, pointer);
        if (result)
            result = map(fd, &name, 1, pointer);
        pthread_mutex_unlock(&lock);
    }
    if (fd >= 0)
        close(fd);
    return result;
}

static CUresult cuIpcCloseMemHandle(CUdeviceptr pointer)
{
    ENTER("cuIpcCloseMemHandle");
    all_streams_synchronize();
    pthread_mutex_lock(&lock);
    Allocation *one = find(pointer);
    int right = one && one->pointer == pointer && one->n_opened;
    if (right && !--one->n_opened)
        unmap(one);
    pthread_mutex_unlock(&lock);
    return right ? SUCCESS : INVALID_VALUE;
}

const Entry memory_entries[] = {
    {"cuMemAlloc", cuMemAlloc},
    {"cuMemFree", cuMemFree},
    {"cuMemGetInfo", cuMemGetInfo},
    {"cuIpcGetMemHandle", cuIpcGetMemHandle},
    {"cuIpcOpenMemHandle", cuIpcOpenMemHandle},
    {"cuIpcCloseMemHandle", cuIpcCloseMemHandle},
    {NULL, NULL},
};
