# SPDX-License-Identifier: Apache-2.0
"""A real service renews its signing keys under a real device: store first, then what the new keys sign; one that was
away for all of it follows when it comes back."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.test_os_update import claimed_device, log_of, running, runs
from tests.fixtures.images import manifest, package
from tests.fixtures.waiting import until

from armillary.device.state.configuration import load_configuration
from armillary.engines.flash.file import FileFlash
from armillary.sim.device.service_host import ServiceHost

pytestmark = [pytest.mark.e2e, pytest.mark.anyio]
COMPONENT = uuid.UUID(int=7)


def deploy(host: ServiceHost) -> Any:
    image = host.service.updates.images.upload("Contoso", package(manifest("tap")), actor="t")
    host.service.updates.deployments.create("Contoso", "Kettle", "Production", [image.image_id], actor="t")
    return image


def release_everywhere(host: ServiceHost, version: str) -> None:
    for chip in host.service.chips.names:
        host.service.releases.publish(chip, version, actor="t")


def trusts(folder: Path) -> tuple[int, int]:
    """How many keys the device trusts for good, for the OS and for images."""
    kept = load_configuration(FileFlash(folder / "flash"))
    return len(kept.trusted_os_certificates), len(kept.trusted_image_certificates)


def started(folder: Path) -> list[list[str]]:
    """What each update of the device brought, in order."""
    return [entry["images"] for entry in log_of(folder) if entry["event"] == "update-started"]


def has(host: ServiceHost) -> Callable[[], bool]:
    """Whether every device has the newest trusted key store, in the service's eyes."""
    stores = host.service.updates.trust_stores
    return lambda: [one for one in stores.stores() if one.store.kind == "keys"][-1].devices.have == 1


async def test_keys_are_renewed_and_a_stolen_one_is_dropped_under_a_device(host: ServiceHost, tmp_path: Path) -> None:
    folder = claimed_device(host, tmp_path / "device")
    stores, image = host.service.updates.trust_stores, deploy(host)
    old = {key.purpose: key.serial for key in stores.signing_keys()}
    async with running(folder) as status:
        await until(lambda: started(folder) == [["tap"]], "positive control: what the first key signed", 30)
        await until(lambda: status().get("installation") == "idle", "settled", 30)
        stores.renew(actor="t")
        await until(has(host), "the store, confirmed", 30)
        assert started(folder)[1:] == [["trusted-key-store"]], "alone, and first"
        stores.put_in_force(actor="t")
        release_everywhere(host, "99.1")
        await until(runs(status, "99.1"), "an OS that the new key signed", 30)
        for serial in old.values():
            stores.drop(serial, actor="t")
        await until(has(host), "the store without the old keys", 30)
        await until(lambda: trusts(folder) == (1, 1), "the new keys alone", 30)
    assert started(folder)[-1] == ["trusted-key-store", "tap"], (
        "the application came anew, by the new key, in one switch"
    )
    assert host.service.updates.images.get("Contoso", image.image_id).signer not in old.values()


async def test_a_device_that_was_off_the_whole_time_follows(host: ServiceHost, tmp_path: Path) -> None:
    """Even with an OS that was withdrawn meanwhile: it is held to updates only, and healed."""
    folder = claimed_device(host, tmp_path / "device")
    stores = host.service.updates.trust_stores
    deploy(host)
    async with running(folder) as status:
        await until(lambda: started(folder) == [["tap"]], "positive control: the device works", 30)
        await until(lambda: status().get("installation") == "idle", "settled", 30)
        version = status()["os"]["version"]
    for round_ in (1, 2):
        old = [key.serial for key in stores.signing_keys()]
        stores.renew(actor="t")
        stores.put_in_force(actor="t", despite=True)
        release_everywhere(host, f"99.{round_}")
        for serial in old:
            stores.drop(serial, actor="t")
    [first] = [one for one in host.service.releases.list(chip="mt3620") if one.version == version]
    host.service.releases.withdraw(first.release_id, "signed by a stolen key", actor="t")
    async with running(folder) as status:
        await until(has(host), "the newest store", 30)
        await until(runs(status, "99.2"), "the newest OS", 30)
    assert trusts(folder) == (1, 1)
