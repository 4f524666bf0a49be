# SPDX-License-Identifier: Apache-2.0
"""Long-running operations in Azure Resource Manager's shape, without a table of operations.

Every change is complete before its answer is sent, so an operation's state is always known from its id: the id
carries the resource and the time. Nothing is stored, nothing expires, and any process of the service can answer
a poll. An id grants nothing: polls need a token, and the result of an operation is read from the resource itself.

Form of the addresses: ``.../locations/{location}/operationStatuses/{guid}*{details}``, as the Azure Sphere service
used; ``details`` is base64url JSON here where Azure had a hash.
"""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from armillary.api.azure import names
from armillary.errors import NotFoundError

LOCATION = "GLOBAL"
# Ids longer than this were not made here: the longest resource id is below 600 characters.
MAX_OPERATION_CHARS = 1400


@dataclass(frozen=True, slots=True)
class Operation:
    """One finished operation, done ``at`` Unix seconds.

    ``resource`` is the id of what it worked on, empty when its result is nothing (204); ``has_result`` says whether the
    resource exists afterwards and is the result.
    """

    operation_id: uuid.UUID
    resource: str
    at: int
    has_result: bool


def new_operation(resource: str, *, at: int, has_result: bool) -> Operation:
    """An operation on ``resource`` that is done at ``at``."""
    return Operation(uuid.uuid4(), resource, at, has_result)


def encode(operation: Operation) -> str:
    """``{guid}*{details}``: the last segment of the operation's addresses."""
    details = json.dumps([operation.resource, operation.at, operation.has_result], separators=(",", ":"))
    return f"{operation.operation_id}*{base64.urlsafe_b64encode(details.encode()).decode().rstrip('=')}"


def decode(text: str) -> Operation:
    """The operation that the last segment of its address names. Raises NotFoundError if it names none."""
    unknown = NotFoundError("no such operation", remedy="Use the address that the service sent.")
    if len(text) > MAX_OPERATION_CHARS:
        raise unknown
    try:
        guid, details = text.split("*", 1)
        raw = base64.urlsafe_b64decode(details + "=" * (-len(details) % 4))
        resource, at, has_result = json.loads(raw)
        operation_id = uuid.UUID(guid)
        datetime.fromtimestamp(at, UTC)  # an instant that a clock can show
    except (ValueError, TypeError, RecursionError, OverflowError, OSError) as error:
        raise unknown from error
    if not (isinstance(resource, str) and type(at) is int and type(has_result) is bool):
        raise unknown
    return Operation(operation_id, resource, at, has_result)


def catalogs_of(parameters: Mapping[str, str]) -> Sequence[str] | None:
    """Catalogs of the operation in a path; None if it has no result to show. Raises as :func:`decode`."""
    operation = decode(parameters["operation"])
    return names.catalog_of(operation.resource) if operation.has_result else None


def utc(at: int | None) -> str | None:
    """ISO 8601 in UTC of Unix seconds, as Azure writes it; None stays None."""
    return None if at is None else datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def addresses(operation: Operation, *, base_url: str, subscription: str, api_version: str) -> tuple[str, str]:
    """The operation's (status, result) URLs."""
    segment = encode(operation)
    made = []
    for template in (names.OPERATION_STATUS, names.OPERATION_RESULT):
        path = template.format(subscription=subscription, location=LOCATION, operation=segment)
        made.append(f"{base_url}{path}?api-version={api_version}")
    return made[0], made[1]


def status_body(operation: Operation, path: str) -> dict[str, Any]:
    """The body of a poll at ``operationStatuses``."""
    return {
        "id": path,
        "name": path.rsplit("/", 1)[-1],
        "resourceId": operation.resource,
        "status": "Succeeded",
        "startTime": utc(operation.at),
        "endTime": utc(operation.at),
        "error": None,
        "properties": None,
    }
