"""The order in which processes see each other's stores: what is assumed of it, and a fence.

Words are 64 bits, aligned, native. A `memoryview` of format Q stores and loads each with one instruction
(CPython copies 8 bytes of known size), so nobody sees half of one. `struct` with a byte order would not do.

On x86-64 a store may be seen after a later load of the same processor, and nothing else is reordered; on
AArch64 more is, but what a process stores before it makes a system call to send a message is seen by who
receives that. So a fence is needed only where a process stores one word and then loads another that its
counterpart treats the other way round: in claiming and reclaiming.
"""

from __future__ import annotations

import threading

_lock = threading.Lock()


def fence() -> None:
    """What this thread stored before is seen by all processors before it loads anything after.

    To take a lock is a locked instruction on x86-64, hence a full fence. On AArch64 to give it back is a
    release and to take it is an acquire, and an acquire is never seen before an earlier release: so it is
    taken twice.
    """
    with _lock:
        pass
    with _lock:
        pass
