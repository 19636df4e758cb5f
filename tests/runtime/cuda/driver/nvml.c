/* The little of NVML that is asked for: https://docs.nvidia.com/deploy/nvml-api/ */
#define _GNU_SOURCE
#include "simulated.h"

#include <stdio.h>
#include <string.h>

enum { NVML_SUCCESS = 0, NVML_NOT_FOUND = 6 };

typedef struct { unsigned long long total, free, used; } Memory;

API int nvmlInitWithFlags(unsigned flags) { return (void)flags, NVML_SUCCESS; }

API int nvmlInit_v2(void) { return NVML_SUCCESS; }

API int nvmlShutdown(void) { return NVML_SUCCESS; }

API const char *nvmlErrorString(int result) { return result ? "no such simulated device" : "success"; }

API int nvmlDeviceGetHandleByUUID(const char *wanted, void **handle)
{
    for (int physical = 0; physical < n_physical(); physical++) {
        unsigned char u[16];
        char text[64];
        uuid_of(physical, u);
        snprintf(text, sizeof text,
                 "GPU-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", u[0], u[1], u[2], u[3],
                 u[4], u[5], u[6], u[7], u[8], u[9], u[10], u[11], u[12], u[13], u[14], u[15]);
        if (strcmp(text, wanted) == 0) {
            *handle = (void *)(intptr_t)(physical + 1);
            return NVML_SUCCESS;
        }
    }
    return NVML_NOT_FOUND;
}

API int nvmlDeviceGetName(void *handle, char *name, unsigned length)
{
    snprintf(name, length, "Simulated GPU %d", (int)(intptr_t)handle - 1);
    return NVML_SUCCESS;
}

API int nvmlDeviceGetMemoryInfo(void *handle, Memory *memory)
{
    memory->total = total_bytes();
    memory->used = used_bytes((int)(intptr_t)handle - 1);
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}
