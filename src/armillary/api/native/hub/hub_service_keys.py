# SPDX-License-Identifier: Apache-2.0
"""Native routes of keys by which services sign requests as IoT Hub's do."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

from fastapi import Path
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, Route
from armillary.api.http.routes import hub_of, operator_of, service_of
from armillary.api.native.bodies import HubServiceKeyBody
from armillary.api.native.parameters import CATALOG, CatalogPath
from armillary.api.views import hub_devices as views_hub
from armillary.service.hub_access.service_keys import KEY_PATTERN

KeyName = Annotated[str, Path(description="Name of a key", json_schema_extra={"pattern": KEY_PATTERN})]


def list_hub_service_keys(request: Request, catalog: CatalogPath) -> dict[str, Any]:
    """A catalog's service keys by name, without the keys themselves."""
    return views_hub.service_keys(service_of(request), catalog)


def make_hub_service_key(request: Request, catalog: CatalogPath, body: HubServiceKeyBody) -> dict[str, Any]:
    """Make a key; the connection string is in the answer and nowhere else."""
    actor = operator_of(request).name
    made, key = service_of(request).hub_access.service_keys.create(
        catalog, body.name, body.role, actor=actor, reveals_keys=body.reveals_keys
    )
    return views_hub.made_service_key(hub_of(request), made, key)


def delete_hub_service_key(request: Request, catalog: CatalogPath, name: KeyName) -> dict[str, Any]:
    """Make a key useless at once."""
    service_of(request).hub_access.service_keys.remove(catalog, name, actor=operator_of(request).name)
    return {"deleted": name}


_row = partial(Route, tag="hub devices")
_KEYS = CATALOG + "/hub-service-keys"
ROUTES = (
    _row("GET", _KEYS, list_hub_service_keys, ADMINISTRATOR),
    _row("POST", _KEYS, make_hub_service_key, ADMINISTRATOR),
    _row("DELETE", _KEYS + "/{name}", delete_hub_service_key, ADMINISTRATOR),
)
