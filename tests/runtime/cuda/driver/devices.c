/* Devices and contexts: only primary ones, one per device; each thread has a stack of current ones. */
#define _GNU_SOURCE
#include "simulated.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { MOST = 16 };

struct Context { int physical; };

static struct Context contexts[MOST];
static int visible_devices[MOST], n_visible = -1;
static __thread CUcontext stack[MOST];
static __thread int depth;

static CUresult cuInit(unsigned flags)
{
    ENTER("cuInit");
    if (n_visible >= 0)
        return flags ? INVALID_VALUE : SUCCESS;
    char path[512], *rest;
    const char *listed = getenv("CUDA_VISIBLE_DEVICES");
    int count = n_physical();
    int fd = open(path_of(path, "process", 0, getpid(), 0, 0), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0)
        return NOT_INITIALIZED;
    n_visible = 0;
    for (int i = 0; !listed && i < count; i++)
        visible_devices[n_visible++] = i;
    for (; listed && *listed; listed = *rest ? rest + 1 : rest) {
        long device = strtol(listed, &rest, 10);
        if (rest == listed || device < 0 || device >= count)
            break; /* as CUDA does: what follows an unknown one is not seen either */
        visible_devices[n_visible++] = (int)device;
    }
    return n_visible ? SUCCESS : NO_DEVICE;
}

int visible(int physical)
{
    for (int i = 0; i < n_visible; i++)
        if (visible_devices[i] == physical)
            return 1;
    return 0;
}

int peers(int physical, int other)
{
    return physical != other && number_from("SIMULATED_CUDA_PEERS", 1);
}

int current_device(void)
{
    return depth && stack[depth - 1] ? stack[depth - 1]->physical : -1;
}

static CUresult cuDriverGetVersion(int *version)
{
    *version = 13000;
    return SUCCESS;
}

static CUresult cuDeviceGetCount(int *count)
{
    ENTER("cuDeviceGetCount");
    *count = n_visible < 0 ? 0 : n_visible;
    return n_visible < 0 ? NOT_INITIALIZED : SUCCESS;
}

static CUresult cuDeviceGet(CUdevice *device, int ordinal)
{
    ENTER("cuDeviceGet");
    if (ordinal < 0 || ordinal >= n_visible)
        return INVALID_DEVICE;
    *device = ordinal;
    return SUCCESS;
}

static CUresult cuDeviceGetName(char *name, int length, CUdevice device)
{
    ENTER("cuDeviceGetName");
    snprintf(name, (size_t)length, "Simulated GPU %d", visible_devices[device]);
    return SUCCESS;
}

static CUresult cuDeviceGetUuid(CUuuid *uuid, CUdevice device)
{
    ENTER("cuDeviceGetUuid");
    uuid_of(visible_devices[device], (unsigned char *)uuid->bytes);
    return SUCCESS;
}

static CUresult cuDeviceCanAccessPeer(int *can, CUdevice device, CUdevice peer)
{
    ENTER("cuDeviceCanAccessPeer");
    *can = peers(visible_devices[device], visible_devices[peer]);
    return SUCCESS;
}

static CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device)
{
    ENTER("cuDevicePrimaryCtxRetain");
    if (device < 0 || device >= n_visible)
        return INVALID_DEVICE;
    contexts[device].physical = visible_devices[device];
    *context = &contexts[device];
    return SUCCESS;
}

static CUresult cuDevicePrimaryCtxRelease(CUdevice device)
{
    ENTER("cuDevicePrimaryCtxRelease");
    return device < 0 || device >= n_visible ? INVALID_DEVICE : SUCCESS;
}

static CUresult cuCtxPushCurrent(CUcontext context)
{
    ENTER("cuCtxPushCurrent");
    if (depth == MOST)
        return INVALID_VALUE;
    stack[depth++] = context;
    return SUCCESS;
}

static CUresult cuCtxPopCurrent(CUcontext *context)
{
    ENTER("cuCtxPopCurrent");
    if (!depth)
        return INVALID_CONTEXT;
    *context = stack[--depth];
    return SUCCESS;
}

static CUresult cuCtxSynchronize(void)
{
    WITH_CONTEXT("cuCtxSynchronize", device);
    (void)device;
    all_streams_synchronize();
    return SUCCESS;
}

const Entry device_entries[] = {
    {"cuInit", cuInit},
    {"cuDriverGetVersion", cuDriverGetVersion},
    {"cuDeviceGetCount", cuDeviceGetCount},
    {"cuDeviceGet", cuDeviceGet},
    {"cuDeviceGetName", cuDeviceGetName},
    {"cuDeviceGetUuid", cuDeviceGetUuid},
    {"cuDeviceGetUuid_v2", cuDeviceGetUuid},
    {"cuDeviceCanAccessPeer", cuDeviceCanAccessPeer},
    {"cuDevicePrimaryCtxRetain", cuDevicePrimaryCtxRetain},
    {"cuDevicePrimaryCtxRelease", cuDevicePrimaryCtxRelease},
    {"cuCtxPushCurrent", cuCtxPushCurrent},
    {"cuCtxPopCurrent", cuCtxPopCurrent},
    {"cuCtxSynchronize", cuCtxSynchronize},
    {NULL, NULL},
};
