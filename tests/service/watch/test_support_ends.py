# SPDX-License-Identifier: Apache-2.0
"""Alerts before support ends: each stage once, closed when it no longer holds, and whose devices are without support."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fixtures.clocks import Clock

from armillary.engines.records.queries import findings as finding_rows
from armillary.engines.records.schema.rows import DeviceFilter
from armillary.service.registry.product_facts import DAY_S, SUPPORT_STATES
from armillary.service.watch import support_ends
from armillary.service.watch.support_ends import SupportEnds
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.device.finding import Finding


def declare(host: ServiceHost, ends: int | None) -> None:
    host.service.registry.products.declare("Contoso", "Kettle", {"support_ends": ends}, actor="ann")


def living(host: ServiceHost) -> list[Finding]:
    found = host.service.watch.list(kind="support-ending", status="living").items
    return sorted(found, key=lambda each: each.first_seen)


def test_each_stage_is_said_once_and_replaces_the_one_before(host: ServiceHost, clock: Clock) -> None:
    ends = int(clock()) + 181 * DAY_S
    declare(host, ends)
    said = []
    for _ in range(2 * 185):  # twice a day, until it is over
        SupportEnds(host.service.context).look()  # as after a restart
        clock.now += DAY_S / 2
        said += [each.title for each in living(host) if each.title not in said]
        assert len(living(host)) <= 1
    assert [title.partition(" ends on ")[0].partition(" has ended ")[0] for title in said] == [
        "Support of product Kettle"
    ] * 4
    assert [title.rpartition(", in ")[2] for title in said[:3]] == ["180 days", "90 days", "30 days"]
    assert "has ended" in said[3]
    assert [(each.severity, each.count) for each in living(host)] == [("high", 1)]
    every = host.service.watch.list(kind="support-ending").items
    assert [each.status for each in every] == ["open", "closed", "closed", "closed"]
    assert {each.catalog_id for each in every} == {host.service.registry.catalogs.get("Contoso").catalog_id}


def test_a_service_that_was_off_says_the_last_stage_only(host: ServiceHost, clock: Clock) -> None:
    declare(host, int(clock()) + 10 * DAY_S)
    assert SupportEnds(host.service.context).look() == 1
    assert [each.severity for each in host.service.watch.list(kind="support-ending").items] == ["high"]


def test_another_end_closes_what_was_said_and_is_said_anew(host: ServiceHost, clock: Clock) -> None:
    looks = SupportEnds(host.service.context)
    declare(host, int(clock()) + 20 * DAY_S)
    assert looks.look() == 1
    declare(host, int(clock()) + 1000 * DAY_S)
    assert looks.look() == 0, "not before five minutes are over"
    clock.now += support_ends.EVERY_S
    assert looks.look() == 0
    assert living(host) == []
    declare(host, int(clock()) + 20 * DAY_S)
    clock.now += support_ends.EVERY_S
    assert looks.look() == 1
    declare(host, None)
    clock.now += support_ends.EVERY_S
    assert looks.look() == 0
    assert living(host) == []


def test_an_acknowledged_alert_is_not_said_again(host: ServiceHost, clock: Clock) -> None:
    looks = SupportEnds(host.service.context)
    declare(host, int(clock()) + 20 * DAY_S)
    looks.look()
    host.service.watch.close(living(host)[0].finding_id, actor="ann")
    clock.now += DAY_S
    assert looks.look() == 0


class _CutError(Exception):
    """The power is gone."""


@pytest.mark.parametrize(("place", "is_done"), [("close_open", False), ("record", False), ("record", True)])
def test_a_look_that_is_cut_says_nothing_twice_and_forgets_nothing(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch, place: str, is_done: bool
) -> None:
    """Before each of its writes, and after the last."""
    declare(host, int(clock()) + 31 * DAY_S)
    SupportEnds(host.service.context).look()
    clock.now += 2 * DAY_S
    where: Any = support_ends if place == "record" else finding_rows
    whole = getattr(where, place)

    def cut(*given: Any) -> None:
        if is_done:
            whole(*given)
        raise _CutError

    with monkeypatch.context() as patched:
        patched.setattr(where, place, cut)
        with pytest.raises(_CutError):
            SupportEnds(host.service.context).look()
    assert [each.severity for each in living(host)] == ["medium"], "as before"
    assert SupportEnds(host.service.context).look() == 1
    assert [each.severity for each in living(host)] == ["high"]


def test_devices_are_listed_by_how_the_support_of_their_product_stands(host: ServiceHost, clock: Clock) -> None:
    devices, mine, free = host.service.registry.devices, host.claimed(b"1" * 32), host.device(b"2" * 32)

    def found(state: str) -> list[str]:
        chosen = DeviceFilter(catalog=None, support=state)
        listed = [each.device_id for each in devices.list(chosen).items]
        assert devices.count(chosen) == len(listed)
        return listed

    for ends, state in ((None, "undeclared"), (0, "ended"), (180 * DAY_S, "ending"), (180 * DAY_S + 1, "supported")):
        declare(host, None if ends is None else int(clock()) + ends)
        assert {each: found(each) for each in SUPPORT_STATES} == {
            each: [mine.device_id] if each == state else [] for each in SUPPORT_STATES
        }
    assert free.device_id in [each.device_id for each in devices.list(DeviceFilter()).items]
