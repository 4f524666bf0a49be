# SPDX-License-Identifier: Apache-2.0
"""The equipment's time server without a network: allowances, what is refused, and the kernel's word about the clock."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from armillary.engines.isolation import time_server
from armillary.engines.isolation.time_server import ADDRESS_LIMIT, BURST, Allowances, TimeServer, kernel_clock
from armillary.wire.equipment.sntp import ClockState

QUESTION = b"\x23" + bytes(47)


class Sent(asyncio.DatagramTransport):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: list[tuple[bytes, Any]] = []

    def sendto(self, data: Any, addr: Any = None) -> None:
        self.answers.append((data, addr))


def serving() -> tuple[TimeServer, Sent]:
    server, sent = TimeServer(lambda: ClockState(synchronised=True, error_us=1000)), Sent()
    server.connection_made(sent)
    return server, sent


def test_an_address_has_its_allowance_and_others_have_theirs() -> None:
    server, sent = serving()
    for _ in range(300):
        server.datagram_received(QUESTION, ("10.9.0.2", 1234))
    server.datagram_received(QUESTION, ("10.9.0.3", 1234))
    assert [address for _, address in sent.answers].count(("10.9.0.3", 1234)) == 1
    assert BURST <= len(sent.answers) - 1 <= BURST + 2
    assert server.answered + server.refused == 301


def test_without_allowances_a_flood_is_answered_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutation."""
    monkeypatch.setattr(time_server.Allowances, "take", lambda *_: True)
    server, sent = serving()
    for _ in range(300):
        server.datagram_received(QUESTION, ("10.9.0.2", 1234))
    assert len(sent.answers) == 300


def test_allowances_grow_with_time_and_are_remembered_for_a_bounded_number() -> None:
    allowances = Allowances()
    assert [allowances.take("a", 0.0) for _ in range(BURST + 1)] == [True] * BURST + [False]
    assert allowances.take("a", 1.0)
    assert not allowances.take("a", 1.5)
    assert [allowances.take("a", 1000.0) for _ in range(BURST + 1)].count(True) == BURST  # no more than at the start
    for number in range(10 * ADDRESS_LIMIT):
        allowances.take(str(number), 1000.0)
    assert len(allowances._left) == ADDRESS_LIMIT


def test_what_is_no_question_is_counted_and_gets_no_answer() -> None:
    server, sent = serving()
    for data in (b"", b"\x17\x00\x03\x2a" + bytes(44), b"\x24" + bytes(47)):
        server.datagram_received(data, ("10.9.0.2", 1234))
    assert (sent.answers, server.refused) == ([], 3)


def test_the_kernel_says_how_good_the_clock_is() -> None:
    found = kernel_clock()
    assert isinstance(found.synchronised, bool)
    assert found.error_us >= 0
