# SPDX-License-Identifier: Apache-2.0
"""Error reports: delivered once, whatever is cut or lost."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest
from tests.device.cut_flash import CutFlash, PowerCutError

from armillary.device.state.report_limit import BURST, PERIOD_S
from armillary.device.state.reports import MAX_CRASH_BYTES, MAX_QUEUED, Incident, ReportQueue
from armillary.errors import DataFolderError
from armillary.wire.device.checkin import MAX_ERROR_REPORTS
from armillary.wire.device.crash_record import MAX_FRAMES, CrashRecord, Frame, encode_crash
from armillary.wire.encoding import cbor

NOW = 1_800_000_000
CRASH = Incident(event_type="AppCrash", description="one", component_id=uuid.UUID(int=1), image_id=uuid.UUID(int=2))


def queue(flash: Any, boot_count: int = 1, now: int = NOW) -> ReportQueue:
    return ReportQueue(flash, lambda: now, boot_count)


def test_equal_incidents_are_counted_until_they_are_sealed() -> None:
    reports = queue(CutFlash())
    reports.add(CRASH)
    reports.add(CRASH)
    [sealed] = reports.seal()
    assert sealed.count == 2
    reports.add(CRASH)
    assert [r.count for r in reports.seal()] == [2, 1]
    reports.acknowledge([sealed])
    assert [r.count for r in reports.seal()] == [1]


def test_numbers_are_never_used_again() -> None:
    flash = CutFlash()
    first = queue(flash)
    first.acknowledge([first.add(CRASH)])
    assert queue(CutFlash(flash.durable), boot_count=2).add(CRASH).sequence == 2


def test_equal_incidents_of_different_boots_are_different_reports() -> None:
    flash = CutFlash()
    queue(flash, 1).add(CRASH)
    one = queue(flash, 1)
    one.add(CRASH)
    one.flush()
    two = queue(flash, 2)
    two.add(CRASH)
    assert [r.boot_count for r in two.seal()] == [1, 2]


def test_a_sealed_report_is_the_same_after_a_restart() -> None:
    flash = CutFlash()
    reports = queue(flash)
    reports.add(CRASH)
    sent = reports.seal()
    after = queue(CutFlash(flash.durable), boot_count=1, now=NOW + 50)
    after.add(CRASH)
    assert after.seal()[0] == sent[0]


def test_a_full_queue_counts_what_it_cannot_hold() -> None:
    reports = queue(CutFlash())
    for number in range(MAX_QUEUED + 50):
        reports.add(Incident(event_type="AppExit", description=str(number)))
    assert len(reports) == MAX_QUEUED
    seen = []
    while len(reports):
        batch = reports.seal()
        assert len(batch) <= MAX_ERROR_REPORTS
        seen += batch
        reports.acknowledge(batch)
    assert sum(r.count for r in seen) == MAX_QUEUED + 50
    assert [r.event_type for r in seen].count("ReportsLost") == 1
    assert [r.sequence for r in seen] == sorted({r.sequence for r in seen})


def test_time_that_runs_backwards_gives_legal_reports() -> None:
    times = iter([NOW, NOW - 1000])
    reports = ReportQueue(CutFlash(), lambda: next(times), 1)
    reports.add(CRASH)
    report = reports.add(CRASH)
    assert report.start <= report.end


def test_power_cut_at_every_operation_loses_and_doubles_nothing_that_was_flushed() -> None:
    def story(flash: Any, received: dict[int, Any]) -> None:
        """Queue three, deliver them one check-in at a time; the service keeps what it got by number."""
        reports = queue(flash)
        for number in range(3):
            reports.add(Incident(event_type="AppExit", description=str(number)))
            reports.flush()
        batch = reports.seal()
        received.update({r.sequence: r for r in batch})
        reports.acknowledge(batch)

    whole = CutFlash()
    story(whole, {})
    for cut_at in range(1, whole.operations + 1):
        for seed in range(4):
            received: dict[int, Any] = {}
            flash = CutFlash(cut_at=cut_at, seed=seed)
            with pytest.raises(PowerCutError):
                story(flash, received)
            after = queue(CutFlash(flash.durable), boot_count=2)
            for report in after.seal():
                assert received.get(report.sequence, report) == report, "a report that was sent has changed"
                received[report.sequence] = report
            descriptions = [r.description for r in received.values()]
            assert len(descriptions) == len(set(descriptions)), "one incident, two reports"
            assert sorted(descriptions) == [str(n) for n in range(len(descriptions))], "an older one is missing"


@pytest.mark.parametrize("data", [b"", b"\xa0", b"\xa3\x01\x01\x02\x00\x03\x00", b"\xff" * 8])
def test_a_damaged_queue_begins_anew_and_says_so_under_numbers_that_were_never_used(data: bytes) -> None:
    flash = CutFlash({"device/reports": data})
    reports = queue(flash)
    reports.add(CRASH)
    lost, crash = reports.seal()
    assert (lost.event_type, lost.event_class, lost.sequence, crash.sequence) == ("ReportsLost", "OS", NOW, NOW + 1)
    assert lost.description.startswith("The queue was lost; what waited in it is not known: error report queue")
    after = queue(CutFlash(flash.durable), boot_count=2)
    assert [one.sequence for one in after.waiting] == [NOW, NOW + 1], "it is said once"


def test_a_queue_that_the_flash_does_not_give_begins_anew() -> None:
    class Failing(CutFlash):
        def read(self, region: str) -> bytes | None:
            raise DataFolderError(f"{region}: Input/output error")

    assert queue(Failing()).waiting[0].description.endswith("Input/output error")


def test_of_one_kind_some_go_at_once_and_the_rest_is_counted_in_one_every_ten_minutes() -> None:
    clock = [NOW]
    flash = CutFlash()
    reports = ReportQueue(flash, lambda: clock[0], 1)
    sent: list[Any] = []

    def deliver() -> list[int]:
        batch = reports.seal()
        sent.extend(batch)
        reports.acknowledge(batch)
        return [one.count for one in batch]

    for _ in range(BURST):
        reports.add(CRASH)
        assert deliver() == [1]
    for _ in range(7):
        reports.add(CRASH)
        assert deliver() == [], "no token: it is held back"
    reports.add(Incident(event_type="AppExit", description="another kind"))
    assert deliver() == [1], "the first of a kind always goes"
    clock[0] += PERIOD_S - 1
    assert deliver() == []
    clock[0] += 1
    assert deliver() == [7], "it counts all that were held back"
    clock[0] -= 10 * PERIOD_S
    reports.add(CRASH)
    assert deliver() == [], "a clock that is set back gives no token"
    assert sum(one.count for one in sent) == BURST + 7 + 1
    assert [one.sequence for one in sent] == list(range(1, len(sent) + 1))


def test_what_is_held_back_survives_a_restart() -> None:
    flash = CutFlash()
    reports = queue(flash)
    for _ in range(BURST):
        reports.add(CRASH)
        reports.acknowledge(reports.seal())
    reports.add(replace(CRASH, count=4))
    reports.flush()
    after = queue(CutFlash(flash.durable), boot_count=2)
    [report] = after.seal()
    assert (report.count, report.boot_count, report.sequence) == (4, 1, BURST + 1)


def test_crashes_at_different_places_are_different_reports_and_are_kept_within_limits() -> None:
    def at(line: int) -> Incident:
        frames = tuple(Frame("m" * 128, b"b" * 64, line, "f" * 128) for _ in range(MAX_FRAMES))
        return replace(CRASH, crash=CrashRecord(signal=11, exit_code=None, frames=frames))

    flash = CutFlash()
    reports = queue(flash)
    for line in range(40):
        reports.add(at(line))
    reports.add(at(0))
    reports.flush()
    kept = [one.crash for one in queue(CutFlash(flash.durable))._reports]
    assert kept[0] == at(0).crash
    assert len(kept) == 40
    assert sum(len(encode_crash(one)) for one in kept if one) <= MAX_CRASH_BYTES
    assert kept[-1] is None


def test_a_device_that_goes_back_to_what_it_ran_before_reads_its_queue() -> None:
    flash = CutFlash()
    reports = queue(flash)
    reports.add(replace(CRASH, crash=CrashRecord(signal=11, exit_code=None)))
    reports.flush()
    stored = cbor.decode(flash.durable["device/reports"], what="queue", limit=10_000)
    assert [len(fields) for fields in stored[3]] == [11]


def test_a_queue_of_before_is_read() -> None:
    flash = CutFlash()
    reports = queue(flash)
    reports.add(CRASH)
    reports.flush()
    stored = cbor.decode(flash.durable["device/reports"], what="queue", limit=10_000)
    old = cbor.encode({key: stored[key] for key in (1, 2, 3)})
    assert len(queue(CutFlash({"device/reports": old}))) == 1
