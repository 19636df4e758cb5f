from __future__ import annotations

import subprocess
import sys

import pytest

from corntriton.runtime.life import LifeBoard, is_over


def test_a_request_is_over_once_it_left_even_if_another_has_its_cell() -> None:
    board = LifeBoard(1)
    first = board.enter()
    assert not is_over(first)
    board.leave(first)
    assert is_over(first)
    second = board.enter()
    assert is_over(first)
    assert not is_over(second)
    board.close()


def test_another_process_sees_it() -> None:
    board = LifeBoard(2)
    living, ended = board.enter(), board.enter()
    board.leave(ended)
    code = "import sys; from corntriton.runtime.life import is_over; print([*map(is_over, sys.argv[1:])])"
    run = subprocess.run(
        [sys.executable, "-c", code, living, ended], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "[False, True]"
    board.close()


@pytest.mark.parametrize("text", [None, "", "1/9999/5/1/1", "999999999/3/5/1/1"])
def test_where_it_cannot_be_known_a_request_is_taken_for_living(text: str | None) -> None:
    assert not is_over(text)


def test_another_board_in_the_same_place_is_not_mistaken_for_the_one_named() -> None:
    board = LifeBoard(1)
    pid, fd, nonce, cell, number = board.enter().split("/")
    assert not is_over(f"{pid}/{fd}/{int(nonce) ^ 1}/{cell}/{int(number) + 1}")
    board.close()
