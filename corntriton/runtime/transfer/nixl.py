"""NIXL, where it is installed: processes of other machines read this one's memory, over UCX.

An agent per process; who has an agent's metadata can read what it has registered:
https://github.com/ai-dynamo/nixl/blob/main/docs/nixl.md

It opens ports of its own, and whoever reaches them is trusted: with CORNTRITON_TRANSPORT=grpc it stays out.
"""

from __future__ import annotations

import importlib
import os
import secrets
from types import ModuleType
from typing import Any

import numpy as np

from corntriton.runtime.tensors import Array

TRANSPORT_VARIABLE = "CORNTRITON_TRANSPORT"
# What `pip install nixl` brings; the package of that name itself imports torch to choose between them.
_MODULES = ("nixl_cu13", "nixl_cu12")
_HOST = "DRAM"
_UNDER_WAY = "PROC"
_DONE = "DONE"


class NixlError(Exception):
    """It cannot be used here, or a read has failed."""


def find_nixl() -> ModuleType:
    """Its module.

    Raises:
        NixlError: It is not installed, does not load, or is not wanted.
    """
    if os.environ.get(TRANSPORT_VARIABLE) == "grpc":
        raise NixlError(f"{TRANSPORT_VARIABLE} is grpc")
    reasons = []
    for name in _MODULES:
        try:
            return importlib.import_module(name)
        except ImportError as error:
            reasons.append(str(error))
    raise NixlError("; ".join(reasons))


class Agent:
    """This process's. For one thread; nothing moves unless `notices` or `is_done` are called again and again.

    (With a thread of NIXL's own for that, it takes a third of a core while nothing happens: nixl-cu12 1.5.1.)

    Attributes:
        name: Unique.
    """

    def __init__(self, nixl: ModuleType) -> None:
        """Opens what UCX finds.

        Raises:
            NixlError: It finds nothing that it could use.
        """
        self.name = f"corntriton-{secrets.token_hex(8)}"
        self._n_changes = 0
        try:
            config = nixl.nixl_agent_config(enable_prog_thread=False, backends=["UCX"])
            self._agent = nixl.nixl_agent(self.name, config)
        except Exception as error:  # of NIXL's own sorts, which have no other base
            raise NixlError(f"{type(error).__name__}: {error}") from None
        if "UCX" not in self._agent.backends:
            raise NixlError("its plugin for UCX is missing")

    def register(self, address: int, nbytes: int) -> Any:
        """Makes memory readable for others, and writable for reads of its own; gives what `forget` takes.

        Raises:
            NixlError: The network's hardware refuses.
        """
        try:
            registered = self._agent.register_memory([(address, nbytes, 0, "")], _HOST)
        except Exception as error:
            raise NixlError(f"{type(error).__name__}: {error}") from None
        self._n_changes += 1
        return registered

    def forget(self, registered: Any) -> None:
        """The inverse."""
        self._agent.deregister_memory(registered)
        self._n_changes += 1

    @property
    def version(self) -> str:
        """Of its metadata; no other agent has the same."""
        return f"{self.name} {self._n_changes}"

    @property
    def metadata(self) -> bytes:
        """What others need to read what is registered now."""
        found: bytes = self._agent.get_agent_metadata()
        return found

    def meet(self, metadata: bytes) -> str:
        """Learns what another agent has registered; gives its name.

        Raises:
            NixlError: These are no metadata.
        """
        try:
            name: bytes = self._agent.add_remote_agent(metadata)
        except Exception as error:
            raise NixlError(f"{type(error).__name__}: {error}") from None
        return name.decode()

    def read(self, memory: Array, name: str, address: int, notice: bytes) -> Read:
        """Begins to fill registered memory from there, and to tell that agent when it is filled.

        Raises:
            NixlError: The agent is not known, or gone.
        """
        agent, size = self._agent, memory.nbytes
        try:
            here = agent.get_xfer_descs([(address_of(memory), size, 0)], _HOST)
            there = agent.get_xfer_descs([(address, size, 0)], _HOST)
            handle = agent.initialize_xfer("READ", here, there, name, notice)
            agent.transfer(handle)
        except Exception as error:
            raise NixlError(f"{type(error).__name__}: {error}") from None
        return Read(agent, handle, memory)

    def notices(self) -> list[bytes]:
        """What others have told since the last time."""
        return [notice for some in self._agent.get_new_notifs().values() for notice in some]


class Read:
    """A read that is under way; it cannot be called back, and has the memory until it is over."""

    def __init__(self, agent: Any, handle: Any, memory: Array) -> None:
        self._agent = agent
        self._handle = handle
        self._memory: Array | None = memory
        self._is_over = False

    def is_over(self) -> bool:
        """Whether the memory is filled.

        Raises:
            NixlError: It never will be, and nothing writes to it any more.
        """
        if self._is_over:
            return True
        try:
            state = self._agent.check_xfer_state(self._handle)
        except Exception as error:
            self._memory, self._is_over = None, True
            raise NixlError(f"{type(error).__name__}: {error}") from None
        if state == _UNDER_WAY:
            return False
        self._is_over = True
        self._handle.release()
        if state != _DONE:
            self._memory = None
            raise NixlError(f"a read ended in the state {state}")
        return True

    def take(self) -> Array:
        """The memory, once, after it is over."""
        memory, self._memory = self._memory, None
        assert self._is_over  # as it says
        assert memory is not None
        return memory


def address_of(memory: Array | memoryview) -> int:
    """Where it begins in this process."""
    address: int = np.frombuffer(memory, np.uint8, 1).__array_interface__["data"][0]
    return address
