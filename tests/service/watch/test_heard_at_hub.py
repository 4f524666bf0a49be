# SPDX-License-Identifier: Apache-2.0
"""What the hub hears is bounded, recorded once, and counted where it could not be kept."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fixtures.looks import nobody_wakes

from armillary.errors import RevokedDeviceError
from armillary.service.watch import heard_at_hub
from armillary.sim.device.service_host import ServiceHost

GONE = RevokedDeviceError("device d was revoked")


def test_what_the_disk_refuses_is_counted_and_not_recorded_later(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    nobody_wakes(host.service)
    heard, records = host.service.watch.heard_at_hub, host.service.context.records
    for _ in range(3):
        heard.refused("d" * 128, GONE)

    def full(_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patched:
        patched.setattr(type(records), "write", lambda _, change: full(change))
        with pytest.raises(OSError, match="no space"):
            heard.take()
    assert heard.dropped == 3
    heard.refused("d" * 128, GONE)
    host.service.watch.run_once()
    rows = host.service.registry.history.refusals(device_id="d" * 128).items
    assert [row.count for row in rows] == [1]
    (finding,) = host.service.watch.list(kind="events-dropped").items
    assert finding.count == 3


def test_turns_beyond_what_is_kept_are_counted(host: ServiceHost, monkeypatch: pytest.MonkeyPatch) -> None:
    nobody_wakes(host.service)
    monkeypatch.setattr(heard_at_hub, "MAX_TURNS", 4)
    heard = host.service.watch.heard_at_hub
    for turn in range(10):
        heard.put_out("d" * 128, f"192.0.2.{turn % 2}", f"192.0.2.{(turn + 1) % 2}")
    assert (heard.dropped, heard.take()) == (6, [])
