# SPDX-License-Identifier: Apache-2.0
"""Two machines with one identity, over real TLS: both are found and held, until an operator has looked."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from armillary.attest import appraise as rules
from armillary.errors import AppraisalError, ConflictError
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import CheckinReply


def keeping(host: ServiceHost, secret: bytes) -> WireDevice:
    """A device that keeps the challenge of each reply."""
    return replace(host.claimed(secret), lineage=b"")


def copied(device: WireDevice, *, boots: int = 1) -> WireDevice:
    """A copy of the device's storage that was started ``boots`` times."""
    prover = replace(device.prover, boot_count=device.prover.boot_count + boots - 1)
    return replace(device, prover=prover, challenge=b"", _socket=None)


def restart(device: WireDevice, *, past: WireDevice | None = None) -> None:
    """Boot again, as often as it takes to be past another machine's counter."""
    if past is not None:
        device.prover.boot_count = max(device.prover.boot_count, past.prover.boot_count)
    device.prover.boot()
    device.challenge = b""


def failing(reply: CheckinReply) -> set[str]:
    return {step.name for step in reply.steps if step.result == "fail"}


def test_copies_that_boot_past_each_other_are_found_and_both_are_held(host: ServiceHost) -> None:
    closed: list[str] = []
    host.service.notices.on_cut.append(closed.append)
    original = keeping(host, b"o" * 32)
    assert original.check_in().verdict == "attested"
    copy = copied(original, boots=3)
    with original, copy:
        good = copy.check_in()
        assert good.verdict == "attested"  # looks like the original after a lost reply
        restart(original, past=copy)
        assert original.check_in().verdict == "attested"
        assert host.service.hub_access.authenticate(good.certificate_chain[0]) == original.device_id
        restart(copy, past=original)
        found = copy.check_in()
        assert (found.verdict, found.purpose, failing(found)) == ("update-only", "update", {"lineage"})
        for machine in (original, copy, original):
            restart(machine, past=copy)
            reply = machine.check_in()
            assert (reply.verdict, reply.purpose) == ("update-only", "update")
        with pytest.raises(AppraisalError, match="held"):  # the certificate of before opens nothing any more
            host.service.hub_access.authenticate(good.certificate_chain[0])
        assert closed == [original.device_id]
        host.service.watch.run_once()
        (finding,) = host.service.watch.list(kind="identity-forked").items
        assert (finding.severity, finding.device_ids) == ("critical", (original.device_id,))
        assert "release" in finding.proposed_action
        held = host.service.registry.devices.get(original.device_id)
        assert (held.held_at is not None, held.health) == (True, "held")


def test_without_the_lineage_step_the_copies_are_never_found(
    host: ServiceHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "lineage_fault", lambda *_: "")
    original = keeping(host, b"m" * 32)
    assert original.check_in().verdict == "attested"
    copy = copied(original)
    with original, copy:
        for machine, other in ((copy, original), (original, copy)) * 3:
            restart(machine, past=other)
            assert machine.check_in().verdict == "attested"


def test_an_operator_releases_a_held_device_and_the_audit_says_so(host: ServiceHost) -> None:
    registry = host.service.registry
    original = keeping(host, b"r" * 32)
    with original:
        assert original.check_in().verdict == "attested"
        with pytest.raises(ConflictError, match="not held"):
            registry.lifecycle.release(original.device_id, actor="t")
        old = copied(original)  # a backup
        for _ in range(2):
            assert original.check_in().verdict == "attested"
        with old:
            assert failing(old.check_in()) == {"lineage"}  # an old backup is put back: held, and explained
            registry.lifecycle.release(original.device_id, actor="anna")
            for _ in range(3):
                assert old.check_in().verdict == "attested"
            assert failing(original.check_in()) == {"boot counter", "lineage"}  # the other one is a copy now
            assert old.check_in().verdict == "update-only"
        lines = host.service.audit.list(limit=20).items
        mine = [(line.operation, line.actor) for line in lines if line.target == original.device_id]
        assert mine[:3] == [("device.hold", "service"), ("device.release", "anna"), ("device.hold", "service")]


def test_restarts_and_lost_replies_are_legal(host: ServiceHost) -> None:
    with keeping(host, b"l" * 32) as device:
        for lost in (False, True, True, False, True, False, False):
            kept = device.lineage
            assert device.check_in().verdict == "attested"
            if lost:
                device.lineage, device.challenge = kept, b""
            else:
                restart(device)
        assert host.service.registry.devices.get(device.device_id).held_at is None


def test_a_device_that_kept_a_lineage_cannot_stop(host: ServiceHost) -> None:
    with keeping(host, b"s" * 32) as device:
        assert device.check_in().verdict == "attested"
        device.lineage, device.challenge = None, b""
        assert failing(device.check_in()) == {"lineage"}
    with host.claimed(b"t" * 32) as older:
        for _ in range(3):
            assert older.check_in().verdict == "attested"
            restart(older)


def test_a_made_up_or_foreign_lineage_is_no_lineage(host: ServiceHost) -> None:
    with keeping(host, b"1" * 32) as device, keeping(host, b"2" * 32) as other:
        assert device.check_in().verdict == other.check_in().verdict == "attested"
        for value in (other.lineage, b"\2" + bytes(53), b"x", b"", device.fetch_challenge()):
            device.lineage, device.challenge = value, b""
            assert failing(device.check_in()) == {"lineage"}
            host.service.registry.lifecycle.release(device.device_id, actor="t")
            assert device.check_in().verdict == "attested"


def test_a_lineage_holds_over_a_restart_of_the_service(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with ServiceHost(data) as host:
        host.catalog()
        original = keeping(host, b"h" * 32)
        with original:
            for _ in range(3):
                kept = original.lineage
                assert original.check_in().verdict == "attested"
    with ServiceHost(data) as host:
        original.port = host.service.device_address.port
        stale = replace(copied(original), lineage=kept)
        with original, stale:
            assert original.check_in().verdict == "attested"
            assert "lineage" in failing(stale.check_in())
    with ServiceHost(data) as host:
        original.port = host.service.device_address.port
        with original:
            assert failing(original.check_in()) == {"lineage"}  # held, also after a restart


def test_records_that_were_set_back_hold_nobody(tmp_path: Path) -> None:
    """A service that is restored from its backup knows less than its devices; a copy cannot look like that."""
    with ServiceHost(tmp_path / "data") as host:
        host.catalog()
        device, quiet = keeping(host, b"d" * 32), keeping(host, b"q" * 32)
        with device, quiet:
            for _ in range(2):
                assert device.check_in().verdict == quiet.check_in().verdict == "attested"
    shutil.copytree(tmp_path / "data", tmp_path / "backup")
    shutil.copy2(tmp_path / "data.passphrase", tmp_path / "backup.passphrase")
    with ServiceHost(tmp_path / "data") as host:
        device.port = host.service.device_address.port
        with device:
            for _ in range(2):
                assert device.check_in().verdict == "attested"
    with ServiceHost(tmp_path / "backup") as host:
        device.port = quiet.port = host.service.device_address.port
        copy = copied(quiet)
        with device, quiet, copy:
            assert device.check_in().verdict == "attested"  # answers a challenge of a reply that is not on record
            restart(device)
            assert device.check_in().verdict == "attested"
            assert quiet.check_in().verdict == "attested"
            assert quiet.check_in().verdict == "attested"
            assert "lineage" in failing(copy.check_in())
