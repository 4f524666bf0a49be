# SPDX-License-Identifier: Apache-2.0
"""Long answers are given again for a while, quick ones never."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from armillary.service.context import answer_cache
from armillary.service.context.answer_cache import AnswerCache


class Question:
    """Takes ``cost`` seconds of a clock of its own, and counts how often it was asked."""

    def __init__(self, cost: float) -> None:
        self.cost = cost
        self.now = 0.0
        self.asked = 0

    def monotonic(self) -> float:
        return self.now

    def find_out(self) -> int:
        self.asked += 1
        self.now += self.cost
        return self.asked


@pytest.mark.parametrize(("cost", "kept"), [(2.0, 20.0), (60.0, answer_cache.MAX_AGE_S)])
def test_a_long_answer_is_kept_in_proportion_and_then_found_out_anew(cost: float, kept: float) -> None:
    question = Question(cost)
    answers: AnswerCache[int] = AnswerCache(question.monotonic)
    assert answers.get("a", question.find_out) == 1
    question.now += kept - 0.1
    assert answers.get("a", question.find_out) == 1
    question.now += 0.2
    assert answers.get("a", question.find_out) == 2
    assert answers.get("b", question.find_out) == 3


def test_a_quick_answer_is_found_out_each_time() -> None:
    question = Question(0.05)
    answers: AnswerCache[int] = AnswerCache(question.monotonic)
    assert [answers.get("a", question.find_out) for _ in range(3)] == [1, 2, 3]


def test_an_error_is_not_remembered() -> None:
    question = Question(2.0)
    answers: AnswerCache[int] = AnswerCache(question.monotonic)

    def fail() -> int:
        question.now += 5
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        answers.get("a", fail)
    assert answers.get("a", question.find_out) == 1


def test_many_who_ask_at_once_cost_one_answer() -> None:
    question = Question(2.0)
    answers: AnswerCache[int] = AnswerCache(question.monotonic)
    going = threading.Barrier(8)

    def ask(_: int) -> int:
        going.wait()
        return answers.get("a", question.find_out)

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(ask, range(8))) == [1] * 8
    assert question.asked == 1


def test_questions_are_bounded() -> None:
    question = Question(2.0)
    answers: AnswerCache[int] = AnswerCache(question.monotonic)
    for number in range(3 * answer_cache.MAX_QUESTIONS):
        answers.get(number, question.find_out)
    assert len(answers._asking) <= answer_cache.MAX_QUESTIONS + 1
    assert len(answers._answers) <= answer_cache.MAX_QUESTIONS + 1
