"""Networks between pods: a switch, links of limited rate, counters, and links that can be cut.

Each pod has an interface `front`, for clients, and one `back`, for other servers, so that what servers pass
to each other is counted, limited and cut by itself. The switch is a pod too: all of it goes when it ends.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cluster.pod import Pod

FRONT, BACK = "front", "back"
_BACK_SUBNET = "10.199.1"
_HERE = 254  # this machine's own number in the front network
_FRONT_SUBNETS = [f"10.{second}.0" for second in range(200, 255)]
# What a limited link lets through at once, and how long packets may wait for it.
_BURST, _PATIENCE = "256kb", "50ms"


@dataclass(frozen=True)
class Counters:
    """Bytes of one interface since it is there."""

    into: int
    out: int

    def __sub__(self, other: Counters) -> Counters:
        return Counters(self.into - other.into, self.out - other.out)


class Network:
    """Joins pods while the context lasts.

    Args:
        gbit_s: Of each pod's link of each network, in either direction; networks that are left out are as
            fast as the machine.
    """

    def __init__(self, gbit_s: Mapping[str, float]) -> None:
        self._gbit_s = gbit_s
        self._switch = Pod("switch")
        self._front_subnet = _free_subnet()
        # Interfaces' names have 15 letters at most.
        self._here = f"corn{self._front_subnet.split('.')[1]}"

    def __enter__(self) -> Network:
        self._switch.start()
        try:
            for network in (FRONT, BACK):
                self._switch.execute("ip", "link", "add", network, "type", "bridge")
                self._switch.execute("ip", "link", "set", network, "up")
            _ip("link", "add", self._here, "type", "veth", "peer", "name", "here", "netns", self._switch.pid)
            self._switch.execute("ip", "link", "set", "here", "master", FRONT, "up")
            _ip("addr", "add", f"{self._front_subnet}.{_HERE}/24", "dev", self._here)
            _ip("link", "set", self._here, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._switch.kill()
        with suppress(OSError):  # the kernel removes it with the switch, a moment later
            _ip("link", "del", self._here)

    def address(self, network: str, number: int) -> str:
        """Of the pod of that number, from 1 on."""
        return f"{self._front_subnet if network == FRONT else _BACK_SUBNET}.{number}"

    def join(self, pod: Pod, networks: tuple[str, ...] = (FRONT, BACK)) -> None:
        """Gives a started pod its interfaces and addresses."""
        for network in networks:
            port = _port(network, pod)
            with suppress(OSError):  # of this pod before it was killed, until the kernel has removed it
                self._switch.execute("ip", "link", "del", port)
            self._switch.execute(
                "ip", "link", "add", port, "type", "veth", "peer", "name", network, "netns", str(pod.pid)
            )
            self._switch.execute("ip", "link", "set", port, "master", network, "up")
            pod.execute("ip", "addr", "add", f"{self.address(network, pod.number)}/24", "dev", network)
            pod.execute("ip", "link", "set", network, "up")
            if network in self._gbit_s:
                rate = f"{self._gbit_s[network] * 1000:g}mbit"
                for end, device in ((self._switch, port), (pod, network)):
                    limit = ("tbf", "rate", rate, "burst", _BURST, "latency", _PATIENCE)
                    end.execute("tc", "qdisc", "add", "dev", device, "root", *limit)

    def cut(self, pod: Pod, network: str) -> None:
        """Lets nothing through any more; neither end is told."""
        self._switch.execute("ip", "link", "set", _port(network, pod), "down")

    def heal(self, pod: Pod, network: str) -> None:
        """Undoes `cut`."""
        self._switch.execute("ip", "link", "set", _port(network, pod), "up")

    def left(self) -> list[str]:
        """After the end: interfaces of ours that are still there."""
        return [name for name in _interfaces() if name == self._here]


def counters(pod: Pod, network: str) -> Counters:
    """Of a pod's interface."""
    for line in Path(f"/proc/{pod.pid}/net/dev").read_text().splitlines():
        name, _, fields = line.partition(":")
        if name.strip() == network:
            numbers = fields.split()
            return Counters(into=int(numbers[0]), out=int(numbers[8]))
    raise OSError(f"{pod.name} has no interface {network}")


def _port(network: str, pod: Pod) -> str:
    return f"{network}{pod.number}"


def _free_subnet() -> str:
    used = {
        each["dst"].rpartition(".")[0] for each in json.loads(_ip("-json", "route", "show", "table", "all"))
    }
    return next(subnet for subnet in _FRONT_SUBNETS if subnet not in used)


def _interfaces() -> list[str]:
    return [each["ifname"] for each in json.loads(_ip("-json", "link"))]


def _ip(*words: str | int) -> str:
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True)
    if done.returncode:
        raise OSError(f"ip {' '.join(map(str, words))}: {done.stderr.strip()}")
    return done.stdout
