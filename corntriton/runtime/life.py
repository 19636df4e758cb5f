"""Whether the request that one works for is over, and how long one may wait for it.

Triton's BLS cannot cancel what it has asked for: unary calls have no way at all, and the response
iterators of 24.10 have none yet. So the owner of a request keeps a cell of shared memory for it, every call
names the cell, and who works for the request looks there.
"""

from __future__ import annotations

from contextvars import ContextVar

from corntriton.runtime.shm import credential
from corntriton.runtime.shm.errors import InvalidOwnerError
from corntriton.runtime.shm.layout import Tag
from corntriton.runtime.shm.regions import Regions

_regions = Regions()
# On the monotonic clock: when the work that this thread does is due; 0 where nobody says.
due_ns: ContextVar[int] = ContextVar("due_ns", default=0)


def tag_of(owner: str) -> Tag:
    """The live request that a call's owner parameter names.

    Raises:
        InvalidOwnerError: It names none.
    """
    return credential.verify(owner, _regions)


def named_by(owner: str) -> Tag:
    """The request that a call's owner parameter names, which tag_of has looked at before."""
    return credential.parse(owner)[0]


def is_over(owner: str | None) -> bool:
    """Whether nobody waits for the call's request any more; False for a call that names none."""
    if not owner:
        return False
    try:
        return credential.is_over(credential.parse(owner)[0], _regions)
    except InvalidOwnerError:
        return False  # refused where it matters: when a tensor is to be kept for it
