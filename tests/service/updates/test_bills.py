# SPDX-License-Identifier: Apache-2.0
"""Bills of materials: kept as they were given, replaced as a whole, and what the policy makes of one that lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from tests.fixtures.clocks import Clock

from armillary.engines.records.schema.rows import Image
from armillary.errors import ConflictError, InvalidArgumentError, NotFoundError
from armillary.sim.device.service_host import ServiceHost

Make = Callable[..., bytes]
HERE = ("Contoso", "Kettle", "Production")


def bill(*names: str) -> bytes:
    components = [{"type": "library", "name": name} for name in names]
    return json.dumps({"bomFormat": "CycloneDX", "specVersion": "1.6", "components": components}).encode()


def blobs_of(host: ServiceHost) -> set[str]:
    return {path.name for path in host.service.context.folder.blobs.glob("*/*")}


def image_of(host: ServiceHost, package: Make) -> Image:
    return host.service.updates.images.upload("Contoso", package(), actor="ann")


def test_the_document_comes_back_as_it_was_given(host: ServiceHost, package: Make) -> None:
    bills, image = host.service.updates.bills, image_of(host, package)
    with pytest.raises(NotFoundError, match="no bill"):
        bills.of_image("Contoso", image.image_id)
    made = bills.put_of_image("Contoso", image.image_id, bill("zlib", "curl"), actor="ann")
    assert bills.of_image("contoso", image.image_id) == (made, bill("zlib", "curl"))
    assert (made.components, made.spec_version, made.added_by) == (2, "1.6", "ann")
    line = host.service.audit.list().items[0]
    assert (line.operation, line.target) == ("image.add-sbom", str(image.image_id))
    release = host.service.releases.newest("mt3620")
    of_release = bills.put_of_release(release.release_id, bill("linux"), actor="ann")
    assert bills.of_release(release.release_id) == (of_release, bill("linux"))


def test_a_newer_document_takes_the_place_of_the_older(host: ServiceHost, package: Make) -> None:
    bills, one, two = host.service.updates.bills, image_of(host, package), image_of(host, package)
    shared = bills.put_of_image("Contoso", one.image_id, bill("zlib"), actor="ann")
    bills.put_of_image("Contoso", two.image_id, bill("zlib"), actor="ann")
    bills.put_of_image("Contoso", one.image_id, bill("curl"), actor="ann")
    assert shared.sha256.hex() in blobs_of(host), "the other image has it"
    bills.put_of_image("Contoso", two.image_id, bill("curl"), actor="ann")
    assert shared.sha256.hex() not in blobs_of(host)
    assert bills.of_image("Contoso", two.image_id)[1] == bill("curl")


def test_what_is_refused_leaves_nothing(host: ServiceHost, package: Make) -> None:
    bills, image = host.service.updates.bills, image_of(host, package)
    before = blobs_of(host)
    with pytest.raises(InvalidArgumentError, match="bomFormat"):
        bills.put_of_image("Contoso", image.image_id, b"{}", actor="ann")
    with pytest.raises(NotFoundError):
        bills.put_of_image("Contoso", uuid4(), bill("zlib"), actor="ann")
    with pytest.raises(NotFoundError):
        bills.put_of_release(UUID(int=0), bill("zlib"), actor="ann")
    assert blobs_of(host) == before


def test_an_image_of_another_catalog_is_not_there(host: ServiceHost, package: Make) -> None:
    bills, image = host.service.updates.bills, image_of(host, package)
    bills.put_of_image("Contoso", image.image_id, bill("zlib"), actor="ann")
    host.service.registry.catalogs.create("Fabrikam", actor="ann")
    with pytest.raises(NotFoundError):
        bills.of_image("Fabrikam", image.image_id)
    with pytest.raises(NotFoundError):
        bills.put_of_image("Fabrikam", image.image_id, bill("evil"), actor="eve")


def test_a_bill_goes_with_its_image(host: ServiceHost, package: Make) -> None:
    service, image = host.service, image_of(host, package)
    service.updates.bills.put_of_image("Contoso", image.image_id, bill("zlib"), actor="ann")
    service.updates.images.delete("Contoso", image.image_id, actor="ann")
    with pytest.raises(NotFoundError):
        service.updates.bills.of_image("Contoso", image.image_id)


@pytest.mark.parametrize("policy", ["off", "warned", "required"])
def test_what_one_that_lacks_is_worth(tmp_path: Path, clock: Clock, package: Make, policy: str) -> None:
    with ServiceHost(tmp_path / "data", clock=clock, planner_interval_s=3600.0, bill_of_materials=policy) as host:
        host.catalog()
        service, drafts = host.service, host.service.attestation.drafts
        image, draft = image_of(host, package), drafts.create("mt3620", "27.1", actor="ann")
        if policy == "required":
            with pytest.raises(ConflictError, match="without a bill of materials: tap"):
                service.updates.deployments.create(*HERE, [image.image_id], actor="ann")
            with pytest.raises(ConflictError, match="no bill of materials"):
                drafts.publish(draft.release_id, actor="ann")
            with pytest.raises(ConflictError, match="published at once has no bill"):
                service.releases.publish("mt3620", "27.2", actor="ann")
            service.updates.bills.put_of_image("Contoso", image.image_id, bill("zlib"), actor="ann")
            service.updates.bills.put_of_release(draft.release_id, bill("linux"), actor="ann")
        service.updates.deployments.create(*HERE, [image.image_id], actor="ann")
        deployed = service.audit.list().items[0]
        drafts.publish(draft.release_id, actor="ann")
        published = service.audit.list().items[0]
        assert deployed.detail.get("without_bill") == (["tap"] if policy == "warned" else None)
        assert published.detail.get("without_bill") == (True if policy == "warned" else None)
        if policy != "required":
            service.releases.publish("mt3620", "27.2", actor="ann")
            at_once = service.audit.list().items[0]
            assert at_once.detail.get("without_bill") == (True if policy == "warned" else None)


@pytest.mark.parametrize(
    ("given", "described", "found"),
    [
        ("", {"version": "2.1"}, "2.1"),
        ("1.0", {"version": "2.1"}, "1.0"),
        ("", {"version": "not one"}, ""),
        ("", {"version": 2}, ""),
        ("", None, ""),
    ],
)
def test_an_image_without_a_version_has_that_of_what_its_bill_describes(
    host: ServiceHost, package: Make, given: str, described: dict[str, object] | None, found: str
) -> None:
    images = host.service.updates.images
    image = images.upload("Contoso", package(), actor="ann", version=given)
    document = json.loads(bill("zlib")) | {"metadata": {"component": described}}
    host.service.updates.bills.put_of_image("Contoso", image.image_id, json.dumps(document).encode(), actor="ann")
    assert images.get("Contoso", image.image_id).version == found
    line = host.service.audit.list().items[0]
    assert line.detail.get("version", "") == ("2.1" if (given, found) == ("", "2.1") else "")
