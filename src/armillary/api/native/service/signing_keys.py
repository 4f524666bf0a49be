# SPDX-License-Identifier: Apache-2.0
"""Native routes of the keys that sign releases and images, and of the trust stores by which devices learn of them."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Path
from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, StrictBody
from armillary.api.views import signing_keys as views

SerialPath = Annotated[
    str, Path(description="Serial of a signing certificate, hex", json_schema_extra={"pattern": "^[0-9A-Fa-f]{1,40}$"})
]


class RenewBody(StrictBody):
    """Which signing keys get a successor.

    Attributes:
        purposes: `os` for boot components and trust stores, `images` for applications.
    """

    purposes: Annotated[tuple[Literal["os", "images"], ...], Field(min_length=1, max_length=2)] = ("os", "images")


class UseBody(StrictBody):
    """How the next signing key is put in force.

    Attributes:
        despite: Also while devices have not the trusted key store that names it.
    """

    despite: bool = False


def signing_keys(request: Request) -> dict[str, Any]:
    """The signing keys that devices are to trust, and the trust stores with how many devices have each."""
    return views.signing_keys(service_of(request))


def renew_signing_keys(request: Request, body: RenewBody) -> dict[str, Any]:
    """Make the next signing keys: devices get a trusted key store that names them; nothing is signed by them yet."""
    service_of(request).updates.trust_stores.renew(body.purposes, actor=operator_of(request).name)
    return signing_keys(request)


def use_signing_keys(request: Request, body: UseBody) -> dict[str, Any]:
    """Sign with the next keys from now on: refused while devices have not the store that names them."""
    service_of(request).updates.trust_stores.put_in_force(actor=operator_of(request).name, despite=body.despite)
    return signing_keys(request)


def drop_signing_key(request: Request, key_serial: SerialPath) -> dict[str, Any]:
    """Have devices trust a signing key no longer; images that it signed are signed again."""
    service_of(request).updates.trust_stores.drop(key_serial, actor=operator_of(request).name)
    return signing_keys(request)


_row = partial(Route, tag="signing keys")
_BASE = V1 + "/signing-keys"
ROUTES = (
    _row("GET", _BASE, signing_keys, READER),
    _row("POST", _BASE + "/renew", renew_signing_keys, ADMINISTRATOR),
    _row("POST", _BASE + "/use", use_signing_keys, ADMINISTRATOR),
    _row("DELETE", _BASE + "/{key_serial}", drop_signing_key, ADMINISTRATOR),
)
