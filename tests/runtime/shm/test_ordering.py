"""The assumptions of ordering.py, tried on this machine by two processes that store and load at once."""

import mmap
import subprocess
import sys

from corntriton.runtime.shm.ordering import fence

_ROUNDS = 5_000
# Each process has a round number, a word for the test and a result, each in a cache line of its own.
_PARTY = """
import mmap, sys
from corntriton.runtime.shm.ordering import fence
me, rounds, path = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
with open(path, "r+b") as file:
    words = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
mine, its = 64 * me, 64 * (1 - me)
for number in range(1, rounds + 1):
    words[mine] = number
    while words[its] < number:
        pass
    words[mine + 16] = number
    fence()
    words[mine + 32 + number % 2] = words[its + 16]
    fence()
    words[mine + 8] = number
    while words[its + 8] < number:
        pass
    if me == 0 and words[32 + number % 2] < number and words[96 + number % 2] < number:
        sys.exit(f"in round {number} neither saw the other's store")
"""


def test_of_two_that_store_and_then_load_one_sees_the_others_store(directory):
    path = directory / "words"
    path.write_bytes(bytes(mmap.PAGESIZE))
    parties = [
        subprocess.Popen(
            [sys.executable, "-c", _PARTY, str(me), str(_ROUNDS), str(path)],
            stderr=subprocess.PIPE,
            text=True,
        )
        for me in (0, 1)
    ]
    errors = [party.communicate(timeout=60)[1] for party in parties]
    assert [(party.returncode, error) for party, error in zip(parties, errors, strict=True)] == [(0, "")] * 2


def test_no_process_sees_half_of_a_word(directory):
    path = directory / "words"
    path.write_bytes(bytes(mmap.PAGESIZE))
    writer = subprocess.Popen(
        [
            *(sys.executable, "-c"),
            "import mmap, os, sys\n"
            "words = memoryview(mmap.mmap(os.open(sys.argv[1], os.O_RDWR), 0)).cast('Q')\n"
            "while True: words[5] = 2**64 - 1; words[5] = 0",
            str(path),
        ]
    )
    with path.open("r+b") as file:
        words = memoryview(mmap.mmap(file.fileno(), 0)).cast("Q")
    while not words[5]:
        assert writer.poll() is None
    seen = {words[5] for _ in range(300_000)}
    writer.kill()
    writer.wait()
    assert seen <= {0, 2**64 - 1}


def test_a_fence_may_be_used_by_any_thread():
    fence()
