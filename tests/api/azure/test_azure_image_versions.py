# SPDX-License-Identifier: Apache-2.0
"""The version of an application's image: given at its upload, shown where images are, and who runs it is found."""

from __future__ import annotations

import base64
import uuid
from typing import Any

import pytest
from tests.api.running_service import RunningService, application
from tests.fixtures.reports import installed


def uploaded(service: RunningService, catalog: str, version: Any = None, name: str = "Blink") -> uuid.UUID:
    image_id, package = application(name)
    reply = service.azure("PUT", f"/{catalog}/images/{image_id}", body_of(package, version))
    assert reply.status == 201, reply.raw
    return image_id


def body_of(package: bytes, version: Any) -> dict[str, Any]:
    given = {} if version is None else {"version": version}
    return {"properties": {"image": base64.b64encode(package).decode(), **given}}


def test_a_version_that_was_given_is_shown_and_one_that_was_not_is_left_out(
    service: RunningService, catalog: str
) -> None:
    known, unknown, empty = (uploaded(service, catalog, each) for each in ("1.4.2", None, ""))
    shown = {
        image_id: service.azure("GET", f"/{catalog}/images/{image_id}").body["properties"]
        for image_id in (known, unknown, empty)
    }
    assert [each.get("version") for each in shown.values()] == ["1.4.2", None, None]
    listed = service.azure("GET", f"/{catalog}/images").body["value"]
    assert {each["name"]: each["properties"].get("version") for each in listed} == {
        str(known): "1.4.2", str(unknown): None, str(empty): None,
    }  # fmt: skip
    group = f"/{catalog}/products/Coffee/deviceGroups/Production"
    deployed = {"properties": {"deployedImages": [{"properties": {"imageId": str(known)}}]}}
    assert service.azure("PUT", f"{group}/deployments/.default", deployed).status == 201
    (part,) = service.azure("GET", f"{group}/deployments/.default").body["properties"]["deployedImages"]
    assert part["properties"]["version"] == "1.4.2"
    device = service.claimed(catalog)
    (wanted,) = service.call("GET", f"/api/v1/devices/{device.device_id}/deployment").body["images"]
    assert (wanted["name"], wanted["version"]) == ("Blink", "1.4.2")


@pytest.mark.parametrize("version", ["1 2", "-1", "x" * 65, "<i>1</i>", 4, ["1"]])
def test_a_version_that_is_none_is_refused_by_name(service: RunningService, catalog: str, version: Any) -> None:
    image_id, package = application()
    reply = service.azure("PUT", f"/{catalog}/images/{image_id}", body_of(package, version))
    assert (reply.status, "version" in reply.body["error"]["message"]) == (400, True), reply.raw
    assert service.azure("GET", f"/{catalog}/images/{image_id}").status == 404


def test_images_are_found_by_version_and_devices_by_the_image_that_they_run(
    service: RunningService, catalog: str
) -> None:
    version = f"9.{uuid.uuid4().hex}"
    image_id, other = uploaded(service, catalog, version), uploaded(service, catalog, name="Other")
    found = service.call("GET", f"/api/v1/search?q={version}&kind=image&catalog={catalog}").body["items"]
    assert [(each["id"], each["note"]) for each in found] == [(str(image_id), version)]

    running, idle = (service.claimed(catalog) for _ in range(2))
    running.installed = (installed(service.service.updates.images.get(catalog, image_id)),)
    for each in (running, idle):
        with each:
            each.check_in()

    def having(image: object) -> list[str]:
        page = service.call("GET", f"/api/v1/devices?catalog={catalog}&image={image}").body
        return [each["device_id"] for each in page["items"]]

    assert (having(image_id), having(other)) == ([running.device_id], [])
    assert service.call("GET", f"/api/v1/devices?catalog={catalog}&image=%25").status in (400, 422)
