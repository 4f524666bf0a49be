# SPDX-License-Identifier: Apache-2.0
"""The management API: status codes, headers, bodies and odd replies of the public service."""

from __future__ import annotations

import base64
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import NameOID
from tests.api.running_service import CATALOGS, VERSION, Reply, RunningService, application
from tests.fixtures.reports import crash

from armillary.wire.image import capability_file, package as image_package

GROUPS = ["Development", "Field Test", "Field Test OS Evaluation", "Production", "Production OS Evaluation"]


def _upload(service: RunningService, catalog: str, **options: Any) -> uuid.UUID:
    image_id, package = application(**options)
    body = {"properties": {"image": base64.b64encode(package).decode()}}
    assert service.azure("PUT", f"/{catalog}/images/{image_id}", body).status == 201
    return image_id


def _follow(service: RunningService, url: str) -> Any:
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}" == service.address
    return service.call("GET", f"{parts.path}?{parts.query}")


# -- catalogs, products, device groups ---------------------------------------------------------------------------


def test_a_catalog_lives_and_dies(service: RunningService) -> None:
    name = f"L-{uuid.uuid4().hex[:8]}"
    made = service.azure("PUT", f"/{name}", {"location": "global", "tags": {"site": "lab"}})
    assert made.status == 200
    assert made.body["id"] == f"{CATALOGS}/{name}"
    assert made.body["type"] == "microsoft.azuresphere/catalogs"
    assert made.body["location"] == "Global"
    assert made.body["tags"] == {"site": "lab"}
    assert made.body["properties"]["provisioningState"] == "Succeeded"
    assert made.body["systemData"]["createdAt"].endswith("Z")
    uuid.UUID(made.body["properties"]["tenantId"])
    read = service.azure("GET", f"/{name.upper()}")
    assert (read.status, read.body["name"], read.body["type"]) == (200, name, "Microsoft.AzureSphere/catalogs")
    assert service.azure("PUT", f"/{name}", {"location": "global"}).body["tags"] == {"site": "lab"}
    assert service.azure("PATCH", f"/{name}", {"tags": {}}).body["tags"] == {}
    assert service.azure("DELETE", f"/{name}").status == 200
    assert service.azure("DELETE", f"/{name}").status == 204
    assert service.azure("GET", f"/{name}").status == 404


def test_catalogs_are_listed_under_their_resource_group(service: RunningService, catalog: str) -> None:
    under = [item["name"] for item in service.azure("GET", "").body["value"]]
    assert catalog in under
    other = CATALOGS.replace("/rg/", "/other/")
    assert catalog not in [item["name"] for item in service.call("GET", f"{other}?{VERSION}").body["value"]]
    everywhere = service.call("GET", f"/subscriptions/0/providers/Microsoft.AzureSphere/catalogs?{VERSION}").body
    assert catalog in [item["name"] for item in everywhere["value"]]
    assert everywhere["nextLink"] is None


def test_paths_are_case_insensitive(service: RunningService, catalog: str) -> None:
    path = f"{CATALOGS}/{catalog}/products/Coffee/deviceGroups/Field%20Test"
    for spelt in (
        path.replace("Microsoft.AzureSphere", "microsoft.azuresphere"),
        path.replace("deviceGroups", "devicegroups"),
        path.replace("resourceGroups", "RESOURCEGROUPS"),
    ):
        assert service.call("GET", f"{spelt}?{VERSION}").body["name"] == "Field Test"


def test_a_product_and_its_default_groups(service: RunningService, catalog: str) -> None:
    made = service.azure("PUT", f"/{catalog}/products/Dishwasher", {"properties": {"description": "washes"}})
    assert (made.status, made.body["properties"]) == (200, {"description": "washes", "provisioningState": "Succeeded"})
    assert service.azure("PUT", f"/{catalog}/products/Dishwasher", {}).body["properties"]["description"] == "washes"
    changed = service.azure("PATCH", f"/{catalog}/products/Dishwasher", {"properties": {"description": "rinses"}})
    assert (changed.status, changed.body["properties"]["description"]) == (200, "rinses")
    groups = service.azure("POST", f"/{catalog}/products/Dishwasher/generateDefaultDeviceGroups")
    assert groups.status == 200
    assert sorted(item["name"] for item in groups.body["value"]) == GROUPS
    development = next(item for item in groups.body["value"] if item["name"] == "Development")
    assert development["systemData"] is None
    assert development["properties"] == {
        "description": "Default development device group",
        "osFeedType": "Retail",
        "updatePolicy": "No3rdPartyAppUpdates",
        "allowCrashDumpsCollection": "Disabled",
        "regionalDataBoundary": "None",
        "hasDeployment": False,
        "provisioningState": "Succeeded",
    }
    assert {item["name"] for item in service.azure("GET", f"/{catalog}/products").body["value"]} == {
        "Coffee",
        "Dishwasher",
    }
    assert service.azure("DELETE", f"/{catalog}/products/Dishwasher").status == 200
    assert service.azure("DELETE", f"/{catalog}/products/Dishwasher").status == 204
    assert service.azure("DELETE", "/Absent/products/Dishwasher").status == 404


