# SPDX-License-Identifier: Apache-2.0
"""Update schedules of device groups: what is kept, refused and audited, and what devices are told."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fixtures.clocks import Clock

from armillary.engines.records.schema.update_rows import DEFAULT_DEFERRAL_S, UpdateSchedule
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.service.updates.schedules import told
from armillary.sim.device.service_host import ServiceHost

HERE = ("Contoso", "Kettle", "Production")
USUAL: dict[str, Any] = {"check_interval_s": None, "zone": "UTC", "windows": [], "max_deferral_s": DEFAULT_DEFERRAL_S}
DAY_S = 24 * 3600


def test_a_group_has_the_usual_schedule_until_one_is_set(host: ServiceHost) -> None:
    schedules = host.service.updates.schedules
    group = host.service.registry.groups.get(*HERE)
    assert schedules.get(*HERE) == UpdateSchedule(group_id=group.group_id)
    made = schedules.put(
        *HERE,
        actor="ann",
        check_interval_s=7200,
        zone="Europe/Berlin",
        windows=["daily  01:00-02:00".replace("  ", " ")],
        max_deferral_s=0,
    )
    assert (made.check_interval_s, made.zone, made.windows) == (7200, "Europe/Berlin", ("daily 01:00-02:00",))
    assert schedules.get(*HERE) == schedules.of(group.group_id) == made
    line = host.service.audit.list().items[0]
    assert (line.actor, line.operation, line.target) == (
        "ann",
        "device-group.set-schedule",
        "Contoso/Kettle/Production",
    )
    with pytest.raises(NotFoundError):
        schedules.put("Contoso", "Kettle", "Nowhere", actor="ann", **USUAL)


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"check_interval_s": 299}, "check interval: expected 300"),
        ({"check_interval_s": DAY_S + 1}, "check interval"),
        ({"zone": "CET+1"}, "time zone"),
        ({"zone": "Europe/Atlantis"}, "time zone"),
        ({"zone": "../../etc/passwd"}, "time zone"),
        ({"zone": ""}, "time zone"),
        ({"windows": ["at night"]}, "maintenance window"),
        ({"windows": ["Mon 01:00-03:00", "Mon 02:00-04:00"]}, "overlap"),
        ({"max_deferral_s": -1}, "deferral"),
        ({"max_deferral_s": 15 * DAY_S}, "deferral"),
    ],
)
def test_what_makes_no_sense_is_refused_and_nothing_is_kept(
    host: ServiceHost, wrong: dict[str, Any], named: str
) -> None:
    schedules, lines = host.service.updates.schedules, len(host.service.audit.list().items)
    before = schedules.get(*HERE)
    with pytest.raises(InvalidArgumentError, match=named):
        schedules.put(*HERE, actor="ann", **{**USUAL, **wrong})
    assert schedules.get(*HERE) == before
    assert len(host.service.audit.list().items) == lines


def test_urgency_has_a_reason_an_end_and_a_line_in_the_audit_log(host: ServiceHost, clock: Clock) -> None:
    schedules = host.service.updates.schedules
    schedules.put(*HERE, actor="ann", **{**USUAL, "windows": ["Sat 01:00-02:00"]})
    made = schedules.urge(*HERE, reason="the lock opens for everybody", actor="ann", lifetime_s=3600)
    assert made.urgent_until == int(clock.now) + 3600
    line = host.service.audit.list().items[0]
    assert (line.operation, line.detail["reason"]) == ("device-group.set-urgent", "the lock opens for everybody")
    timing = told(made, int(clock.now)).timing
    assert timing.urgent
    assert timing.windows
    ended = told(made, int(clock.now) + 3600).timing
    assert not ended.urgent
    assert schedules.end_urgency(*HERE, actor="ann").urgent_until is None
    line = host.service.audit.list().items[0]
    assert (line.actor, line.operation, line.target) == ("ann", "device-group.end-urgency", "/".join(HERE))
    with pytest.raises(ConflictError, match="nothing is urgent"):
        schedules.end_urgency(*HERE, actor="ann")
    for wrong in ({"reason": ""}, {"reason": "a\nb"}, {"reason": "x", "lifetime_s": 15 * DAY_S}):
        with pytest.raises(InvalidArgumentError):
            schedules.urge(*HERE, actor="ann", **wrong)  # type: ignore[arg-type]


def test_devices_are_asked_for_the_interval_of_their_group(host: ServiceHost) -> None:
    schedules = host.service.updates.schedules
    with host.claimed(b"i" * 32) as device, host.claimed(b"j" * 32, group="Field Test") as other:
        usual = device.check_in().next_check_in_s
        assert usual == host.service.settings.check_in_interval_s
        schedules.put(*HERE, actor="ann", **{**USUAL, "check_interval_s": 43_200})
        assert device.check_in().next_check_in_s == 43_200
        assert other.check_in().next_check_in_s == usual


def test_no_device_is_silent_before_the_longest_interval_of_a_group_has_passed(host: ServiceHost, clock: Clock) -> None:
    service = host.service
    with host.claimed(b"k" * 32) as device:
        service.updates.schedules.put(*HERE, actor="ann", **{**USUAL, "check_interval_s": 43_200})
        device.check_in()
    clock.now += 3 * 43_200
    assert service.registry.devices.get(device.device_id).health == "attested"
    clock.now += 2
    assert service.registry.devices.get(device.device_id).health == "silent"


def test_the_challenge_of_a_reply_lives_until_the_next_check_in_of_the_group(host: ServiceHost, clock: Clock) -> None:
    with host.claimed(b"l" * 32) as device:
        host.service.updates.schedules.put(*HERE, actor="ann", **{**USUAL, "check_interval_s": 60_000})
        challenge = device.check_in().challenge
        clock.now += 2 * 60_000
        device.disconnect()
        assert device.challenge == challenge
        assert device.check_in().verdict == "attested"


def test_windows_are_reckoned_again_daily(host: ServiceHost, clock: Clock) -> None:
    service = host.service
    service.updates.schedules.put(*HERE, actor="ann", **{**USUAL, "windows": ["daily 01:00-02:00"]})
    group = service.registry.groups.get(*HERE)

    def last() -> int:
        windows = service.updates.offers.schedule(group.group_id).timing.windows
        assert windows
        return windows[-1].end

    before = last()
    assert not service.updates.offers.is_due()
    clock.now += DAY_S
    assert service.updates.offers.is_due()
    service.updates.offers.refresh()
    assert last() == before + DAY_S


def test_windows_are_meant_by_the_clock_of_their_zone(host: ServiceHost) -> None:
    service = host.service
    windows = ["daily 01:00-02:00"]
    service.updates.schedules.put(*HERE, actor="ann", **{**USUAL, "zone": "Asia/Tokyo", "windows": windows})
    told_now = service.updates.offers.schedule(service.registry.groups.get(*HERE).group_id).timing.windows
    assert told_now
    assert {one.start // 3600 % 24 for one in told_now} == {16}


def test_what_is_urgent_stays_urgent_under_another_schedule(host: ServiceHost) -> None:
    schedules = host.service.updates.schedules
    urgent = schedules.urge(*HERE, reason="exploited", actor="ann")
    made = schedules.put(*HERE, actor="ann", **{**USUAL, "check_interval_s": 7200})
    assert (made.urgent_until, made.urgent_reason) == (urgent.urgent_until, "exploited")


def test_a_schedule_goes_with_its_group(host: ServiceHost) -> None:
    service = host.service
    service.registry.groups.create("Contoso", "Kettle", "Night", actor="ann")
    service.updates.schedules.put("Contoso", "Kettle", "Night", actor="ann", **{**USUAL, "check_interval_s": 7200})
    service.registry.groups.delete("Contoso", "Kettle", "Night", actor="ann")
    assert service.context.own_intervals.longest_s == 0
