# SPDX-License-Identifier: Apache-2.0
"""``armillary trace``, from the command line to the records and back."""

from __future__ import annotations

from pathlib import Path

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


def test_a_product_is_traced_and_its_audit_lines_are_proved_without_the_service(
    armillary: Command, service: RunningService, tmp_path: Path
) -> None:
    service.make_catalog("Fabrikam", product="Coffee")
    service.claimed("Fabrikam")
    armillary("product", "update", "-c", "Fabrikam", "-p", "Coffee", "--manufacturer", "Fabrikam Ltd")
    where = ("trace", "product", "-c", "Fabrikam", "-p", "Coffee")
    shown = armillary(*where, "--audit")
    assert shown.code == 0, shown.err
    assert "Fabrikam Ltd" in shown.out
    assert "product.declare" in shown.out
    assert "not everything could be judged" in armillary(*where).err, "no feed is no good news"
    document = armillary(*where, "--json").json
    assert document["devices"]["count"] == 1
    assert {"root", "catalog", "issuing"} <= {key["kind"] for key in document["keys"]}
    proof = tmp_path / "proof.json"
    assert armillary(*where, "--proof", str(proof)).code == 0
    logs = {each["log"]: each["verifier_key"] for each in armillary("audit", "logs", "--json").json}
    proved = armillary("audit", "verify", str(proof), "--key", logs["audit"], "--json").json
    assert [each["number"] for each in proved["entries"]] == [each["number"] for each in document["audit"]]
    content = proof.read_bytes()
    proof.write_bytes(content.replace(b"Fabrikam/Coffee", b"Fabrikam/Toffee", 1))
    assert armillary("audit", "verify", str(proof), "--key", logs["audit"]).code == 1
    token = service.token_for("Fabrikam")
    theirs = service.call("GET", "/api/v1/catalogs/Fabrikam/products/Coffee/trace", token=token)
    assert (theirs.status, theirs.body["audit"], theirs.body["devices"]["count"]) == (200, [], 1)
    assert service.call("POST", "/api/v1/logs/audit/proof", {"numbers": [1]}, token=token).status == 403
    assert service.call("POST", "/api/v1/logs/audit/proof", {"numbers": [10**9]}).status == 404
    assert service.call("POST", "/api/v1/logs/audit/proof", {"numbers": []}).status == 400


def test_a_key_of_the_repository_is_traced_by_its_id(armillary: Command, service: RunningService) -> None:
    key_id = service.service.repository.edition().root.signed.roles["root"].keyids[0]
    shown = armillary("trace", "key", "--key-id", key_id)
    assert shown.code == 0, shown.err
    assert key_id in shown.out
    document = armillary("trace", "key", "--key-id", key_id, "--json").json
    assert (document["roles"], document["is_online"], document["until_root"]) == (["root"], True, None)
    keys = {line.split()[0] for line in armillary("release", "keys", "show").out.splitlines() if "root" in line}
    assert key_id[:8] in keys
    assert armillary("trace", "key", "--key-id", key_id[:8]).out == shown.out
    none = armillary("trace", "key", "--key-id", "0000fffff")
    assert "there is no key whose id begins with '0000fffff'" in none.err
    assert "armillary release keys show" in none.err
    assert armillary("trace", "key", "--key-id", "0" * 64).code == 1
    assert armillary("trace", "key").code == 2
    assert armillary("trace", "key", "--key-id", key_id, "--serial", "12").code == 2
