/* Streams: a thread each, that works off what it is told, in order and late. */
#define _GNU_SOURCE
#include "simulated.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 256 };

typedef enum { TO_DEVICE, TO_HOST, WITHIN, FILL, RECORD, WAIT, STOP } Kind;

typedef struct Work {
    struct Work *next;
    Kind kind;
    CUdeviceptr target, source;
    void *host;
    size_t nbytes;
    unsigned char fill;
    CUevent event;
    uint64_t number;
} Work;

struct Stream {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    Work *first, **end;
    int busy;
    unsigned seed;
};

static CUstream streams[MOST];
static CUstream default_stream;
static pthread_mutex_t streams_lock = PTHREAD_MUTEX_INITIALIZER;

static void copy(void *target, const void *source, size_t nbytes)
{
    if (target && source)
        memcpy(target, source, nbytes);
    else
        abused();
}

static void perform(const Work *work)
{
    char *target = work->target ? bytes_at(work->target, work->nbytes) : work->host;
    char *source = work->source ? bytes_at(work->source, work->nbytes) : work->host;
    switch (work->kind) {
    case TO_DEVICE:
    case TO_HOST:
    case WITHIN:
        copy(target, source, work->nbytes);
        break;
    case FILL:
        if (target)
            memset(target, work->fill, work->nbytes);
        else
            abused();
        break;
    case RECORD:
        event_finish(work->event, work->number);
        break;
    case WAIT:
        while (!event_done(work->event, work->number))
            usleep(50);
        break;
    case STOP:
        break;
    }
    if (work->event)
        event_let_go(work->event);
}

static void dawdle(CUstream stream, Kind kind)
{
    long delay_us = number_from("SIMULATED_CUDA_DELAY_US", 1000);
    if (kind <= FILL && delay_us > 0)
        usleep((useconds_t)(rand_r(&stream->seed) % delay_us));
}

static void *work_off(void *argument)
{
    CUstream stream = argument;
    for (Kind kind = TO_DEVICE; kind != STOP;) {
        pthread_mutex_lock(&stream->lock);
        while (!stream->first)
            pthread_cond_wait(&stream->changed, &stream->lock);
        Work *work = stream->first;
        stream->first = work->next;
        if (!stream->first)
            stream->end = &stream->first;
        stream->busy = 1;
        pthread_mutex_unlock(&stream->lock);
        kind = work->kind;
        dawdle(stream, kind);
        perform(work);
        free(work);
        pthread_mutex_lock(&stream->lock);
        stream->busy = 0;
        pthread_cond_broadcast(&stream->changed);
        pthread_mutex_unlock(&stream->lock);
    }
    return NULL;
}

static CUresult new_stream(CUstream *made)
{
    CUstream stream = calloc(1, sizeof *stream);
    pthread_mutex_init(&stream->lock, NULL);
    pthread_cond_init(&stream->changed, NULL);
    stream->end = &stream->first;
    stream->seed = (unsigned)new_nonce();
    pthread_create(&stream->thread, NULL, work_off, stream);
    for (int i = 0; i < MOST; i++)
        if (!streams[i]) {
            *made = streams[i] = stream;
            return SUCCESS;
        }
    return OUT_OF_MEMORY;
}

/* 0, 1 and 2 stand for default streams: https://docs.nvidia.com/cuda/cuda-driver-api/stream-sync-behavior.html */
static CUstream resolved(CUstream stream)
{
    if ((uintptr_t)stream > 2)
        return stream;
    pthread_mutex_lock(&streams_lock);
    if (!default_stream)
        new_stream(&default_stream);
    pthread_mutex_unlock(&streams_lock);
    return default_stream;
}

static CUresult enqueue(CUstream stream, Work wanted)
{
    stream = resolved(stream);
    Work *work = malloc(sizeof *work);
    *work = wanted;
    if (work->event)
        event_hold(work->event);
    pthread_mutex_lock(&stream->lock);
    *stream->end = work;
    stream->end = &work->next;
    pthread_cond_broadcast(&stream->changed);
    pthread_mutex_unlock(&stream->lock);
    return SUCCESS;
}