def test_a_device_group_is_changed_field_by_field(service: RunningService, catalog: str) -> None:
    path = f"/{catalog}/products/Coffee/deviceGroups/Pilot%20A"
    made = service.azure("PUT", path, {"properties": {"osFeedType": "RetailEval", "description": "first"}})
    assert made.status == 200
    assert made.body["properties"]["osFeedType"] == "RetailEval"
    assert made.body["properties"]["updatePolicy"] == "UpdateAll"
    assert made.body["properties"]["hasDeployment"] is None  # null when one is read, a bool in lists
    changed = service.azure("PATCH", path, {"properties": {"updatePolicy": "No3rdPartyAppUpdates"}})
    assert changed.body["properties"]["updatePolicy"] == "No3rdPartyAppUpdates"
    assert changed.body["properties"]["description"] == "first"
    named = service.azure("POST", f"/{catalog}/listDeviceGroups", {"deviceGroupName": "Pilot A"}).body["value"]
    assert [item["properties"]["hasDeployment"] for item in named] == [False]
    assert len(service.azure("POST", f"/{catalog}/listDeviceGroups").body["value"]) == 6
    assert service.azure("DELETE", path).status == 200
    assert service.azure("DELETE", path).status == 204


# -- devices -----------------------------------------------------------------------------------------------------


def test_a_device_is_claimed_moved_counted_and_unassigned(service: RunningService, catalog: str) -> None:
    device = service.make_device()
    group = f"/{catalog}/products/Coffee/deviceGroups/Field%20Test"
    claimed = service.azure("POST", f"{group}/claimDevices", {"deviceIdentifiers": [device.device_id.upper()]})
    assert claimed.status == 202
    assert claimed.headers["retry-after"] == "0"
    assert _follow(service, claimed.headers["location"]).status == 204
    read = service.azure("GET", f"{group}/devices/{device.device_id.upper()}")
    assert read.body["name"] == device.device_id == read.body["properties"]["deviceId"]
    assert read.body["properties"]["chipSku"] == "MT3620AN"
    assert read.body["properties"]["lastAvailableOsVersion"] == device.factory.os_version
    assert read.body["properties"]["lastInstalledOsVersion"] is None
    for place, count in ((group, 1), (f"/{catalog}/products/Coffee", 1), (f"/{catalog}", 1)):
        assert service.azure("POST", f"{place}/countDevices").body == {"value": count}
    target = f"{CATALOGS}/{catalog}/products/Coffee/deviceGroups/Production"
    for nothing in ({"properties": {}}, {}):  # changes nothing, and says where the device is
        kept = service.azure("PATCH", f"{group}/devices/{device.device_id}", nothing)
        assert (kept.status, _follow(service, kept.headers["location"]).body) == (202, read.body)
    assert service.azure("PATCH", f"{group}/devices/{'ab' * 64}", {"properties": {}}).status == 404
    moved = service.azure("PATCH", f"{group}/devices/{device.device_id}", {"properties": {"deviceGroupId": target}})
    assert moved.status == 202
    status = _follow(service, moved.headers["azure-asyncoperation"])
    assert (status.status, status.body["status"], status.body["error"]) == (200, "Succeeded", None)
    assert status.body["resourceId"].startswith(target)
    assert _follow(service, moved.headers["location"]).body["id"] == f"{target}/devices/{device.device_id}"
    assert service.azure("GET", f"{group}/devices/{device.device_id}").status == 404
    production = f"/{catalog}/products/Coffee/deviceGroups/Production"
    assert service.azure("DELETE", f"{production}/devices/{device.device_id}").status == 200
    assert service.azure("DELETE", f"{production}/devices/{device.device_id}").status == 204
    unassigned = f"/{catalog}/products/.default/deviceGroups/.unassigned/devices/{device.device_id}"
    assert service.azure("GET", unassigned).status == 200
    assert service.azure("GET", unassigned.replace(".default", ".unassigned")).status == 200


