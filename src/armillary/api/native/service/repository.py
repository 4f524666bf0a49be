# SPDX-License-Identifier: Apache-2.0
"""Native routes of the repository: its roles and keys, changes of keys, and signatures that are made elsewhere."""

from __future__ import annotations

import json
from functools import partial
from typing import Annotated, Any

from pydantic import Field
from starlette.requests import Request

from armillary.api.http.route import ADMINISTRATOR, READER, Route
from armillary.api.http.routes import operator_of, service_of
from armillary.api.native.parameters import V1, StrictBody
from armillary.api.views import repository as views
from armillary.errors import InvalidArgumentError
from armillary.wire.encoding.cbor_fields import MAX_TIME

# Metadata of a catalog with thousands of images: 200 bytes an image, as JSON in JSON.
MAX_SIGNATURES_BYTES = 8 << 20
MAX_SIGNATURES_VALUES = 200_000

RoleName = Annotated[str, Field(min_length=1, max_length=64)]


class KeyChangeBody(StrictBody):
    """The keys that a role is to have.

    Attributes:
        role: `root`, `targets`, `snapshot`, `timestamp`, `os`, `catalogs`, `director` or `catalog-ID`.
        public_keys: Public halves of offline keys, P-256 in PEM.
        online: So many keys more, which the service makes and holds.
        threshold: Signatures that metadata of the role needs.
    """

    role: RoleName
    public_keys: Annotated[tuple[Annotated[str, Field(max_length=4096)], ...], Field(max_length=16)] = ()
    online: Annotated[int, Field(ge=0, le=16)] = 0
    threshold: Annotated[int, Field(ge=1, le=16)] = 1


class KeyChangesBody(StrictBody):
    """Changes of keys that come into force together."""

    changes: Annotated[list[KeyChangeBody], Field(min_length=1, max_length=8)]


class FalseTimesBody(StrictBody):
    """Times that devices were told while the service's clock ran ahead, Unix seconds UTC.

    Attributes:
        first: The earliest; where both are left out, those of check-ins that are recorded after now.
        last: The latest.
    """

    first: Annotated[int | None, Field(ge=0, le=MAX_TIME)] = None
    last: Annotated[int | None, Field(ge=0, le=MAX_TIME)] = None


class SignedDocument(StrictBody):
    """Metadata of a role with signatures that were made elsewhere."""

    role: RoleName
    metadata: dict[str, Any]


class SignaturesBody(StrictBody):
    """Documents that were exported, signed and brought back."""

    documents: Annotated[list[SignedDocument], Field(min_length=1, max_length=64)]


def repository(request: Request) -> dict[str, Any]:
    """The roles of the repository with their keys, whether these are online, and what waits for signatures."""
    return views.repository(service_of(request))


def waiting_metadata(request: Request) -> dict[str, Any]:
    """The metadata that waits for signatures, to be signed where the keys are."""
    items = [
        {**views.waiting(one), "metadata": json.loads(one.document)} for one in service_of(request).ceremony.waiting()
    ]
    return {"items": items, "next": None}


def change_keys(request: Request, body: KeyChangesBody) -> dict[str, Any]:
    """Change the keys of roles: in force at once where online keys may say so, else it waits for signatures."""
    from armillary.service.repository.ceremony import KeyChange  # noqa: PLC0415 - loads the package tuf, 3 MB

    changes = [
        KeyChange(role=one.role, public_keys=one.public_keys, online=one.online, threshold=one.threshold)
        for one in body.changes
    ]
    done = service_of(request).ceremony.propose(changes, actor=operator_of(request).name)
    return {"published": done, **repository(request)}


def correct_clock(request: Request, body: FalseTimesBody) -> dict[str, Any]:
    """Have root call times false, so that devices which believe one go back to the present: at once, or once signed."""
    done = service_of(request).ceremony.correct_clock(body.first, body.last, actor=operator_of(request).name)
    return {"published": done, **repository(request)}


def add_signatures(request: Request, body: SignaturesBody) -> dict[str, Any]:
    """Take signatures that were made elsewhere; published once each document has enough of them."""
    documents = {one.role: json.dumps(one.metadata).encode() for one in body.documents}
    if len(documents) != len(body.documents):
        raise InvalidArgumentError("documents: expected each role once", remedy="Send one document for each role.")
    done = service_of(request).ceremony.submit(documents, actor=operator_of(request).name)
    return {"published": done, **repository(request)}


def cancel_change(request: Request) -> dict[str, Any]:
    """Take back what waits for signatures; what is in force stays."""
    service_of(request).ceremony.cancel(actor=operator_of(request).name)
    return repository(request)


_row = partial(Route, tag="repository")
_signatures = partial(_row, body_limit=MAX_SIGNATURES_BYTES, values=MAX_SIGNATURES_VALUES)
_BASE = V1 + "/repository"
ROUTES = (
    _row("GET", _BASE, repository, READER),
    _row("GET", _BASE + "/waiting", waiting_metadata, READER),
    _row("DELETE", _BASE + "/waiting", cancel_change, ADMINISTRATOR),
    _row("POST", _BASE + "/key-changes", change_keys, ADMINISTRATOR),
    _row("POST", _BASE + "/clock-corrections", correct_clock, ADMINISTRATOR),
    _signatures("POST", _BASE + "/signatures", add_signatures, ADMINISTRATOR),
)
