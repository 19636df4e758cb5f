"""Decides when a process hangs: everything it works on is long past its deadline."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable

from corntriton.runtime.messages import Call

# How often a host looks after what is under way: for cancelled clients and hung workers.
PERIOD_S = 0.05


def why_hung(calls: Iterable[Call], grace_s: float) -> str | None:
    """Why the process that works on these calls is to be ended, or None while it is not."""
    by_s = late_s(calls)
    return f"ended by the watchdog {by_s:.1f} s past the deadline" if by_s > grace_s else None


def late_s(calls: Iterable[Call]) -> float:
    """How long ago the last of their deadlines passed; negative before, and for work without a deadline."""
    deadlines_ns = [math.inf if call.deadline_ns is None else call.deadline_ns for call in calls]
    return (time.monotonic_ns() - max(deadlines_ns, default=math.inf)) / 1e9
