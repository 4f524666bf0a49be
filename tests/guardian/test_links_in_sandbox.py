# SPDX-License-Identifier: Apache-2.0
"""Guardians of equipment with OPC UA and BACnet in the sandbox: the image is whole, and its grants are enough and no more."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.engines.sandbox.sandbox_stage import Stage, linux
from tests.fixtures.bacnet_device import analog, scripted_device, values
from tests.fixtures.memory import resident_kb
from tests.fixtures.namespaces import network_namespace
from tests.fixtures.opcua_server import PORT, opcua_server, server_key
from tests.fixtures.waiting import until

from armillary.cli.guardian.image import build
from armillary.engines.equipment.opcua_identity import client_identity
from armillary.engines.sandbox.port import AppEvent, ConnectionAttempt, Launch, OutputLine
from armillary.wire.image.application import MANIFEST_PATH

CONFIGURATION = """
name: corner
catalog: 11111111-2222-3333-4444-555555555555
hub: hub.example
equipment:
  - {name: machine, profile: PROFILE, link: LINK}
"""
BOILER = """
profile: plant/boiler
version: 1
title: Boiler
manufacturer: Illustrative
model: Two sensors
link: {protocol: bacnet-ip, host: 127.0.0.1, device: 1234, timeout_s: 5}
groups: {fast: 0.1}
points:
  flow: {title: Flow, object: analog-input, instance: 0, unit: degreeCelsius, group: fast}
  back: {title: Return, object: analog-input, instance: 1, unit: degreeCelsius, group: fast}
"""

RSS_LIMIT_KB = 60 * 1024  # as any guardian's (tests/e2e/test_guardian.py)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def guardian(folder: Path, data: Path, profile: str, link: str) -> Launch:
    """The image that the command makes of such a file, as the device starts it."""
    key = folder / "key.pem"
    private = ec.generate_private_key(ec.SECP256R1())
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    text = CONFIGURATION.replace("PROFILE", profile).replace("LINK", link)
    made = build(text.encode(), folder / "guardian.yaml", key)
    assert made.connections == ["127.0.0.1", "hub.example"]
    files = {path: content for path, content in made.files.items() if path not in ("bin/app", MANIFEST_PATH)}
    launch = Stage(folder).launch(
        made.files["bin/app"].decode(),
        interpreter="",
        hosts=made.connections,
        data=data,
        files=files,
        environment={"ARMILLARY_DEVICE_ID": "ab" * 64},
    )
    return replace(launch, grant=replace(launch.grant, mutable_storage_kb=20_000))


async def answered(launch: Launch) -> list[ConnectionAttempt]:
    """Run it until its equipment answers, and say what it tried to reach; it is no larger than it may be."""
    events: list[AppEvent] = []
    running = await linux(own_user=False).start(launch, events.append)

    def said() -> list[str]:
        return [event.text for event in events if isinstance(event, OutputLine)]

    try:
        await until(lambda: "machine answers" in said(), "the equipment answers")
        assert resident_kb(running.pid) <= RSS_LIMIT_KB
    except AssertionError as error:
        raise AssertionError(f"{error}: {said()}") from error
    finally:
        await running.stop(20)
    assert kept(launch.data), said()
    return [event for event in events if isinstance(event, ConnectionAttempt)]


def kept(data: Path | None) -> int:
    """How many messages its queue has; a guardian that runs lets nobody else look."""
    with closing(sqlite3.connect(f"{data}/queue/queue.db")) as database:
        return int(database.execute("select count(*) from message").fetchone()[0])


def reached(attempts: list[ConnectionAttempt]) -> set[tuple[str, int, str, bool]]:
    return {(each.host, each.port, each.protocol, each.allowed) for each in attempts}


def test_a_cable_with_opc_ua_is_read(tmp_path: Path, data: Path) -> None:
    with network_namespace() as namespace:
        key, trusted = server_key(tmp_path), tmp_path / "client.der"
        certificate = client_identity(data / "equipment" / "machine").certificate
        trusted.write_bytes(certificate.public_bytes(Encoding.DER))
        link = f'{{url: "opc.tcp://127.0.0.1:{PORT}", server_certificate_sha256: {key.sha256}}}'
        launch = guardian(tmp_path, data, "guard/cable-opcua", link)
        with opcua_server(namespace, tmp_path, key, trusted=trusted):
            assert reached(namespace.run(answered(launch))) == {("127.0.0.1", PORT, "tcp", True)}


def test_a_boiler_with_bacnet_is_read(tmp_path: Path, data: Path) -> None:
    async def story() -> None:
        async with scripted_device(lambda request: [values(request, analog(71.5, 48.0))]) as device:
            (tmp_path / "boiler.yaml").write_text(BOILER)
            launch = guardian(tmp_path, data, "boiler.yaml", f"{{port: {device.port}}}")
            assert reached(await answered(launch)) == {("127.0.0.1", device.port, "udp", True)}
            assert {request.places[0][1] for request in device.requests} == {0}

    asyncio.run(story())
