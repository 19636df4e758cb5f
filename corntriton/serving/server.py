"""A tritonserver as a context manager: ready when entered, gone without a trace when left.

with Server(read_deployment(Path("build")), find_launcher()) as server:
    tritonclient.http.InferenceServerClient(server.http_url)
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from corntriton.runtime.remote.addresses import OWN_VARIABLE
from corntriton.runtime.shm.regions import DIRECTORY_VARIABLE
from corntriton.runtime.shm.sweep import sweep
from corntriton.serving import warden
from corntriton.serving.deployment import Deployment
from corntriton.serving.launch import Launcher
from corntriton.serving.lifetime import Lifetime, PortTakenError, ServerError
from corntriton.serving.logs import LogLine, explain_failure, parse_line
from corntriton.serving.ports import FREE_PORTS, Ports, choose_ports
from corntriton.serving.traces import MARK, remove_traces_of

_LOG_LINES_KEPT = 1000
_POLL_S = 0.1
# What the warden may take beyond the server's own exit timeout, to kill and to clean up.
_KILL_GRACE_S = 5.0


class Server(Lifetime):
    """One tritonserver with all its processes.

    Stops when the context is left; also when this process dies in any way, as long as no process forked
    from it lives on (which would keep the lifeline open).

    Attributes:
        id: Unique; also the beginning of the names of its shared memory.
        ports: Where it listens; set by start.
        on_line: See the constructor.
        on_loaded: See the constructor.
    """

    def __init__(
        self,
        deployment: Deployment,
        launcher: Launcher,
        *,
        ports: Ports = FREE_PORTS,
        host: str = "127.0.0.1",
        ready_timeout_s: float = 600.0,
        exit_timeout_s: float = 30.0,
        own_memory: bool = False,
        streams_by_grpc: bool = False,
        on_line: Callable[[LogLine], None] = lambda line: None,
        on_loaded: Callable[[str], None] = lambda model: None,
    ) -> None:
        """Nothing is started yet.

        Args:
            deployment: What to load.
            launcher: What to start.
            ports: Where to listen; 0 for a free port.
            host: The address to listen at.
            ready_timeout_s: How long the models may take to load.
            exit_timeout_s: How long requests under way may go on after stop.
            own_memory: Its components share tensors in a folder of their own, so that other servers on this
                machine are to it as servers elsewhere.
            streams_by_grpc: Its orchestrators call what streams over gRPC; see runtime/remote/loopback.py.
            on_line: Called with each line of the log, from another thread.
            on_loaded: Called with the name of each model that has been loaded, from another thread.
        """
        self.id = f"corntriton-{uuid.uuid4().hex[:12]}"
        self.ports = ports
        self._deployment = deployment
        self._launcher = launcher
        self._own_memory = own_memory
        self._streams_by_grpc = streams_by_grpc
        self._wanted_ports = ports
        self.any_free = ports.any_free
        self._host = host
        self._ready_timeout_s = ready_timeout_s
        self._exit_timeout_s = exit_timeout_s
        self.on_line = on_line
        self.on_loaded = on_loaded
        self._log: deque[LogLine] = deque(maxlen=_LOG_LINES_KEPT)
        self._warden: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def http_url(self) -> str:
        """`host:port`, as tritonclient wants it."""
        return self._url(self.ports.http)

    @property
    def grpc_url(self) -> str:
        """`host:port`, as tritonclient wants it."""
        return self._url(self.ports.grpc)

    @property
    def metrics_url(self) -> str:
        """`host:port`; the page is /metrics."""
        return self._url(self.ports.metrics)

    @property
    def log(self) -> tuple[LogLine, ...]:
        """The last lines of the log."""
        return tuple(self._log)

    def spawn(self) -> None:
        """Starts the server and does not wait for it.

        Raises:
            UserError: A given port is taken.
        """
        self.ports = choose_ports(self._wanted_ports, self._host)
        self._spawn()

    def wait_until_ready(self) -> None:
        """Waits for what was spawned, and for every probe of the deployment.

        Raises:
            PortTakenError: Another process was faster to take a port.
            ServerError: It ended, or took longer than `ready_timeout_s`.
        """
        give_up_s = time.monotonic() + self._ready_timeout_s
        missing = "tritonserver"
        while time.monotonic() < give_up_s:
            self._raise_if_ended()
            missing = self._not_ready()
            if not missing:
                return
            time.sleep(_POLL_S)
        raise ServerError(
            f"{missing} was not ready after {self._ready_timeout_s:g} s: {self._reason()}\n"
            "To fix: allow more time with --timeout, or mend what the log says (-v shows all of it)"
        )

    @property
    def running(self) -> bool:
        """Whether it has been spawned and has not ended."""
        return self._warden is not None and self._warden.poll() is None

    def wait(self) -> None:
        """Blocks as long as the server runs.

        Raises:
            ServerError: It ended though nobody called stop.
        """
        assert self._warden is not None  # started
        status = self._warden.wait()
        raise ServerError(f"tritonserver ended with status {status}: {self._reason()}")

    def begin_stop(self) -> None:
        """Has the server end, and does not wait for it."""
        if self._warden is not None and self._warden.stdin is not None:
            self._warden.stdin.close()

    def stop(self) -> None:
        """Ends the server and everything that it started; returns when all of it is gone."""
        if self._warden is None or self._reader is None:
            return
        self.begin_stop()
        try:
            self._warden.wait(self._exit_timeout_s + 2 * _KILL_GRACE_S)
        except subprocess.TimeoutExpired:
            # Tritonserver gets SIGTERM when its warden is killed.
            self._warden.kill()
            self._warden.wait()
            remove_traces_of(self.id)
        self._reader.join(_KILL_GRACE_S)
        self._warden = None
        sweep()  # of the arenas of processes that had to be killed

    def _start(self) -> None:
        self.spawn()
        self.wait_until_ready()

    def _spawn(self) -> None:
        command = self._launcher.command(
            self._deployment, self.ports, self._host, self.id, self._exit_timeout_s
        )
        order = {
            "command": command,
            "exit_timeout_s": self._exit_timeout_s + _KILL_GRACE_S,
            "shm_prefix": f"{self.id}-",
        }
        self._log.clear()
        self._warden = subprocess.Popen(
            [sys.executable, "-I", "-S", str(Path(warden.__file__)), json.dumps(order)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**self._launcher.environment, **self._memory(), **self._loopback(), MARK: self.id},
            text=True,
            errors="replace",
            # Ctrl-C in a terminal goes to us alone; the server then stops in order.
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read_log, args=(self._warden,), daemon=True)
        self._reader.start()

    def _memory(self) -> Mapping[str, str]:
        """Where its components share tensors, if not with everybody here; the warden removes the folder."""
        if not self._own_memory:
            return {}
        folder = Path("/dev/shm", f"{self.id}-tensors")
        folder.mkdir(mode=0o700, exist_ok=True)
        return {DIRECTORY_VARIABLE: str(folder)}

    def _loopback(self) -> Mapping[str, str]:
        return {OWN_VARIABLE: f"127.0.0.1:{self.ports.grpc}"} if self._streams_by_grpc else {}

    def _read_log(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None  # a pipe
        with process.stdout:
            for raw in process.stdout:
                line = parse_line(raw)
                if line is not None:
                    self._log.append(line)
                    self.on_line(line)
                    if line.loaded_model is not None:
                        self.on_loaded(line.loaded_model)

    def _not_ready(self) -> str:
        """The first thing that is not ready, or nothing."""
        about = _get(self.http_url, "/v2")
        # Another process's server may answer on a port that ours failed to get.
        if not about or json.loads(about).get("name") != self.id:
            return "tritonserver"
        if _get(self.http_url, "/v2/health/ready") is None:
            return "tritonserver"
        if _get(self.metrics_url, "/metrics") is None:  # the last port that the server takes
            return "tritonserver"
        probes = self._deployment.probes
        return next((p for p in probes if _get(self.http_url, f"/v2/models/{p}/ready") is None), "")

    def _raise_if_ended(self) -> None:
        assert self._warden is not None  # spawned
        assert self._reader is not None
        status = self._warden.poll()
        if status is None:
            return
        self._reader.join()
        kind = PortTakenError if any(line.port_taken for line in self._log) else ServerError
        raise kind(f"tritonserver ended with status {status} before it was ready: {self._reason()}")

    def _reason(self) -> str:
        return "\n" + explain_failure(self.log)

    def _url(self, port: int) -> str:
        return f"{'127.0.0.1' if self._host == '0.0.0.0' else self._host}:{port}"


def _get(url: str, path: str) -> bytes | None:
    """The body of a good answer."""
    connection = http.client.HTTPConnection(url, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.read() if answer.status == 200 else None
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
