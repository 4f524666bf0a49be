# SPDX-License-Identifier: Apache-2.0
"""``armillary device-group set-schedule`` and ``armillary device update-status|check-now``, as people type them."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest
from tests.api.running_service import RunningService
from tests.cli.conftest import Command

from armillary.cli.device import device
from armillary.cli.device.device_update import _row


@pytest.fixture
def group(service: RunningService, catalog: str) -> tuple[str, ...]:
    service.service.registry.products.create(catalog, "Coffee", actor="test")
    service.service.registry.groups.create_defaults(catalog, "Coffee", actor="test")
    return ("-c", catalog, "-p", "Coffee", "-dg", "Production")


def test_a_schedule_is_changed_in_parts(armillary: Command, group: tuple[str, ...]) -> None:
    assert "at any time" in armillary("device-group", "show-schedule", *group).out
    armillary("device-group", "set-schedule", *group, "-w", "Sat 01:00-05:00", "--zone", "Europe/Berlin")
    made = armillary("device-group", "set-schedule", *group, "--check-every", "4h", "--defer", "0", "--json").json
    assert (made["windows"], made["zone"]) == (["Sat 01:00-05:00"], "Europe/Berlin")
    assert (made["check_interval_s"], made["max_deferral_s"]) == (14_400, 0)
    before = time.time()
    urgent = armillary("device-group", "set-urgent", *group, "--reason", "the lock opens", "--for", "2h", "--json").json
    assert urgent["urgent_reason"] == "the lock opens"
    assert 7199 <= urgent["urgent_until"] - before <= 7200 + (time.time() - before)
    assert "the lock opens" in armillary("device-group", "show-schedule", *group).out
    assert "the lock opens" not in armillary("device-group", "end-urgency", *group).out
    back = armillary("device-group", "set-schedule", *group, "-w", "any", "--check-every", "usual", "--json").json
    assert (back["windows"], back["check_interval_s"]) == ([], None)
    refused = armillary("device-group", "set-schedule", *group, "-w", "at night")
    assert refused.code == 1
    assert "Mon-Fri 01:00-05:00" in refused.err


def test_where_a_device_stands_is_said_in_words(
    armillary: Command, service: RunningService, catalog: str, group: tuple[str, ...]
) -> None:
    device = service.make_device()
    service.service.registry.devices.claim(
        catalog, [device.device_id], product="Coffee", group="Production", actor="test"
    )
    said = armillary("device", "update-status", "-d", device.device_id)
    assert "never-seen" in said.out
    assert "armillary device log" in said.out
    with device:
        device.check_in()
    asked = armillary("device", "check-now", "-d", device.device_id)
    assert asked.code == 0, asked.err
    assert "update-status" in asked.err
    assert group[1] == catalog
    whole = armillary("device-group", "check-now", *group, "--json")
    assert whole.json == {"asked": 1}


def test_how_far_a_device_is_and_when_it_checks_in_are_said_in_words() -> None:
    standing = {
        "code": "fetching", "meaning": "The device fetches what it was offered.", "remedy": "Nothing.", "detail": "",
        "until": None, "os_version": "26.12", "wanted_os_version": "26.13", "deployment_id": None, "lacking": [],
        "rollout_id": None, "last_check_in_at": 1_764_444_062, "check_in_by": 1_764_523_262, "schedule": None,
        "check_in_after": "installation", "check_in_meaning": "When it has installed it.",
        "fetch": {"begun_at": 1_764_444_063, "parts": 2, "sent": [{"name": "kernel", "sent_at": 1_764_444_081}]},
    }  # fmt: skip
    row = _row(standing)
    assert row["fetched"] == "1 of 2 since 2025-11-29T19:21:03Z: kernel at 2025-11-29T19:21:21Z"
    assert (row["next_check_in"], row["at_the_latest"]) == ("When it has installed it.", "2025-11-30T17:21:02Z")
    assert "next_check_in_by" not in row, "it comes long before"
    usual = _row({**standing, "check_in_after": "interval", "fetch": None})
    assert (usual["next_check_in_by"], usual.keys() & {"fetched", "next_check_in"}) == ("2025-11-30T17:21:02Z", set())


def test_a_check_in_that_makes_the_device_start_again_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was asked at its 20th check-in; the offer made it start again, and since then it has checked in twice."""
    statuses = iter(
        [
            {"boot_count": 1, "check_ins": 20, "last_check_in": {"verdict": "before"}},
            {"boot_count": 1, "check_ins": 20, "last_check_in": {"verdict": "before"}},
            {"boot_count": 2, "check_ins": 0, "last_check_in": None},
            {"boot_count": 2, "check_ins": 2, "last_check_in": {"verdict": "attested"}},
        ]
    )
    asked: list[int] = []
    folder = SimpleNamespace(root="here", check=lambda: None, holder=lambda: 4711)
    monkeypatch.setattr(device, "_status", lambda _: next(statuses))
    monkeypatch.setattr(device.os, "kill", lambda process, _: asked.append(process))
    monkeypatch.setattr(device, "POLL_S", 0.0)
    assert device._signalled_check_in(folder) == {"verdict": "attested"}  # type: ignore[arg-type]  # what it uses of one
    assert asked == [4711]
