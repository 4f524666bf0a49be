# SPDX-License-Identifier: Apache-2.0
"""The device process against a service that appraises for real."""

from __future__ import annotations

import asyncio
import functools
import re
import time
import uuid
from dataclasses import replace
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import load_pem_x509_certificate
from tests.device.rig import FAST, Rig
from tests.fixtures.dumps import state
from tests.fixtures.waiting import until

from armillary.boot import chain
from armillary.device.boot.provision import boot_region
from armillary.device.boot.recovery import recover
from armillary.device.checkin.checkin import CheckIns
from armillary.device.process import Device
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.device.state.permission import remove_capability, select_capability
from armillary.engines.flash.file import FileFlash
from armillary.engines.sandbox.port import ConnectionAttempt, ExitStatus, OutputLine
from armillary.errors import BootRefusedError, DataFolderError, DataFolderInUseError
from armillary.wire.certificates.certificate import parse_device_certificate
from armillary.wire.device.checkin import FULL_DUMPS, NO_DUMPS
from armillary.wire.device.problem import Problem
from armillary.wire.image import capability_file

pytestmark = pytest.mark.anyio


async def test_first_check_in_gives_a_certificate_for_a_new_key(rig: Rig) -> None:
    await rig.start()
    daa = rig.folder / "daa"
    await until((daa / "certificate.pem").exists, "certificate")
    await until(lambda: rig.status().get("last_check_in"), "status")
    status = rig.status()
    assert status["last_check_in"]["verdict"] == "attested"
    assert status["trust_tier"] == "software"
    assert status["sandbox"]["weaker"] == ["Applications are not contained."]
    assert {step["name"] for step in status["last_check_in"]["steps"] if step["result"] != "pass"} == {
        "tpm quote",
        "firmware log",
    }
    first = load_pem_x509_certificate((daa / "certificate.pem").read_bytes())
    assert parse_device_certificate(der(first)).purpose == "client"
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) == 2, "second check-in")
    await until(
        lambda: load_pem_x509_certificate((daa / "certificate.pem").read_bytes()) != first, "second certificate"
    )
    second = load_pem_x509_certificate((daa / "certificate.pem").read_bytes())
    assert second.public_key().public_numbers() != first.public_key().public_numbers()
    request = rig.service.checks[1][1].evidence
    assert ("seccomp", "missing: nothing is enforced here") in request.enforcement


async def test_deployments_wait_while_the_device_is_used_for_development(rig: Rig) -> None:
    flash = FileFlash(rig.folder / "flash")
    configuration = load_configuration(flash)
    signed = capability_file.build(
        configuration.device_id,
        [capability_file.APP_DEVELOPMENT],
        image_id=uuid.uuid4(),
        built=int(time.time()),
        key=rig.service.os_key,
        certificate=rig.service.os_certificate,
    )
    select_capability(flash, configuration, signed, now=int(time.time()))
    image = rig.service.application()
    rig.service.deploy(image)
    await rig.start()
    await until(lambda: rig.status().get("last_check_in"), "check-in")
    await until(lambda: rig.events("update-held-back"), "held back")
    rig.device.check_in_now()
    await until(lambda: rig.service.checks[-1][0].update_status.reason == "development", "the service is told why")
    assert rig.sandbox.alive == []
    assert rig.status()["capabilities"] == ["EnableCustomerAppDevelopment"]
    remove_capability(flash)
    rig.device.check_in_now()
    await until(rig.outcomes, "outcome")
    assert rig.outcomes() == [(image.image_id, "confirmed")]
    await until(lambda: rig.status().get("capabilities") == [], "status")


async def test_update_is_tried_confirmed_and_reported(rig: Rig) -> None:
    image = rig.service.application()
    rig.service.deploy(image)
    await rig.start()
    await until(rig.outcomes, "outcome")
    assert rig.outcomes() == [(image.image_id, "confirmed")]
    assert rig.sandbox.alive == ["app1"]
    states = [i.state for request, _ in rig.service.checks for i in request.installed]
    assert states[0] == "trial"
    assert states[-1] == "running"
    await until(lambda: rig.status()["installation"] == "idle", "idle")
    checks = len(rig.service.checks)
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > checks, "another check-in")
    assert rig.outcomes() == [(image.image_id, "confirmed")], "an outcome is reported once"