def test_put_device_claims_and_moves(service: RunningService, catalog: str) -> None:
    device = service.make_device()
    for group in ("Development", "Production"):
        path = f"/{catalog}/products/Coffee/deviceGroups/{group}/devices/{device.device_id}"
        made = service.azure("PUT", path, {"properties": {}})
        assert (made.status, made.body["properties"]["provisioningState"]) == (201, "Accepted")
        assert _follow(service, made.headers["azure-asyncoperation"]).body["status"] == "Succeeded"
        assert service.azure("GET", path).body["properties"]["provisioningState"] == "Succeeded"
    other = {"properties": {"deviceId": "0" * 128}}
    assert service.azure("PUT", path, other).status == 400


def test_another_catalogs_device_stays_there(service: RunningService, catalog: str) -> None:
    device = service.make_device()
    claim = {"deviceIdentifiers": [device.device_id]}
    place = "/products/.default/deviceGroups/.unassigned"
    assert service.azure("POST", f"/{catalog}{place}/claimDevices", claim).status == 202
    service.azure("PUT", f"/Other-{catalog}", {"location": "global"})
    refused = service.azure("POST", f"/Other-{catalog}{place}/claimDevices", claim)
    assert (refused.status, refused.body["error"]["code"]) == (404, "ResourceNotFound")
    assert refused.body["error"]["additionalInfo"][0]["info"]["code"] == "request.not-found"  # as one that is not there
    assert service.azure("GET", f"/Other-{catalog}{place}/devices/{device.device_id}").status == 404
    foreign = {"properties": {"deviceGroupId": f"{CATALOGS}/Other-{catalog}{place}"}}
    assert service.azure("PATCH", f"/{catalog}{place}/devices/{device.device_id}", foreign).status == 400


def test_a_claim_is_all_or_nothing(service: RunningService, catalog: str) -> None:
    device = service.make_device()
    ids = [device.device_id, "0" * 128]
    path = f"/{catalog}/products/Coffee/deviceGroups/Production/claimDevices"
    assert service.azure("POST", path, {"deviceIdentifiers": ids}).status == 404
    assert service.azure("POST", f"/{catalog}/countDevices").body == {"value": 0}


def test_lists_go_on_by_get_on_next_link(service: RunningService, catalog: str) -> None:
    ids = [service.claimed(catalog).device_id for _ in range(5)]
    found: list[str] = []
    reply = service.azure("POST", f"/{catalog}/listDevices", query="&$maxpagesize=2")
    pages = 0
    while True:
        pages += 1
        found += [item["name"] for item in reply.body["value"]]
        assert all(item["systemData"] is None for item in reply.body["value"])
        if reply.body["nextLink"] is None:
            break
        reply = _follow(service, reply.body["nextLink"])
    assert (sorted(found), pages) == (sorted(ids), 3)
    group = f"/{catalog}/products/Coffee/deviceGroups/Production/devices"
    assert len(service.azure("GET", group, query="&$top=3").body["value"]) == 3
    assert service.azure("GET", group, query="&$top=3").body["nextLink"] is None
    skipped = service.azure("GET", group, query="&$skip=3").body["value"]
    assert [item["name"] for item in skipped] == sorted(ids)[3:]
    assert service.azure("GET", group, query="&$skip=9").body == {"value": [], "nextLink": None}
    limited = service.azure("GET", group, query="&$top=3&$maxpagesize=2").body
    rest = _follow(service, limited["nextLink"]).body
    assert (len(rest["value"]), rest["nextLink"]) == (1, None)


@pytest.mark.parametrize(
    "query",
    ["&$top=x", "&$top=0", "&$skip=-1", "&$skip=99999", "&$maxpagesize=0", "&$filter=a%20eq%20b", "&$skiptoken=%00"],
)
def test_paging_that_makes_no_sense_is_refused(service: RunningService, catalog: str, query: str) -> None:
    reply = service.azure("POST", f"/{catalog}/listDevices", query=query)
    assert (reply.status, reply.body["error"]["code"]) == (400, "InvalidRequestContent")