static void synchronize(CUstream stream)
{
    pthread_mutex_lock(&stream->lock);
    while (stream->first || stream->busy)
        pthread_cond_wait(&stream->changed, &stream->lock);
    pthread_mutex_unlock(&stream->lock);
}

void all_streams_synchronize(void)
{
    for (int i = 0; i < MOST; i++)
        if (streams[i])
            synchronize(streams[i]);
}

CUresult stream_record(CUstream stream, CUevent event)
{
    return enqueue(stream, (Work){.kind = RECORD, .event = event, .number = event_begin(event)});
}

static CUresult cuStreamCreate(CUstream *stream, unsigned flags)
{
    WITH_CONTEXT("cuStreamCreate", device);
    (void)device, (void)flags;
    pthread_mutex_lock(&streams_lock);
    CUresult result = new_stream(stream);
    pthread_mutex_unlock(&streams_lock);
    return result;
}

static CUresult cuStreamDestroy(CUstream stream)
{
    ENTER("cuStreamDestroy");
    enqueue(stream, (Work){.kind = STOP});
    pthread_join(stream->thread, NULL);
    pthread_mutex_lock(&streams_lock);
    for (int i = 0; i < MOST; i++)
        if (streams[i] == stream)
            streams[i] = NULL;
    pthread_mutex_unlock(&streams_lock);
    free(stream);
    return SUCCESS;
}

static CUresult cuStreamSynchronize(CUstream stream)
{
    ENTER("cuStreamSynchronize");
    synchronize(resolved(stream));
    return SUCCESS;
}

static CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned flags)
{
    WITH_CONTEXT("cuStreamWaitEvent", device);
    (void)device, (void)flags;
    return enqueue(stream, (Work){.kind = WAIT, .event = event, .number = event_latest(event)});
}

static CUresult cuMemcpyHtoDAsync(CUdeviceptr target, const void *source, size_t nbytes, CUstream stream)
{
    WITH_CONTEXT("cuMemcpyHtoDAsync", device);
    (void)device;
    Work work = {.kind = TO_DEVICE, .target = target, .host = (void *)source, .nbytes = nbytes};
    return bytes_at(target, nbytes) ? enqueue(stream, work) : INVALID_VALUE;
}

static CUresult cuMemcpyDtoHAsync(void *target, CUdeviceptr source, size_t nbytes, CUstream stream)
{
    WITH_CONTEXT("cuMemcpyDtoHAsync", device);
    (void)device;
    Work work = {.kind = TO_HOST, .source = source, .host = target, .nbytes = nbytes};
    return bytes_at(source, nbytes) ? enqueue(stream, work) : INVALID_VALUE;
}

static CUresult cuMemcpyDtoDAsync(CUdeviceptr target, CUdeviceptr source, size_t nbytes, CUstream stream)
{
    WITH_CONTEXT("cuMemcpyDtoDAsync", device);
    (void)device;
    Work work = {.kind = WITHIN, .target = target, .source = source, .nbytes = nbytes};
    return bytes_at(source, nbytes) && bytes_at(target, nbytes) ? enqueue(stream, work) : INVALID_VALUE;
}

static CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char fill, size_t nbytes, CUstream stream)
{
    WITH_CONTEXT("cuMemsetD8Async", device);
    (void)device;
    Work work = {.kind = FILL, .target = target, .fill = fill, .nbytes = nbytes};
    return bytes_at(target, nbytes) ? enqueue(stream, work) : INVALID_VALUE;
}

const Entry stream_entries[] = {
    {"cuStreamCreate", cuStreamCreate},
    {"cuStreamDestroy", cuStreamDestroy},
    {"cuStreamSynchronize", cuStreamSynchronize},
    {"cuStreamWaitEvent", cuStreamWaitEvent},
    {"cuMemcpyHtoDAsync", cuMemcpyHtoDAsync},
    {"cuMemcpyDtoHAsync", cuMemcpyDtoHAsync},
    {"cuMemcpyDtoDAsync", cuMemcpyDtoDAsync},
    {"cuMemsetD8Async", cuMemsetD8Async},
    {NULL, NULL},
};
