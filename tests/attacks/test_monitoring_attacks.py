# SPDX-License-Identifier: Apache-2.0
"""Devices that lie to the watch: made-up crashes, floods of made-up bugs, and a slow lesson in what is usual.

Beside each attack stands the control: with the one rule taken out, it works.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID, uuid4

import pytest
from tests.fixtures.reports import crash

from armillary.detect import baseline as baselines
from armillary.detect.baseline import Baseline
from armillary.service.watch import crash_groups
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.device.crash_record import CrashRecord
from armillary.wire.device.update_status import UpdateStatus

DAY = 288
WINDOWS = 3 * DAY


def images_that_crash(host: ServiceHost) -> list[UUID]:
    """A device that was offered nothing says that an image crashes; the images that count a crash then."""
    with host.claimed(b"a" * 32) as device:
        device.check_in(error_reports=(crash(image_id=uuid4()),))
        host.service.watch.run_once()
    (found,) = host.service.watch.crashes.list("Contoso").items
    _, images = host.service.watch.crashes.get("Contoso", found.fingerprint)
    return [one.image_id for one in images]


def test_a_device_makes_no_image_look_bad_that_it_was_not_offered(host: ServiceHost) -> None:
    assert images_that_crash(host) == []


def test_mutation_without_what_was_offered(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_groups, "_believed", lambda _, report, __: report.image_id)
    assert len(images_that_crash(host)) == 1


def groups_of_a_flood(host: ServiceHost) -> int:
    """A device makes up another bug with each report; how many groups there are then."""
    with host.claimed(b"a" * 32) as device:
        device.update_status = UpdateStatus()
        for check_in in range(3):
            made_up = (CrashRecord(signal=None, exit_code=1, cause=f"E{check_in}x{number}") for number in range(32))
            told = (replace(crash(sequence=check_in * 32 + index + 1), crash=one) for index, one in enumerate(made_up))
            device.check_in(error_reports=tuple(told))
        host.service.watch.run_once()
    found = host.service.watch.crashes.list("Contoso", limit=200).items
    assert sum(one.count for one in found) == 96, "all are counted"
    return len(found)


def test_a_flood_of_made_up_bugs_makes_a_bounded_number_of_groups(host: ServiceHost) -> None:
    assert groups_of_a_flood(host) == crash_groups.MAX_GROUPS_OF_DEVICE + 1


def test_mutation_without_the_bound_of_groups(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crash_groups, "MAX_GROUPS_OF_DEVICE", 10**6)
    assert groups_of_a_flood(host) == 96


def is_noticed_after_a_huge_lesson() -> bool:
    """One window with a huge count, days before the attack: whether the attack is noticed."""
    baseline = Baseline(("events",))
    for window in range(WINDOWS):
        if window == DAY:
            baseline.observe(window, "thief", "old", (10**6,))
        baseline.close(window, {"old": 20})
    return any(baseline.observe(WINDOWS + index, "thief", "old", (40,)) is not None for index in range(6))


def test_one_huge_lie_does_not_teach_that_attacks_are_usual() -> None:
    assert is_noticed_after_a_huge_lesson()


def test_mutation_without_the_bound_of_what_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(baselines, "LEARNED", 10.0**9)
    assert not is_noticed_after_a_huge_lesson()