def test_a_capability_file_is_for_one_device(service: RunningService, catalog: str) -> None:
    device = service.make_device()
    service.service.registry.devices.claim(catalog, [device.device_id], actor="test")
    path = f"/{catalog}/products/.default/deviceGroups/.unassigned/devices/{device.device_id}/generateCapabilityImage"
    reply = service.azure("POST", path, {"capabilities": ["ApplicationDevelopment"]})
    assert reply.status == 200
    image = base64.b64decode(reply.body["image"])
    assert bytes.fromhex(device.device_id) in image
    assert capability_file.parse(image).device_id == device.device_id
    for bad in ([], ["Root"], None):
        assert service.azure("POST", path, {"capabilities": bad}).status == 400


def test_check_ins_and_error_reports_show(service: RunningService, catalog: str) -> None:
    with service.claimed(catalog) as device:
        device.check_in(error_reports=(crash(count=2),))
    insights = service.azure("POST", f"/{catalog}/listDeviceInsights").body["value"]
    assert insights == [
        {
            "deviceId": device.device_id,
            "description": "AppCrash (exit_status=11)",
            "startTimestampUtc": "2023-11-14T22:13:20Z",
            "endTimestampUtc": "2023-11-14T22:14:20Z",
            "eventCategory": "Unplanned",
            "eventClass": "App",
            "eventType": "AppCrash",
            "eventCount": 2,
        }
    ]
    listed = service.azure("POST", f"/{catalog}/listDevices").body["value"][0]["properties"]
    assert listed["lastInstalledOsVersion"] == device.factory.os_version
    assert listed["lastUpdateRequestUtc"] is not None


# -- images and deployments --------------------------------------------------------------------------------------


def test_an_image_is_uploaded_read_and_deleted(service: RunningService, catalog: str) -> None:
    image_id, package = application("Blink")
    path = f"/{catalog}/images/{image_id}"
    body = {"properties": {"image": base64.b64encode(package).decode(), "regionalDataBoundary": "EU"}}
    made = service.azure("PUT", path, body)
    assert (made.status, made.headers["retry-after"]) == (201, "0")
    assert made.body["properties"]["provisioningState"] == "Accepted"
    assert made.body["type"] == "microsoft.azuresphere/catalogs/images"
    assert _follow(service, made.headers["azure-asyncoperation"]).body["status"] == "Succeeded"
    read = service.azure("GET", path).body["properties"]
    assert read["image"] == "Blink"  # the name: the public service's odd reply
    assert (read["imageId"], read["imageName"], read["imageType"]) == (str(image_id), "Blink", "Applications")
    assert (read["regionalDataBoundary"], read["description"]) == ("EU", "")
    address = urlsplit(read["uri"])
    stored = service.call("GET", f"{address.path}?{address.query}")
    assert stored.headers["content-type"] == "application/octet-stream"
    assert image_package.parse(stored.raw).image_id == image_id
    assert stored.raw != package  # signed anew by the service
    assert service.azure("PUT", path, body).status == 409
    assert service.azure("DELETE", path).status == 200
    assert service.azure("DELETE", path).status == 204
    assert service.azure("GET", path).status == 404


def test_upload_image_answers_with_a_location(service: RunningService, catalog: str) -> None:
    image_id, package = application()
    body = {"properties": {"image": base64.b64encode(package).decode()}}
    reply = service.azure("POST", f"/{catalog}/uploadImage", body)
    assert (reply.status, reply.raw) == (202, b"")
    assert _follow(service, reply.headers["location"]).body["name"] == str(image_id)


@pytest.mark.parametrize("image", [None, "", "!!!", "QQ", base64.b64encode(b"no package").decode(), "é"])
def test_what_is_no_image_is_refused(service: RunningService, catalog: str, image: str | None) -> None:
    reply = service.azure("PUT", f"/{catalog}/images/{uuid.uuid4()}", {"properties": {"image": image}})
    assert reply.status == 400
    assert reply.body["error"]["message"]


def test_the_path_must_name_the_packages_own_image_id(service: RunningService, catalog: str) -> None:
    image_id, package = application()
    body = {"properties": {"image": base64.b64encode(package).decode()}}
    reply = service.azure("PUT", f"/{catalog}/images/{uuid.uuid4()}", body)
    assert reply.status == 400
    assert str(image_id) in reply.body["error"]["message"]
    assert service.azure("PUT", f"/{catalog}/images/not-a-guid", body).status == 400
    made = service.azure("PUT", f"/{catalog}/images/.default", body)  # whichever id it has
    assert (made.status, made.body["name"]) == (201, str(image_id))