async def test_crashing_update_is_taken_back_and_the_old_version_runs(rig: Rig) -> None:
    good = rig.service.application()
    rig.service.deploy(good)
    await rig.start()
    await until(lambda: rig.outcomes() == [(good.image_id, "confirmed")], "first version")
    bad = rig.service.application(b"#!/bin/sh\nexit 11\n")
    root = str(bad.image_id)
    rig.sandbox.behaviour = lambda r: r.end(ExitStatus(11, None)) if root in str(r.launch.image_root) else None
    rig.service.deploy(bad)
    rig.device.check_in_now()
    await until(lambda: (bad.image_id, "reverted") in rig.outcomes(), "revert")
    await until(lambda: rig.sandbox.alive == ["app1"], "old version")
    assert str(good.image_id) in str(rig.sandbox.runs[-1].launch.image_root)
    reports = {r.event_type: r for r in rig.service.reports_seen.values()}
    assert f"AppExit (exit_code=11; component_id={good.component_id}; image_id={bad.image_id})" == (
        reports["AppExit"].description
    )
    assert "InstallReverted" in reports
    checks = len(rig.service.checks)
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > checks, "another check-in")
    assert len(rig.events("update-started")) == 2, "the same deployment is not tried again"


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        ("signature", "not signed by a key this device trusts"),
        ("bytes", "other bytes than it offered"),
        ("capability", "mutable storage|SizeKB|MutableStorage"),
        ("size", "expected at most"),
    ],
)
async def test_bad_images_are_refused_and_nothing_changes(rig: Rig, spoil: str, reason: str) -> None:
    service = rig.service
    if spoil == "signature":
        image = service.application(key=ec.generate_private_key(ec.SECP256R1()))
    elif spoil == "capability":
        image = service.application(MutableStorage={"SizeKB": 65})
    elif spoil == "size":
        image = service.application(b"#!/bin/sh\n" + b"x" * (1024 * 1024))
    else:
        image = service.application()
        data = service.images[str(image.image_id)]
        service.images[str(image.image_id)] = data[:100] + bytes([data[100] ^ 1]) + data[101:]
    service.deploy(image)
    await rig.start()
    await until(rig.outcomes, "outcome")
    assert rig.outcomes() == [(image.image_id, "failed")]
    [refused] = rig.events("update-refused")
    assert re.search(reason, refused["reason"]), refused["reason"]
    assert rig.sandbox.runs == []
    assert FileFlash(rig.folder / "flash").regions("applications/") == ()


async def test_what_came_before_a_download_failed_is_not_fetched_again(rig: Rig) -> None:
    first, second = rig.service.application(component=1), rig.service.application(component=2)
    late = rig.service.images.pop(str(second.image_id))
    rig.service.deploy(first, second)
    await rig.start()
    await until(lambda: rig.status().get("last_check_in"), "check-in")
    await until(lambda: rig.events("update-postponed"), "the second is not there")
    assert FileFlash(rig.folder / "flash").regions("fetched/") == (f"fetched/{first.image_id}",)
    del rig.service.images[str(first.image_id)]
    rig.service.images[str(second.image_id)] = late
    rig.device.check_in_now()
    await until(rig.outcomes, "outcome")
    assert set(rig.outcomes()) == {(first.image_id, "confirmed"), (second.image_id, "confirmed")}
    assert FileFlash(rig.folder / "flash").regions("fetched/") == ()


async def test_tampered_boot_component_is_refused_reported_and_recovered(rig: Rig) -> None:
    flash = FileFlash(rig.folder / "flash")
    region = boot_region("security-monitor")
    good = flash.read(region)
    flash.write(region, good[:500] + bytes([good[500] ^ 1]) + good[501:])
    device = Device(rig.folder, settings=FAST, sandbox=rig.sandbox)
    with pytest.raises(BootRefusedError, match="security-monitor"):
        await device.run()
    assert rig.status()["state"] == "boot-refused"
    assert "recover" in rig.status()["remedy"]
    assert recover(DeviceFolder(rig.folder), rig.service.factory, now=int(time.time())) == ("security-monitor",)
    await rig.start()
    await until(lambda: rig.service.checks, "check-in after recovery")
    assert [r.event_type for r in rig.service.checks[0][0].error_reports] == ["BootFailure"]
    assert rig.service.checks[0][1].verdict == "attested"


