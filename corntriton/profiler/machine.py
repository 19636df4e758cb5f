"""The machine that measures: a line about it for provenance, and the memory of processes and GPUs."""

from __future__ import annotations

import contextlib
import os
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PROC = Path("/proc")


def describe(on_gpu: bool) -> str:
    """Its cores, and its GPUs where they are what is measured."""
    cores = f"{len(os.sched_getaffinity(0))} cores of {_cpu_name()}"
    with contextlib.suppress(Exception):  # no driver, no package
        names = gpu_names() if on_gpu else []
        if names:
            return f"{len(names)} x {names[0]}, {cores}"
    return cores


def device_name(on_gpu: bool) -> str:
    """What a device type is called where nobody said: `cpu`, or the GPU's name in small letters."""
    if not on_gpu:
        return "cpu"
    with contextlib.suppress(Exception):
        return re.sub(r"[^a-z0-9]+", "_", gpu_names()[0].lower().removeprefix("nvidia ")).strip("_")
    return "gpu"


def host_bytes(pids: Iterable[int]) -> int:
    """Memory that these processes hold: their proportional set size, shared pages counted once."""
    return sum(_field(pid, "smaps_rollup", "Pss") for pid in pids)


def resident_bytes(pids: Iterable[int]) -> int:
    """Their resident set sizes added up: the measure that peaks are kept in."""
    return sum(_field(pid, "status", "VmRSS") for pid in pids)


def peak_bytes(pids: Iterable[int]) -> int:
    """The most that each ever held since forget_peaks, added up."""
    return sum(_field(pid, "status", "VmHWM") for pid in pids)


def forget_peaks(pids: Iterable[int]) -> None:
    """Lets the peaks start again from what is held now (proc_pid_clear_refs(5))."""
    for pid in pids:
        with contextlib.suppress(OSError):
            (_PROC / str(pid) / "clear_refs").write_text("5")


@dataclass(frozen=True)
class Busy:
    """CPU time until now, in seconds.

    Attributes:
        at_s: When this was read.
        all_s: Of everything that runs on the machine.
        own_s: Of the processes that belong to the measurement.
    """

    at_s: float
    all_s: float
    own_s: float

    @classmethod
    def now(cls, pids: Iterable[int]) -> Busy:
        """Reads the kernel's accounts (proc_stat(5), proc_pid_stat(5)): the server's, and our own."""
        user, nice, system, _, _, irq, softirq, steal = _numbers(_PROC / "stat", 1, 9)
        own = sum(sum(_numbers(_PROC / str(pid) / "stat", 13, 15)) for pid in (*pids, os.getpid()))
        ticks = os.sysconf("SC_CLK_TCK")
        return cls(time.monotonic(), (user + nice + system + irq + softirq + steal) / ticks, own / ticks)

    def others_since(self, before: Busy) -> float:
        """The share of all cores that other programs took between two readings."""
        cores = os.cpu_count() or 1
        others_s = (self.all_s - before.all_s) - (self.own_s - before.own_s)
        return min(1.0, max(0.0, others_s / max(1e-9, cores * (self.at_s - before.at_s))))


def gpu_bytes(pids: Iterable[int]) -> int:
    """Memory that these processes hold on all GPUs, by NVML; 0 without a driver."""
    wanted, total = {*pids}, 0
    with contextlib.suppress(Exception):  # NVML's errors derive from Exception alone
        for handle in _gpus():
            import pynvml

            for process in pynvml.nvmlDeviceGetComputeRunningProcesses(handle):
                total += (process.usedGpuMemory or 0) if process.pid in wanted else 0
    return total


def gpu_names() -> list[str]:
    """The names of the GPUs."""
    import pynvml

    read: Callable[[Any], str | bytes] = pynvml.nvmlDeviceGetName
    names = [read(handle) for handle in _gpus()]
    return [name.decode() if isinstance(name, bytes) else name for name in names]


def _gpus() -> list[Any]:
    import pynvml  # of the extra `gpu`

    pynvml.nvmlInit()  # counted: calling it again costs nothing
    return [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]


def _cpu_name() -> str:
    lines = (_PROC / "cpuinfo").read_text().splitlines()
    return next(
        (line.partition(": ")[2] for line in lines if line.startswith("model name")), "an unknown CPU"
    )


def _numbers(file: Path, first: int, end: int) -> list[int]:
    """Fields of the first line; those of a process are counted behind its name, which may hold anything."""
    with contextlib.suppress(OSError, ValueError):
        _, bracket, tail = file.read_text().partition("\n")[0].rpartition(")")
        fields = ["", "", *tail.split()] if bracket else tail.split()
        return [int(field) for field in fields[first:end]]
    return [0] * (end - first)


def _field(pid: int, file: str, name: str) -> int:
    """In bytes; 0 of a process that is gone or another user's."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in (_PROC / str(pid) / file).read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
    return 0