def test_a_deployment_is_made_read_and_deleted(service: RunningService, catalog: str) -> None:
    group = f"/{catalog}/products/Coffee/deviceGroups/Production"
    first, second = _upload(service, catalog, name="One"), _upload(service, catalog, name="Two")
    assert service.azure("GET", f"{group}/deployments/.default").status == 404
    images = [{"name": str(first), "properties": {"imageId": str(first)}}, {"properties": {"imageId": str(second)}}]
    made = service.azure("PUT", f"{group}/deployments/.default", {"properties": {"deployedImages": images}})
    assert made.status == 201
    assert "azure-asyncoperation" in {name.lower() for name in made.headers}
    current = service.azure("GET", f"{group}/deployments/.default").body
    assert [item["properties"]["imageName"] for item in current["properties"]["deployedImages"]] == ["One", "Two"]
    assert current["name"] == current["properties"]["deploymentId"] == made.body["properties"]["deploymentId"]
    assert service.azure("GET", f"{group}/deployments/{current['name']}").body == current
    assert service.azure("GET", group).body["properties"]["hasDeployment"] is None
    listed = service.azure("POST", f"/{catalog}/listDeviceGroups", {"deviceGroupName": "Production"}).body["value"]
    assert listed[0]["properties"]["hasDeployment"] is True
    assert [d["id"] for d in service.azure("POST", f"/{catalog}/listDeployments").body["value"]] == [current["id"]]
    other = f"/{catalog}/products/Coffee/deviceGroups/Development/deployments/{current['name']}"
    assert service.azure("GET", other).status == 404
    assert service.azure("DELETE", f"/{catalog}/images/{first}").status == 409
    assert service.azure("DELETE", f"{group}/deployments/{current['name']}").status == 200
    assert service.azure("DELETE", f"{group}/deployments/{current['name']}").status == 204
    assert service.azure("DELETE", f"{group}/deployments/.default").status == 204


def test_deployments_that_cannot_be(service: RunningService, catalog: str) -> None:
    path = f"/{catalog}/products/Coffee/deviceGroups/Production/deployments"
    component = uuid.uuid4()
    twice = [{"name": str(_upload(service, catalog, component=component))} for _ in range(2)]
    for images, status in (
        (None, 400),
        ([{}], 400),
        ([{"name": "x"}], 400),
        (twice, 400),
        ([{"name": str(uuid.uuid4())}], 404),
    ):
        assert service.azure("PUT", f"{path}/.default", {"properties": {"deployedImages": images}}).status == status
    assert service.azure("PUT", f"{path}/not-a-guid", {"properties": {"deployedImages": []}}).status == 400


# -- certificates ------------------------------------------------------------------------------------------------


def test_certificates_chain_and_proof(service: RunningService, catalog: str) -> None:
    (listed,) = service.azure("GET", f"/{catalog}/certificates").body["value"]
    active = service.azure("GET", f"/{catalog}/certificates/.default").body
    assert listed == active
    for name in ("active", "default", "Active"):
        assert service.azure("GET", f"/{catalog}/certificates/{name}").body == active
        assert service.azure("POST", f"/{catalog}/certificates/{name}/retrieveCertChain").body["certificateChain"]
    assert len(active["name"]) == 34
    properties = active["properties"]
    assert properties["status"] == "Active"
    authority = x509.load_der_x509_certificate(base64.b64decode(properties["certificate"]))
    assert f"{authority.serial_number:034X}" == active["name"]
    chain = service.azure("POST", f"/{catalog}/certificates/{active['name']}/retrieveCertChain").body[
        "certificateChain"
    ]
    certificates = pkcs7.load_der_pkcs7_certificates(base64.b64decode(chain))
    assert len(certificates) == 3
    assert authority in certificates
    policy = next(item for item in certificates if item.subject == authority.issuer)
    authority.verify_directly_issued_by(policy)
    policy.verify_directly_issued_by(next(item for item in certificates if item.subject == policy.issuer))
    path = f"/{catalog}/certificates/{active['name']}/retrieveProofOfPossessionNonce"
    proof = service.azure("POST", path, {"proofOfPossessionNonce": "0A1B2C"}).body
    signed = x509.load_der_x509_certificate(base64.b64decode(proof["certificate"]))
    signed.verify_directly_issued_by(authority)
    assert [name.value for name in signed.subject.get_attributes_for_oid(NameOID.COMMON_NAME)] == ["0A1B2C"]
    assert proof["subject"] == signed.subject.rfc4514_string()
    assert service.azure("POST", path, {"proofOfPossessionNonce": ""}).status == 400
    assert service.azure("GET", f"/{catalog}/certificates/{'0' * 34}").status == 404


