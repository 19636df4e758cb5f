"""What `build` writes for the transfer model, `1/transfer.json`; the runtime reads it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path as File

# The Triton model, the same on every server.
MODEL = "corntriton_transfer"


@dataclass(frozen=True)
class TransferSettings:
    """Of one server's transfer model.

    Attributes:
        role: Of the server: which other servers serve the same.
        arena_bytes: How much its arena may grow, which takes the tensors that come from other servers.
        max_leases: Requests of other servers that it works for at once.
        lease_s: How long it does so when their orchestrator says nothing.
    """

    role: str
    arena_bytes: int
    max_leases: int = 1024
    lease_s: float = 10.0

    def save(self, file: File) -> None:
        """Writes the file; equal settings give equal bytes."""
        file.write_text(json.dumps(asdict(self), indent=1, sort_keys=True) + "\n")

    @classmethod
    def load(cls, file: File) -> TransferSettings:
        """Reads what save wrote."""
        return cls(**json.loads(file.read_text()))
