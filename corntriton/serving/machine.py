"""What this machine has that matters to a server."""

from __future__ import annotations

from pathlib import Path


def has_gpu() -> bool:
    """Whether an NVIDIA driver is there, on Linux or under WSL."""
    return any(Path(device).exists() for device in ("/dev/nvidiactl", "/dev/dxg"))
