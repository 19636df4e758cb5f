/* Events: how often one was recorded and which record is done; in a file where processes share it. */
#define _GNU_SOURCE
#include "simulated.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DISABLE_TIMING = 2, INTERPROCESS = 4 };
static const uint64_t MAGIC = 0x746e65766573ULL;

typedef struct { _Atomic uint64_t recorded, done; } State;
typedef struct { uint64_t magic, pid, number, nonce; } Name;

struct Event {
    State *state, own;
    Name name;       /* its magic is 0 unless processes share it */
    atomic_int held; /* by its maker, and by queues */
};

static _Atomic uint64_t number;

uint64_t event_begin(CUevent event) { return atomic_fetch_add(&event->state->recorded, 1) + 1; }

uint64_t event_latest(CUevent event) { return atomic_load(&event->state->recorded); }

void event_finish(CUevent event, uint64_t finished)
{
    uint64_t done = atomic_load(&event->state->done);
    while (done < finished && !atomic_compare_exchange_weak(&event->state->done, &done, finished))
        ;
}

/* What a dead process recorded will not be done; nobody shall wait for it for ever. */
int event_done(CUevent event, uint64_t wanted)
{
    return atomic_load(&event->state->done) >= wanted
        || (event->name.magic && !process_alive((pid_t)event->name.pid));
}

void event_hold(CUevent event) { atomic_fetch_add(&event->held, 1); }

void event_let_go(CUevent event)
{
    char path[512];
    if (atomic_fetch_sub(&event->held, 1) != 1)
        return;
    if (event->state != &event->own)
        munmap(event->state, sizeof(State));
    if (event->name.magic && event->name.pid == (uint64_t)getpid())
        unlink(path_of(path, "event", 0, getpid(), event->name.number, event->name.nonce));
    free(event);
}

static CUresult share(CUevent event, int flags)
{
    char path[512];
    const Name *name = &event->name;
    path_of(path, "event", 0, (pid_t)name->pid, name->number, name->nonce);
    int fd = open(path, O_RDWR | O_CLOEXEC | flags, 0600);
    if (fd < 0 || ftruncate(fd, sizeof(State)) != 0)
        return MAPPING_FAILED;
    event->state = mmap(NULL, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return (void *)event->state == MAP_FAILED ? MAPPING_FAILED : SUCCESS;
}

static CUevent new_event(void)
{
    CUevent event = calloc(1, sizeof *event);
    event->state = &event->own;
    event->held = 1;
    return event;
}

static CUresult cuEventCreate(CUevent *event, unsigned flags)
{
    WITH_CONTEXT("cuEventCreate", device);
    (void)device;
    if (flags & INTERPROCESS && !(flags & DISABLE_TIMING))
        return INVALID_VALUE;
    *event = new_event();
    if (!(flags & INTERPROCESS))
        return SUCCESS;
    (*event)->name = (Name){MAGIC, (uint64_t)getpid(), atomic_fetch_add(&number, 1), new_nonce()};
    return share(*event, O_CREAT | O_EXCL);
}

static CUresult cuEventDestroy(CUevent event)
{
    ENTER("cuEventDestroy");
    event_let_go(event);
    return SUCCESS;
}

static CUresult cuEventRecord(CUevent event, CUstream stream)
{
    WITH_CONTEXT("cuEventRecord", device);
    (void)device;
    return stream_record(stream, event);
}

static CUresult cuEventQuery(CUevent event)
{
    ENTER("cuEventQuery");
    return event_done(event, event_latest(event)) ? SUCCESS : NOT_READY;
}

static CUresult cuEventSynchronize(CUevent event)
{
    ENTER("cuEventSynchronize");
    uint64_t wanted = event_latest(event);
    while (!event_done(event, wanted))
        usleep(50);
    return SUCCESS;
}

static CUresult cuIpcGetEventHandle(CUipcHandle *handle, CUevent event)
{
    WITH_CONTEXT("cuIpcGetEventHandle", device);
    (void)device;
    if (!event->name.magic || event->name.pid != (uint64_t)getpid())
        return INVALID_HANDLE;
    memset(handle, 0, sizeof *handle);
    memcpy(handle, &event->name, sizeof event->name);
    return SUCCESS;
}

static CUresult cuIpcOpenEventHandle(CUevent *event, CUipcHandle handle)
{
    WITH_CONTEXT("cuIpcOpenEventHandle", device);
    (void)device;
    Name name;
    memcpy(&name, &handle, sizeof name);
    if (name.magic != MAGIC)
        return INVALID_VALUE;
    if (name.pid == (uint64_t)getpid())
        return INVALID_CONTEXT;
    *event = new_event();
    (*event)->name = name;
    CUresult result = share(*event, 0);
    if (result) {
        (*event)->state = &(*event)->own;
        event_let_go(*event);
    }
    return result;
}

const Entry event_entries[] = {
    {"cuEventCreate", cuEventCreate},
    {"cuEventDestroy", cuEventDestroy},
    {"cuEventRecord", cuEventRecord},
    {"cuEventQuery", cuEventQuery},
    {"cuEventSynchronize", cuEventSynchronize},
    {"cuIpcGetEventHandle", cuIpcGetEventHandle},
    {"cuIpcOpenEventHandle", cuIpcOpenEventHandle},
    {NULL, NULL},
};
