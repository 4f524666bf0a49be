# SPDX-License-Identifier: Apache-2.0
"""What waits to be sent is bounded for each application, and one that has much holds up no other."""

from __future__ import annotations

import uuid

from armillary.device.telemetry.waiting import QUEUE_LIMIT_BYTES, QUEUE_LIMIT_MESSAGES, Message, Waiting

ONE, TWO = uuid.UUID(int=1), uuid.UUID(int=2)


def message(component_id: uuid.UUID, text: str) -> Message:
    return Message(component_id, (), text.encode())


def test_applications_take_turns_and_each_keeps_its_order() -> None:
    waiting = Waiting()
    assert not waiting
    assert waiting.take(5) == []
    for number in range(4):
        waiting.add(message(ONE, f"a{number}"))
    waiting.add(message(TWO, "b0"))
    assert [each.body for each in waiting.take(3)] == [b"a0", b"b0", b"a1"]
    assert [each.body for each in waiting.take(9)] == [b"a2", b"a3"]
    assert not waiting


def test_what_was_not_sent_waits_again_before_the_others() -> None:
    waiting = Waiting()
    for number in range(3):
        waiting.add(message(ONE, f"a{number}"))
    first, second = waiting.take(2)
    waiting.sent(first)
    waiting.put_back([second])
    assert waiting.counts(ONE) == {"waiting": 2, "sent": 1, "dropped": 0}
    assert [each.body for each in waiting.take(9)] == [b"a1", b"a2"]


def test_the_oldest_give_way_and_only_those_of_the_same_application() -> None:
    waiting = Waiting()
    waiting.add(message(TWO, "b"))
    for number in range(QUEUE_LIMIT_MESSAGES + 3):
        waiting.add(message(ONE, str(number)))
    assert waiting.counts(ONE) == {"waiting": QUEUE_LIMIT_MESSAGES, "sent": 0, "dropped": 3}
    assert waiting.counts(TWO) == {"waiting": 1, "sent": 0, "dropped": 0}
    taken = waiting.take(2)
    assert [each.body for each in taken] == [b"b", b"3"]
    waiting.add(message(ONE, "new"))
    waiting.put_back(taken)
    assert waiting.counts(ONE) == {"waiting": QUEUE_LIMIT_MESSAGES, "sent": 0, "dropped": 4}
    assert waiting.clear() == QUEUE_LIMIT_MESSAGES + 1
    assert waiting.counts(TWO) == {"waiting": 0, "sent": 0, "dropped": 1}


def test_bytes_are_bounded_too() -> None:
    waiting = Waiting()
    for _ in range(5):
        waiting.add(message(ONE, "x" * (QUEUE_LIMIT_BYTES // 3)))
    assert waiting.counts(ONE) == {"waiting": 3, "sent": 0, "dropped": 2}