# -- what goes wrong ---------------------------------------------------------------------------------------------


def test_the_api_version_is_needed_and_known(service: RunningService) -> None:
    for query, words in (("", "missing"), ("?api-version=1999-01-01", "1999-01-01")):
        reply = service.call("GET", f"{CATALOGS}{query}")
        assert reply.status == 400
        assert words in reply.body["error"]["message"]
    assert service.call("GET", f"{CATALOGS}?api-version=2022-09-01-preview").status == 200


def test_an_error_has_azures_shape_and_our_code(service: RunningService) -> None:
    reply = service.azure("GET", "/Absent")
    assert (reply.status, reply.headers["x-ms-error-code"]) == (404, "ResourceNotFound")
    error = reply.body["error"]
    assert set(error) == {"code", "message", "target", "details", "additionalInfo"}
    assert error["additionalInfo"] == [
        {
            "type": "ArmillaryError",
            "info": {"code": "request.not-found", "remedy": "List them: armillary catalog list."},
        }
    ]


@pytest.mark.parametrize("body", [b"{", b"[]", b'"x"', b"\xff\xfe", b"[" * 5000, b"null", b'{"properties": 7}'])
def test_malformed_bodies_are_refused(service: RunningService, catalog: str, body: bytes) -> None:
    reply = service.azure("PUT", f"/{catalog}/products/Tea", body)
    assert (reply.status, reply.body["error"]["code"]) == (400, "InvalidRequestContent")


@pytest.mark.parametrize("path", ["/bad name", "/" + "a" * 51, "/x%2Fy", "/x%00y", "/%E2%98%83"])
def test_malformed_names_are_refused(service: RunningService, path: str) -> None:
    assert service.azure("GET", path.replace(" ", "%20")).status in (400, 404)


def test_unknown_paths_and_methods(service: RunningService, catalog: str) -> None:
    assert service.azure("GET", f"/{catalog}/teapots").status == 404
    reply = service.azure("DELETE", f"/{catalog}/countDevices")
    assert (reply.status, reply.headers["allow"]) == (405, "POST")
    assert reply.body["error"]["code"] == "HttpMethodNotAllowed"


def test_an_operation_that_was_never_made(service: RunningService) -> None:
    path = "/subscriptions/0/providers/Microsoft.AzureSphere/locations/GLOBAL"
    assert service.call("GET", f"{path}/operationStatuses/x?{VERSION}").status == 404
    assert service.call("GET", f"{path}/operationResults/x?{VERSION}").status == 404


def test_the_operations_of_the_provider(service: RunningService) -> None:
    reply = service.call("GET", f"/providers/Microsoft.AzureSphere/operations?{VERSION}")
    names = [item["name"] for item in reply.body["value"]]
    assert "Microsoft.AzureSphere/catalogs/products/write" in names
    assert "Microsoft.AzureSphere/catalogs/countDevices/action" in names
    assert len(names) == len(set(names))


def test_two_puts_at_once_make_one(service: RunningService, catalog: str) -> None:
    barrier = threading.Barrier(4)

    def put(_: int) -> Reply:
        barrier.wait()
        return service.azure("PUT", f"/{catalog}/products/Race", {"properties": {"description": "r"}})

    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(put, range(4)))
    assert [reply.status for reply in replies] == [200] * 4
    assert len({reply.raw for reply in replies}) == 1
    names = [item["name"] for item in service.azure("GET", f"/{catalog}/products").body["value"]]
    assert names.count("Race") == 1


def test_two_uploads_of_one_image_at_once(service: RunningService, catalog: str) -> None:
    image_id, package = application()
    body = {"properties": {"image": base64.b64encode(package).decode()}}
    path = f"/{catalog}/images/{image_id}"
    with ThreadPoolExecutor(2) as pool:
        statuses = list(pool.map(lambda _: service.azure("PUT", path, body).status, range(2)))
    assert sorted(statuses) == [201, 409]
    stored = service.azure("GET", path).body["properties"]["uri"]
    assert _follow(service, stored).status == 200  # the refused one did not take the file with it


def test_a_catalog_with_devices_stays(service: RunningService, catalog: str) -> None:
    service.service.registry.devices.claim(catalog, [service.make_device().device_id], actor="test")
    reply = service.azure("DELETE", f"/{catalog}")
    assert (reply.status, reply.body["error"]["code"]) == (409, "Conflict")
