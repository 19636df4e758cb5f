"""What a client may see of servers that were killed or cut off, and what not."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from cluster.asking import Reply

Verdict = Literal["right", "wrong", "failed", "cancelled", "late"]
# What the balancer logs of a server where it found none.
NO_SERVER = "<NOSRV>"


@dataclass(frozen=True)
class Asked:
    """A request that has been asked; times are those of time.monotonic.

    Attributes:
        sort: Of the request, in the words of whoever asked.
        verdict: On its answer.
        sent_s: When it was sent.
        done_s: When it was answered, or had failed.
        reply: What came.
    """

    sort: str
    verdict: Verdict
    sent_s: float
    done_s: float
    reply: Reply


@dataclass(frozen=True)
class Outage:
    """A time in which a server, or its way to the others, was away.

    Attributes:
        server: Its name.
        how: In words.
        began_s: When.
        ended_s: When it was ready again, and the others had had time to see it.
    """

    server: str
    how: Literal["killed", "cut"]
    began_s: float
    ended_s: float

    def covers(self, asked: Asked) -> bool:
        """Whether the request was under way in it."""
        return asked.sent_s < self.ended_s and asked.done_s > self.began_s


class Outages:
    """All of a run."""

    def __init__(self) -> None:
        self.all: list[Outage] = []

    @contextmanager
    def of(self, server: str, how: Literal["killed", "cut"], grace_s: float = 0.0) -> Iterator[None]:
        """Notes one that lasts as long as the context; `grace_s` more until it is over for everybody."""
        began_s = time.monotonic()
        yield
        self.all.append(Outage(server, how, began_s, time.monotonic() + grace_s))

    def account(
        self, asked: Iterable[Asked], entered: Mapping[str, tuple[str, str]], only: Mapping[str, set[str]]
    ) -> dict[str, list[Asked]]:
        """The requests by what became of them.

        Args:
            asked: The requests.
            entered: The server that each was handed to, by its name, as the balancer logged it.
            only: By sort of request, the servers that it cannot do without.

        Returns:
            `right`, `wrong`, `cancelled`, `late`; and of those that failed, `its server died`: the one that
            it had entered at; `nowhere to go`: nobody else had a component; `lost`: all others.
        """
        found: dict[str, list[Asked]] = {}
        for each in asked:
            kind: str = each.verdict
            if kind == "failed":
                kind = self._excuse(each, entered.get(each.reply.name, (NO_SERVER, ""))[0], only)
            found.setdefault(kind, []).append(each)
        return found

    def _excuse(self, asked: Asked, server: str, only: Mapping[str, set[str]]) -> str:
        for outage in self.all:
            if outage.covers(asked):
                needed = only.get(asked.sort, set())
                if outage.server == server and outage.how == "killed":
                    return "its server died"
                if outage.server in needed or (outage.server == server and needed - {server}):
                    return "nowhere to go"
        return "lost"
