# SPDX-License-Identifier: Apache-2.0
"""Applications loaded by hand: only where the device is open, and they run only as long as it is."""

from __future__ import annotations

import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from tests.device.rig import Rig
from tests.fixtures import images
from tests.fixtures.waiting import until

from armillary.device.applications import sideload
from armillary.device.state import permission
from armillary.device.state.configuration import load_configuration
from armillary.device.state.layout import DeviceFolder
from armillary.engines.flash.file import FileFlash
from armillary.errors import ConflictError, DataFolderInUseError, DeviceStateError, InstallError, NotFoundError
from armillary.identity.manufacturing import ManufacturingState
from armillary.wire.certificates import certificate
from armillary.wire.image import capability_file

NOW = int(time.time())
COMPONENT = uuid.UUID(int=7)


class Bench:
    """A device, its service and a developer."""

    def __init__(self, service: Any, root: Path) -> None:
        service.url = service.url or "https://127.0.0.1:1"
        self.service = service
        self.folder = DeviceFolder(root)
        self.flash = FileFlash(self.folder.flash)
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = certificate.build_signing_certificate(
            service.root, ec.generate_private_key(ec.SECP384R1()), self.key.public_key(),
            name="Developer", serial=77, **service.life,
        )  # fmt: skip

    def package(self, key: Any = None, signer: Any = None, component: uuid.UUID = COMPONENT) -> bytes:
        chosen = (key or self.key, signer or self.certificate)
        return images.package(
            images.manifest("Mine", component), b"#!/bin/sh\nexec sleep 600\n", signer=chosen, built=NOW
        )

    def open(self, *capabilities: int) -> None:
        configuration = load_configuration(self.flash)
        file = capability_file.build(
            configuration.device_id, capabilities, image_id=uuid.uuid4(), built=NOW, key=self.service.os_key,
            certificate=self.service.os_certificate,
        )  # fmt: skip
        permission.select_capability(self.flash, configuration, file, now=NOW)


@pytest.fixture
def bench(tiny_service: Any, tmp_path: Path) -> Bench:
    tiny_service.url = "https://127.0.0.1:1"
    tiny_service.provision(tmp_path / "d")
    return Bench(tiny_service, tmp_path / "d")


def installed(bench: Bench) -> list[str]:
    return [str(one.component_id) for one in sideload.Installer(bench.flash, lambda: NOW).record.active]


def test_a_complete_device_takes_nothing_by_hand(bench: Bench) -> None:
    own = bench.package(bench.service.image_key, bench.service.image_certificate)
    for data, developer in ((own, None), (bench.package(), bench.certificate), (bench.package(), None)):
        with pytest.raises(DeviceStateError, match="takes no application by hand"):
            sideload.deploy(bench.folder, data, developer, now=NOW)
    with pytest.raises(DeviceStateError):
        sideload.delete(bench.folder, COMPONENT, now=NOW)
    assert installed(bench) == []


def test_servicing_takes_what_the_service_signed_and_nothing_else(bench: Bench) -> None:
    bench.open(capability_file.FIELD_SERVICING)
    with pytest.raises(DeviceStateError, match="only a developer signed"):
        sideload.deploy(bench.folder, bench.package(), bench.certificate, now=NOW)
    with pytest.raises(InstallError, match="not signed by a key") as refused:
        sideload.deploy(bench.folder, bench.package(), None, now=NOW)
    assert "--signing-certificate" in refused.value.remedy
    own = bench.package(bench.service.image_key, bench.service.image_certificate)
    assert sideload.deploy(bench.folder, own, None, now=NOW).component_id == COMPONENT
    assert installed(bench) == [str(COMPONENT)]


@pytest.mark.parametrize("state", [ManufacturingState.BLANK, ManufacturingState.MODULE1_COMPLETE])
def test_an_incomplete_device_takes_a_developers(bench: Bench, state: ManufacturingState) -> None:
    permission.begin_state(bench.flash, state)
    first = bench.package()
    sideload.deploy(bench.folder, first, bench.certificate, now=NOW)
    with pytest.raises(ConflictError, match="installed already"):
        sideload.deploy(bench.folder, first, bench.certificate, now=NOW)
    other = uuid.UUID(int=8)
    sideload.deploy(bench.folder, bench.package(component=other), bench.certificate, now=NOW)
    assert installed(bench) == [str(COMPONENT), str(other)] or installed(bench) == [str(other), str(COMPONENT)]
    sideload.delete(bench.folder, COMPONENT, now=NOW)
    assert installed(bench) == [str(other)]
    with pytest.raises(NotFoundError):
        sideload.delete(bench.folder, COMPONENT, now=NOW)
    assert sideload.Installer(bench.flash, lambda: NOW).record.outcomes == (), "the service is told nothing"


def test_a_developer_counts_only_as_long_as_development_is_allowed(bench: Bench) -> None:
    configuration = load_configuration(bench.flash)
    bench.open(capability_file.APP_DEVELOPMENT)
    sideload.deploy(bench.folder, bench.package(), bench.certificate, now=NOW)
    assert bench.certificate in sideload.signers(bench.flash, configuration, now=NOW)
    for end in (lambda: NOW + permission.CAPABILITY_LIFETIME_S, lambda: permission.remove_capability(bench.flash)):
        assert sideload.signers(bench.flash, configuration, now=end() or NOW) == configuration.image_signers
    bench.open(capability_file.APP_DEVELOPMENT)
    bench.flash.write(sideload.DEVELOPERS_REGION, b"garbage")
    assert sideload.signers(bench.flash, configuration, now=NOW) == configuration.image_signers


def test_without_the_check_a_complete_device_would_take_it(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: the refusals above come from this check and from nothing else."""
    monkeypatch.setattr(sideload, "_check_allowed", lambda *_: None)
    assert sideload.deploy(bench.folder, bench.package(), bench.certificate, now=NOW).name == "Mine"


def test_a_running_device_is_left_alone(bench: Bench) -> None:
    bench.open(capability_file.APP_DEVELOPMENT)
    with bench.folder.hold(), pytest.raises(DataFolderInUseError):
        sideload.deploy(bench.folder, bench.package(), bench.certificate, now=NOW)


@pytest.mark.anyio
async def test_it_runs_and_runs_no_more_without_the_file(rig: Rig) -> None:
    bench = Bench(rig.service, rig.folder)
    bench.open(capability_file.APP_DEVELOPMENT)
    sideload.deploy(bench.folder, bench.package(), bench.certificate, now=NOW)
    await rig.start()
    await until(lambda: rig.sandbox.alive == ["Mine"], "the application runs")
    await rig.stop()
    permission.remove_capability(bench.flash)
    await rig.start()
    await until(lambda: rig.events("application-refused"), "it is refused")
    assert rig.sandbox.alive == []