async def test_attacker_without_verification_gets_no_certificate_for_applications(rig: Rig) -> None:
    image = rig.service.application(DeviceAuthentication=str(uuid.uuid4()))
    rig.service.deploy(image)
    await rig.start()
    await until(rig.outcomes, "positive control: the genuine device runs the application")
    daa = rig.folder / "daa"
    assert (daa / "certificate.pem").exists()
    assert rig.sandbox.runs[-1].launch.device_authentication == daa
    await rig.stop()
    flash = FileFlash(rig.folder / "flash")
    region = boot_region("security-monitor")
    good = flash.read(region)
    flash.write(region, good[:500] + bytes([good[500] ^ 1]) + good[501:])
    checks = len(rig.service.checks)
    await rig.start(boot_rom=functools.partial(chain.boot, enforce=False))
    await until(lambda: len(rig.service.checks) > checks, "check-in of the attacker")
    assert rig.service.checks[-1][1].verdict == "update-only"
    await until(lambda: rig.status().get("last_check_in"), "status")
    assert rig.status()["last_check_in"]["purpose"] == "update"
    assert not (daa / "certificate.pem").exists()
    assert not (daa / "key.pem").exists()
    assert list(daa.glob("generation-*")) == []


async def test_blocked_connections_and_crashes_become_error_reports(rig: Rig) -> None:
    image = rig.service.application()
    rig.service.deploy(image)
    await rig.start()
    await until(rig.outcomes, "installed")
    attempt = ConnectionAttempt("evil.example", 443, allowed=False, at=time.time(), count=3)
    rig.sandbox.events[-1](attempt)
    rig.sandbox.events[-1](attempt)
    rig.sandbox.runs[-1].end(ExitStatus(None, 11))
    await until(lambda: len(rig.sandbox.runs) == 2, "restart after the crash")
    rig.device.check_in_now()
    await until(lambda: len(rig.service.reports_seen) == 2, "reports")
    reports = {r.event_type: r for r in rig.service.reports_seen.values()}
    assert reports["ConnectionBlocked"].count == 6
    assert "evil.example:443" in reports["ConnectionBlocked"].description
    assert reports["AppCrash"].description == (
        f"AppCrash (exit_status=11; signal_status=11; signal_code=0; "
        f"component_id={image.component_id}; image_id={image.image_id})"
    )


@pytest.mark.parametrize(("version", "speaks_crashes"), [(8, True), (7, True), (6, True), (5, False)])
async def test_where_a_crash_was_is_told_to_a_service_that_takes_it(
    rig: Rig, version: int, speaks_crashes: bool
) -> None:
    rig.service.speaks_crashes, rig.service.speaks_consent = speaks_crashes, version >= 7
    rig.service.speaks_log = version == 8
    rig.service.deploy(rig.service.application())
    await rig.start()
    await until(rig.outcomes, "installed")
    for line in ("Fatal Python error: Segmentation fault", "", "Current thread 0x00007f (most recent call first):",
                 '  File "/bin/app", line 3 in pump', '  File "/bin/app", line 9 in <module>'):  # fmt: skip
        rig.sandbox.events[-1](OutputLine("stderr", line, time.time()))
    rig.sandbox.runs[-1].end(ExitStatus(None, 11))
    await until(lambda: len(rig.sandbox.runs) == 2, "restart after the crash")
    rig.device.check_in_now()
    await until(lambda: rig.service.reports_seen, "report")
    [report] = rig.service.reports_seen.values()
    assert report.event_type == "AppCrash"
    if speaks_crashes:
        assert report.crash.signal == 11
        assert [(one.function, one.offset) for one in report.crash.frames] == [("pump", 3), ("<module>", 9)]
    else:
        assert report.crash is None
    assert version in {request.protocol_version for request, _ in rig.service.checks}
    await until(lambda: rig.status()["error_reports_waiting"] == 0, "dropped after the reply")


@pytest.mark.parametrize(("consent", "dumps"), [(FULL_DUMPS, 1), (NO_DUMPS, 0)])
async def test_a_dump_is_sent_where_the_service_consents_and_deleted_where_it_no_longer_does(
    rig: Rig, consent: int, dumps: int
) -> None:
    rig.service.dumps = FULL_DUMPS
    rig.service.refuse_dump = (503, Problem("device.try-later", "busy", "Wait.", 1))
    rig.service.deploy(rig.service.application())
    await rig.start()
    await until(rig.outcomes, "installed")
    rig.sandbox.runs[-1].end(ExitStatus(None, 11, state()))
    await until(lambda: rig.events("crash-dump-waits"), "a dump that waits")
    rig.service.refuse_dump, rig.service.dumps = None, consent
    rig.device.check_in_now()
    await until(lambda: rig.events("crash-dump-sent" if dumps else "crash-dumps-deleted"), "its end")
    await until(lambda: rig.status()["crash_dumps_waiting"] == 0, "nothing left")
    assert len(rig.service.dumps_taken) == dumps


