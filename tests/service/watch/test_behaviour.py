# SPDX-License-Identifier: Apache-2.0
"""A device that does far more of something than usual is a finding, after a day of learning, over restarts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from tests.fixtures import reports
from tests.fixtures.clocks import Clock

from armillary.engines.records.queries import reports as report_rows
from armillary.service.watch import behaviour as behaviours
from armillary.service.watch.behaviour import FILE, LEARNING, WINDOW_S, Behaviour
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice


def blocked(device: WireDevice, sequence: int, count: int) -> Any:
    told = {"sequence": sequence, "boot_count": device.prover.boot_count, "count": count, "start": 1, "end": 2}
    return reports.crash(event_type="ConnectionBlocked", description="evil.example:443", **told)


def kinds(host: ServiceHost) -> list[str]:
    return [one.kind for one in host.service.watch.list().items if one.kind == "behaviour-unusual"]


def windows(host: ServiceHost, clock: Clock, count: int) -> None:
    for _ in range(count):
        clock.now += WINDOW_S
        host.service.watch.run_once()


def scans(host: ServiceHost, device: WireDevice, sequence: int) -> str:
    device.challenge = b""  # the last one is long over
    device.check_in(error_reports=(blocked(device, sequence, 40),))
    return "unusually many blocked connections"


def is_refused(host: ServiceHost, device: WireDevice, sequence: int) -> str:
    context = host.service.context
    told = {"device_id": device.device_id, "code": "device.challenge", "message": "m", "at": context.now()}
    context.records.write(lambda c: report_rows.refused(c, count=40, **told))
    return "unusually many refusals"


@pytest.mark.parametrize("does", [scans, is_refused])
def test_a_device_that_does_far_more_than_it_used_to_is_unusual_within_two_windows(
    host: ServiceHost, clock: Clock, does: Callable[[ServiceHost, WireDevice, int], str]
) -> None:
    watch = host.service.watch
    with host.claimed(b"a" * 32) as device, host.claimed(b"b" * 32) as other:
        for each in (device, other):
            each.check_in()
        windows(host, clock, 1)
        watch.behaviour.count(other.device_id, "crashes", 1)
        windows(host, clock, LEARNING + 1)
        for sequence in (1, 2):
            said = does(host, device, sequence)
            watch.run_once()
            assert kinds(host) == []
            windows(host, clock, 1)
        assert kinds(host) == ["behaviour-unusual"]
        (found,) = [one for one in watch.list().items if one.kind == "behaviour-unusual"]
        assert (found.device_ids, found.severity) == ((device.device_id,), "medium")
        assert said in found.title
        windows(host, clock, 3)
        assert kinds(host) == ["behaviour-unusual"]


def test_nothing_is_judged_before_a_day_was_learned(host: ServiceHost, clock: Clock) -> None:
    with host.claimed(b"a" * 32) as device:
        for sequence in (1, 2, 3):
            device.check_in(error_reports=(blocked(device, sequence, 40),))
            host.service.watch.run_once()
            windows(host, clock, 1)
        assert kinds(host) == []


def test_what_was_learned_survives_a_restart_and_damage_does_not_stop_the_service(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = host.service.context
    with host.claimed(b"a" * 32) as device:
        device.check_in()
        first = Behaviour(context)
        first.count(device.device_id, "refusals", 2)
        clock.now += 13 * WINDOW_S
        assert first.look() == []
        again = Behaviour(context)
        kept = json.loads((context.folder.path / FILE).read_text("utf-8"))
        assert [one[0] for one in kept["devices"]] == [device.device_id]
        assert again._baseline.devices == first._baseline.devices
        assert again._learned == kept["learned"] > 0
        for damage in (b"", b"{", b"[]", b'{"version": 2}', json.dumps({**kept, "devices": [[1]]}).encode()):
            (context.folder.path / FILE).write_bytes(damage)
            assert Behaviour(context)._learned == 0
        monkeypatch.setattr(behaviours, "MAX_FILE_BYTES", 3)
        assert Behaviour(context)._learned == 0


def test_a_clock_that_jumps_and_a_flood_of_devices_are_bounded(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(behaviours, "MAX_DEVICES", 2)
    found = Behaviour(host.service.context)
    for number in range(5):
        found.count(f"{number}", "refusals", 1)
    assert list(found._counts) == ["0", "1"]
    clock.now += 10 * 365 * 86_400
    assert found.look() == []
    assert found._learned <= behaviours.MOST_PASSED + 1
    clock.now -= 365 * 86_400
    assert found.look() == []
    clock.now += WINDOW_S
    assert found.look() == []
