"""Writes a folder as a whole: its content is built beside it and takes its place in one step.

A crash at any time leaves the old folder or the new one, and perhaps a hidden folder beside it, which
the next build removes.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path as File

from corntriton.errors import Problem, UserError

_AT_FDCWD, _RENAME_EXCHANGE = -100, 2  # <fcntl.h>, <linux/fs.h>


@contextmanager
def replacing(target: File, mark: str) -> Iterator[File]:
    """Gives an empty folder to fill, which becomes the target when the block ends without an exception.

    Args:
        target: What to write. It may be absent, empty, or hold the file `mark`.
        mark: The file by which a folder is known as one that may be replaced.

    Raises:
        UserError: The target is something else, or cannot be written there.
    """
    target = target.resolve()
    _refuse_others(target, mark)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        folder = File(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
    except OSError as error:
        raise _unwritable(target, error) from error
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # says that somebody is at work here; ends with the process
        folder.chmod(0o755)
        yield folder
        _put_in_place(folder, target)
    finally:
        os.close(held)
        shutil.rmtree(folder, ignore_errors=True)


def _refuse_others(target: File, mark: str) -> None:
    if not target.exists() or (target / mark).is_file() or (target.is_dir() and not any(target.iterdir())):
        return
    what = f"holds other things: no {mark} of an earlier run" if target.is_dir() else "is a file"
    raise UserError(
        [Problem(str(target), "$", what, "name a new folder, or one that corntriton has written before")]
    )


def _put_in_place(folder: File, target: File) -> None:
    """Afterwards the target is new, and the folder is gone or holds what the target was."""
    try:
        if not target.exists():
            folder.rename(target)
        elif not _exchange(folder, target):
            # No exchange on this file system: a crash in between leaves the old build under a hidden name.
            old = File(tempfile.mkdtemp(prefix=_prefix(target), dir=target.parent))
            target.rename(old)
            folder.rename(target)
            shutil.rmtree(old, ignore_errors=True)
    except OSError as error:
        raise _unwritable(target, error) from error


def _exchange(first: File, second: File) -> bool:
    """Exchanges two folders atomically; False where the system or the file system has no such thing."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is None:
        return False
    if renameat2(_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second), _RENAME_EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in (errno.EINVAL, errno.ENOSYS):
        return False
    raise OSError(number, os.strerror(number), str(second))


def _remove_abandoned(target: File) -> None:
    """Removes what builds that were killed have left: nobody holds its lock."""
    for folder in target.parent.iterdir():
        if not folder.name.startswith(_prefix(target)):
            continue
        held = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except BlockingIOError:
            pass  # another build is at work
        finally:
            os.close(held)


def _prefix(target: File) -> str:
    return f".{target.name}.building-"


def _unwritable(target: File, error: OSError) -> UserError:
    what = f"cannot be written: {error.strerror or error}"
    return UserError([Problem(str(target), "$", what, "name a folder in a place that you may write to")])
