# SPDX-License-Identifier: Apache-2.0
"""The store: group commit, isolation of failing changes, and check-ins that are kept once."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text
from tests.fixtures.reports import crash

from armillary.engines.database.group_commit import Rejected
from armillary.engines.records.queries import (
    catalogs as catalog_rows,
    check_ins as check_in_rows,
    device_lists,
    devices as device_rows,
    reports as report_rows,
)
from armillary.engines.records.queries.check_ins import CheckInWrite, OutcomeWrite
from armillary.engines.records.queries.devices import BootDetails
from armillary.engines.records.schema.rows import Catalog, DeviceFilter
from armillary.engines.records.store import Records
from armillary.errors import ChallengeError, ConflictError
from armillary.wire.device.checkin import AppraisalStep, InstalledImage

NOW = 1_800_000_000
STEPS = (AppraisalStep(1, "connection key", "something", "pass", ""),)


@pytest.fixture
def records(tmp_path: Path) -> Iterator[Records]:
    opened = Records.open(tmp_path / "records.db", fresh=True)
    yield opened
    opened.close()


def enrol(records: Records, digit: str = "a", tier: str = "software") -> int:
    return records.write(
        lambda c: device_rows.enrol(
            c,
            device_id=digit * 128,
            chip="mt3620",
            chip_sku="MT3620AN",
            trust_tier=tier,
            manufacturing_state="DeviceComplete",
            now=NOW,
        )
    )


def write_of(number: int, challenge: bytes, **changes: object) -> CheckInWrite:
    values: dict[str, object] = {
        "device_number": number,
        "at": NOW,
        "verdict": "attested",
        "steps": STEPS,
        "boot_count": 1,
        "os_version": "26.11",
        "certificate_serial": "AB",
        "certificate_not_after": NOW + 86400,
        "purpose": "client",
        "offer_id": None,
        "deployment_id": None,
        "challenge_id": challenge,
        "challenge_expires_at": NOW + 60,
    }
    return CheckInWrite(**{**values, **changes})  # type: ignore[arg-type]


def catalog(name: str) -> Catalog:
    return Catalog(catalog_id=uuid4(), name=name, resource_group="default", tags={}, created_at=NOW)


def test_a_failing_change_leaves_nothing_and_hurts_no_other(records: Records):
    def half(connection: Connection) -> None:
        catalog_rows.add_catalog(connection, catalog("half"))
        raise ValueError("stop")

    outcomes = records._commit([lambda c: catalog_rows.add_catalog(c, catalog("one")), half])
    assert outcomes[0] is None
    assert isinstance(outcomes[1], Rejected)
    records._disconnect()
    assert [c.name for c in records.read(catalog_rows.catalogs)] == ["one"]
    with pytest.raises(ValueError, match="stop"):
        records.write(half)


def test_a_broken_uniqueness_rule_is_a_conflict(records: Records):
    records.write(lambda c: catalog_rows.add_catalog(c, catalog("Fleet")))
    with pytest.raises(ConflictError) as caught:
        records.write(lambda c: catalog_rows.add_catalog(c, catalog("fLEET")))
    assert caught.value.remedy


def test_readers_cannot_write(records: Records):
    with pytest.raises(Exception, match="readonly"):
        records.read(lambda c: c.execute(text("DELETE FROM device")))


def test_a_commit_is_durable_before_it_is_reported(records: Records, tmp_path: Path):
    enrol(records)
    other = sqlite3.connect(tmp_path / "records.db")
    assert other.execute("SELECT count(*) FROM device").fetchone() == (1,)
    assert records.write(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar()) == 2  # FULL
    assert records.write(lambda c: c.exec_driver_sql("PRAGMA journal_mode").scalar()) == "wal"
    other.close()


def test_check_ins_of_one_batch_are_all_kept(records: Records):
    numbers = [enrol(records, digit) for digit in "abc"]
    writes = [write_of(number, bytes([number]) * 16) for number in numbers]
    assert records._commit(writes) == [None, None, None]
    records._disconnect()
    found = records.read(
        lambda c: device_lists.page(c, DeviceFilter(), limit=10, after=None, now=NOW, silent_after_s=60)
    )
    assert [d.health for d in found.items] == ["attested"] * 3
    history = records.read(lambda c: check_in_rows.list_of_device(c, "b" * 128, limit=5, before=None))
    assert [c.steps for c in history.items] == [STEPS]
    assert records.lookup.spent_challenges(numbers[0], now=NOW) == {bytes([numbers[0]]) * 16: NOW + 60}


def test_one_challenge_is_accepted_once_and_only_the_second_is_refused(records: Records):
    number = enrol(records)
    outcomes = records._commit(
        [write_of(number, b"x" * 16), write_of(number, b"x" * 16, certificate_serial="CD"), write_of(number, b"y" * 16)]
    )
    records._disconnect()
    assert outcomes[0] is None
    assert isinstance(outcomes[1], Rejected)
    assert isinstance(outcomes[1].error, ChallengeError)
    assert outcomes[2] is None
    again = records._commit([write_of(number, b"x" * 16)])
    records._disconnect()
    assert isinstance(again[0], Rejected)
    kept = records.read(lambda c: check_in_rows.list_of_device(c, "a" * 128, limit=9, before=None))
    assert [c.certificate_serial for c in kept.items] == ["AB", "AB"]


def test_only_check_ins_that_need_a_look_are_read_by_the_watch(records: Records):
    number = enrol(records)
    failed = (AppraisalStep(13, "known components", "something", "fail", "unknown"),)
    records._commit([write_of(number, b"1" * 16), write_of(number, b"2" * 16, verdict="update-only", steps=failed)])
    records._disconnect()
    found = records.read(lambda c: check_in_rows.refused_since(c, 0, limit=10))
    assert [(c.verdict, c.steps) for c in found] == [("update-only", failed)]
    assert records.read(lambda c: check_in_rows.refused_since(c, found[0].number, limit=10)) == []


def test_reports_and_outcomes_are_kept_exactly_once(records: Records):
    number = enrol(records)
    report = crash(sequence=7, count=3, start=NOW - 5, end=NOW)
    outcome = OutcomeWrite(uuid4(), uuid4(), uuid4(), uuid4(), "confirmed", "", NOW)
    installed = device_rows.installed_text(
        [InstalledImage(component_id=uuid4(), image_id=uuid4(), image_type=10, name="tap", state="running")]
    )
    rest = {
        "installed": installed,
        "details": BootDetails("linux", '[["seccomp","enforced"]]', b"e" * 32, '{"3":1}'),
        "outcomes": (outcome,),
        "error_reports": (report,),
    }
    records._commit([write_of(number, b"1" * 16, **rest)])
    records._commit([write_of(number, b"2" * 16, **rest)])
    records._disconnect()
    reports = records.read(
        lambda c: report_rows.error_reports(c, catalog_id=None, device_id=None, event_type=None, limit=9, before=None)
    )
    assert [(r.sequence, r.count, r.device_id) for r in reports.items] == [(7, 3, "a" * 128)]
    outcomes = records.read(
        lambda c: report_rows.outcomes(c, device_id="a" * 128, deployment_id=None, limit=9, before=None)
    )
    assert [o.outcome for o in outcomes.items] == ["confirmed"]
    device = records.read(lambda c: device_rows.one(c, "a" * 128, now=NOW, silent_after_s=60))
    assert device is not None
    assert device.installed[0].name == "tap"
    assert device.enforcement == (("seccomp", "enforced"),)
    enrolled = records.read(lambda c: device_rows.enrolled(c, "a" * 128))
    assert records.lookup.device("a" * 128) == enrolled
    assert enrolled is not None
    assert enrolled.details == rest["details"]


def test_refusals_of_one_minute_fold_and_mark_the_device(records: Records):
    enrol(records)
    for at in (NOW, NOW + 1, NOW + 61):
        records.write(
            lambda c, at=at: report_rows.refused(c, device_id="a" * 128, code="device.challenge", message="m", at=at)
        )
    page = records.read(lambda c: report_rows.refusals(c, device_id=None, limit=9, before=None))
    assert [r.count for r in page.items] == [1, 2]
    device = records.read(lambda c: device_rows.one(c, "a" * 128, now=NOW, silent_after_s=60))
    assert device is not None
    assert (device.health, device.last_refusal) == ("refused", "device.challenge")


@pytest.mark.parametrize(
    ("revoked", "seen", "refused", "word"),
    [
        (None, None, None, "never"),
        (None, NOW, None, "attested"),
        (None, NOW - 61, None, "silent"),
        (None, NOW, NOW + 1, "refused"),
        (None, None, NOW, "refused"),
        (None, NOW, NOW - 1, "attested"),
        (NOW, NOW, None, "revoked"),
    ],
)
def test_health_in_one_word(records: Records, revoked, seen, refused, word):
    enrol(records)
    records.write(lambda c: device_rows.change(c, "a" * 128, {"revoked_at": revoked}))
    records.write(
        lambda c: c.execute(
            text("UPDATE device_status SET checked_in_at=:s, refused_at=:r, verdict='attested'"),
            {"s": seen, "r": refused},
        )
    )
    device = records.read(lambda c: device_rows.one(c, "a" * 128, now=NOW, silent_after_s=60))
    assert device is not None
    assert device.health == word
    for other in ("attested", "silent", "refused", "never", "simulated", "revoked"):
        chosen = DeviceFilter(health=other)
        count = records.read(lambda c, f=chosen: device_lists.count(c, f, now=NOW, silent_after_s=60))
        assert count == (1 if other == word else 0)
    summary = records.read(lambda c: device_rows.summary(c, None, now=NOW, silent_after_s=60))
    assert (summary.devices, summary.health[word], summary.unclaimed) == (1, 1, 1)


def test_simulated_devices_are_counted_apart_until_they_check_in(records: Records):
    for digit, tier in (("a", "software"), ("b", "simulated"), ("c", "simulated"), ("d", "simulated")):
        enrol(records, digit, tier)
    records.write(lambda c: device_rows.change(c, "c" * 128, {"revoked_at": NOW}))
    records.write(
        lambda c: c.execute(
            text(
                "UPDATE device_status SET checked_in_at=:s, verdict='attested' WHERE device_number="
                "(SELECT number FROM device WHERE device_id=:d)"
            ),
            {"s": NOW, "d": "d" * 128},
        )
    )
    summary = records.read(lambda c: device_rows.summary(c, None, now=NOW, silent_after_s=60))
    counted = {word: count for word, count in summary.health.items() if count}
    assert counted == {"never": 1, "simulated": 1, "revoked": 1, "attested": 1}
