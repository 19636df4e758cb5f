"""Tensors on GPUs between processes of one node: arenas in device memory, named by the refs of `runtime/shm`.

    producer                                                    consumer, another process
      memory = DeviceMemory("cuda:0", shared, max_bytes)          memory = DeviceMemory("cuda:0", shared, ...)
      out = torch.from_dlpack(memory.empty(shape, dtype))
      ref = memory.put(out, tag, deadline_ns) ───192 bytes──────> view = memory.read(ref)
                                                                  x = torch.from_dlpack(view)

Slots, claims, tags and generations lie in an arena file as for host tensors, and everything said there of
lifetimes holds here; only the data lies in device memory, which the file's data section names: see record.py.
Neither side waits for the other's GPU work on the host: consumer streams wait for an event of the tensor, and
a claim stands until the reader's streams are through.

Only these modules import CUDA, and only when a DeviceMemory is made: it needs the extra `corntriton[gpu]`.
"""