async def test_a_dump_that_cannot_be_kept_stops_no_application(rig: Rig) -> None:
    rig.service.dumps = FULL_DUMPS
    rig.service.deploy(rig.service.application())
    await rig.start()
    await until(rig.outcomes, "installed")
    rig.sandbox.runs[-1].end(ExitStatus(None, 11, state(code=2**40)))  # no form has that
    await until(lambda: rig.events("crash-dump-not-kept"), "the reason in the log")
    await until(lambda: len(rig.sandbox.runs) == 2, "restart after the crash")


async def test_the_log_is_sent_once_for_one_request(rig: Rig) -> None:
    rig.service.deploy(rig.service.application())
    await rig.start()
    await until(rig.outcomes, "installed")
    rig.sandbox.events[-1](OutputLine("stdout", "connected with password=hunter2", time.time()))
    rig.service.log_request = uuid.UUID(int=5)
    rig.device.check_in_now()
    await until(lambda: rig.events("log-sent"), "the log")
    [log] = rig.service.logs_taken
    assert log.request_id == uuid.UUID(int=5)
    assert "booted" in log.lines[0]
    assert any(line.endswith("text=connected with password=[hidden]") for line in log.lines)
    assert "hunter2" not in "".join(log.lines)
    checks = len(rig.service.checks)
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) > checks, "another check-in whose reply names the same request")
    await until(lambda: len(rig.events("check-in")) == len(rig.service.checks), "its end")
    assert len(rig.service.logs_taken) == 1


async def test_a_log_that_cannot_be_sent_now_is_sent_after_the_next_check_in(rig: Rig) -> None:
    rig.service.log_request = uuid.UUID(int=5)
    rig.service.refuse_log = (503, Problem("device.try-later", "busy", "Wait.", 1))
    await rig.start()
    await until(lambda: rig.service.checks, "first check-in")
    await until(lambda: rig.events("log-waits"), "a log that waits")
    rig.service.refuse_log = None
    rig.device.check_in_now()
    await until(lambda: rig.events("log-sent"), "the log")
    assert len(rig.service.logs_taken) == 1


async def test_lost_reply_sends_the_same_reports_again(rig: Rig) -> None:
    image = rig.service.application()
    rig.service.deploy(image)
    await rig.start()
    await until(rig.outcomes, "installed")
    rig.service.lose_replies = 2
    rig.sandbox.events[-1](ConnectionAttempt("evil.example", 443, allowed=False, at=time.time()))
    rig.device.check_in_now()
    await until(lambda: rig.service.duplicate_reports >= 2, "sent again")
    await until(lambda: rig.status()["error_reports_waiting"] == 0, "dropped after the reply")
    assert len(rig.service.reports_seen) == 1


@pytest.mark.parametrize("status", [403, 429, 503, 500])
async def test_refusals_are_shown_and_tried_again(rig: Rig, status: int) -> None:
    rig.service.refuse = (status, Problem("device.unclaimed", "belongs to no catalog", "Claim it.", 1))
    await rig.start()
    await until(lambda: rig.status().get("last_check_in"), "first answer")
    last = rig.status()["last_check_in"]
    assert last["accepted"] is False
    expected = {403: "device.unclaimed", 429: "device.try-later", 503: "device.try-later"}
    assert last["code"] == expected.get(status, "host.service-unreachable")
    assert "belongs to no catalog" in last["message"]
    if status in (429, 503):
        assert rig.events("check-in-failed")[0]["retry_s"] >= 1
    rig.service.refuse = None
    await until(lambda: rig.service.checks, "accepted later")


async def test_stale_challenge_is_replaced_at_once(rig: Rig) -> None:
    await rig.start()
    await until(lambda: rig.status().get("check_ins") == 1, "first")
    rig.service.challenge_key = bytes(32)  # as after a restart of the service with another key
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) == 2, "second")
    assert rig.events("check-in-failed") == []


