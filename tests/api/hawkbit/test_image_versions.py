# SPDX-License-Identifier: Apache-2.0
"""An image's version stands beside its name wherever the API names images; an image without one shows none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from tests.api.running_service import RunningService, wait_until
from tests.fixtures.controllers import GROUP, PRODUCT, Controller, artifact, bridged_catalog, deploy

from armillary.wire.image.naming import image_label, label_of


@dataclass
class Versions:
    """A bridged device that has version 1.0, and version 2.0, which its group gets."""

    service: RunningService
    device: Controller
    old: str
    new: str

    def get(self, path: str) -> Any:
        answer = self.service.call("GET", path)
        assert answer.status == 200, answer.raw
        return answer.body


@pytest.fixture
def versions(service: RunningService) -> Versions:
    catalog = bridged_catalog(service)
    device = Controller.made(service, catalog)
    old = artifact(service, catalog, b"one", version="1.0")["image_id"]
    deploy(service, catalog, old)
    device.install()
    new = artifact(service, catalog, b"two", version="2.0")["image_id"]
    deploy(service, catalog, new)
    return Versions(service, device, old, new)


def test_images_and_deployments_say_the_version(versions: Versions) -> None:
    images = versions.service.service.updates.images
    listed = images.list(versions.device.catalog).items
    assert {str(each.image_id): each.version for each in listed} == {versions.old: "1.0", versions.new: "2.0"}
    known = images.some(versions.device.catalog, {each.image_id for each in listed[:1]})
    assert [each.version for each in known.values()] == [listed[0].version]
    current = versions.service.service.updates.deployments.current(versions.device.catalog, PRODUCT, GROUP)
    assert current is not None
    assert [(each.name, each.version) for each in current.images] == [("gateway", "2.0")]


def test_a_device_says_which_version_it_has_and_which_it_should_have(versions: Versions) -> None:
    device_id = versions.device.shown()["device_id"]
    shown = versions.get(f"/api/v1/devices/{device_id}/deployment")["images"]
    assert {(each["name"], each["version"], each["wanted"], each["installed"]) for each in shown} == {
        ("gateway", "2.0", True, False),
        ("gateway", "1.0", False, True),
    }


def test_a_search_and_a_trace_tell_versions_apart(versions: Versions) -> None:
    found = versions.get(f"/api/v1/search?q=gateway&kind=image&catalog={versions.device.catalog}")["items"]
    assert {(each["id"], each["note"]) for each in found} == {(versions.old, "1.0"), (versions.new, "2.0")}
    trace = versions.get(f"/api/v1/catalogs/{versions.device.catalog}/products/{PRODUCT}/trace")
    assert [label_of(each) for each in trace["images"]] == ["gateway 2.0"]


def test_a_finding_names_the_version_that_was_reverted(versions: Versions) -> None:
    versions.device.install("failure", "it does not boot")
    place = f"/api/v1/findings?catalog={versions.device.catalog}"
    (finding,) = wait_until(lambda: versions.get(place)["items"], "the finding")
    assert finding["title"] == "gateway 2.0 was reverted by devices"


@pytest.mark.parametrize(
    ("image", "label"),
    [
        ({"name": "gateway", "version": "2.0"}, "gateway 2.0"),
        ({"name": "coffee", "version": ""}, "coffee"),
        ({"name": "coffee", "version": None}, "coffee"),
        ({"name": "coffee"}, "coffee"),
    ],
)
def test_an_image_without_a_version_shows_none(image: dict[str, Any], label: str) -> None:
    assert label_of(image) == image_label(image["name"], image.get("version")) == label
