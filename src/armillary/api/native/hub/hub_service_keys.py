# SPDX-License-Identifier: Apache-2.0
"""Native routes of keys by which services sign requests as IoT Hub's do."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, Route
from armillary.api.http.routes import hub_of, operator_of, service_of
from armillary.api.native.parameters import CATALOG, CatalogPath, StrictBody
from armillary.engines.records.queries.hub import HubServiceKey
from armillary.service.hub_access.service_keys import KEY_PATTERN
from armillary.wire.hub.sas_token import encode_key

KeyName = Annotated[str, Path(description="Name of a key", json_schema_extra={"pattern": KEY_PATTERN})]


class HubServiceKeyBody(StrictBody):
    """A key to make: a name, and what it allows.

    Attributes:
        reveals_keys: Whether its bearer sees the symmetric keys of devices; not with the role Reader.
    """

    name: Annotated[str, Field(min_length=1, max_length=64)]
    role: Literal["Administrator", "Contributor", "Reader"]
    reveals_keys: bool = False


def list_hub_service_keys(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """A catalog's service keys by name, without the keys themselves."""
    return {
        "items": [_document(each) for each in service_of(request).hub_access.service_keys.list(catalog)],
        "next": None,
    }


def make_hub_service_key(request: Request, catalog: CatalogPath, body: HubServiceKeyBody) -> dict[str, Any]:
    """Make a key; the connection string is in the answer and nowhere else."""
    actor = operator_of(request).name
    made, key = service_of(request).hub_access.service_keys.create(
        catalog, body.name, body.role, actor=actor, reveals_keys=body.reveals_keys
    )
    host = hub_of(request).service_host
    connection = f"HostName={host};SharedAccessKeyName={made.name};SharedAccessKey={encode_key(key)}"
    return {**_document(made), "key": encode_key(key), "connection_string": connection}


def delete_hub_service_key(request: Request, catalog: CatalogPath, name: KeyName) -> dict[str, Any]:
    """Make a key useless at once."""
    service_of(request).hub_access.service_keys.remove(catalog, name, actor=operator_of(request).name)
    return {"deleted": name}


def _document(found: HubServiceKey) -> dict[str, Any]:
    return {
        "name": found.name,
        "role": found.role,
        "reveals_keys": found.reveals_keys,
        "created_at": found.created_at,
        "created_by": found.created_by,
    }


_row = partial(Route, tag="hub devices")
_KEYS = CATALOG + "/hub-service-keys"
ROUTES = (
    _row("GET", _KEYS, list_hub_service_keys, ADMINISTRATOR),
    _row("POST", _KEYS, make_hub_service_key, ADMINISTRATOR),
    _row("DELETE", _KEYS + "/{name}", delete_hub_service_key, ADMINISTRATOR),
)