async def test_service_with_another_root_is_not_spoken_to(rig: Rig) -> None:
    impostor = type(rig.service)()
    await impostor.start()
    try:
        device = Device(rig.folder, settings=FAST, sandbox=rig.sandbox)
        device.configuration = replace(device.configuration, device_endpoint=impostor.url)
        rig.device, rig.task = device, asyncio.create_task(device.run())
        await until(lambda: rig.status().get("last_check_in"), "attempt")
        assert "does not lead to this device's service root" in rig.status()["last_check_in"]["message"]
        assert impostor.checks == []
    finally:
        await rig.stop()
        await impostor.close()


async def test_two_processes_cannot_be_one_device(rig: Rig) -> None:
    await rig.start()
    await until(lambda: rig.service.checks, "check-in")
    second = Device(rig.folder, settings=FAST, sandbox=rig.sandbox)
    with pytest.raises(DataFolderInUseError):
        await second.run()


async def test_applications_start_before_the_first_check_in_of_a_later_boot(rig: Rig) -> None:
    rig.service.deploy(rig.service.application(DeviceAuthentication=str(uuid.uuid4())))
    await rig.start()
    await until(rig.outcomes, "installed")
    await rig.stop()
    rig.service.refuse = (503, Problem("device.try-later", "down", "Wait.", 600))
    await rig.start()
    await until(lambda: len(rig.sandbox.runs) == 2, "started from what the device has")
    environment = rig.sandbox.runs[-1].launch.environment
    assert environment["ARMILLARY_HUB_HOST"] == "hub.test"
    assert environment["ARMILLARY_HUB_PORT"] == "8883"
    assert environment["ARMILLARY_DEVICE_ID"] == rig.device.device_id


async def test_a_hub_that_moved_restarts_who_speaks_to_it(rig: Rig) -> None:
    speaking = rig.service.application(DeviceAuthentication=str(uuid.uuid4()))
    rig.service.deploy(speaking, rig.service.application(component=2))
    await rig.start()
    await until(lambda: len(rig.outcomes()) == 2, "installed")
    rig.service.hub_port = 9999
    rig.device.check_in_now()
    await until(lambda: len(rig.sandbox.runs) == 3, "restart")
    assert rig.sandbox.runs[-1].launch.manifest.name == "app1"
    assert rig.sandbox.runs[-1].launch.environment["ARMILLARY_HUB_PORT"] == "9999"
    assert len(rig.events("hub-moved")) == 1


async def test_a_check_in_that_is_asked_for_while_one_is_under_way_is_made(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = CheckIns.check_in

    async def check_in(self: CheckIns, **given: Any) -> Any:
        reply = await real(self, **given)
        if len(rig.service.checks) == 2:
            rig.device.check_in_now()
        return reply

    monkeypatch.setattr(CheckIns, "check_in", check_in)
    await rig.start()
    await until(lambda: rig.service.checks, "first check-in")
    rig.device.check_in_now()
    await until(lambda: len(rig.service.checks) == 3, "the one that was asked for meanwhile")


async def test_a_full_disk_stops_nothing_and_is_survived(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write fails for a while, in the middle of an update; afterwards all is as it should be."""
    failing = {"left": 0, "seen": 0}
    real = FileFlash.write

    def write(self: FileFlash, region: str, data: bytes) -> None:
        if failing["left"] > 0:
            failing["left"] -= 1
            failing["seen"] += 1
            raise DataFolderError("No space left on device")
        real(self, region, data)

    monkeypatch.setattr(FileFlash, "write", write)
    first = rig.service.application()
    rig.service.deploy(first)
    await rig.start()
    await until(lambda: rig.outcomes() == [(first.image_id, "confirmed")], "first version")
    for failures in (1, 2, 3, 4, 6, 9):
        image = rig.service.application()
        rig.service.deploy(image)
        failing["left"] = failures
        rig.device.check_in_now()
        rig.sandbox.runs[-1].end(ExitStatus(3, None))
        await until(lambda i=image: (i.image_id, "confirmed") in rig.outcomes(), f"{failures} failures", 20)
        assert not rig.task.done()
    await until(lambda: rig.sandbox.alive == ["app1"], "still running")
    assert failing["seen"] == 25


async def test_prove_once_needs_no_applications(rig: Rig) -> None:
    rig.service.deploy(rig.service.application())
    reply = await Device(rig.folder, sandbox=rig.sandbox).prove_once()
    assert reply.verdict == "attested"
    assert rig.sandbox.runs == []


def der(certificate: Any) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
