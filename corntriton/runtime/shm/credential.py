"""The text by which an owner names a live request to those it calls, and the check of it."""

from __future__ import annotations

import hmac
import re
from functools import lru_cache

from corntriton.runtime.shm.errors import InvalidOwnerError
from corntriton.runtime.shm.layout import NONCE_HIGH, NONCE_LOW, NUMBER, OVER, ArenaId, Tag
from corntriton.runtime.shm.regions import Regions

PARAMETER = "corntriton_owner"
_TEXT = re.compile(r"([a-z0-9-]{1,64}):([0-9]{1,9}):([0-9]{1,18}):([0-9a-f]{32})", re.ASCII)


def credential(tag: Tag, nonce: tuple[int, int]) -> str:
    """What an owner puts into the parameters of its calls; who has not got it cannot make it up."""
    return f"{tag.owner.name}:{tag.cell}:{tag.number}:{nonce[0]:016x}{nonce[1]:016x}"


def verify(text: str, regions: Regions) -> Tag:
    """The tag of the live request that the text names.

    Raises:
        InvalidOwnerError: There is none, or the text does not hold its nonce.
    """
    tag, nonce = parse(text)
    region = regions.find(tag.owner)
    cell = region.cell(tag.cell) if region is not None else None
    if cell is None or not hmac.compare_digest(f"{cell[NONCE_HIGH]:016x}{cell[NONCE_LOW]:016x}", nonce):
        raise InvalidOwnerError("the owner parameter names no owner's live request")
    if cell[NUMBER] != tag.number or not tag.number:
        raise InvalidOwnerError("the owner parameter names a request that has ended")
    return tag


def is_over(tag: Tag, regions: Regions) -> bool:
    """Whether nobody waits for the request any more; its tensors live on until all its invocations end."""
    region = regions.find(tag.owner)
    cell = region.cell(tag.cell) if region is not None else None
    return cell is None or cell[NUMBER] != tag.number or cell[OVER] == tag.number


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[Tag, str]:
    """The tag and the nonce that a text holds, whether they are right or not.

    Raises:
        InvalidOwnerError: It is not of that form.
    """
    match = _TEXT.fullmatch(text)
    arena = ArenaId.parse(match[1]) if match is not None else None
    if match is None or arena is None:
        raise InvalidOwnerError("the owner parameter is not of an owner's form")
    return Tag(arena, int(match[2]), int(match[3])), match[4]
