import os

import pytest

from corntriton.runtime.shm.locks import LockFile


@pytest.fixture
def path(directory):
    (directory / "file").touch()
    return str(directory / "file")


def test_a_byte_is_taken_once(path):
    one, other = LockFile(path), LockFile(path)
    assert one.take(3)
    assert not other.take(3)
    assert other.take(4)


def test_a_lock_shows_to_others_until_its_file_is_closed(path):
    one, other = LockFile(path), LockFile(path)
    one.take(0)
    assert other.taken(0)
    one.close()
    assert not other.taken(0)


def test_closing_another_file_of_the_same_inode_ends_no_lock(path):
    one, other = LockFile(path), LockFile(path)
    one.take(0)
    LockFile(path).close()
    assert other.taken(0)


def test_a_shared_lock_keeps_others_from_taking_but_is_no_sign_of_life(path):
    one, other = LockFile(path), LockFile(path)
    assert one.take(0, shared=True)
    assert not other.take(0)
    assert not other.taken(0)


def test_a_forked_child_keeps_no_lock_of_its_dead_parent(path):
    ready, done = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        file = LockFile(path)
        file.take(0)
        if os.fork() == 0:
            os.write(ready[1], b"closed" if file.closed else b"open..")
            os.read(done[0], 1)  # lives on
        os._exit(0)
    os.waitpid(parent, 0)
    assert os.read(ready[0], 6) == b"closed"
    assert not LockFile(path).taken(0)
    os.write(done[1], b"x")


def test_a_link_is_not_followed(path, directory):
    (directory / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic links"):
        LockFile(str(directory / "link"))
