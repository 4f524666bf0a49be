# SPDX-License-Identifier: Apache-2.0
"""Odd addresses of updates at the device endpoint and at the bridge: each is another address, and no fault of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from tests.api.running_service import RunningService, own_service
from tests.attacks.odd_asks import PLACES
from tests.fixtures.controllers import Controller, artifact, bridged_catalog, deploy
from tests.fixtures.images import manifest, package
from tests.fixtures.reports import installed
from tests.fixtures.waiting import wait_until

from armillary.errors import ServiceUnreachableError
from armillary.sim.device.wire_device import Answer, WireDevice

service = own_service()


@pytest.fixture(scope="module")
def device(service: RunningService) -> Iterator[WireDevice]:
    """A device of an owner that is offered an application of which it has the version before."""
    catalog = service.make_catalog("Contoso", product="Coffee")
    updates, described = service.service.updates, manifest("tap")
    old, new = (
        updates.images.upload(catalog, package(described, content * 4000), actor="t") for content in (b"old", b"new")
    )
    updates.deployments.create(catalog, "Coffee", "Production", [new.image_id], actor="t")
    with service.claimed(catalog) as claimed:
        claimed.installed = (installed(old),)
        assert claimed.check_in().offer is not None
        yield claimed


def right_addresses(service: RunningService, device: WireDevice) -> list[str]:
    """What the device may fetch, each kind once."""
    service.service.repository.publish()
    files = service.service.repository.files
    offer = device.check_in().offer
    assert offer is not None
    (new,) = offer.images
    catalog = service.service.registry.catalogs.get("Contoso").catalog_id
    old = next(one for one in service.service.updates.images.list("Contoso").items if one.image_id != new.image_id)
    return [
        f"/v1/images/{new.image_id}",
        f"/v1/delta/{old.sha256.hex()}/{new.sha256.hex()}",
        f"/v1/repository/metadata/{max(files.versions('targets'))}.targets.json",
        f"/v1/repository/targets/catalogs/{catalog}/{new.sha256.hex()}.{new.image_id}",
    ]


def given(device: WireDevice, address: str) -> Answer | None:
    """The answer of an address, once it has one: a delta is made when the first device asks."""
    answer = device.exchange("GET", address)
    assert answer.status in (200, 429), address
    return answer if answer.status == 200 else None


def odd_forms(address: str) -> Iterator[str]:
    """Other spellings of an address, and what only looks like it."""
    head, _, last = address.rpartition("/")
    spelt = "".join(f"%{byte:02x}" for byte in last.encode())
    yield from (
        f"{address}?x=1", f"{address}?", f"{address}#x", f"{address}/", f"{address}/.", f"{address};x", f"/{address}",
        f"{head}//{last}", f"{head}/./{last}", f"{head}/x/../{last}", f"{head}/{spelt}", f"{head}/{last.swapcase()}",
        f"{head}/", head, address.swapcase(), f"{address}%00", f"{address}%2e", f"{head}/{last[:-1]}",
        f"{head}/{'a' * 3000}", f"http://localhost{address}", f"{head}/{'0' * 64}",
    )  # fmt: skip


def test_no_other_address_of_the_device_endpoint_gives_anything(service: RunningService, device: WireDevice) -> None:
    asked = 0
    for address in right_addresses(service, device):
        whole = wait_until(lambda address=address: given(device, address), f"{address} is there")
        for odd in odd_forms(address):
            if odd == address:
                continue
            try:
                answer = device.exchange("GET", odd)
            except ServiceUnreachableError:  # it was closed: no request line of HTTP
                answer = None
            if answer is None or answer.headers.get("connection") == "close":
                device.disconnect()
            if answer is None:
                continue
            asked += 1
            same = answer.status == 200 and answer.body == whole.body  # an image id in another spelling
            assert answer.status in (400, 404, 431) or (same and "/v1/images/" in address), (odd, answer.status)
        for method in ("POST", "PUT", "DELETE", "HEAD"):
            assert device.exchange(method, address).status in (405, 501), (method, address)
            device.disconnect()
        assert device.exchange("GET", address).body == whole.body
    assert asked > 60


def test_no_odd_place_in_an_address_of_the_bridge_is_a_fault_of_ours(service: RunningService) -> None:
    catalog = bridged_catalog(service)
    controller = Controller.made(service, catalog)
    image = artifact(service, catalog, b"x" * 100)["image_id"]
    deploy(service, catalog, image)
    controller.links()
    number = controller.actions()[0]["action"]
    said = {"status": {"execution": "proceeding", "result": {"finished": "none"}}}
    for method, place, odd_one, body in (
        ("GET", f"/deploymentBase/{number}", str(number), None),
        ("POST", f"/deploymentBase/{number}/feedback", str(number), said),
        ("GET", f"/cancelAction/{number}", str(number), None),
        ("GET", f"/installedBase/{number}", str(number), None),
        ("GET", f"/softwaremodules/{image}/artifacts/gateway.swu", image, None),
        ("GET", f"/softwaremodules/{image}/artifacts/gateway.swu", "gateway.swu", None),
    ):
        for odd in (
            *PLACES,
            "",
            f"{number}.0",
            f"+{number}",
            f"0{number}",
            image.upper(),
            "GATEWAY.SWU",
            "gateway.swu.md5sum",
        ):
            answer = controller.ask(method, place.replace(odd_one, odd), body)
            fits = (odd in (f"0{number}", f"+{number}", f"{number}.0") and odd_one == str(number)) or (
                (odd, odd_one) in ((image.upper(), image), ("gateway.swu.md5sum", "gateway.swu"))
            )
            assert answer.status in ((200, 404, 400, 422) if fits else (400, 401, 404, 405, 422)), (
                place,
                odd,
                answer.raw,
            )
            if answer.status not in (200, 405):
                assert json.loads(answer.raw)["message"], (place, odd)
    for tenant, name in ((catalog.upper(), controller.controller), (catalog, controller.controller.upper())):
        answer = Controller(service, catalog, name, controller.header, tenant=tenant).ask("GET", "")
        assert answer.status == (200 if name == controller.controller else 401), (
            "a tenant has no case, a controller has"
        )
    assert controller.ask("GET", f"/deploymentBase/{number}").status == 200
