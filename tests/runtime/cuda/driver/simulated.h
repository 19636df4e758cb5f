/* A simulated CUDA driver: enough of libcuda.so.1 to run programs that share device memory between processes.

   Device memory is a file per allocation in the directory $SIMULATED_CUDA_DIR, which should lie in memory. A
   device pointer is an address at which nothing may be read or written: who takes it for host memory crashes.
   A stream is a thread that works off a queue, late on purpose: who does not wait for it reads old bytes.

   devices.c   devices, contexts, peers            $SIMULATED_CUDA_DEVICES, _BYTES, _PEERS; $CUDA_VISIBLE_DEVICES
   memory.c    allocations, and their IPC handles
   streams.c   streams and what they do            $SIMULATED_CUDA_DELAY_US
   events.c    events, and their IPC handles
   entry.c     names of the functions; faults      $SIMULATED_CUDA_FAIL
   nvml.c      the little of libnvidia-ml.so.1 that is asked for */
#ifndef SIMULATED_H
#define SIMULATED_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Types and values as in cuda.h: https://docs.nvidia.com/cuda/cuda-driver-api/group__CUDA__TYPES.html */
typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct { char bytes[16]; } CUuuid;
typedef struct { char reserved[64]; } CUipcHandle;
typedef struct Context *CUcontext;
typedef struct Stream *CUstream;
typedef struct Event *CUevent;

enum {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_CONTEXT = 201,
    MAPPING_FAILED = 205,
    PEER_ACCESS_UNSUPPORTED = 217,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    ILLEGAL_ADDRESS = 700,
};

#define API __attribute__((visibility("default")))
/* Every function begins with it: counts the call, and fails where a fault is asked for or memory was abused. */
#define ENTER(name) do { CUresult fault_ = entered(name); if (fault_) return fault_; } while (0)
/* The context of the calling thread, which most functions need. */
#define WITH_CONTEXT(name, device) ENTER(name); int device = current_device(); if (device < 0) return INVALID_CONTEXT

CUresult entered(const char *name);
void abused(void); /* memory was touched that is not there: every later call fails */

/* Where processes meet. */
const char *path_of(char *path, const char *kind, int device, pid_t pid, uint64_t number, uint64_t nonce);
uint64_t new_nonce(void);
int process_alive(pid_t pid);
long number_from(const char *variable, long otherwise);

/* Devices: `physical` names one in all processes, an ordinal only in this. */
int n_physical(void);
void uuid_of(int physical, unsigned char uuid[16]);
size_t total_bytes(void);
size_t used_bytes(int physical);
int current_device(void); /* physical; -1 without a context */
int visible(int physical);
int peers(int physical, int other);

/* Memory: where the bytes of a device pointer are, or NULL if not all of them are there. */
char *bytes_at(CUdeviceptr pointer, size_t nbytes);

/* Events that a stream's queue holds on to. */
void event_hold(CUevent event);
void event_let_go(CUevent event);
uint64_t event_begin(CUevent event);  /* a new record; the number of it */
uint64_t event_latest(CUevent event); /* the number of the latest record */
int event_done(CUevent event, uint64_t number);
void event_finish(CUevent event, uint64_t number);

CUresult stream_record(CUstream stream, CUevent event);
void all_streams_synchronize(void);

typedef struct { const char *name; void *function; } Entry;
extern const Entry device_entries[], memory_entries[], stream_entries[], event_entries[];

#endif
