"""What measuring needs to know of the process and the machine; Linux only."""

import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

SELF = Path("/proc/self")


def in_fresh_process(function: Callable[..., Any], *arguments: Any) -> Any:
    """Calls it where nothing was loaded before, and gives what it gives."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(function, *arguments).result()


def resident_bytes() -> int:
    """Memory that this process holds."""
    return int((SELF / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def forget_peak() -> None:
    """Lets the peak start again from what is held now."""
    (SELF / "clear_refs").write_text("5")


def peak_bytes() -> int:
    """The most that it ever held."""
    lines = (SELF / "status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def machine() -> str:
    """The machine's cores, and how busy they are."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next(line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return f"{os.cpu_count()} cores of {model}, load average {os.getloadavg()[0]:.1f} before"
