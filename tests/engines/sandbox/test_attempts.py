# SPDX-License-Identifier: Apache-2.0
"""Attempts are reported at once, repetitions with their count, and none is lost."""

from __future__ import annotations

import asyncio

from hypothesis import given, settings, strategies as st
from tests.fixtures.effort import examples

from armillary.capability.network import Decision
from armillary.engines.sandbox.network.attempts import DISTINCT_LIMIT, MANY_HOSTS, AttemptLog
from armillary.engines.sandbox.port import ConnectionAttempt


def record(hosts: list[str]) -> tuple[list[ConnectionAttempt], list[ConnectionAttempt]]:
    """Events before and after the end of the window."""
    events: list[ConnectionAttempt] = []

    async def play() -> int:
        log = AttemptLog(events.append)
        for host in hosts:
            log.record(Decision(allowed=False, host=host, port=443, reason=""), "tcp")
        at_once = len(events)
        log.flush()
        log.flush()
        return at_once

    at_once = asyncio.run(play())
    return events[:at_once], events[at_once:]


def test_the_first_is_reported_at_once_and_repetitions_together() -> None:
    first, later = record(["a", "b", "a", "a"])
    assert [(each.host, each.count) for each in first] == [("a", 1), ("b", 1)]
    assert [(each.host, each.count) for each in later] == [("a", 2)]


def test_a_scan_becomes_one_event() -> None:
    first, later = record([f"h{index}" for index in range(DISTINCT_LIMIT + 500)])
    assert len(first) == DISTINCT_LIMIT
    assert [(each.host, each.port, each.count) for each in later] == [(MANY_HOSTS, 0, 500)]


def test_a_new_window_reports_at_once_again() -> None:
    events: list[ConnectionAttempt] = []

    async def play() -> None:
        log = AttemptLog(events.append)
        for _ in range(2):
            log.record(Decision(allowed=True, host="a", port=1, reason=""), "udp")
            log.flush()

    asyncio.run(play())
    assert [(each.host, each.allowed, each.count) for each in events] == [("a", True, 1)] * 2


@settings(max_examples=examples(50))
@given(st.lists(st.integers(0, 400).map(str), max_size=1500))
def test_none_is_lost(hosts: list[str]) -> None:
    first, later = record(hosts)
    assert sum(each.count for each in first + later) == len(hosts)
