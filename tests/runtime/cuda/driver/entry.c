/* How the functions are found by name, counted, and made to fail. */
#define _GNU_SOURCE
#include "simulated.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 64 };

static const Entry *const tables[] = {device_entries, memory_entries, stream_entries, event_entries};
static atomic_int abuse;
static const char *called[MOST];
static atomic_int n_calls[MOST];

void abused(void) { abuse = 1; }

static atomic_int *count_of(const char *name)
{
    int i = 0;
    while (i < MOST - 1 && called[i] && strcmp(called[i], name) != 0)
        i++;
    called[i] = name;
    return &n_calls[i];
}

/* $SIMULATED_CUDA_FAIL: cuMemAlloc=2,cuIpcOpenMemHandle=801 */
static CUresult fault_of(const char *name)
{
    size_t length = strlen(name);
    for (const char *at = getenv("SIMULATED_CUDA_FAIL"); at && *at; at = strchr(at, ',')) {
        at += *at == ',';
        if (strncmp(at, name, length) == 0 && at[length] == '=')
            return atoi(at + length + 1);
    }
    return SUCCESS;
}

CUresult entered(const char *name)
{
    atomic_fetch_add(count_of(name), 1);
    CUresult fault = fault_of(name);
    return fault ? fault : abuse ? ILLEGAL_ADDRESS : SUCCESS;
}

/* For tests: how often a function was called in this process. */
API int simulated_calls(const char *name) { return *count_of(strdup(name)); }

static CUresult describe(CUresult error, const char **text)
{
    *text = error == OUT_OF_MEMORY ? "out of memory" : "an error of the simulated driver";
    return SUCCESS;
}

static CUresult error_name(CUresult error, const char **text)
{
    (void)error;
    *text = "CUDA_ERROR";
    return SUCCESS;
}

API CUresult cuGetProcAddress_v2(const char *name, void **function, int version, uint64_t flags, int *status)
{
    (void)version, (void)flags;
    static const Entry own[] = {
        {"cuGetProcAddress", cuGetProcAddress_v2},
        {"cuGetProcAddress_v2", cuGetProcAddress_v2},
        {"cuGetErrorString", describe},
        {"cuGetErrorName", error_name},
        {NULL, NULL},
    };
    const Entry *all[] = {own, tables[0], tables[1], tables[2], tables[3]};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        for (const Entry *entry = all[i]; entry->name; entry++)
            if (strcmp(entry->name, name) == 0) {
                *function = entry->function;
                if (status)
                    *status = 0;
                return SUCCESS;
            }
    *function = NULL;
    if (status)
        *status = 1; /* CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND */
    return NOT_FOUND;
}

API CUresult cuGetProcAddress(const char *name, void **function, int version, uint64_t flags)
{
    return cuGetProcAddress_v2(name, function, version, flags, NULL);
}
