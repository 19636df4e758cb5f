from __future__ import annotations

import weakref

from corntriton.runtime.spent import SpentStreams


class Responses:
    pass


def test_iterators_are_dropped_after_the_answer_to_a_question_asked_after_they_ended() -> None:
    spent, early, late = SpentStreams(), Responses(), Responses()
    gone_early, gone_late = weakref.ref(early), weakref.ref(late)
    spent.keep(early)
    del early
    held = [late]

    def question() -> bool:
        assert gone_early() is not None
        spent.keep(held.pop())
        return False

    del late
    assert not spent.ask(question)
    assert gone_early() is None
    assert gone_late() is not None
    spent.ask(lambda: False)
    assert gone_late() is None


def test_an_answer_that_was_known_before_drops_nothing() -> None:
    spent, responses = SpentStreams(), Responses()
    gone = weakref.ref(responses)
    spent.keep(responses)
    del responses
    assert spent.ask(lambda: True)
    assert gone() is not None
