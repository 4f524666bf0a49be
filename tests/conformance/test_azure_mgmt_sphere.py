# SPDX-License-Identifier: Apache-2.0
"""The public Azure Sphere management client, unchanged, against our service: only the URL and the root differ.

Needs the package azure-mgmt-sphere (1.0.0). Where it is not installed, this file is skipped; to run it:
``uv run --with azure-mgmt-sphere pytest tests/conformance/test_azure_mgmt_sphere.py``.
"""

from __future__ import annotations

import base64
import os
import shlex
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip(
    "azure.mgmt.sphere",
    reason="azure-mgmt-sphere is not installed; "
    "run: uv run --with azure-mgmt-sphere pytest tests/conformance/test_azure_mgmt_sphere.py",
)

from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.mgmt.sphere import AzureSphereMgmtClient
from cryptography import x509
from cryptography.hazmat.primitives.serialization import pkcs7
from tests.api.running_service import RunningService, application, own_service
from tests.e2e.guides.blocks import block_of, step_of
from tests.e2e.guides.output import Known, compared

RG = "resources"
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


class Operator:
    """Any object with get_token is a credential."""

    def __init__(self, token: str) -> None:
        self._token = token

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        return AccessToken(self._token, int(time.time()) + 3600)


service = own_service()


def _client(service: RunningService, token: str, **options: Any) -> AzureSphereMgmtClient:
    return AzureSphereMgmtClient(
        Operator(token),
        SUBSCRIPTION,
        base_url=service.address,
        connection_verify=str(service.root),
        credential_scopes=["https://ours/.default"],
        retry_total=0,
        **options,
    )


@pytest.fixture(scope="module")
def client(service: RunningService) -> Iterator[AzureSphereMgmtClient]:
    # No polling_interval: the service's Retry-After has to keep the client from its 30 seconds.
    with _client(service, service.token) as made:
        yield made


@pytest.fixture
def catalog(client: AzureSphereMgmtClient) -> str:
    name = f"Catalog-{uuid.uuid4().hex[:8]}"
    made = client.catalogs.begin_create_or_update(RG, name, {"location": "global"}).result()
    assert (made.name, made.location, made.properties.provisioning_state) == (name, "Global", "Succeeded")
    uuid.UUID(made.properties.tenant_id)
    return name


@pytest.fixture
def product(client: AzureSphereMgmtClient, catalog: str) -> str:
    body = {"properties": {"description": "makes coffee"}}
    made = client.products.begin_create_or_update(RG, catalog, "Coffee Maker", body).result()
    assert (made.name, made.properties.description) == ("Coffee Maker", "makes coffee")
    return made.name


def test_the_guides_program_runs_as_it_stands(service: RunningService, tmp_path: Path) -> None:
    shown = step_of("docs/guides/move-from-azure-sphere.md", "ARMILLARY_TOKEN=arm_… python list_devices.py")
    service.make_catalog("Contoso")
    service.service.registry.products.create("Contoso", "Cable", actor="test", description="charging cables")
    service.service.registry.groups.create_defaults("Contoso", "Cable", actor="test")
    device = service.make_device()
    service.service.registry.devices.claim(
        "Contoso", [device.device_id], actor="test", product="Cable", group="Production"
    )
    with device:
        device.check_in()
    program = block_of("docs/guides/move-from-azure-sphere.md", "list_devices.py")
    program = program.replace("https://localhost:8443", service.address).replace(
        "armillary-data/root.pem", str(service.root)
    )
    (tmp_path / "list_devices.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, *shlex.split(shown.command)[2:]],
        cwd=tmp_path,
        env={**os.environ, "ARMILLARY_TOKEN": service.token},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=60,
    )
    printed = done.stdout[done.stdout.index("Contoso ") :]
    assert compared([*shown.output, "…"], printed, Known()) == ""


def test_operations_are_listed(client: AzureSphereMgmtClient) -> None:
    assert "Microsoft.AzureSphere/catalogs/write" in {operation.name for operation in client.operations.list()}


