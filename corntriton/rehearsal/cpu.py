"""How busy this machine's CPUs were, whoever kept them so: the kernel's counters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Cpu:
    """Jiffies of all CPUs since the machine was started.

    Attributes:
        busy: Spent on anything.
        total: That there were.
    """

    busy: int
    total: int

    @classmethod
    def now(cls) -> Cpu:
        """As of now."""
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
        idle = fields[3] + fields[4]  # and waiting for disks
        return cls(sum(fields) - idle, sum(fields))

    def since(self, before: Cpu) -> float:
        """Share of all CPUs that was busy since then."""
        return (self.busy - before.busy) / max(1, self.total - before.total)
