# SPDX-License-Identifier: Apache-2.0
"""Operation ids carry what a poll needs and nothing else passes as one."""

from __future__ import annotations

import base64
import json
import uuid

import pytest

from armillary.api.azure import operations
from armillary.errors import NotFoundError

# Fixed, because test names must be the same in every worker.
OPERATION = uuid.UUID("5b7f4d0e-2f0c-4f5b-9a53-6a1f6c1d2e3f")
RESOURCE = "/subscriptions/s/resourceGroups/r/providers/Microsoft.AzureSphere/catalogs/C/images/" + str(uuid.uuid4())


def test_an_operation_survives_its_address() -> None:
    made = operations.new_operation(RESOURCE, at=1_700_000_000, has_result=True)
    assert operations.decode(operations.encode(made)) == made


def test_the_addresses_have_azure_spheres_form() -> None:
    made = operations.new_operation(RESOURCE, at=1_700_000_000, has_result=True)
    status, result = operations.addresses(made, base_url="https://h:1", subscription="s", api_version="2024-04-01")
    start = "https://h:1/subscriptions/s/providers/Microsoft.AzureSphere/locations/GLOBAL/"
    assert status.startswith(f"{start}operationStatuses/{made.operation_id}*")
    assert result.startswith(f"{start}operationResults/{made.operation_id}*")
    assert status.endswith("?api-version=2024-04-01")


def test_the_status_body_names_resource_and_times() -> None:
    made = operations.new_operation(RESOURCE, at=1_700_000_000, has_result=True)
    body = operations.status_body(made, "/a/b")
    assert body == {
        "id": "/a/b",
        "name": "b",
        "resourceId": RESOURCE,
        "status": "Succeeded",
        "startTime": "2023-11-14T22:13:20Z",
        "endTime": "2023-11-14T22:13:20Z",
        "error": None,
        "properties": None,
    }


def _forged(details: object) -> str:
    return f"{OPERATION}*{base64.urlsafe_b64encode(json.dumps(details).encode()).decode()}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "*",
        "x*W10",
        f"{OPERATION}",
        f"{OPERATION}*!!!!",
        _forged([]),
        _forged(["r", "1", True]),
        _forged(["r", 1, 1]),
        _forged(["r", 10**30, True]),
        _forged({"a": 1}),
        "a" * 5000,
        f"{OPERATION}*" + base64.urlsafe_b64encode(b"[" * 700).decode(),
    ],
)
def test_everything_else_is_no_operation(text: str) -> None:
    with pytest.raises(NotFoundError):
        operations.decode(text)