def test_catalogs(client: AzureSphereMgmtClient, catalog: str) -> None:
    assert client.catalogs.get(RG, catalog).name == catalog
    assert client.catalogs.update(RG, catalog, {"tags": {"site": "lab"}}).tags == {"site": "lab"}
    assert catalog in {item.name for item in client.catalogs.list_by_subscription()}
    assert catalog in {item.name for item in client.catalogs.list_by_resource_group(RG)}
    assert client.catalogs.count_devices(RG, catalog).value == 0
    assert client.catalogs.begin_delete(RG, catalog).result() is None
    with pytest.raises(ResourceNotFoundError) as caught:
        client.catalogs.get(RG, catalog)
    assert caught.value.error.code == "ResourceNotFound"


def test_products_and_device_groups(client: AzureSphereMgmtClient, catalog: str, product: str) -> None:
    groups = list(client.products.generate_default_device_groups(RG, catalog, product))
    assert {group.name for group in groups} == {
        "Development", "Field Test", "Production", "Field Test OS Evaluation", "Production OS Evaluation",
    }  # fmt: skip
    evaluation = next(group for group in groups if group.name == "Production OS Evaluation")
    assert (evaluation.properties.os_feed_type, evaluation.properties.has_deployment) == ("RetailEval", False)
    body = {"properties": {"osFeedType": "Retail", "updatePolicy": "UpdateAll"}}
    made = client.device_groups.begin_create_or_update(RG, catalog, product, "Pilot", body).result()
    assert (made.properties.allow_crash_dumps_collection, made.properties.has_deployment) == ("Disabled", None)
    changed = client.device_groups.begin_update(
        RG, catalog, product, "Pilot", {"properties": {"description": "first ten"}}
    ).result()
    assert changed.properties.description == "first ten"
    assert client.device_groups.get(RG, catalog, product, "Field Test").name == "Field Test"
    assert len(list(client.device_groups.list_by_product(RG, catalog, product))) == 6
    named = client.catalogs.list_device_groups(RG, catalog, {"deviceGroupName": "Pilot"})
    assert [group.name for group in named] == ["Pilot"]
    updated = client.products.begin_update(RG, catalog, product, {"properties": {"description": "tea"}}).result()
    assert updated.properties.description == "tea"
    assert [item.name for item in client.products.list_by_catalog(RG, catalog)] == [product]
    client.device_groups.begin_delete(RG, catalog, product, "Pilot").result()
    client.products.begin_delete(RG, catalog, product).result()
    assert list(client.products.list_by_catalog(RG, catalog)) == []


def test_devices(service: RunningService, client: AzureSphereMgmtClient, catalog: str, product: str) -> None:
    list(client.products.generate_default_device_groups(RG, catalog, product))
    devices = [service.make_device() for _ in range(3)]
    ids = sorted(device.device_id for device in devices)
    place = (RG, catalog, product)
    claim = {"deviceIdentifiers": [device_id.upper() for device_id in ids[:2]]}
    assert client.device_groups.begin_claim_devices(*place, "Field Test", claim).result() is None
    made = client.devices.begin_create_or_update(*place, "Production", ids[2], {"properties": {}}).result()
    assert (made.name, made.properties.chip_sku) == (ids[2], "MT3620AN")
    assert [item.name for item in client.devices.list_by_device_group(*place, "Field Test")] == ids[:2]
    assert client.device_groups.count_devices(*place, "Field Test").value == 2
    assert client.products.count_devices(*place).value == 3
    assert [item.name for item in client.catalogs.list_devices(RG, catalog, maxpagesize=2)] == ids
    assert len(list(client.catalogs.list_devices(RG, catalog, top=2))) == 2
    with next(device for device in devices if device.device_id == ids[0]) as device:
        device.check_in()
    seen = client.devices.get(*place, "Field Test", ids[0])
    assert seen.properties.last_installed_os_version == seen.properties.last_available_os_version
    assert seen.properties.last_update_request_utc is not None
    target = client.device_groups.get(*place, "Production").id
    moved = client.devices.begin_update(
        *place, "Field Test", ids[0], {"properties": {"deviceGroupId": target}}
    ).result()
    assert moved.id == f"{target}/devices/{ids[0]}"
    image = client.devices.begin_generate_capability_image(
        *place, "Production", ids[0], {"capabilities": ["ApplicationDevelopment"]}
    ).result()
    assert bytes.fromhex(ids[0]) in base64.b64decode(image.image)
    client.devices.begin_delete(*place, "Production", ids[0]).result()
    assert client.products.count_devices(*place).value == 2
    assert client.catalogs.count_devices(RG, catalog).value == 3
    assert list(client.catalogs.list_device_insights(RG, catalog)) == []
    with pytest.raises(ResourceExistsError):  # 409
        client.catalogs.begin_delete(RG, catalog).result()


