/* What the simulated driver and NVML share: the directory in which processes meet, and the devices. */
#define _GNU_SOURCE
#include "simulated.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *directory(void)
{
    const char *path = getenv("SIMULATED_CUDA_DIR");
    return path ? path : "/dev/shm";
}

long number_from(const char *variable, long otherwise)
{
    const char *text = getenv(variable);
    return text && *text ? atol(text) : otherwise;
}

const char *path_of(char *path, const char *kind, int device, pid_t pid, uint64_t number, uint64_t nonce)
{
    snprintf(path, 512, "%s/%s-%d-%d-%llu-%016llx", directory(), kind, device, (int)pid,
             (unsigned long long)number, (unsigned long long)nonce);
    return path;
}

uint64_t new_nonce(void)
{
    uint64_t nonce = 0;
    return getrandom(&nonce, sizeof nonce, 0) == sizeof nonce ? nonce : (uint64_t)getpid();
}

/* A lock tells who lives: it goes with its process, also while that is a zombie. */
int process_alive(pid_t pid)
{
    char path[512];
    int fd, alive;
    if (pid == getpid())
        return 1;
    fd = open(path_of(path, "process", 0, pid, 0, 0), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    alive = flock(fd, LOCK_SH | LOCK_NB) != 0;
    close(fd);
    return alive;
}

int n_physical(void)
{
    return (int)number_from("SIMULATED_CUDA_DEVICES", 2);
}

size_t total_bytes(void)
{
    return (size_t)number_from("SIMULATED_CUDA_BYTES", 256L << 20);
}

void uuid_of(int physical, unsigned char uuid[16])
{
    for (int i = 0; i < 16; i++)
        uuid[i] = (unsigned char)(physical * 37 + i * 11 + 1);
}

/* Of all living processes; what dead ones left goes. */
size_t used_bytes(int physical)
{
    size_t sum = 0;
    DIR *files = opendir(directory());
    struct dirent *file;
    while (files && (file = readdir(files))) {
        char path[1024];
        struct stat status;
        int device, pid;
        if (sscanf(file->d_name, "memory-%d-%d-", &device, &pid) != 2 || device != physical)
            continue;
        snprintf(path, sizeof path, "%s/%s", directory(), file->d_name);
        if (!process_alive(pid))
            unlink(path);
        else if (stat(path, &status) == 0)
            sum += (size_t)status.st_size;
    }
    if (files)
        closedir(files);
    return sum;
}
