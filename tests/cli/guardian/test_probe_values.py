# SPDX-License-Identifier: Apache-2.0
"""``armillary guardian probe opc-ua`` and ``probe bacnet``: machines that say what they have."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bacpypes3.basetypes import EngineeringUnits
from bacpypes3.primitivedata import CharacterString, Enumerated, ObjectIdentifier
from cryptography.hazmat.primitives.serialization import Encoding
from tests.cli.conftest import exits
from tests.fixtures.bacnet_device import DEVICE, analog, scripted_device, values
from tests.fixtures.loops import LoopThread
from tests.fixtures.namespaces import network_namespace
from tests.fixtures.opcua_server import PORT, opcua_server, server_key

from armillary.content.equipment import read_text
from armillary.engines.equipment.opcua_identity import client_identity
from armillary.wire.equipment.profile import BacnetIp, NodeAddress, ObjectAddress, OpcUa

URL = f"opc.tcp://127.0.0.1:{PORT}"
FAST = ("--rate", "1000", "--timeout", "5")


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    exits(0, "guardian", "probe", *arguments, "--json")
    return json.loads(capsys.readouterr().out)


def test_a_server_is_looked_at_then_trusted_by_hand_then_drafted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    key, data, draft = server_key(tmp_path), tmp_path / "data", tmp_path / "machine.yaml"
    trusted = tmp_path / "client.der"
    trusted.write_bytes(client_identity(data).certificate.public_bytes(Encoding.DER))

    def story() -> None:
        offered = printed(capsys, "opc-ua", URL, *FAST)
        usable = {each["policy"] for each in offered["endpoints"] if each["usable"]}
        assert usable == {"Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss"}
        assert {each["policy"] for each in offered["endpoints"] if not each["usable"]} >= {"None"}
        assert {each["sha256"] for each in offered["endpoints"]} == {key.sha256}
        assert offered["variables"] is None
        exits(1, "guardian", "probe", "opc-ua", URL, *FAST, "--certificate", "ab" * 32, "--data", str(data))
        assert f"shows the certificate {key.sha256}" in capsys.readouterr().err
        named = ":".join(key.sha256[at : at + 2] for at in range(0, 64, 2)).upper()  # As openssl prints it
        wanted = ("--certificate", named, "--data", str(data), "--profile", str(draft))
        found = {each["node"]: each for each in printed(capsys, "opc-ua", URL, *FAST, *wanted)["variables"]}
        assert (found["ns=1;s=valve"]["kind"], found["ns=1;s=valve"]["value"]) == ("Double", 0.5)
        assert (found["ns=1;s=broken"]["value"], found["ns=1;s=broken"]["status"]) == (None, "BadSensorFailure")
        assert {f"ns=2;s=Zone.{zone}.Temperature" for zone in range(32)} <= found.keys()
        assert not any(node.startswith("i=") for node in found)

    with network_namespace() as namespace, opcua_server(namespace, tmp_path, key, trusted=trusted):
        namespace.call(story)
    profile = read_text(draft.read_bytes(), "draft")
    assert profile.link == OpcUa(url=URL, server_certificate_sha256=key.sha256, timeout_s=5.0)
    raw = {point.address: point.raw for point in profile.points}
    assert raw[NodeAddress("ns=1;s=valve")] == "f64be"
    assert raw[NodeAddress("ns=1;s=cold")] == "i16"
    assert NodeAddress("ns=1;s=text") not in raw
    assert "# valve, held 0.5" in draft.read_text()


def test_a_draft_of_variables_needs_the_certificate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exits(1, "guardian", "probe", "opc-ua", URL, "--profile", str(tmp_path / "draft.yaml"))
    assert "--profile needs --certificate" in capsys.readouterr().err
    assert not (tmp_path / "draft.yaml").exists()


def test_a_device_is_asked_for_its_objects(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = [("device", DEVICE), ("analog-input", 0), ("analog-input", 1), ("binary-value", 7)]
    known = analog(21.5, -4.0) | {
        ("device", DEVICE, "object-list"): [ObjectIdentifier(each) for each in here],
        ("analog-input", 0, "object-name"): CharacterString("flow\nmanufacturer: forged"),
        ("analog-input", 0, "units"): EngineeringUnits("degrees-celsius"),
        ("binary-value", 7, "present-value"): Enumerated(1),
    }
    draft, loop = tmp_path / "machine.yaml", LoopThread("device")
    device = scripted_device(lambda request: [values(request, known)])
    try:
        port = str(loop.run(device.__aenter__()).port)
        found = printed(capsys, "bacnet", "127.0.0.1", "--port", port, *FAST, "--profile", str(draft))
        exits(1, "guardian", "probe", "bacnet", "127.0.0.1", "--port", port, *FAST, "--device", "7")
    finally:
        loop.stop(device.__aexit__(None, None, None))
    assert found["link"]["device"] == DEVICE
    assert [(each["object_type"], each["instance"], each["value"]) for each in found["objects"]] == [
        ("device", DEVICE, None),
        ("analog-input", 0, 21.5),
        ("analog-input", 1, -4.0),
        ("binary-value", 7, 1),
    ]
    assert found["objects"][1]["units"] == "degrees-celsius"
    profile = read_text(draft.read_bytes(), "draft")
    assert profile.link == BacnetIp(host="127.0.0.1", port=int(port), device=DEVICE, timeout_s=5.0)
    assert profile.manufacturer == "Unknown"  # What a machine says stays in its comment
    assert {point.address: point.raw for point in profile.points} == {
        ObjectAddress("analog-input", 0): "f64be",
        ObjectAddress("analog-input", 1): "f64be",
        ObjectAddress("binary-value", 7): "bool",
    }
