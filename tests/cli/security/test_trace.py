# SPDX-License-Identifier: Apache-2.0
"""``armillary trace``, from the command line to the records and back."""

from __future__ import annotations

from tests.api.running_service import RunningService, own_service
from tests.cli.conftest import Command

service = own_service()


def test_a_device_and_a_key_are_traced(armillary: Command, service: RunningService) -> None:
    service.make_catalog("Contoso", product="Coffee")
    device = service.claimed("Contoso")
    shown = armillary("trace", "device", "--device", device.device_id[:12])
    assert shown.code == 0, shown.err
    assert shown.out.splitlines()[0].split() == ["at", "kind", "says", "record"]
    assert [line.split()[2] for line in shown.out.splitlines()[1:]] == ["test:", "test:"]
    document = armillary("trace", "device", "-d", device.device_id, "--json").json
    assert [line["operation"] for line in document["audit"]] == ["device.manufacture", "device.claim"]
    # An owner's token reads no audit log, and sees the rest.
    theirs = service.call("GET", f"/api/v1/devices/{device.device_id}/trace", token=service.token_for("Contoso"))
    assert (theirs.status, theirs.body["audit"], theirs.body["device"]["device_id"]) == (200, [], device.device_id)

    serial = service.service.authority.os_signer.certificate.serial_number
    traced = armillary("trace", "key", "--serial", f"{serial:x}", "--json").json
    assert traced["certificate"]["kind"] == "os-signing"
    assert traced["counts"]["release"] >= 1
    assert "release" in armillary("trace", "key", "--serial", f"{serial:X}").out
    assert armillary("trace", "key", "--serial", "12").code == 1
    refused = service.call("GET", f"/api/v1/certificates/{serial:x}/trace", token=service.token_for("Contoso"))
    assert refused.status == 403
