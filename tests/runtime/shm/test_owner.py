"""The life of a request, and who may speak for it."""

import random

import pytest

from corntriton.runtime.shm.credential import is_over, verify
from corntriton.runtime.shm.errors import ArenaFullError, InvalidOwnerError


def test_a_live_requests_text_gives_its_tag(owner, producer):
    request = owner.owner.enter()
    assert verify(request.text, producer.regions) == request.tag
    assert not is_over(request.tag, producer.regions)


def test_an_ended_requests_text_is_refused(owner, producer):
    request = owner.owner.enter()
    request.end()
    with pytest.raises(InvalidOwnerError, match="ended"):
        verify(request.text, producer.regions)
    assert is_over(request.tag, producer.regions)
    owner.owner.enter()  # takes the same cell
    with pytest.raises(InvalidOwnerError):
        verify(request.text, producer.regions)


def test_a_request_lives_until_its_last_invocation_has_ended(owner, producer):
    request = owner.owner.enter()
    with request.invocation(), request.invocation():
        with request.invocation():
            request.end()
        assert is_over(request.tag, producer.regions)
        assert producer.regions.carries(request.tag)
    assert not producer.regions.carries(request.tag)


def test_an_ended_request_begins_no_invocation(owner):
    request = owner.owner.enter()
    request.end()
    with pytest.raises(RuntimeError), request.invocation():
        pass


def test_to_end_twice_ends_once(owner):
    request = owner.owner.enter()
    request.end()
    other = owner.owner.enter()
    request.end()
    assert owner.owner.n_held == 1
    other.end()
    assert owner.owner.n_held == 0


def test_cells_run_out(owner):
    requests = [owner.owner.enter() for _ in range(8)]
    with pytest.raises(ArenaFullError, match="8 requests"):
        owner.owner.enter()
    requests[3].end()
    owner.owner.enter()


def test_whoever_changes_a_character_is_refused(owner, producer):
    text = owner.owner.enter().text
    chance = random.Random(4)
    for at in range(len(text)):
        for character in {chance.choice("0123456789abcdef"), "/", " ", "9", ":", "\n", "é", "²"} - {text[at]}:
            with pytest.raises(InvalidOwnerError):
                verify(text[:at] + character + text[at + 1 :], producer.regions)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x" * 10_000,
        "../../etc/passwd:0:1:" + "0" * 32,
        "corntriton-arena-1-" + "0" * 32 + ":0:1:" + "0" * 32,
        "corntriton-arena-01-" + "0" * 32 + ":0:1:" + "0" * 32,
    ],
)
def test_texts_that_name_nothing_are_refused(text, producer):
    with pytest.raises(InvalidOwnerError):
        verify(text, producer.regions)


def test_what_follows_a_text_is_not_ignored(owner, producer):
    text = owner.owner.enter().text
    for forged in (text + "\n", " " + text, text + "0", text.replace(":", ":0", 1) + ":"):
        with pytest.raises(InvalidOwnerError):
            verify(forged, producer.regions)


def test_who_owns_no_requests_is_no_owner(owner, producer, consumer):
    text = owner.owner.enter().text
    name = text.split(":")[0]
    forged = text.replace(name, producer.arena._backing.arena.name)
    with pytest.raises(InvalidOwnerError):
        verify(forged, consumer.regions)


def test_the_file_of_another_user_is_not_believed(owner, producer, directory):
    request = owner.owner.enter()
    (directory / request.tag.owner.name).chmod(0o644)
    with pytest.raises(InvalidOwnerError):
        verify(request.text, producer.regions)


def test_a_free_cells_nonce_opens_nothing(owner, producer):
    name = owner.owner.enter().tag.owner.name
    for number in (0, 1):
        with pytest.raises(InvalidOwnerError):
            verify(f"{name}:5:{number}:{'0' * 32}", producer.regions)
