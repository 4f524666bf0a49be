# SPDX-License-Identifier: Apache-2.0
"""A device in quarantine checks in and updates, and nothing else opens to it, from its next request on."""

from __future__ import annotations

from typing import Any

import pytest
from tests.fixtures.clocks import Clock

from armillary.errors import ConflictError, InvalidArgumentError, QuarantinedDeviceError
from armillary.service.verifier.device_states import DeviceState
from armillary.sim.device.service_host import ServiceHost


def test_a_device_in_quarantine_gets_update_certificates_and_the_hub_refuses_it(host: ServiceHost) -> None:
    service, closed = host.service, list[str]()
    service.notices.on_cut.append(closed.append)
    with host.claimed(b"q" * 32) as device:
        before = device.check_in()
        assert (before.verdict, before.purpose) == ("attested", "client")
        assert service.hub_access.authenticate(before.certificate_chain[0]) == device.device_id
        shown = service.registry.quarantine.put(device.device_id, reason="odd traffic", actor="anna")
        assert (shown.health, shown.quarantine_reason, closed) == ("quarantined", "odd traffic", [device.device_id])
        with pytest.raises(QuarantinedDeviceError, match="quarantine"):  # the certificate of before
            service.hub_access.authenticate(before.certificate_chain[0])
        reply = device.check_in()  # on the connection that was open all the time
        assert (reply.verdict, reply.purpose) == ("attested", "update")
        with pytest.raises(QuarantinedDeviceError):
            service.hub_access.authenticate(reply.certificate_chain[0])
        # What it boots is judged as before: one that was repaired can show it.
        assert service.registry.devices.get(device.device_id).verdict == "attested"
        assert service.registry.lifecycle.release(device.device_id, actor="ben").health == "attested"
        again = device.check_in()
        assert (again.verdict, again.purpose) == ("attested", "client")
        assert service.hub_access.authenticate(again.certificate_chain[0]) == device.device_id
    said = [
        (line.operation, line.actor) for line in service.audit.list(limit=20).items if line.target == device.device_id
    ]
    assert said[:3] == [("device.release", "ben"), ("device.end-quarantine", "ben"), ("device.quarantine", "anna")]


def test_without_the_check_at_issuing_a_device_in_quarantine_gets_a_client_certificate(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control of the test above: the purpose of the certificate is what keeps relying parties from taking it."""
    monkeypatch.setattr(DeviceState, "earns", lambda _, verdict: verdict)
    with host.claimed(b"q" * 32) as device:
        host.service.registry.quarantine.put(device.device_id, reason="r", actor="t")
        assert device.check_in().purpose == "client"


def test_a_quarantine_ends_by_itself_when_its_time_is_over(host: ServiceHost, clock: Clock) -> None:
    quarantine = host.service.registry.quarantine
    with host.claimed(b"e" * 32) as device:
        quarantine.put(device.device_id, reason="r", actor="t", lifetime_s=600)
        clock.now += 599
        assert quarantine.end_due() == 0
        assert device.check_in().purpose == "update"
        clock.now += 1
        assert quarantine.end_due() == 1
        assert quarantine.end_due() == 0
        assert device.check_in().purpose == "client"
    ended = host.service.audit.list(limit=5).items[0]
    assert (ended.operation, ended.actor) == ("device.end-quarantine", "service")


def test_who_is_put_there_anew_at_the_last_moment_stays(
    host: ServiceHost, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, records = host.service.registry, host.service.context.records
    with host.claimed(b"n" * 32) as device:
        registry.quarantine.put(device.device_id, reason="r", actor="t", lifetime_s=60)
        clock.now += 60
        read = records.read

        def overtaken(query: Any) -> Any:
            found = read(query)
            if found == (device.device_id,):  # between the look and the write
                monkeypatch.setattr(records, "read", read)
                registry.lifecycle.release(device.device_id, actor="anna")
                registry.quarantine.put(device.device_id, reason="for good", actor="anna")
            return found

        monkeypatch.setattr(records, "read", overtaken)
        assert registry.quarantine.end_due() == 0
        assert registry.devices.get(device.device_id).quarantine_reason == "for good"


def test_who_cannot_be_put_into_quarantine(host: ServiceHost) -> None:
    registry = host.service.registry
    with host.claimed(b"n" * 32) as device:
        for lifetime_s in (0, 59, 400 * 86_400):
            with pytest.raises(InvalidArgumentError, match="lifetime"):
                registry.quarantine.put(device.device_id, reason="r", actor="t", lifetime_s=lifetime_s)
        registry.quarantine.put(device.device_id, reason="r", actor="t")
        with pytest.raises(ConflictError, match="already"):
            registry.quarantine.put(device.device_id, reason="r", actor="t")
        registry.lifecycle.release(device.device_id, actor="t")
        with pytest.raises(ConflictError, match="nor in quarantine"):
            registry.lifecycle.release(device.device_id, actor="t")
        registry.lifecycle.revoke(device.device_id, reason="r", actor="t")
        with pytest.raises(ConflictError, match="revoked"):
            registry.quarantine.put(device.device_id, reason="r", actor="t")
