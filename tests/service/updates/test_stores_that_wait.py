# SPDX-License-Identifier: Apache-2.0
"""A trust store that waits for offline keys, or that a device refuses, keeps nothing else from devices, and is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from tests.fixtures.reports import installed
from tests.service.repository.ceremonies import new_key, pem, signatures
from tests.service.updates.signing_steps import Make, deployed, renewed, says

from armillary.api.views import repository as views
from armillary.errors import ConflictError
from armillary.service.repository.ceremony import KeyChange
from armillary.service.repository.director import Director
from armillary.service.repository.tuf_format import KeySigner
from armillary.service.updates.trust_stores import TrustStores
from armillary.sim.device.service_host import ServiceHost
from armillary.sim.device.wire_device import WireDevice
from armillary.wire.device.checkin import UpdateOutcome
from armillary.wire.update.directive import parse_directive


@pytest.fixture
def device(host: ServiceHost) -> Iterator[WireDevice]:
    """One that takes directives."""
    with host.claimed(b"k" * 32) as made:
        speaks(made)
        assert made.check_in().directive is None
        yield made


@pytest.fixture
def os_key(host: ServiceHost) -> KeySigner:
    """The only key of the role os, away from the service."""
    key, ceremony = new_key(), host.service.ceremony
    assert not ceremony.propose([KeyChange(role="os", public_keys=(pem(key),))], actor="t")
    assert ceremony.submit(signatures(ceremony, [key]), actor="t")
    return key


def speaks(device: WireDevice, **more: str) -> None:
    says(device, **more)
    assert device.update_status is not None
    device.update_status = replace(device.update_status, abilities=("directive", "os"))


def directed(device: WireDevice) -> list[str]:
    """What a device is directed to install."""
    data = device.check_in().directive
    return [] if data is None else [image.name for image in parse_directive(data).claims.offer.images]


def code(host: ServiceHost, device: WireDevice) -> str:
    return host.service.updates.standings.of(device.device_id).code


def test_while_a_store_waits_for_the_signature_of_os_applications_are_updated(
    host: ServiceHost, device: WireDevice, stores: TrustStores, os_key: KeySigner, package: Make
) -> None:
    stores.renew(actor="t")
    first = deployed(host, package)
    assert directed(device) == ["tap"]
    assert code(host, device) == "offered"
    device.installed = (installed(first),)
    assert directed(device) == []
    assert code(host, device) == "store-waits"
    assert views.repository(host.service)["trust_stores"] == [{"kind": "keys", "number": 1}]
    deployed(host, package)
    assert directed(device) == ["tap"], "another deployment comes as well"
    assert host.service.ceremony.submit(signatures(host.service.ceremony, [os_key]), actor="t")
    assert views.repository(host.service)["trust_stores"] == []
    assert directed(device) == ["trusted-key-store"], "once it is signed it comes first and alone"
    assert code(host, device) == "keys-first"


def test_without_that_a_store_that_waits_holds_everything_up(
    host: ServiceHost,
    device: WireDevice,
    stores: TrustStores,
    os_key: KeySigner,
    package: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The control of the one before."""
    assert os_key is not None
    monkeypatch.setattr(Director, "unnamed", lambda *_: frozenset())
    stores.renew(actor="t")
    deployed(host, package)
    assert directed(device) == []


def test_what_the_next_key_signed_waits_with_the_store_that_names_it(
    host: ServiceHost, device: WireDevice, stores: TrustStores, os_key: KeySigner, package: Make
) -> None:
    renewed(stores)
    deployed(host, package)
    assert directed(device) == []
    assert code(host, device) == "store-waits"
    assert host.service.ceremony.submit(signatures(host.service.ceremony, [os_key]), actor="t")
    assert directed(device) == ["trusted-key-store"]


def test_a_device_that_has_the_newest_store_asks_nobody_whether_it_waits(
    host: ServiceHost, device: WireDevice, stores: TrustStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.renew(actor="t")
    asked: list[object] = []
    monkeypatch.setattr(Director, "unnamed", lambda _, images: asked.append(images) or frozenset())
    with host.claimed(b"n" * 32) as newer:
        speaks(newer)
        for _ in range(2):
            assert directed(newer) == []
        assert asked == []
        assert directed(device) == ["trusted-key-store"]
        assert len(asked) == 1, "positive control"


def test_why_a_device_refused_a_store_is_said_until_it_has_it(
    host: ServiceHost, device: WireDevice, stores: TrustStores, package: Make
) -> None:
    def standing() -> tuple[str, str]:
        found = host.service.updates.standings.of(device.device_id)
        return found.code, found.detail

    image = deployed(host, package)
    stores.renew(actor="t")
    data = device.check_in().directive
    assert data is not None
    offer = parse_directive(data).claims.offer
    [store] = offer.images
    why = "it is no trust store that this device takes"
    speaks(device, reason="refused", detail=why)
    failed = UpdateOutcome(
        offer_id=offer.offer_id,
        image_id=store.image_id,
        component_id=store.component_id,
        outcome="failed",
        reason=why,
        at=1,
    )
    device.check_in(outcomes=(failed,))
    assert standing() == ("refused", why), "in its own words"
    speaks(device, reason="failed-before")
    assert directed(device) == ["tap"], "it is given the rest"
    speaks(device)
    host.service.registry.devices.move("Contoso", device.device_id, product="Kettle", group="Production", actor="t")
    assert directed(device) == ["tap"], "also once the device was read from the records again"
    assert standing() == ("offered", ""), "what it says is of the store, not of the application"
    speaks(device)
    device.installed = (installed(image),)
    assert directed(device) == []
    assert standing() == ("store-failed", why), "also when it has all else"
    stores.put_in_force(actor="t", despite=True)
    deployed(host, package)
    assert directed(device) == []
    assert standing() == ("store-failed", why), "and when what it lacks is signed by a key that it does not know"


def test_a_key_is_not_dropped_before_each_chip_has_a_release_of_the_next_and_the_commands_are_said(
    host: ServiceHost, stores: TrustStores
) -> None:
    service = host.service
    service.releases.publish("mt3620", "26.12", feed="RetailEval", actor="t")
    renewed(stores)
    old = next(key.serial for key in stores.signing_keys() if (key.purpose, key.state) == ("os", "old"))
    chips = sorted(service.chips.names)
    for chip in chips:
        if chip != "mt3620":
            service.releases.publish(chip, "27.1", actor="t")
    with pytest.raises(ConflictError) as raised:
        stores.drop(old, actor="t")
    assert raised.value.message == (f"signing key {old} has signed what devices get: OS 26.11 of mt3620 in Retail"), (
        "a newer one in Retail goes to RetailEval as well, and the other chips have theirs"
    )
    assert raised.value.remedy == (
        "Release what the key in force signs, then drop it: "
        "armillary release publish --chip mt3620 --os-feed Retail --os-version VERSION."
    )
    service.releases.publish("mt3620", "27.1", actor="t")
    stores.drop(old, actor="t")


def test_every_chip_that_lacks_a_release_is_named(host: ServiceHost, stores: TrustStores) -> None:
    renewed(stores)
    old = next(key.serial for key in stores.signing_keys() if (key.purpose, key.state) == ("os", "old"))
    with pytest.raises(ConflictError) as raised:
        stores.drop(old, actor="t")
    for chip in host.service.chips.names:
        assert f" of {chip} in Retail" in raised.value.message
        assert f"--chip {chip} --os-feed Retail" in raised.value.remedy
