# SPDX-License-Identifier: Apache-2.0
"""What devices fetch on its way to the records: few writes, nothing lost where the records are busy."""

from __future__ import annotations

from armillary.engines.records.store import Query
from armillary.errors import RateLimitedError
from armillary.service.endpoint.fetch_log import FetchLog

KERNEL = b"k" * 32


class Writes:
    """Counts what is handed on, and refuses it while ``is_busy``."""

    def __init__(self) -> None:
        self.changes: list[Query[None]] = []
        self.is_busy = False

    def __call__(self, change: Query[None]) -> None:
        if self.is_busy:
            raise RateLimitedError("busy", retry_after_s=1)
        self.changes.append(change)


def flushed(log: FetchLog, writes: Writes) -> int:
    """How many changes a second hands on."""
    before = len(writes.changes)
    log.flush(writes)
    return len(writes.changes) - before


def test_a_download_of_a_thousand_ranges_is_written_twice() -> None:
    log, writes = FetchLog(), Writes()
    counts = []
    for at in range(1000):
        log.begun(1, "AA", at)
        counts.append(flushed(log, writes))
    for at in (1000, 1001):
        log.sent(1, "AA", KERNEL, at)
        counts.append(flushed(log, writes))
    assert (counts[0], sum(counts), counts[-2]) == (1, 2, 1)


def test_all_devices_of_a_second_are_one_write() -> None:
    log, writes = FetchLog(), Writes()
    for number in range(50):
        log.begun(number, "AA", 1)
    assert (flushed(log, writes), flushed(log, writes)) == (1, 0)


def test_what_ends_after_the_next_check_in_is_not_noted() -> None:
    log, writes = FetchLog(), Writes()
    log.begun(1, "AA", 1)
    log.begun(1, "BB", 2)
    flushed(log, writes)
    log.sent(1, "AA", KERNEL, 3)
    assert flushed(log, writes) == 0


def test_what_is_not_taken_is_handed_on_a_second_later() -> None:
    log, writes = FetchLog(), Writes()
    writes.is_busy = True
    log.begun(1, "AA", 1)
    assert flushed(log, writes) == 0
    writes.is_busy = False
    assert flushed(log, writes) == 1


def test_devices_beyond_the_limit_are_noted_once_more() -> None:
    log, writes = FetchLog(limit=2), Writes()
    for number in (1, 2, 3):
        log.begun(number, "AA", 1)
    flushed(log, writes)
    log.begun(3, "AA", 2)
    assert flushed(log, writes) == 0
    log.begun(1, "AA", 2)
    assert flushed(log, writes) == 1