def test_images_and_deployments(client: AzureSphereMgmtClient, catalog: str, product: str) -> None:
    list(client.products.generate_default_device_groups(RG, catalog, product))
    image_id, package = application("Blink")
    body = {"properties": {"image": base64.b64encode(package).decode()}}
    made = client.images.begin_create_or_update(RG, catalog, str(image_id), body).result()
    assert (made.properties.image, made.properties.image_type) == ("Blink", "Applications")
    assert made.properties.provisioning_state == "Succeeded"
    second_id, second = application("Second")
    upload = {"properties": {"image": base64.b64encode(second).decode()}}
    assert client.catalogs.begin_upload_image(RG, catalog, upload).result() is None
    assert {item.name for item in client.images.list_by_catalog(RG, catalog)} == {str(image_id), str(second_id)}
    place = (RG, catalog, product, "Production")
    deployed = {"properties": {"deployedImages": [{"name": str(image_id), "properties": {"imageId": str(image_id)}}]}}
    deployment = client.deployments.begin_create_or_update(*place, ".default", deployed).result()
    assert [image.properties.image_id for image in deployment.properties.deployed_images] == [str(image_id)]
    assert client.deployments.get(*place, ".default").name == deployment.name
    assert client.deployments.get(*place, deployment.name).id == deployment.id
    assert [item.name for item in client.deployments.list_by_device_group(*place)] == [deployment.name]
    assert [item.id for item in client.catalogs.list_deployments(RG, catalog)] == [deployment.id]
    with pytest.raises(ResourceExistsError):
        client.images.begin_delete(RG, catalog, str(image_id)).result()
    client.deployments.begin_delete(*place, deployment.name).result()
    for name in (image_id, second_id):
        client.images.begin_delete(RG, catalog, str(name)).result()
    assert list(client.images.list_by_catalog(RG, catalog)) == []
    client.products.begin_delete(RG, catalog, product).result()
    client.catalogs.begin_delete(RG, catalog).result()


def test_certificates(client: AzureSphereMgmtClient, catalog: str) -> None:
    (listed,) = client.certificates.list_by_catalog(RG, catalog)
    assert (len(listed.name), listed.properties.status) == (34, "Active")
    authority = x509.load_der_x509_certificate(base64.b64decode(listed.properties.certificate))
    assert listed.properties.expiry_utc == authority.not_valid_after_utc
    assert client.certificates.get(RG, catalog, listed.name).id == listed.id
    chain = client.certificates.retrieve_cert_chain(RG, catalog, listed.name).certificate_chain
    assert authority in pkcs7.load_der_pkcs7_certificates(base64.b64decode(chain))
    proof = client.certificates.retrieve_proof_of_possession_nonce(
        RG, catalog, listed.name, {"proofOfPossessionNonce": "ABCDEF"}
    )
    x509.load_der_x509_certificate(base64.b64decode(proof.certificate)).verify_directly_issued_by(authority)


def test_errors_are_the_clients_own(service: RunningService, client: AzureSphereMgmtClient, catalog: str) -> None:
    with pytest.raises(HttpResponseError) as caught:
        client.images.begin_create_or_update(RG, catalog, str(uuid.uuid4()), {"properties": {"image": "!"}}).result()
    assert (caught.value.status_code, caught.value.error.code) == (400, "InvalidRequestContent")
    with _client(service, "arm_wrong") as stranger, pytest.raises(ClientAuthenticationError):
        stranger.catalogs.get(RG, catalog)
    with _client(service, service.token_of("Reader")) as reader:
        assert reader.catalogs.get(RG, catalog).name == catalog
        with pytest.raises(HttpResponseError) as refused:
            reader.catalogs.begin_delete(RG, catalog).result()
    assert (refused.value.status_code, refused.value.error.code) == (403, "AuthorizationFailed")
