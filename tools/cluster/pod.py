"""A pod: processes with a network, a /dev/shm, process ids and a monotonic clock that nobody else has."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster import init

GIB = 2**30
# Of all ways to tell two machines from one, only the host's name and the boot id stay the same.
_NAMESPACES = ("--mount", "--net", "--pid", "--ipc", "--uts", "--time")
_PROGRAMS = ("unshare", "nsenter", "ip", "tc", "mount")
# As between machines: no two of these clocks show the same.
_CLOCK_STEP_S = 10_000


def why_no_pods() -> str:
    """What this machine lacks for pods; empty where it has all."""
    if os.geteuid() != 0:
        return "only root may make namespaces"
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing:
        return f"{', '.join(missing)} not found"
    trial = subprocess.run(["unshare", *_NAMESPACES, "--fork", "true"], capture_output=True, text=True)
    return trial.stderr.strip()


class Pod:
    """Holds one command; dies with this process, however that ends.

    Args:
        name: For people.
        number: Of the pod; its clock follows from it.
        command: None for a pod that only holds a network.
        environment: Of the command, beside this process's own.
        log: Takes what it prints.
        shm_gib: Of its /dev/shm, at most.
    """

    def __init__(
        self,
        name: str,
        number: int = 0,
        command: Sequence[str] | None = None,
        environment: Mapping[str, str] | None = None,
        log: Path = Path(os.devnull),
        shm_gib: float = 8,
    ) -> None:
        self.name = name
        self.number = number
        self._command = command
        self._environment = environment or {}
        self._log = log
        self._shm_gib = shm_gib
        self._unshare: subprocess.Popen[bytes] | None = None
        self.pid = 0

    def __enter__(self) -> Pod:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def root(self) -> Path:
        """Its file system as seen from here; empty where it does not run."""
        return Path(f"/proc/{self.pid}/root")

    @property
    def shm(self) -> Path:
        """Its /dev/shm as seen from here."""
        return self.root / "dev/shm"

    @property
    def alive(self) -> bool:
        """Whether its first process runs."""
        return self._unshare is not None and self._unshare.poll() is None

    def start(self) -> None:
        """Makes the namespaces; `run` starts the command."""
        assert not self.alive
        order = {"command": self._command, "shm_bytes": round(self._shm_gib * GIB)}
        clocks = [f"--{clock}={_CLOCK_STEP_S * (self.number + 1)}" for clock in ("monotonic", "boottime")]
        script = [sys.executable, "-I", "-S", str(init.__file__), json.dumps(order)]
        told_r, told_w = os.pipe()
        with self._log.open("ab") as log:
            # The pipe for the first word is the script's descriptor 3 and goes no further.
            shell = ["bash", "-c", f'exec "$@" 3>&{told_w} {told_w}>&-', "pod", *script]
            self._unshare = subprocess.Popen(
                ["unshare", *_NAMESPACES, *clocks, "--fork", "--kill-child", "--mount-proc", *shell],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env={**os.environ, **self._environment},
                pass_fds=[told_w],
                start_new_session=True,  # Ctrl-C goes to us alone
            )
        os.close(told_w)
        with os.fdopen(told_r) as told:
            if told.readline() != "mounted\n":
                raise OSError(f"the pod {self.name} did not start; see {self._log}")
        self.pid = _only_child(self._unshare.pid)

    def run(self) -> None:
        """Starts the command."""
        self._tell(b"r")

    def halt(self, timeout_s: float) -> bool:
        """Sends the command SIGTERM, as Kubernetes does; whether all processes ended in time."""
        self._tell(b"h")
        give_up_s = time.monotonic() + timeout_s
        while time.monotonic() < give_up_s:
            if len(self.processes()) <= 1:  # the first process itself
                return True
            time.sleep(0.1)
        return False

    def kill(self) -> None:
        """Ends all that is in it at once, as when a machine loses power; returns when nothing is left."""
        if self._unshare is None:
            return
        if self.alive and self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self.pid = 0
        assert self._unshare.stdin is not None
        self._unshare.stdin.close()
        self._unshare.wait()

    def _tell(self, order: bytes) -> None:
        assert self._unshare is not None
        assert self._unshare.stdin is not None
        self._unshare.stdin.write(order)
        self._unshare.stdin.flush()

    def execute(self, *words: str) -> str:
        """Runs a command in its network, with everything else as here; what that prints."""
        command = ["nsenter", f"--net=/proc/{self.pid}/ns/net", *words]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise OSError(f"{' '.join(words)} in {self.name}: {done.stderr.strip()}")
        return done.stdout

    def processes(self) -> dict[int, str]:
        """Command lines by process id, as this process sees them."""
        space = _space(self.pid) if self.pid else None
        return {pid: line for pid, line in _commands() if space and _space(pid) == space}


def _only_child(pid: int) -> int:
    (child,) = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return int(child)


def _space(pid: int) -> str | None:
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return None


def _commands() -> list[tuple[int, str]]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:  # it ended while we look
            continue
        if line:  # else a zombie or the kernel's own
            found.append((int(folder.name), line))
    return found
