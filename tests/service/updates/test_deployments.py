# SPDX-License-Identifier: Apache-2.0
"""Deployments: immutable, newest wins, each component once; and what devices are offered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from tests.fixtures.images import manifest, package as packed
from tests.fixtures.reports import installed

from armillary.engines.records.schema.rows import Image
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.sim.device.service_host import ServiceHost
from armillary.wire.image.application import OsRange

Make = Callable[..., bytes]
HERE = ("Contoso", "Kettle", "Production")


def test_the_newest_deployment_is_offered_until_the_device_has_it(host: ServiceHost, package: Make) -> None:
    service, component = host.service, uuid4()
    old, new = (service.updates.images.upload("Contoso", package(component), actor="t") for _ in range(2))
    with host.claimed(b"d" * 32) as device:
        assert device.check_in().offer is None
        first = service.updates.deployments.create(*HERE, [old.image_id], actor="t")
        offer = device.check_in().offer
        assert offer is not None
        assert offer.deployment_id == first.deployment_id
        assert [(i.image_id, i.sha256, i.size) for i in offer.images] == [(old.image_id, old.sha256, old.size)]
        device.installed = (installed(old),)
        assert device.check_in().offer is None
        second = service.updates.deployments.create(*HERE, [new.image_id], actor="t")
        offer = device.check_in().offer
        assert offer is not None
        assert offer.deployment_id == second.deployment_id
        assert service.updates.deployments.current(*HERE) == second
        service.updates.deployments.delete("Contoso", second.deployment_id, actor="t")
        again = service.updates.deployments.get("Contoso", first.deployment_id)
        assert service.updates.deployments.current(*HERE) == again
        assert device.check_in().offer is None


def test_only_offered_images_can_be_fetched_and_ranges_go_on(host: ServiceHost, package: Make) -> None:
    service = host.service
    mine, other = (service.updates.images.upload("Contoso", package(), actor="t") for _ in range(2))
    service.updates.deployments.create(*HERE, [mine.image_id], actor="t")
    whole = service.updates.images.read(mine.image_id)
    with host.claimed(b"f" * 32) as device, host.claimed(b"g" * 32, group="Field Test") as stranger:
        answer = device.exchange("GET", f"/v1/images/{mine.image_id}")
        assert (answer.status, answer.body) == (200, whole)
        answer = device.exchange("GET", f"/v1/images/{mine.image_id}", headers={"range": "bytes=100-"})
        assert (answer.status, answer.body) == (206, whole[100:])
        assert answer.headers["content-range"] == f"bytes 100-{len(whole) - 1}/{len(whole)}"
        answer = device.exchange("GET", f"/v1/images/{mine.image_id}", headers={"range": "bytes=0-9"})
        assert answer.body == whole[:10]
        assert device.exchange("GET", f"/v1/images/{mine.image_id}", headers={"range": "bytes=0-1,3-4"}).status == 416
        assert device.exchange("GET", f"/v1/images/{other.image_id}").status == 404
        assert stranger.exchange("GET", f"/v1/images/{mine.image_id}").status == 404
        assert device.check_in().verdict == "attested"


def test_a_group_without_application_updates_is_offered_nothing(host: ServiceHost, package: Make) -> None:
    service = host.service
    image = service.updates.images.upload("Contoso", package(), actor="t")
    with host.claimed(b"n" * 32, group="Development") as device:
        service.updates.deployments.create("Contoso", "Kettle", "Development", [image.image_id], actor="t")
        assert device.check_in().offer is None
        service.registry.groups.update("Contoso", "Kettle", "Development", update_policy="UpdateAll", actor="t")
        assert device.check_in().offer is not None
        service.registry.devices.move("Contoso", device.device_id, product=".default", group=".unassigned", actor="t")
        assert device.check_in().offer is None


def test_what_does_not_go_together_is_refused(host: ServiceHost, package: Make) -> None:
    service, component = host.service, uuid4()
    one, two = (service.updates.images.upload("Contoso", package(component), actor="t") for _ in range(2))
    create = service.updates.deployments.create
    with pytest.raises(InvalidArgumentError, match="twice"):
        create(*HERE, [one.image_id, two.image_id], actor="t")
    with pytest.raises(NotFoundError):
        create(*HERE, [uuid4()], actor="t")
    made = create(*HERE, [one.image_id], actor="t", deployment_id=uuid4())
    with pytest.raises(ConflictError):
        create(*HERE, [two.image_id], actor="t", deployment_id=made.deployment_id)
    host.service.registry.catalogs.create("Fabrikam", actor="t")
    with pytest.raises(NotFoundError):
        service.updates.deployments.get("Fabrikam", made.deployment_id)


def test_images_must_fit_the_chips_of_the_group(host: ServiceHost, package: Make) -> None:
    service = host.service
    arm64 = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + (183).to_bytes(2, "little") + bytes(64)
    foreign = service.updates.images.upload("Contoso", package(content=arm64), actor="t")
    large = service.updates.images.upload("Contoso", package(content=bytes(1_100_000)), actor="t")
    for image in (foreign, large):  # an empty group takes anything; no mt3620 is ever offered it
        service.updates.deployments.create(*HERE, [image.image_id], actor="t")
        with host.claimed(image.image_id.bytes * 2) as device:
            assert device.check_in().offer is None
        with pytest.raises(InvalidArgumentError):
            service.updates.deployments.create(*HERE, [image.image_id], actor="t")
        service.registry.devices.move("Contoso", device.device_id, product=".default", group=".unassigned", actor="t")


def test_two_applications_of_one_pin_are_refused_together(host: ServiceHost) -> None:
    def asking(name: str, **capabilities: Any) -> Image:
        data = packed(manifest(name, uuid4(), Capabilities=capabilities))
        return host.service.updates.images.upload("Contoso", data, actor="t")

    def deploy(*images: Image) -> None:
        host.service.updates.deployments.create(*HERE, [one.image_id for one in images], actor="t")

    pump, fan, other = asking("pump", Gpio=[8]), asking("fan", Gpio=[8, 9]), asking("other", Gpio=[10])
    serial, bus = asking("serial", Uart=["ISU1"]), asking("bus", I2cMaster=["ISU1"])
    deploy(pump, fan)  # nobody is there: no chip says what shares a pin
    with host.claimed(b"p" * 32):
        with pytest.raises(InvalidArgumentError, match=r"fan beside pump: .*Gpio: .*8, which .*5242888") as refused:
            deploy(other, pump, fan)
        assert str(pump.component_id) in refused.value.message
        with pytest.raises(InvalidArgumentError, match=r"bus beside serial: .*I2cMaster: .*5242888"):
            deploy(serial, bus)
        deploy(pump, other, serial)


def test_an_application_needs_an_os_that_a_release_of_its_chip_has(host: ServiceHost, package: Make) -> None:
    service = host.service
    upload, create = service.updates.images.upload, service.updates.deployments.create
    image = upload("Contoso", package(os_range=OsRange(5, 6)), actor="t")
    create(*HERE, [image.image_id], actor="t")  # an empty group takes anything
    with host.claimed(b"o" * 32):
        with pytest.raises(InvalidArgumentError, match="works on OS ABI 5 to 6: the releases for mt3620 have none"):
            create(*HERE, [image.image_id], actor="t")
        for version, abi in (("99.1", 7), ("99.2", 6)):
            draft = service.attestation.drafts.create("mt3620", version, actor="t", os_abi=abi)
            with pytest.raises(InvalidArgumentError, match="have none" if abi == 7 else "have 7"):
                create(*HERE, [image.image_id], actor="t")
            service.attestation.drafts.publish(draft.release_id, actor="t")
        create(*HERE, [image.image_id], actor="t")
        service.releases.withdraw(draft.release_id, "it crashes", actor="t")
        with pytest.raises(InvalidArgumentError, match="have 7"):
            create(*HERE, [image.image_id], actor="t")


def test_lists_are_newest_first_per_group(host: ServiceHost, package: Make) -> None:
    service = host.service
    image = service.updates.images.upload("Contoso", package(), actor="t")
    made = [service.updates.deployments.create(*HERE, [image.image_id], actor="t") for _ in range(3)]
    service.updates.deployments.create("Contoso", "Kettle", "Field Test", [image.image_id], actor="t")
    page = service.updates.deployments.list(*HERE, limit=2)
    rest = service.updates.deployments.list(*HERE, limit=2, after=page.next_cursor)
    assert [d.deployment_id for d in (*page.items, *rest.items)] == [d.deployment_id for d in reversed(made)]
    assert len(service.updates.deployments.list("Contoso").items) == 4
